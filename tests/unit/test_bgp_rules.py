"""What a neighbor may do to us, and what a receiver may get: UPDATEs in, commands out, rule by rule of the RFCs."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from rtrd.exabgp.encode import Encoder
from rtrd.rib.bgp_events import State
from rtrd.rib.bgp_session import BGPSession
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, policy_of
from tests.lab.speaker import packed_prefix

OURS = 65000
A, B, IBGP, EBGP = "192.0.2.1", "192.0.2.2", "192.0.2.8", "192.0.2.9"
ASES = {A: 64496, B: 64497, IBGP: OURS, EBGP: 64498}
PREFIX = "198.51.100.0/24"
ALL = f"policy: [{{from: [{A}, {B}, {IBGP}], to: [{IBGP}, {EBGP}], valid: {{action: announce}}, not-found: {{action: announce}}, invalid: {{action: announce}}}}]\n"  # noqa: E501
ACTS = ALL.replace("invalid: {action: announce}", "invalid: {action: withdraw}")


def attribute(code: int, value: bytes, flags: int = 0xC0) -> bytes:
    return struct.pack("!BBB", flags, code, len(value)) + value


def segment(*ases: int, kind: int = 2) -> bytes:
    return struct.pack(f"!BB{len(ases)}I", kind, len(ases), *ases)


class Story(EngineStory):
    """An engine of which two neighbors are told, and what it says."""

    def __init__(self, text: str = ALL, *vrps: VRP, secret: bytes = b"") -> None:
        super().__init__(policy_of(text), *vrps, secret=secret)
        self.encoder = Encoder(self.engine)
        for neighbor, asn in ASES.items():
            self.engine.add_receiver(neighbor)
            self.engine.sessions.spoken(neighbor, OURS, asn)

    def update(
        self,
        neighbor: str,
        path: bytes,
        more: bytes = b"",
        prefix: str = PREFIX,
        *,
        path_id: int | None = None,
        hop: str = "192.0.2.77",
        router_id: str = "0.0.0.0",
    ) -> int:
        """Have a neighbor announce a route; gives what is wrong with it."""
        found = attribute(1, b"\0", 0x40) + attribute(2, path, 0x40) + attribute(3, IPv4Address(hop).packed, 0x40)
        found += more
        nlri = (b"" if path_id is None else struct.pack("!I", path_id)) + packed_prefix(prefix)
        session = BGPSession(
            OURS, ASES[neighbor], True, frozenset() if path_id is None else frozenset({4}), False,
            router_id=int(IPv4Address(router_id)), addresses=(neighbor, "127.0.0.1"),
        )  # fmt: skip
        return self.engine.receive(neighbor, session, struct.pack("!HH", 0, len(found)) + found + nlri)

    def policy(self, text: str) -> None:
        self.engine.set_policy(policy_of(text))
        self.encoder.forget()

    def said(self) -> dict[str, str]:
        """What each receiver is told: the words of an announcement, or `withdraw`."""
        told: dict[str, str] = {}
        for command in self.commands():
            words = self.encoder.encode(command) if command.announce else "withdraw"
            told |= dict.fromkeys(self.engine.receivers.names(command.receivers), words)
        return told


def test_a_loop_takes_no_place_and_takes_its_predecessor_down() -> None:
    story = Story()
    story.update(A, segment(64496, OURS, 64500))
    story.update(B, segment(64497, 64511, 64512, 64500))
    assert "as-path [ 64497 64511 64512 64500 ]" in story.said()[IBGP]
    story.update(B, segment(64497, 64511, kind=1) + segment(OURS))
    assert story.said() == {IBGP: "withdraw", EBGP: "withdraw"}


def test_the_first_as_is_the_neighbors_unless_it_is_a_route_server() -> None:
    """Of a neighbor without `local-role` nobody knows whether it is one."""
    story = Story()
    story.update(A, segment(64777, 64500))
    assert "64777" in story.said()[EBGP]
    for entry in ("local-role: customer", "enforce-first-as: true", "local-role: rs-client, enforce-first-as: true"):
        story.policy(f"{ALL}neighbors: [{{match: [192.0.2.0/24], {entry}}}]\n")
        assert story.said() == {IBGP: "withdraw", EBGP: "withdraw"}
        story.policy(f"{ALL}neighbors: [{{match: [AS64496], local-role: rs-client}}]\n")
        assert "64777" in story.said()[EBGP]


def test_a_rule_may_be_for_the_neighbors_of_an_as_or_within_a_prefix() -> None:
    for source in ("AS64496", "192.0.2.0/24"):
        story = Story(ALL.replace(f"from: [{A}, {B}, {IBGP}]", f"from: [{source}]"))
        story.update(A, segment(64496, 64500))
        assert set(story.said()) == {IBGP, EBGP}
        story.policy(ALL.replace(f"from: [{A}, {B}, {IBGP}]", "from: [AS64999, 203.0.113.0/24]"))
        assert story.said() == {IBGP: "withdraw", EBGP: "withdraw"}


def test_the_as_of_a_neighbor_is_known_from_its_first_update_on() -> None:
    story = Story(ALL.replace(f"from: [{A}, {B}, {IBGP}]", "from: [AS64496]"))
    story.engine.sessions.forget(A)
    story.update(A, segment(64496, 64500))
    assert set(story.said()) == {IBGP, EBGP}


def test_local_preference_and_aigp_count_only_from_inside() -> None:
    story = Story()
    inside = attribute(5, struct.pack("!I", 4000), 0x40) + attribute(26, b"\1\0\x0b" + bytes(8), 0x80)
    story.update(A, segment(64496), inside)
    assert "4000" not in story.said()[IBGP]
    story.update(IBGP, segment(64496), inside, "10.0.0.0/24")
    told = story.said()
    assert "local-preference 4000" in told[IBGP]
    assert "attribute [ 0x1a 0x80 " in told[IBGP]
    assert "0x1a" not in told[EBGP]


@pytest.mark.parametrize(
    ("community", "receivers"),
    [(0xFF01, {IBGP}), (0xFF02, set()), (0xFF03, {IBGP}), (0xFF04, {IBGP, EBGP})],
    ids=["NO_EXPORT", "NO_ADVERTISE", "NO_EXPORT_SUBCONFED", "NOPEER"],
)
def test_well_known_communities(community: int, receivers: set[str]) -> None:
    story = Story()
    story.update(A, segment(64496), attribute(8, struct.pack("!4H", 64496, 1, 0xFFFF, community)))
    assert story.said().keys() == receivers
    story.update(A, segment(64496))
    assert {IBGP, EBGP} - receivers <= story.said().keys()
    story.update(A, segment(64496), attribute(8, struct.pack("!4H", 64496, 1, 0xFFFF, community)))
    told = story.said()
    assert {receiver for receiver, words in told.items() if words == "withdraw"} == {IBGP, EBGP} - receivers


def test_no_export_stays_in_the_confederation() -> None:
    story = Story(f"{ALL}neighbors: [{{match: [{EBGP}], confederation: true}}]\n")
    for number, (community, receivers) in enumerate(((0xFF01, {IBGP, EBGP}), (0xFF03, {IBGP}))):
        more = attribute(8, struct.pack("!2H", 0xFFFF, community))
        story.update(A, segment(64496), more, f"10.0.{number}.0/24")
        assert story.said().keys() == receivers


def test_a_neighbor_of_which_nothing_is_known_is_external() -> None:
    story = Story()
    stranger = "192.0.2.50"
    story.policy(ALL.replace(f"to: [{IBGP}", f"to: [{stranger}"))
    story.update(A, segment(64496), attribute(8, struct.pack("!2H", 0xFFFF, 0xFF01)))
    story.update(A, segment(64496), attribute(4, bytes(4), 0x80), "10.0.0.0/24")
    assert "med" not in story.said()[stranger]
    assert story.engine.sessions.relation(stranger) is None
    story.engine.sessions.spoken(stranger, OURS, OURS)
    told = {command.prefixes: story.encoder.encode(command) for command in story.commands()}
    assert told.keys() == {PREFIX, "10.0.0.0/24"}, "what it could not get, and what has other words now"
    assert "med 0" in told["10.0.0.0/24"]


def test_an_invalid_route_never_displaces_one_that_is_not() -> None:
    story = Story(ALL, VRP("198.51.100.0/22", 24, 64500))
    story.update(A, segment(64496, 64511, 64512, 64500))
    assert "64511" in story.said()[IBGP]
    story.update(B, segment(64497))
    assert story.said() == {}, "shorter, but invalid"
    story.policy(ALL.replace("invalid: {action: announce}", "invalid: {action: announce, local-preference: 900}"))
    assert story.said() == {}


def test_paths_with_a_set() -> None:
    a_set = segment(64496) + segment(64500, 64501, kind=1)
    story = Story(ACTS)
    story.update(A, a_set)
    assert story.said() == {IBGP: "withdraw", EBGP: "withdraw"}, "withdrawn, as an invalid one would be"
    story.update(B, segment(64497, 64511, 64512, 64500))
    assert story.said()[IBGP].count("64511") == 1
    by_validity = ACTS.replace("invalid:", "as-set: by-validity, invalid:")
    story.policy(by_validity)
    assert story.said() == {}, "it may be announced, but does not hide the other one"
    story.engine.forget([B])
    assert "attribute [ 0x02 " in story.said()[IBGP]
    story.policy(ACTS.replace("invalid:", "as-set: {action: observe}, invalid:"))
    assert story.said() == {IBGP: "withdraw", EBGP: "withdraw"}
    assert not any(route.advertised for _, route in story.engine.routes())


def test_a_rule_for_some_routes() -> None:
    """RFC 7999: black holes are longer than their ROA allows."""
    black_hole = attribute(8, struct.pack("!2H", 65535, 666))
    when = "when: {communities: ['65535:666', '65000:1:2'], prefix-length: {ipv4: [25, 32]}}"
    rule = f"{{from: [{A}], {when}, to: [{IBGP}], invalid: {{action: announce}}}}"
    story = Story(f"policy: [{rule}, {ACTS.partition('[')[2]}", VRP("10.0.0.0/16", 24, 64496))
    story.update(A, segment(64496), black_hole, "10.0.1.1/32")
    assert story.said().keys() == {IBGP}
    story.update(A, segment(64496), b"", "10.0.1.2/32")
    story.update(A, segment(64497), black_hole, "10.0.2.0/24")
    assert set(story.said().values()) == {"withdraw"}
    story.update(A, segment(64496), attribute(32, struct.pack("!3I", 65000, 1, 2)), "10.0.1.2/32")
    assert story.said().keys() == {IBGP}
    story.policy(ACTS)
    assert [(each.prefixes, each.announce) for each in story.commands()] == [("10.0.1.1/32 10.0.1.2/32", False)] * 1
    story.policy(f"policy: [{rule.replace('65535:666', '65535:667')}, {ACTS.partition('[')[2]}")
    assert [(each.prefixes, each.announce) for each in story.commands()] == [("10.0.1.2/32", True)]
    story.policy(f"policy: [{rule}, {ACTS.partition('[')[2]}")
    assert [(each.prefixes, each.announce) for each in story.commands()] == [("10.0.1.1/32", True)]


def test_path_ids_are_ours() -> None:
    story = Story(secret=b"this host")
    for neighbor, path_id in ((A, 1), (B, 1), (A, 0), (B, None)):
        story.update(neighbor, segment(ASES[neighbor]), b"", path_id=path_id)
    said = {(command.path_id, command.receivers) for command in story.commands() if command.announce}
    assert len({path_id for path_id, _ in said}) == 4
    assert None in {path_id for path_id, _ in said}
    again = Story(secret=b"this host")
    again.update(B, segment(64497, 64500), b"", path_id=1)
    ((path_id, _),) = {(command.path_id, command.receivers) for command in again.commands()}
    assert path_id in {path_id for path_id, _ in said}, "the same in the next run"
    other = Story(secret=b"another host")
    other.update(B, segment(64497, 64500), b"", path_id=1)
    assert {command.path_id for command in other.commands()} != {path_id}


def test_what_does_not_leave_the_as() -> None:
    """RFC 4360 section 6, RFC 4271 section 5.1.4, RFC 4456; what the policy adds goes where it says."""
    story = Story(ALL.replace("not-found: {action: announce}", "not-found: {action: announce, tags: [rfc8097]}"))
    more = attribute(4, struct.pack("!I", 7), 0x80)
    more += attribute(9, b"\1\2\3\4", 0x80) + attribute(10, b"\1\2\3\5", 0x80)
    more += attribute(16, struct.pack("!2Q", 0x4004_0000_0000_0001, 0x0002_FDE8_0000_0001))
    more += attribute(25, bytes(20) + b"\x40" + bytes(19)) + attribute(35, struct.pack("!I", 64496))
    more += attribute(99, b"\7")
    story.update(IBGP, segment(64496), more)
    told = story.said()
    assert "med 7" in told[IBGP]
    assert "4004000000000001" in told[IBGP]
    assert "attribute [ 0x09 0x80 0x01020304 ]" in told[IBGP]
    assert "attribute [ 0x0a 0x80 " in told[IBGP]
    for gone in ("med", "4004", "0x09", "0x0a", "0x40000000"):
        assert gone not in told[EBGP]
    for kept in ("0002fde800000001", "4300000000000001", "0x23 0xc0 0x0000fbf0", "0x63 0xe0 0x07", "0x19"):
        assert kept in told[EBGP]


def test_a_route_server_leaves_med_to_its_clients() -> None:
    story = Story(f"{ALL}neighbors: [{{match: [{EBGP}], local-role: rs}}]\n")
    story.update(A, segment(64496), attribute(4, struct.pack("!I", 7), 0x80))
    assert "med 7" in story.said()[EBGP]


def test_what_changes_is_told_to_receivers_of_each_kind() -> None:
    """Each gets other words, and all of them the new ones."""
    story = Story()
    for asn in (64500, 64501):
        for number in range(3):
            med = attribute(4, struct.pack("!I", 7), 0x80)
            story.update(A, segment(64496, asn), med, f"10.0.{number}.0/24")
        told = [story.encoder.encode(command) for command in story.commands()]
        assert [words.partition(" announce ")[0] for words in told] == [f"neighbor {IBGP}", f"neighbor {EBGP}"]
        assert all(f"as-path [ 64496 {asn} ]" in words and words.count("10.0.") == 3 for words in told)
        assert ["med 7" in words for words in told] == [True, False]


def test_segments_of_a_confederation_from_outside_make_nothing_valid() -> None:
    """They would make our own AS the origin (RFC 6811 section 2)."""
    story = Story(ALL, VRP(PREFIX, 24, OURS))
    assert story.update(A, segment(64496, kind=3))
    assert story.said() == {}
    story.policy(f"{ALL}neighbors: [{{match: [{A}], confederation: true}}]\n")
    assert story.update(A, segment(64496, kind=3)) == 0
    assert [route.validity for _, route in story.engine.routes()] == ["valid"]


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("224.1.0.0/16", "multicast"), ("224.0.0.0/3", "multicast"), ("240.0.0.0/8", "class-e"),
        ("255.255.255.255/32", "class-e"), ("169.254.3.0/24", "link-local"), ("127.0.0.0/8", "loopback"),
        ("127.0.0.53/32", "loopback"), ("0.0.0.0/8", "unspecified"), ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/0", None), ("0.0.0.0/1", None), ("128.0.0.0/1", None), ("169.0.0.0/8", None), ("126.0.0.0/7", None),
        ("192.0.0.0/2", None), ("223.255.255.0/24", None),
    ],
)  # fmt: skip
def test_what_nobody_should_announce_is_left_out_and_counted(prefix: str, reason: str | None) -> None:
    story = Story()
    story.update(A, segment(64496), b"", prefix)
    assert bool(story.said()) == (reason is None)
    assert story.engine.left_out == ({A: {f"{reason}-prefix": 1}} if reason else {})
    address, _, length = prefix.partition("/")
    if length != "32" or reason == "loopback":
        return  # see the next story
    story.update(A, segment(64496))
    assert story.said().keys() == {IBGP, EBGP}
    story.update(A, segment(64496), hop=address)
    assert set(story.said().values()) == {"withdraw"}, "it replaces the one that could be used"
    assert story.engine.left_out[A][f"{reason}-next-hop"] == 1


def test_the_sessions_own_addresses_are_next_hops_that_work() -> None:
    """Over a link that has no other addresses; and any loopback address does, where routers share a host."""
    story = Story()
    for number, (hop, works) in enumerate((("127.0.0.1", True), ("127.0.0.2", True), (A, True), ("0.0.0.0", False))):
        story.update(A, segment(64496), b"", f"10.0.{number}.0/24", hop=hop)
        assert bool(story.said()) == works
    assert story.engine.left_out == {A: {"unspecified-next-hop": 1}}
    story.engine.forget([A])
    assert story.engine.left_out == {}


@pytest.mark.parametrize(
    ("prefix", "hop", "reasons"),
    [
        ("2001:db8::/32", "2001:db8::1", set()),
        ("::/0", "2001:db8::1", set()),
        ("fe00::/7", "2001:db8::1", set()),
        ("::/128", "2001:db8::1", {"unspecified-prefix"}),
        ("::1/128", "2001:db8::1", {"loopback-prefix"}),
        ("ff02::/16", "2001:db8::1", {"multicast-prefix"}),
        ("fe80::/10", "2001:db8::1", {"link-local-prefix"}),
        ("2001:db8::/32", "::", {"unspecified-next-hop"}),
        ("2001:db8::/32", "::1", set()),
        ("2001:db8::/32", "ff02::1", {"multicast-next-hop"}),
        ("2001:db8::/32", "fe80::1", {"link-local-next-hop"}),
        ("2001:db8::/32", "fe80::2", None),
    ],
)
def test_ipv6(prefix: str, hop: str, reasons: set[str] | None) -> None:
    story = Story()
    network = ip_network(prefix)
    nlri = bytes([network.prefixlen]) + network.network_address.packed[: (network.prefixlen + 7) // 8]
    found = attribute(1, b"\0", 0x40) + attribute(2, segment(64496), 0x40)
    found += attribute(14, b"\0\2\1\x10" + ip_address(hop).packed + b"\0" + nlri, 0x80)
    session = BGPSession(OURS, 64496, True, frozenset(), False, addresses=("fe80::2", "2001:db8::2"))
    story.engine.receive(A, session, struct.pack("!HH", 0, len(found)) + found)
    if reasons is None:
        assert [route.decision for _, route in story.engine.routes()] == ["observe"], (
            "known, but nobody else's next hop"
        )
        return
    assert bool(story.said()) == (not reasons)
    assert set(story.engine.left_out.get(A, ())) == reasons


def test_what_we_have_reflected_takes_no_place() -> None:
    """RFC 4456 section 8."""
    story = Story()
    for more in (attribute(9, b"\1\2\3\4", 0x80), attribute(10, b"\1\1\1\1\1\2\3\4", 0x80)):
        story.update(IBGP, segment(64500), more, router_id="1.2.3.4")
        story.update(A, segment(64496, 64511, 64500), router_id="1.2.3.4")
        assert "64511" in story.said()[EBGP]
        story.engine.forget([A])
        assert set(story.said().values()) == {"withdraw"}
        story.engine.add_receiver(A)
        story.engine.sessions.spoken(A, OURS, 64496)
        story.update(IBGP, segment(64500), more, router_id="1.2.3.5")
        assert "64500" in story.said()[EBGP]
    story.update(A, segment(64496), attribute(9, b"\1\2\3\4", 0x80), router_id="1.2.3.4")
    story.engine.forget([IBGP])
    assert "64496" in story.said()[EBGP], "of an external neighbor it means nothing"


def test_segments_of_a_confederation_do_not_leave_it() -> None:
    """RFC 5065 section 5.3."""
    member = "192.0.2.3"
    story = Story(f"{ALL.replace(EBGP, f'{EBGP}, {member}')}neighbors: [{{match: [{member}], confederation: true}}]\n")
    story.engine.sessions.spoken(member, OURS, 65002)
    story.update(IBGP, segment(65002, kind=3) + segment(64500))
    told = story.said()
    assert "as-path [ 64500 ]" in told[EBGP]
    assert segment(65002, kind=3).hex() in told[IBGP]
    assert segment(65002, kind=3).hex() in told[member]


def test_who_knows_as_numbers_of_two_octets_gets_what_exabgp_can_write_for_it() -> None:
    """ExaBGP writes words as the session wants them (AS4_PATH, AS4_AGGREGATOR), and octets as they are."""
    by_validity = ALL.replace("invalid:", "as-set: by-validity, invalid:")
    story = Story(by_validity)
    a_set, aggregator = segment(64496, 70000) + segment(70001, kind=1), struct.pack("!I", 70000) + b"\1\2\3\4"
    story.update(A, segment(64496, 70000), attribute(7, aggregator))
    told = story.said()
    assert "as-path [ 64496 70000 ] aggregator ( 70000:1.2.3.4 ) nlri" in told[EBGP]
    for number, more in enumerate((b"", attribute(7, aggregator, 0xE0))):
        story.update(A, segment(64496) if number else a_set, more, f"10.0.{number}.0/24")
        assert story.said().keys() == {IBGP, EBGP}
    story.engine.four_octet_as(EBGP, agreed=False)
    assert [(each.prefixes, each.announce, each.receivers) for each in story.commands()] == [
        ("10.0.0.0/24 10.0.1.0/24", False, story.engine.receivers.bit(EBGP))
    ]
    story.engine.four_octet_as(EBGP, agreed=True)
    assert story.said().keys() == {EBGP}


def test_an_empty_path_gets_our_own_as_when_it_leaves() -> None:
    """RFC 4271 section 5.1.2: ExaBGP writes it, where no path is given."""
    story = Story()
    story.update(IBGP, b"")
    told = story.said()
    assert "as-path [ ]" in told[IBGP]
    assert "as-path" not in told[EBGP]


def test_a_neighbor_has_room_for_so_many_attributes() -> None:
    """What has none is left out, also where it replaces another route; sets that somebody has cost nothing again."""
    story = Story()
    engine = story.engine

    def route(number: int, neighbor: str = A, origin: int | None = None) -> None:
        path = segment(ASES[neighbor], 64600 + number if origin is None else origin)
        story.update(neighbor, path, attribute(8, bytes(200)), f"10.0.{number}.0/24")

    def known() -> set[str]:
        return {route.prefix for _, route in engine.routes()}

    assert engine.set_most_attributes(4 * 260) == []
    for number in range(6):
        route(number)
    assert known() == {f"10.0.{number}.0/24" for number in range(4)}
    assert (engine.left_out, engine.full) == ({A: {"max-attributes": 2}}, {A})
    route(9, origin=64603)
    assert "10.0.9.0/24" in known(), "of a set that is there"
    route(9, origin=64700)
    assert "10.0.9.0/24" not in known(), "the old one is not what its neighbor says any more"
    route(20, B)
    assert "10.0.20.0/24" in known()
    engine.state(State(A, up=False, reason=""))
    story.commands()
    assert engine.full == set()
    for number in range(4):
        route(number)
    assert len(known()) == 5, "what ended takes no room"
    route(5)
    assert engine.set_most_attributes(5 * 260) == [A]
    route(5)
    assert "10.0.5.0/24" in known()
