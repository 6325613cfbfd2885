"""One router that speaks BMP (RFC 7854, 8671, 9069): stories of its peers, octets to routes, without a socket."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.base.registry import Registry
from rtrd.bmp import messages
from rtrd.bmp.messages import Frames, FramingError, MalformedError, sys_name
from rtrd.bmp.router import LEFT_OUT, BMPRouter
from rtrd.bmp.station import Station
from rtrd.config import BMP, NeighborConfig
from rtrd.config.types import NeighborMatch
from rtrd.policy import Policy
from rtrd.rib.engine import Engine
from rtrd.router_status import counts, path_counts_of, status_of
from rtrlib import aspas
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet
from tests.lab import bmp
from tests.lab.bmp import LOC_RIB, OUT, POST, TWO_OCTETS, open_message, peer, route, up, update
from tests.lab.mrt import bgp_message

NOW = 1_764_000_000.0
A, B = peer("192.0.2.1", 64501), peer("2001:db8::2", 64502)
OURS = open_message(64500)


class Story:
    """A router, fed with octets."""

    def __init__(self) -> None:
        self.vrps = VRPSet()
        self.vrps.replace(0, pack(VRP("198.51.100.0/24", 24, 64511)))
        self.vrps.activate([0])
        self.vrps.usable = True
        self.router = BMPRouter(Engine("r", self.vrps, Policy()), lambda: None)
        self._frames = Frames()

    def says(self, *octets: bytes) -> None:
        """Feed messages."""
        self._frames.add(b"".join(octets))
        while (message := self._frames.next()) is not None:
            self.router.take(*message, NOW)
        self.work()

    def work(self) -> None:
        """Do what waits."""
        while self.router.engine.work(1000):
            pass

    def routes(self) -> list[tuple[str, str, str, str, int | None]]:
        """Give neighbor, RIB, prefix, validity and path id of each route."""
        ribs = self.router.ribs()
        return sorted(
            (neighbor, ribs[one.neighbor], one.prefix, one.validity, one.path_id)
            for neighbor, one in self.router.engine.routes()
        )


class Home:
    """What keeps the routers of a station."""

    def monitor(self, name: str, work: Callable[[], None]) -> BMPRouter:
        return BMPRouter(Engine(name, VRPSet(), Policy()), work)

    def unmonitor(self, router: BMPRouter) -> None:
        """Forget it: nobody else knows it here."""


def a_session() -> Story:
    story = Story()
    story.says(bmp.initiation("r"), up(A, OURS, open_message(64501)))
    return story


def test_a_peers_routes_come_and_go() -> None:
    story = a_session()
    story.says(route(A, update(["198.51.100.0/24", "100.64.0.0/24"], [(2, [64501, 64511])])), route(A, bmp.END_OF_RIB))
    assert story.routes() == [
        ("192.0.2.1", "pre", "100.64.0.0/24", "not-found", None),
        ("192.0.2.1", "pre", "198.51.100.0/24", "valid", None),
    ]
    story.says(route(A, update(withdrawn=["198.51.100.0/24"])))
    assert [one[2] for one in story.routes()] == ["100.64.0.0/24"]
    story.says(bmp.down(A))
    assert story.routes() == []
    assert (story.router.neighbors.up("192.0.2.1"), story.router.neighbors.since("192.0.2.1")) == (False, NOW)


async def test_a_router_that_tells_of_no_neighbor_for_a_minute_is_a_problem() -> None:
    """BIRD 3.1.8 does that when its sessions were up before the station."""
    now = NOW
    registry = Registry()
    station = Station(BMP(stale_time=3600), Home(), lambda: now)
    station.register(registry)
    kept = station.router("bird", "192.0.2.9")

    def problems() -> list[tuple[str, float | None]]:
        return [(problem.what, problem.since) for problem in registry.problems()]

    now += 59
    assert problems() == []
    now += 1
    silent = "router bird is connected by BMP, but tells of no neighbor; BIRD 3 needs new sessions for it"
    assert problems() == [(silent, NOW)]
    frames = Frames()
    frames.add(up(A, OURS, open_message(64501)))
    kept.router.take(*(frames.next() or (0, b"")), now)
    assert problems() == []
    kept.lost(3600, lambda: None)
    assert [what for what, _ in problems()] == ["router bird has lost its BMP connection: its routes are those of then"]
    now += 1
    assert station.router("bird", "192.0.2.9") is kept
    now += 59
    assert problems() == []  # it has a minute again
    now += 1
    assert problems() == [(silent, NOW + 61)]


def test_what_is_told_of_one_peer_leaves_the_others_alone() -> None:
    story = a_session()
    same_address = peer("192.0.2.1", 64501, kind=1, distinguisher=7)
    for other in (B, same_address):
        story.says(up(other, OURS, open_message(64502)), route(other, update(["198.51.100.0/24"], [(2, [64502])])))
    story.says(route(A, update(["198.51.100.0/24"], [(2, [64501, 64511])])), bmp.down(B))
    assert [(one[0], one[3]) for one in story.routes()] == [("192.0.2.1", "invalid"), ("192.0.2.1", "valid")]


def test_the_ribs_of_a_peer_are_kept_apart_and_counted_once() -> None:
    story = a_session()
    for flags, origin in ((0, 64511), (POST, 1), (OUT, 2), (OUT | POST, 3)):
        header = peer("192.0.2.1", 64501, flags=flags)
        story.says(route(header, update(["198.51.100.0/24"], [(2, [64500, origin])])))
    story.says(route(peer("::", 64500, kind=LOC_RIB), update(["198.51.100.0/24"], [(2, [64501])])))
    assert [(one[1], one[3]) for one in story.routes()] == [
        ("loc", "invalid"), ("out-post", "invalid"), ("out-pre", "invalid"), ("post", "invalid"), ("pre", "valid"),
    ]  # fmt: skip
    assert counts(story.router) == {"valid": 1, "not-found": 0, "invalid": 0, "unverified": 0}
    story.says(route(peer("192.0.2.1", 64501, flags=OUT), update(withdrawn=["198.51.100.0/24"])))
    assert "out-pre" not in {one[1] for one in story.routes()}


def test_a_router_that_tells_post_policy_only_is_counted_by_that() -> None:
    story = a_session()
    story.says(route(peer("192.0.2.1", 64501, flags=POST), update(["198.51.100.0/24"], [(2, [64511])])))
    assert counts(story.router)["valid"] == 1


def test_path_ids_are_there_where_both_opens_say_so() -> None:
    story = Story()
    sends, takes = [(1, 1, 2)], [(1, 1, 1)]
    story.says(up(A, open_message(64500, add_path=takes), open_message(64501, add_path=sends)))
    story.says(route(A, update(["198.51.100.0/24"], [(2, [64511])], path_id=9)))
    # What goes out has them if we send and the peer takes them: here neither is so.
    story.says(route(peer("192.0.2.1", 64501, flags=OUT), update(["198.51.100.0/24"], [(2, [64500])])))
    assert [(one[1], one[4]) for one in story.routes()] == [("out-pre", None), ("pre", 9)]


@pytest.mark.parametrize("flags", [TWO_OCTETS, 0])
def test_paths_of_two_octets_an_as(flags: int) -> None:
    story, header = Story(), peer("192.0.2.1", 64501, flags=flags)
    story.says(up(header, OURS, open_message(64501, four_octets=flags != 0)))
    story.says(route(header, update(["198.51.100.0/24"], [(2, [64501, 64511])], width=2)))
    assert [one[3] for one in story.routes()] == ["valid"]


def test_a_session_that_comes_up_again_has_no_routes_of_before() -> None:
    story = a_session()
    story.says(route(A, update(["198.51.100.0/24"], [(2, [64511])])), up(A, OURS, open_message(64501)))
    assert story.routes() == []


def test_rules_are_not_for_it_but_neighbors_are() -> None:
    story = a_session()
    story.router.set_policy(Policy(), 1)
    story.says(route(A, update(["198.51.100.0/24"], [(2, [1])])))
    assert [one.decision for _, one in story.router.engine.routes()] == ["observe"]


@pytest.mark.parametrize(
    ("tlvs", "reason"),
    [
        (bmp.tlv(0, b"bye") + bmp.tlv(1, b"\0\3"), "redundant connection"),
        (bmp.tlv(1, b"\7\7"), "another reason"),
        (bmp.tlv(1, b"\0"), "not said"),
        (b"\0\1\0", "not said"),
        (b"\0\1\xff\xff", "not said"),
    ],
)
def test_why_a_router_ends_is_one_of_a_few_reasons(tlvs: bytes, reason: str) -> None:
    assert messages.termination(tlvs) == reason


def test_what_the_router_counts_is_shown_by_its_name() -> None:
    story = a_session()
    numbers = [(0, struct.pack(">I", 7)), (7, struct.pack(">Q", 1 << 40)), (9, b"\0\2\1" + struct.pack(">Q", 5))]
    others = [(9, b"\0\2\5" + bytes(8)), (4711, b"abcd"), (3, b"abc")]
    story.says(bmp.statistics(A, *numbers, *others))
    wanted = {"rejected by policy": 7, "Adj-RIB-In": 1 << 40, "Adj-RIB-In ipv6": 5}
    assert story.router.statistics_of("192.0.2.1") == wanted
    story.says(bmp.down(A))
    assert story.router.statistics_of("192.0.2.1") == {}
    story.says(bmp.statistics(A, *numbers))
    assert dict(story.router.malformed) == {"a message of a peer without its Peer Up": 1}


@pytest.mark.parametrize("cut", [1, 4, 9, 13])
def test_a_cut_report_is_malformed(cut: int) -> None:
    story, whole = a_session(), bmp.statistics(A, (0, bytes(4)), (1, bytes(4)))
    story.says(bmp.message(bmp.STATISTICS, whole[6:-cut]))
    assert dict(story.router.malformed) == {"a cut Statistics Report": 1}


def test_routes_of_a_lost_connection_stay_until_their_peer_is_told_again() -> None:
    story = a_session()
    of_b = route(B, update(["100.64.0.0/24"], [(2, [64502])]))
    story.says(route(A, update(["198.51.100.0/24"], [(2, [64511])])), up(B, OURS, open_message(64502)), of_b)
    story.router.lost(NOW, 100.0)
    story.work()
    assert [(one[0], one[3]) for one in story.routes()] == [("192.0.2.1", "valid"), ("2001:db8::2", "not-found")]
    assert story.router.neighbors.up("192.0.2.1") is None  # nobody tells
    assert story.router.next_stale_end() == 100.0
    story.router.back()
    story.says(route(A, update(["198.51.100.0/25"], [(2, [64511])])))  # no Peer Up yet: it says nothing
    assert dict(story.router.malformed) == {"a message of a peer without its Peer Up": 1}
    story.says(up(A, OURS, open_message(64501)))
    assert [one[0] for one in story.routes()] == ["2001:db8::2"]
    story.router.end_stale(100.0, NOW)
    story.work()
    assert (story.routes(), story.router.next_stale_end()) == ([], None)


def test_a_router_that_comes_back_may_say_that_a_stale_peer_is_down() -> None:
    story = a_session()
    story.says(route(A, update(["198.51.100.0/24"], [(2, [64511])])))
    story.router.lost(NOW, 100.0)
    story.says(bmp.down(A))
    assert (story.routes(), dict(story.router.malformed)) == ([], {})


def test_a_stale_loc_rib_is_replaced_without_a_peer_up() -> None:
    story, loc = a_session(), peer("::", 64500, kind=LOC_RIB)
    story.says(route(loc, update(["198.51.100.0/24"], [(2, [64511])])))
    story.router.lost(NOW, 100.0)
    story.says(route(loc, update(["100.64.0.0/24"], [(2, [64511])])), route(loc, bmp.END_OF_RIB))
    assert [one[2] for one in story.routes()] == ["100.64.0.0/24"]


def test_stale_peers_give_way_to_those_that_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrd.bmp.router.MOST_PEERS", 2)
    story = Story()
    for last in range(3):
        header = peer(f"192.0.2.{last}", 64501)
        story.says(up(header, OURS, open_message(64501)), route(header, update(["198.51.100.0/24"], [(2, [64511])])))
        if last < 2:
            story.router.lost(NOW, 100.0)
    assert [one[0] for one in story.routes()] == ["192.0.2.2"]
    assert story.router.peers_left_out == 0


PROVIDER, RS, RS_CLIENT, CUSTOMER, PEER = range(5)


@pytest.mark.parametrize(
    ("said", "heard", "outcome", "role"),
    [
        ([CUSTOMER], [PROVIDER], "valid", "customer"),  # from a provider any path of two comes down
        ([PROVIDER], [CUSTOMER], "invalid", "provider"),
        ([PEER], [], "invalid", "peer"),
        ([RS], [RS_CLIENT], "invalid", "rs"),
        ([RS_CLIENT], [RS], "invalid", "rs-client"),
        ([], [PROVIDER], None, None),  # what the neighbor says alone is no proof
        ([PROVIDER], [PROVIDER], None, None),  # such a session would not be up (RFC 9234 section 4.2)
        ([PROVIDER, PEER], [CUSTOMER], None, None),
        ([9], [], None, None),
    ],
)
def test_the_routers_own_role_is_known_from_its_open(
    said: list[int], heard: list[int], outcome: str | None, role: str | None
) -> None:
    story = Story()
    held = aspas.union_of(aspas.numbers([(64511, [64599])]))
    story.router.engine.aspas_changed(ASPAIndex(held), held)
    story.says(up(A, open_message(64500, roles=said), open_message(64501, roles=heard)))
    assert story.router.local_role("192.0.2.1") == role
    story.says(route(A, update(["10.0.0.0/8"], [(2, [64501, 64511])])))
    assert [one.aspa for _, one in story.router.engine.routes()] == [outcome]


def test_what_is_configured_comes_before_what_an_open_says() -> None:
    story = Story()
    config = NeighborConfig(match=(NeighborMatch("192.0.2.1"),), local_role="provider")
    story.router.set_policy(Policy((), (config,)), 1)
    story.says(up(A, open_message(64500, roles=[CUSTOMER]), open_message(64501, roles=[PROVIDER])))
    assert story.router.local_role("192.0.2.1") == "provider"


def test_a_peer_that_is_told_after_its_policy_alone_has_a_reason_of_its_own() -> None:
    story, header = a_session(), peer("192.0.2.1", 64501, flags=POST)
    story.says(route(header, update(["10.0.0.0/8"], [(2, [64501])])))
    *_, status = status_of(story.router)
    assert status is not None
    [neighbor] = status["neighbors"]
    assert neighbor["paths_unjudged"] == "no local-role is configured for the neighbor"


def test_an_address_is_up_as_long_as_one_of_its_peers_is() -> None:
    story, other = a_session(), peer("192.0.2.1", 64501, kind=1, distinguisher=7)
    story.says(up(other, OURS, open_message(64501)), bmp.down(A))
    assert story.router.neighbors.up("192.0.2.1") is True
    story.says(bmp.down(other))
    assert (story.router.neighbors.up("192.0.2.1"), story.router.neighbors.addresses()) == (False, {"192.0.2.1"})


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (bmp.message(77, b"abc"), "an unknown type of message"),
        (route(B, update(["10.0.0.0/8"], [(2, [1])])), "a message of a peer without its Peer Up"),
        (bmp.down(B), "a message of a peer without its Peer Up"),
        (bmp.message(bmp.ROUTE_MONITORING, A[:40]), "a cut per-peer header"),
        (bmp.message(bmp.ROUTE_MONITORING, b"\x09" + A[1:]), "an unknown type of peer"),
        (bmp.message(bmp.PEER_UP, B + bytes(20)), "a BGP message without its marker"),
        (bmp.message(bmp.PEER_UP, B + bytes(3)), "a Peer Up without OPENs"),
        (up(B, OURS, bmp.END_OF_RIB), "a Peer Up without OPENs"),
        (up(B, OURS, bgp_message(1, b"\x04")), "an OPEN that can't be read"),
        (route(A, bgp_message(4, b"")), "a Route Monitoring without one UPDATE"),
        (route(A, bmp.END_OF_RIB * 2), "a Route Monitoring without one UPDATE"),
        (route(A, bmp.END_OF_RIB[:-1]), "a BGP message of a wrong length"),
        (bmp.message(bmp.INITIATION, struct.pack(">HH", 2, 60000) + b"x"), "a TLV longer than its message"),
    ],
)
def test_what_is_malformed_is_counted_and_what_follows_is_heard(octets: bytes, reason: str) -> None:
    story = a_session()
    story.says(octets, route(A, update(["198.51.100.0/24"], [(2, [64511])])))
    assert dict(story.router.malformed) == {reason: 1}
    assert len(story.routes()) == 1


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"GET / HTTP", "version 71 of BMP"),
        (b"G", "its first octet is 71"),
        (bmp.message(0, length=5), "a message of 5 octets"),
        (bmp.message(0, length=0xFFFFFFFF), "a message of 4294967295 octets"),
    ],
)
def test_lost_framing_is_said(octets: bytes, what: str) -> None:
    with pytest.raises(FramingError, match=what):
        Story().says(octets)


def test_names_are_fit_for_people() -> None:
    assert sys_name(bmp.tlv(2, b"a\nb\x1b[2J\xff")) == "a\\nb\\x1b[2J\ufffd"
    assert len(sys_name(bmp.tlv(2, b"x" * 60000)) or "") < 70
    assert sys_name(bmp.tlv(1, b"only a description")) is None
    with pytest.raises(MalformedError):
        sys_name(b"\0")


def test_more_peers_than_one_may_have_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrd.bmp.router.MOST_PEERS", 2)
    story = Story()
    for last in range(4):
        story.says(up(peer(f"192.0.2.{last}", 64501), OURS, open_message(64501)))
    assert (len(story.router.neighbors.told), story.router.peers_left_out) == (2, 2)
    story.says(route(peer("192.0.2.3", 64501), bmp.END_OF_RIB))
    assert list(story.router.malformed) == [LEFT_OUT]


@settings(max_examples=300)
@given(st.data())
def test_no_octet_breaks_more_than_the_connection(data: st.DataObject) -> None:
    octets = bytearray(
        bmp.initiation("r") + up(A, OURS, open_message(64501)) + route(A, update(["198.51.100.0/24"], [(2, [64511])]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    story = Story()
    with suppress(FramingError):
        cut = data.draw(st.integers(0, len(octets)))
        story.says(bytes(octets[:cut]))
        story.says(bytes(octets[cut:]))
    assert len(story.routes()) <= 200


def test_a_message_may_be_cut_anywhere() -> None:
    octets = bmp.initiation("r") + up(A, OURS, open_message(64501))
    for at in range(len(octets)):
        frames, found = Frames(), 0
        for part in (octets[:at], octets[at:]):
            frames.add(part)
            while frames.next() is not None:
                found += 1
        assert found == 2


def test_the_longest_message_has_room_for_what_rfc_7854_allows() -> None:
    assert messages.MOST >= 6 + 42 + 20 + 2 * 4096 + 2 * (4 + 65535)


def test_paths_are_judged_where_the_neighbor_announces_them() -> None:
    story = Story()
    config = NeighborConfig(match=(NeighborMatch("192.0.2.1"),), local_role="provider")
    story.router.set_policy(Policy((), (config,)), 1)
    held = aspas.union_of(aspas.numbers([(64511, [64599])]))
    story.router.engine.aspas_changed(ASPAIndex(held), held)
    story.says(up(A, OURS, open_message(64501)))
    for flags in (0, OUT):
        story.says(route(peer("192.0.2.1", 64501, flags=flags), update(["10.0.0.0/8"], [(2, [64501, 64511])])))
    ribs = story.router.ribs()
    assert {ribs[one.neighbor]: one.aspa for _, one in story.router.engine.routes()} == {
        "pre": "invalid",
        "out-pre": None,
    }
    assert path_counts_of(story.router, story.router.counted())["invalid"] == 1
