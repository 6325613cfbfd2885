"""What two OPENs agree on; the OPENs are those of real sessions (tests/samples/packets-*)."""

from __future__ import annotations

import pytest

from rtrd.rib.bgp_session import BGPSession, Open, agreed, read_open
from tests.lab.packets import session

NONE: frozenset[int] = frozenset()
BOTH = frozenset({4, 6})


@pytest.mark.parametrize("version", ["4.2.21", "5.0.15"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("main", BGPSession(65001, 65002, True, NONE, True)),
        ("ibgp", BGPSession(65001, 65001, True, NONE, False)),
        ("as2", BGPSession(65001, 65002, False, NONE, False)),
        ("addpath", BGPSession(65001, 65002, True, BOTH, False)),
        ("addpath-both", BGPSession(65001, 65002, True, BOTH, False)),
        ("addpath-send", BGPSession(65001, 65002, True, NONE, False)),
        ("addpath-peer-sends-only", BGPSession(65001, 65002, True, BOTH, False)),
        ("addpath-v4-only", BGPSession(65001, 65002, True, frozenset({4}), False)),
    ],
)
def test_real_sessions(version: str, name: str, expected: BGPSession) -> None:
    assert session(version, name) == expected._replace(router_id=0x0A000001, peer_router_id=0x7F000002)


HEAD = bytes([4]) + (23456).to_bytes(2) + (180).to_bytes(2) + b"\x0a\0\0\1"


def opened(*parameters: bytes, wide: bool = False) -> bytes:
    if wide:  # RFC 9072
        long = b"".join(bytes([2]) + len(one).to_bytes(2) + one for one in parameters)
        return HEAD + b"\xff\xff" + len(long).to_bytes(2) + long
    short = b"".join(bytes([2, len(one)]) + one for one in parameters)
    return HEAD + bytes([len(short)]) + short


CAPABILITIES = [b"\x41\4\0\1\0\0", b"\x45\4\0\1\1\3", b"\x45\4\0\2\1\1", b"\2\0", b"\5\6\0\1\0\1\0\2"]


@pytest.mark.parametrize("wide", [False, True], ids=["lengths of an octet", "RFC 9072"])
@pytest.mark.parametrize("parameters", [CAPABILITIES, [b"".join(CAPABILITIES)]], ids=["one for each", "one for all"])
def test_capabilities_come_in_one_parameter_or_in_many(parameters: list[bytes], wide: bool) -> None:
    assert read_open(opened(*parameters, wide=wide)) == Open(
        asn=65536, router_id=0x0A000001, four_octet_as=True, sends_path_ids=frozenset({4}),
        takes_path_ids=frozenset({4, 6}), extended_next_hop=True, route_refresh=True,
    )  # fmt: skip


def test_what_nobody_defined_says_nothing() -> None:
    assert read_open(opened(b"\x45\5\0\1\1\4\0", b"\x45\4\0\1\2\3", b"\x63\3abc")) == Open(23456, 0x0A000001)


def test_an_as_number_of_two_octets_is_the_peers() -> None:
    assert agreed(Open(65536, four_octet_as=True), Open(65002)).four_octet_as is False
    assert agreed(Open(65536), Open(65002)).peer_as == 65002


@pytest.mark.parametrize(
    "body",
    [b"", HEAD, b"\3" + HEAD[1:] + b"\0", opened(b"\x41\4\0\1"), opened()[:-1] + b"\2\2\6", opened()[:-1] + b"\1\2"],
)
def test_lengths_that_do_not_fit_are_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="OPEN"):
        read_open(body)
