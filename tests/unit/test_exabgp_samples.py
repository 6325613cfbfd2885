"""Every line that ExaBGP 4.2.21 and 5.0.15 wrote for a case (tests/samples) decodes to what stands here."""

import json
from typing import NamedTuple

import pytest

from rtrd.exabgp.decode import DecodeError, Event, Octets, OtherEvent, decode
from rtrd.exabgp.parsed import Parsed
from rtrd.rib.attributes import (
    AS_CONFED_SEQUENCE,
    AS_CONFED_SET,
    AS_SEQUENCE,
    AS_SET,
    EGP,
    IGP,
    INCOMPLETE,
    AttributeSet,
    OtherAttribute,
    Segment,
    read_octets,
)
from rtrd.rib.bgp_events import Negotiated, State
from tests.lab.engine_story import update_of
from tests.lab.samples import SAMPLES, sample_lines

V4, V5 = "exabgp-4.2.21", "exabgp-5.0.15"
PEER = "127.0.0.2"
V6_PEER = "2001:db8::2"


class Routes(NamedTuple):
    """An Update, with its attribute sets read."""

    announced: list[tuple[AttributeSet, list[str]]]
    withdrawn: list[str]
    others: int
    neighbor: str = PEER


class Undecodable(NamedTuple):
    """A line that is no JSON."""


Seen = Routes | State | OtherEvent | Negotiated | Undecodable


class Case(NamedTuple):
    """What the lines of a file decode to."""

    both: list[Seen] | None = None
    v5: list[Seen] | None = None
    v4: list[Seen] | None = None
    differs: str = ""
    """Why the two versions don't give the same."""


# -- the words in which the expectations are written


def path(*asns: int) -> tuple[Segment, ...]:
    return (Segment(AS_SEQUENCE, asns),) if asns else ()


USUAL = path(65002, 65100)


def attributes(
    as_path: tuple[Segment, ...] = USUAL, origin_as: int | None = 65100, origin: int = IGP, **more: object
) -> AttributeSet:
    given: dict[str, object] = {"family": 4, "next_hop": PEER, **more}
    return AttributeSet(origin=origin, as_path=as_path, origin_as=origin_as, **given)  # type: ignore[arg-type]


def v6(**more: object) -> AttributeSet:
    return attributes(family=6, next_hop=V6_PEER, **more)  # type: ignore[arg-type]


def announced(attributes: AttributeSet, *prefixes: str) -> list[Seen]:
    return [Routes([(attributes, list(prefixes))], [], 0)]


def withdrawn(*prefixes: str) -> list[Seen]:
    return [Routes([], list(prefixes), 0)]


def others(count: int) -> list[Seen]:
    return [Routes([], [], count)]


def kinds(*names: str) -> list[Seen]:
    return [OtherEvent(name, PEER) for name in names]


def session_up(*, idle: bool, extended_next_hop: bool) -> list[Seen]:
    return [
        *kinds("state", "fsm", *(["fsm"] if idle else []), "fsm", "fsm", "open"),
        Negotiated(PEER, extended_next_hop),
        *kinds("fsm", "keepalive", "fsm"),
        State(PEER, up=True, reason=""),
    ]


def down(v5: str, v4: str, *before: str) -> Case:
    return Case(
        v5=[*kinds(*before), State(PEER, up=False, reason=v5), *kinds("fsm")],
        v4=[*kinds("fsm"), State(PEER, up=False, reason=v4)],
        differs="a reason is free text of each version, and `fsm` comes before or after it",
    )


CONFED_HIDDEN = "5.0 calls confederation segments (RFC 5065) as-sequence"
FROM_OUTSIDE = "; from outside of our confederation they count as withdrawn"
ORDER_LOST = "4.2 writes all AS_SEQUENCEs as one list, so a border between two is gone"
EXTRA_FSM = "5.0 passes through IDLE once more"
NO_JSON = "4.2 writes a route refresh with its quotes doubled"
SORTED = "5.0 sorts communities, 4.2 keeps the order of the wire"

LONG = (65002, *range(100000, 100254), *range(200000, 200010))

EXPECTED: dict[str, Case] = {
    # -- sessions
    "session-up-main": Case(
        v5=session_up(idle=True, extended_next_hop=True),
        v4=session_up(idle=False, extended_next_hop=True),
        differs=EXTRA_FSM,
    ),
    **{
        name: Case(
            v5=session_up(idle=True, extended_next_hop=False),
            v4=session_up(idle=False, extended_next_hop=False),
            differs=EXTRA_FSM,
        )
        for name in ("session-up-ibgp", "session-up-addpath")
    },
    "session-up-addpath-send": Case(
        v5=session_up(idle=True, extended_next_hop=False),
        differs="with `negotiated;` and ADD-PATH send the session of 4.2.21 never comes up",
    ),
    "keepalive": Case(kinds("keepalive")),
    "down-tcp-closed": down(
        "closing connection",
        "peer reset, message (closing connection) error(issue reading on the socket: (Errno ECONNRESET)"
        " (Errno 104) Connection reset by peer)",
    ),
    "down-bad-marker": down("", "peer reset, message () error()"),
    "notification-cease": down(
        "notification received (6,2)",
        "peer reset, message (notification sent (1,0)) error(Message header error / Unspecific /"
        ' can not decode update message of type "3")',
        "notification",
    ),
    "flow-v4": down(
        "notification sent (3,9)",
        "peer reset, message (notification sent (3,0)) error(UPDATE message error / Unspecific /"
        " unsupported family ipv4 flow with extended next-hop capability enabled)",
    ),
    "reload-sigusr1": Case(kinds("signal")),
    "shutdown-sigterm": Case(
        v5=[
            *kinds("signal"),
            State(PEER, up=False, reason="stop, message [shutting down]"),
            *kinds("fsm", "fsm"),
            OtherEvent("notification"),
        ],
        v4=[
            *kinds("signal"),
            State(PEER, up=False, reason="stop, message (shutting down)"),
            *kinds("fsm"),
            OtherEvent("notification"),
        ],
        differs=EXTRA_FSM + "; a reason is free text of each version",
    ),
    # -- routes
    "update-v4-1": Case(announced(attributes(), "20.0.0.0/24")),
    "update-v4-multi": Case(
        announced(attributes(), *(f"20.0.{number}.0/24" for number in range(1, 6)), "0.0.0.0/0", "20.9.9.9/32")
    ),
    "update-v6": Case(announced(v6(), "2001:db8:1::/48", "2001:db8:2::/48", "::/0", "2001:db8::1/128")),
    "update-v6-global-ll": Case(announced(v6(), "2001:db8:3::/48")),
    "withdraw-v4": Case(withdrawn("20.0.1.0/24", "20.0.2.0/24")),
    "withdraw-v6": Case(withdrawn("2001:db8:1::/48")),
    "withdraw-unknown": Case(withdrawn("99.0.0.0/24")),
    "withdraw-and-announce-v4": Case([Routes([(attributes(), ["20.0.20.0/24"])], ["20.0.3.0/24"], 0)]),
    "withdraw-v4-announce-v6": Case([Routes([(v6(), ["2001:db8:5::/48"])], ["20.0.4.0/24", "2001:db8:2::/48"], 0)]),
    "v4-mpreach-nh4": Case(announced(attributes(), "20.4.2.0/24")),
    "v4-nh6-rfc8950": Case(announced(attributes(next_hop=V6_PEER), "20.4.0.0/24")),
    "addpath-v4": Case(announced(attributes(), "20.0.0.0/24 0.0.0.1", "20.0.0.0/24 0.0.0.2")),
    "addpath-v4-withdraw": Case(withdrawn("20.0.0.0/24 0.0.0.1")),
    "addpath-v6": Case(announced(v6(), "2001:db8:1::/48 0.0.0.7")),
    # -- the end of what a neighbor has
    **dict.fromkeys(("eor-v4", "eor-v6", "eor-flow", "addpath-eor-v4"), Case(kinds("update"))),
    **dict.fromkeys(
        ("route-refresh-v4", "route-refresh-borr", "route-refresh-eorr"),
        Case(v5=kinds("refresh"), v4=[Undecodable()], differs=NO_JSON),
    ),
    # -- other families: counted, and left alone
    **dict.fromkeys(
        ("multicast-v4", "mpls-v4", "mpls-vpn-v4", "mpls-vpn-v4-withdraw", "flow-v4-withdraw"), Case(others(1))
    ),
    # -- AS paths and the origin AS
    "empty-aspath-ebgp": Case(withdrawn("20.2.9.0/24")),
    "ibgp-empty-aspath": Case(announced(attributes(path(), 65001, local_preference=100), "20.1.0.0/24")),
    "ibgp-aspath": Case(announced(attributes(path(65100), local_preference=150, med=5), "20.1.1.0/24")),
    "ibgp-originator-cluster": Case(announced(attributes(path(65100), local_preference=100), "20.1.5.0/24")),
    "prepend-loop": Case(announced(attributes(path(65002, 65002, 65002, 65002, 65002, 65001, 65100)), "20.2.7.0/24")),
    "as4": Case(withdrawn("20.2.8.0/24")),
    "asset-end": Case(announced(attributes((*USUAL, Segment(AS_SET, (65200, 65201))), None), "20.2.0.0/24")),
    "asset-single": Case(announced(attributes((*path(65002), Segment(AS_SET, (65200,))), None), "20.2.1.0/24")),
    "asset-only": Case(announced(attributes((Segment(AS_SET, (65002, 65003)),), None), "20.2.3.0/24")),
    "two-sequences": Case(
        v5=announced(attributes(USUAL + path(65200, 65201), 65201), "20.2.4.0/24"),
        v4=announced(attributes(path(65002, 65100, 65200, 65201), 65201), "20.2.4.0/24"),
        differs=ORDER_LOST,
    ),
    "long-aspath": Case(announced(attributes(path(*LONG[:255]) + path(*LONG[255:]), 200009), "20.2.10.0/24")),
    "confed-ebgp": Case(
        v5=announced(attributes(path(65010) + USUAL), "20.2.5.0/24"),
        v4=[Routes([], ["20.2.5.0/24"], 0)],
        differs=CONFED_HIDDEN + FROM_OUTSIDE,
    ),
    "confed-set-end": Case(
        v5=announced(attributes(path(65002) + path(65010, 65011), 65011), "20.2.6.0/24"),
        v4=[Routes([], ["20.2.6.0/24"], 0)],
        differs=CONFED_HIDDEN + FROM_OUTSIDE,
    ),
    "ibgp-confed-only": Case(
        v5=announced(attributes(path(65010, 65011), 65011, local_preference=100), "20.1.2.0/24"),
        v4=announced(
            attributes((Segment(AS_CONFED_SEQUENCE, (65010, 65011)),), 65001, local_preference=100), "20.1.2.0/24"
        ),
        differs=CONFED_HIDDEN,
    ),
    "ibgp-confed-set": Case(
        v5=announced(attributes(path(65010, 65011) + path(65020), 65020, local_preference=100), "20.1.4.0/24"),
        v4=announced(
            attributes((Segment(AS_CONFED_SET, (65010, 65011)), *path(65020)), 65020, local_preference=100),
            "20.1.4.0/24",
        ),
        differs=CONFED_HIDDEN,
    ),
    # -- other attributes
    "communities": Case(
        v5=announced(attributes(communities=((0, 0), (65002, 1), (65535, 666), (65535, 65281))), "20.3.0.0/24"),
        v4=announced(attributes(communities=((65002, 1), (65535, 65281), (65535, 666), (0, 0))), "20.3.0.0/24"),
        differs=SORTED,
    ),
    "large-communities": Case(
        announced(attributes(large_communities=((65002, 1, 2), (4294967295, 4294967295, 0))), "20.3.1.0/24")
    ),
    "ext-communities": Case(
        announced(
            attributes(
                extended_communities=(
                    0x0002_FDE9_0000_004D,  # route target 65001:77
                    0x0003_FDE9_0000_0005,  # route origin 65001:5
                    0x0102_C000_0201_004D,  # route target 192.0.2.1:77
                    0x4004_FDEA_4B18_9680,  # link bandwidth of AS 65002, 10 million octets a second
                )
            ),
            "20.3.2.0/24",
        )
    ),
    **{
        f"ext-ovs-{word}": Case(announced(attributes(extended_communities=(0x4300 << 48 | value,)), prefix))
        for word, value, prefix in (
            ("valid", 0, "20.3.3.0/24"),
            ("notfound", 1, "20.3.4.0/24"),
            ("invalid", 2, "20.3.5.0/24"),
        )
    },
    **{
        f"ibgp-ovs-{word}": Case(
            announced(
                attributes(path(65100), local_preference=100, extended_communities=(0x4300 << 48 | value,)), prefix
            )
        )
        for word, value, prefix in (("valid", 0, "20.1.6.0/24"), ("notfound", 1, "20.1.7.0/24"))
    },
    "origin-incomplete-med-agg": Case(announced(attributes(origin=INCOMPLETE, med=77), "20.3.6.0/24")),
    "origin-egp": Case(announced(attributes(origin=EGP), "20.3.7.0/24")),
    "unknown-attr": Case(announced(attributes(others=(OtherAttribute(35, 0xE0, b"\0\0\xfe\x4c"),)), "20.3.8.0/24")),
    "treat-as-withdraw-bad-origin": Case(withdrawn("20.6.0.0/24")),
}


def seen(line: bytes) -> Seen:
    try:
        event: Event = decode(line)
    except DecodeError:
        return Undecodable()
    if isinstance(event, State):
        told = json.loads(line)
        assert (event.local, event.time) == (told["neighbor"]["address"]["local"], told["time"])
        return State(event.neighbor, event.up, event.reason)
    assert not isinstance(event, Octets), "there are none of packets mode here"
    if not isinstance(event, Parsed):
        return event
    assert event.no_prefixes == 0
    update = update_of(event)
    read = [(read_octets(key), prefixes) for key, prefixes in update.announced]
    return Routes(read, update.withdrawn, update.others, update.neighbor)


def expected(version: str, name: str) -> list[Seen] | None:
    case = EXPECTED[name]
    return case.both or (case.v4 if version == V4 else case.v5)


FILES = sorted((version, file.stem) for version in (V4, V5) for file in (SAMPLES / version).iterdir())


@pytest.mark.parametrize(("version", "name"), FILES)
def test_each_line_of_a_sample(version: str, name: str) -> None:
    assert [seen(line) for line in sample_lines(name, version)] == expected(version, name)


def test_each_expectation_has_its_sample() -> None:
    wanted = {(version, name) for version in (V4, V5) for name in EXPECTED if expected(version, name)}
    assert wanted == set(FILES)


def test_where_the_versions_differ_it_is_said_why() -> None:
    for name, case in EXPECTED.items():
        assert bool(case.both) != bool(case.differs), name
        assert case.both or case.v4 != case.v5, name


def test_a_path_with_an_as_set_has_no_origin_as_in_either_version() -> None:
    """RFC 6811 section 2 for a final one; and 4.2's JSON can't tell which one is final."""
    for version, name in FILES:
        if name.startswith("asset-"):
            (routes,) = expected(version, name) or []
            assert isinstance(routes, Routes)
            assert [attributes.origin_as for attributes, _ in routes.announced] == [None]
