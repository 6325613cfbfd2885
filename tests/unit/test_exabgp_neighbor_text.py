"""What both ExaBGPs print of their neighbors, read."""

import pytest

from rtrd.exabgp.neighbor_text import (
    Agreement,
    ExtensiveReader,
    InExtensive,
    PathIds,
    SessionRow,
    SummaryReader,
    UpFor,
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("127.0.0.2       65001     0:00:02 established           2          0", SessionRow("127.0.0.2", True, 2)),
        (
            "127.0.0.3       65003        down idle                  0          0",
            SessionRow("127.0.0.3", established=False),
        ),
        (
            "2001:db8::1     65003     0:01:00 established           0          0",
            SessionRow("2001:db8::1", established=True),
        ),
        (
            "192.0.2.0/28    64496        down idle                  0          0",
            SessionRow("192.0.2.0/28", established=False),
        ),
        ("192.0.2.0/33    64496        down idle                  0          0", None),
        ("Peer            AS        up/down state       |     #sent     #recvd", None),
        ("", None),
        ("done", None),
        ("a b c d", None),
    ],
)
def test_a_row_of_the_summary(text: str, row: SessionRow | None) -> None:
    assert SummaryReader().read(text) == row


def extensive(address: str, state: str, local: str, remote: str, column: str) -> list[str]:
    """The lines of one neighbor, as both versions print them (5.0 ends them with blanks)."""
    return [
        f"Neighbor {address}",
        "",
        "\tSession                         Local",
        f"   local                      127.0.0.1{'':32}",
        f"   state                {state:>15}{'':32}",
        "   down for                     0:00:00",
        f"   AS                             65001           65001{'':16}",
        f"   asn4:                        enabled {remote:>15}{'':16}",
        f"   add-path:            {local:>15} {remote:>15}{'':16}",
        "\tFamilies                        Local          Remote        Add-Path",
        f"   ipv4 unicast:                enabled         enabled {column:<15}",
        f"   ipv6 unicast:                enabled         enabled {column:>15}",
        "\tMessage Statistic                Sent        Received",
        "   open:                              0               0",
    ]


def read(version: str, *words: str) -> list[InExtensive]:
    reader = ExtensiveReader()
    lines = (reader.read(line, version) for line in extensive("127.0.0.2", *words))
    said = [one for one in lines if not isinstance(one, (Agreement, UpFor))]
    return [one for one in said if one is not None]


@pytest.mark.parametrize(("state", "said"), [("established", [UpFor(0)]), ("idle", [])])
def test_a_session_that_is_up_for_less_than_a_second_is_listed_as_down_for_none(state: str, said: list[UpFor]) -> None:
    reader = ExtensiveReader()
    lines = extensive("127.0.0.2", state, "disabled", "n/a", "disabled")
    assert [one for line in lines if isinstance(one := reader.read(line, "5.0.15"), UpFor)] == said


@pytest.mark.parametrize(
    ("version", "local", "remote", "column", "taken"),
    [
        ("4.2.21", "enabled", "enabled", "enabled", True),
        ("4.2.21", "disabled", "disabled", "disabled", False),
        ("5.0.15", "enabled", "enabled", "send/receive", True),
        ("5.0.15", "enabled", "enabled", "receive", True),  # 5.0 has the two the wrong way around
        ("5.0.15", "enabled", "enabled", "send", False),
        ("6.0.0", "enabled", "enabled", "send", True),
        ("5.0.15", "disabled", "enabled", "disabled", False),
    ],
)
def test_whether_path_ids_go_to_a_neighbor(version: str, local: str, remote: str, column: str, *, taken: bool) -> None:
    assert read(version, "ESTABLISHED", local, remote, column) == [
        SessionRow("127.0.0.2", established=True, local="127.0.0.1"),
        PathIds("127.0.0.2", 4, taken),
        PathIds("127.0.0.2", 6, taken),
    ]


def test_4_2_does_not_tell_one_direction_from_none() -> None:
    assert read("4.2.21", "ESTABLISHED", "enabled", "enabled", "disabled") == [
        SessionRow("127.0.0.2", established=True, local="127.0.0.1")
    ]


@pytest.mark.parametrize(
    ("version", "local", "remote", "column", "four_octet_as", "path_ids"),
    [
        ("4.2.21", "enabled", "enabled", "disabled", True, None),  # received alone, or not at all
        ("4.2.21", "enabled", "enabled", "enabled", True, {4, 6}),
        ("4.2.21", "disabled", "enabled", "disabled", True, set()),
        ("4.2.21", "enabled", "disabled", "disabled", False, set()),
        ("5.0.15", "enabled", "enabled", "disabled", True, set()),
        ("5.0.15", "enabled", "enabled", "receive", True, set()),  # the wrong way around
        ("5.0.15", "enabled", "enabled", "send", True, {4, 6}),
        ("5.0.15", "enabled", "enabled", "send/receive", True, {4, 6}),
    ],
)
def test_what_a_session_that_is_up_agreed_on(
    version: str, local: str, remote: str, column: str, *, four_octet_as: bool, path_ids: set[int] | None
) -> None:
    lines, reader = extensive("127.0.0.2", "ESTABLISHED", local, remote, column), ExtensiveReader()
    if version == "5.0.15":
        lines[5] = "   up for                       0:00:07"
    found = [one for one in (reader.read(line, version) for line in lines) if isinstance(one, Agreement)]
    ids = None if path_ids is None else frozenset(path_ids)
    assert found == [Agreement("127.0.0.2", 65001, 65001, four_octet_as, ids, "127.0.0.1", 7 * (version == "5.0.15"))]


@pytest.mark.parametrize(("version", "column"), [("4.2.21", "n/a"), ("5.0.15", "disabled")])
def test_before_the_session_is_up_it_is_not_known(version: str, column: str) -> None:
    assert read(version, "IDLE", "enabled", "n/a", column) == [
        SessionRow("127.0.0.2", established=False, local="127.0.0.1")
    ]


def test_without_add_path_in_the_configuration_it_is_known_before() -> None:
    assert PathIds("127.0.0.2", 4, taken=False) in read("4.2.21", "IDLE", "disabled", "n/a", "disabled")


@pytest.mark.parametrize(
    "line", ["Neighbor", "Neighbor x", "Neighbor fe80::1%x y", "   state x", "ipv4 unicast: a b c"]
)
def test_lines_of_no_neighbor_say_nothing(line: str) -> None:
    assert ExtensiveReader().read(line, "5.0.15") is None
