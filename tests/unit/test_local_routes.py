"""What a router announces by itself, as stories: validated as it is sent, never mistaken for what rtrd had it send."""

import struct

import pytest

from bench.speaker import attribute
from rtrd.config import Action, PolicyRule
from rtrd.config.types import Address, NeighborMatch
from rtrd.exabgp.adj_rib_text import read_advertised
from rtrd.policy import Policy
from rtrd.rib.attributes import AttributeSet
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.update_octets import read_update
from rtrlib import aspas
from rtrlib.aspa_paths import LOCAL_ROLES
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, key_of_json, policy_of

PEER, LEARNED = "192.0.2.2", "192.0.2.1"
OURS = VRP("198.51.100.0/24", 24, 65000)
PATH = b'{"as-path": {"0": {"element": "as-sequence", "value": [65000]}}}'


class Story(EngineStory):
    def __init__(self, *vrps: VRP, rules: tuple[PolicyRule, ...] = ()) -> None:
        announce = Action(action="announce")
        rule = PolicyRule(from_=(LEARNED,), to=(PEER,), valid=announce, not_found=announce)  # type: ignore[arg-type]
        super().__init__(Policy([rule, *rules]), *vrps)

    def sent(self, *prefixes: str, withdrawn: tuple[str, ...] = (), attributes: bytes = PATH) -> None:
        key = key_of_json(attributes, "192.0.2.254")
        self.engine.local_routes.sent(Update(PEER, list(withdrawn), [(key, list(prefixes))] if prefixes else [], 0))

    def lists(self, *prefixes: str) -> list[str]:
        """The router lists what it would send, all of its own AS."""
        self.engine.local_routes.list_begins()
        for prefix in prefixes:
            self.engine.local_routes.listed(PEER, prefix, AttributeSet(4, None, None, (), 65000))
        return [own.prefix for own in self.engine.local_routes.list_ended()]

    def now(self, *vrps: VRP) -> None:
        self.vrps(*vrps)
        self.work()

    def withdrawn(self) -> list[str]:
        """What is to be withdrawn of the local routes."""
        self.work()
        said: list[str] = []
        while (command := self.engine.local_routes.next_withdraw(50)) is not None:
            assert not command.announce
            assert self.engine.receivers.names(command.receivers) == (PEER,)
            said += command.prefixes.split()
        return said

    @property
    def own(self) -> dict[str, str]:
        found = list(self.engine.local_routes.routes())
        assert all((neighbor, route.decision) == (PEER, "observe") for neighbor, route in found)
        assert self.engine.next_command(50) is None, "nothing is ever said about them"
        assert self.engine.local_routes.next_withdraw(50) is None
        return {route.prefix: route.validity for _, route in found}


@pytest.fixture
def story() -> Story:
    return Story(OURS)


def test_local_routes_are_validated_and_again_when_a_vrp_changes(story: Story) -> None:
    story.sent("198.51.100.0/24", "198.51.100.0/25", "203.0.113.0/24")
    assert story.own == {"198.51.100.0/24": "valid", "198.51.100.0/25": "invalid", "203.0.113.0/24": "not-found"}
    assert story.engine.local_routes.total() == {"valid": 1, "invalid": 1, "not-found": 1, "unverified": 0}
    story.now(VRP("203.0.113.0/24", 24, 64500))
    assert story.own == {"198.51.100.0/24": "not-found", "198.51.100.0/25": "not-found", "203.0.113.0/24": "invalid"}
    assert story.engine.sessions.counts()["valid"] == 0, "they are no routes of a neighbor"


def test_the_origin_of_an_empty_path_is_our_own_as(story: Story) -> None:
    """To an iBGP neighbor."""
    story.sent("198.51.100.0/24", attributes=b"{}")
    assert story.own == {"198.51.100.0/24": "valid"}


def test_withdrawn_ones_and_those_of_a_session_that_ends_are_gone(story: Story) -> None:
    story.sent("198.51.100.0/24", "203.0.113.0/24")
    story.sent(withdrawn=("203.0.113.0/24",))
    assert set(story.own) == {"198.51.100.0/24"}
    story.engine.state(State(PEER, up=False, reason=""))
    story.work()
    assert story.own == {}


def learn(story: Story, prefix: str, *, withdraw: bool = False) -> None:
    """Let a neighbor announce it; ExaBGP is told to announce it on, and does."""
    if withdraw:
        story.withdraw(LEARNED, prefix)
    else:
        story.announce(LEARNED, prefix)
    assert next_said(story) == (not withdraw, prefix, (PEER,))


def next_said(story: Story) -> tuple[bool, str, tuple[str, ...]]:
    command = story.engine.next_command(50)
    assert command is not None
    return command.announce, command.prefixes, story.engine.receivers.names(command.receivers)


def test_what_rtrd_announced_is_no_local_route(story: Story) -> None:
    learn(story, "203.0.113.0/24")
    story.sent("203.0.113.0/24", "198.51.100.0/24")
    assert set(story.own) == {"198.51.100.0/24"}
    story.sent("203.0.113.0/25")
    assert set(story.own) == {"198.51.100.0/24", "203.0.113.0/25"}, "a more specific one is"
    learn(story, "203.0.113.0/24", withdraw=True)
    story.sent(withdrawn=("203.0.113.0/24",))
    story.sent("203.0.113.0/24")
    assert "203.0.113.0/24" in story.own, "now it is the router's own"
    learn(story, "203.0.113.0/24")
    story.sent("203.0.113.0/24")
    assert "203.0.113.0/24" not in story.own, "ours took its place"


def test_what_is_no_prefix_is_left_out(story: Story) -> None:
    story.sent("198.51.100.1/24", "x", "198.51.100.0/24")
    assert set(story.own) == {"198.51.100.0/24"}


def test_what_is_listed_and_not_told_is_known_too(story: Story) -> None:
    story.lists("198.51.100.0/24", "198.51.100.0/25")
    assert story.own == {"198.51.100.0/24": "valid", "198.51.100.0/25": "invalid"}
    story.engine.state(State(PEER, up=False, reason=""))
    story.engine.state(State(PEER, up=True, reason=""))
    assert len(story.own) == 2, "the router sends them again, and tells nobody"
    story.lists("198.51.100.0/24", "203.0.113.0/24")
    assert story.own == {"198.51.100.0/24": "valid", "203.0.113.0/24": "not-found"}


def test_what_is_told_while_the_list_is_read_is_newer(story: Story) -> None:
    story.lists("198.51.100.0/24", "203.0.113.0/24")
    story.engine.local_routes.list_begins()
    story.sent("198.51.100.0/25", withdrawn=("198.51.100.0/24",))
    for prefix in ("198.51.100.0/24", "203.0.113.0/24"):
        story.engine.local_routes.listed(PEER, prefix, AttributeSet(4, None, None, (), 65000))
    story.engine.local_routes.list_ended()
    assert story.own == {"198.51.100.0/25": "invalid", "203.0.113.0/24": "not-found"}


def test_what_rtrd_announces_takes_the_place_of_what_was_listed(story: Story) -> None:
    story.lists("203.0.113.0/24", "198.51.100.0/24")
    learn(story, "203.0.113.0/24")
    assert set(story.own) == {"198.51.100.0/24"}


def test_a_local_route_is_not_withdrawn_with_a_learned_one() -> None:
    """At a neighbor there is one route for a prefix, and rtrd announced none."""
    invalid = PolicyRule(from_=(NeighborMatch("192.0.2.3"),), to=(Address(PEER),), invalid=Action(action="withdraw"))
    story = Story(OURS, rules=(invalid,))
    story.lists("198.51.100.0/25")
    story.announce("192.0.2.3", "198.51.100.0/25", "198.51.100.0/26", origin=65000)
    assert next_said(story) == (False, "198.51.100.0/26", (PEER,))
    assert story.own == {"198.51.100.0/25": "invalid"}


# -- with a rule of the policy


@pytest.fixture
def ruled() -> Story:
    return Story(OURS, rules=(PolicyRule(direction="out", to=(Address(PEER),), invalid=Action(action="withdraw")),))


def shown(story: Story) -> dict[str, tuple[str, str]]:
    return {route.prefix: (route.validity, route.decision) for _, route in story.engine.local_routes.routes()}


def test_a_rule_withdraws_invalid_ones_and_only_these(ruled: Story) -> None:
    ruled.lists("198.51.100.0/24", "198.51.100.0/25", "203.0.113.0/24")
    assert ruled.withdrawn() == ["198.51.100.0/25"]
    assert ruled.withdrawn() == []
    assert shown(ruled)["198.51.100.0/25"] == ("invalid", "withdraw")
    ruled.sent(withdrawn=("198.51.100.0/25",))
    assert ruled.lists("198.51.100.0/24", "203.0.113.0/24") == []
    assert shown(ruled)["198.51.100.0/25"] == ("invalid", "withdraw"), "it stays to be seen"
    assert ruled.withdrawn() == []


def test_one_that_the_router_announces_again_is_withdrawn_again(ruled: Story) -> None:
    ruled.lists("198.51.100.0/25")
    assert ruled.withdrawn() == ["198.51.100.0/25"]
    ruled.lists("198.51.100.0/25")
    assert ruled.withdrawn() == ["198.51.100.0/25"]
    ruled.sent("198.51.100.0/25")
    assert ruled.withdrawn() == ["198.51.100.0/25"]


def test_rtrd_announces_none_again_and_says_so(ruled: Story) -> None:
    """It may be gone from the router's configuration meanwhile."""
    ruled.lists("198.51.100.0/25")
    assert ruled.withdrawn() == ["198.51.100.0/25"]
    ruled.now(VRP("198.51.100.0/24", 25, 65000))
    assert ruled.withdrawn() == []
    assert ruled.engine.next_command(50) is None
    assert ruled.lists() == ["198.51.100.0/25"]
    assert shown(ruled) == {}


def test_nothing_is_withdrawn_where_a_session_is_down(ruled: Story) -> None:
    """5.0 would send what waits for the session all the same."""
    ruled.engine.reachable(PEER, up=False)
    ruled.lists("198.51.100.0/25")
    assert ruled.withdrawn() == []
    ruled.engine.reachable(PEER, up=True)
    assert ruled.withdrawn() == ["198.51.100.0/25"]
    ruled.engine.reachable(PEER, up=False)
    ruled.engine.reachable(PEER, up=True)
    assert ruled.withdrawn() == ["198.51.100.0/25"], "to be sure"


def test_what_rtrd_announced_meanwhile_is_not_withdrawn_as_a_local_route(ruled: Story) -> None:
    ruled.lists("203.0.113.0/24", "198.51.100.0/25")
    ruled.now(VRP("203.0.113.0/24", 24, 64500), OURS)
    learn(ruled, "203.0.113.0/24")
    assert ruled.withdrawn() == ["198.51.100.0/25"]


def test_without_the_rule_nothing_more_is_withdrawn(ruled: Story) -> None:
    ruled.lists("198.51.100.0/25")
    ruled.engine.set_policy(Policy())
    assert ruled.withdrawn() == []
    assert shown(ruled) == {"198.51.100.0/25": ("invalid", "observe")}


# -- paths: judged as who gets them would judge them


ROLES = "".join(
    f"  - {{match: [192.0.2.{number}], local-role: {role}}}\n" for number, role in enumerate(LOCAL_ROLES, 11)
)
AT = {role: f"192.0.2.{number}" for number, role in enumerate(LOCAL_ROLES, 11)}


class Paths(EngineStory):
    """A router of AS 65000 that announces by itself to a neighbor of each role; AS 64500 names 64501 alone."""

    def __init__(self) -> None:
        super().__init__(policy_of(f"neighbors:\n{ROLES}"))
        for number, address in enumerate([*AT.values(), PEER]):
            self.engine.spoken(address, 65000, 65000 if address == PEER else 64600 + number)
        self.aspas = b""

    def have(self, listed: dict[int, set[int]]) -> None:
        before, self.aspas = self.aspas, aspas.union_of(aspas.numbers(listed.items()))
        self.engine.aspas_changed(ASPAIndex(self.aspas), aspas.changes(before, self.aspas))

    def lists(self, address: str, words: str, prefix: str = "198.51.100.0/24") -> None:
        """ExaBGP lists a route as it would send it."""
        peer_as = self.engine.sessions.asns(address)
        assert peer_as is not None
        line = (
            f"neighbor {address} local-ip 192.0.2.254 local-as 65000 peer-as {peer_as[1]} router-id 192.0.2.254"
            f" family-allowed in-open ipv4 unicast {prefix} next-hop 192.0.2.254{words}"
        )
        found = read_advertised(line, "4.2.21")
        assert found is not None
        self.engine.local_routes.list_begins()
        self.engine.local_routes.listed(found.neighbor, found.prefix, *found.as_sent)

    def sends(self, address: str, path: list[int], otc: int | None = None) -> None:
        """ExaBGP tells that it sends one."""
        asns = self.engine.sessions.asns(address)
        assert asns is not None
        octets = attribute(0x40, 1, b"\0") + attribute(0x40, 2, struct.pack(f"!BB{len(path)}I", 2, len(path), *path))
        octets += attribute(0x40, 3, bytes([192, 0, 2, 254]))
        octets += b"" if otc is None else attribute(0xC0, 35, struct.pack("!I", otc))
        session = BGPSession(asns[1], asns[0], True, frozenset(), False)
        body = struct.pack("!HH", 0, len(octets)) + octets + bytes([24, 198, 51, 100])
        self.engine.local_routes.sent(read_update(address, session, body)[0])

    def found(self) -> dict[str, tuple[str | None, bool, str | None]]:
        self.work()
        own = self.engine.local_routes
        assert {route.decision for _, route in own.routes()} <= {"observe"}, "shown only"
        return {address: (route.aspa, route.leak, own.path_reason(route)) for address, route in own.routes()}


@pytest.mark.parametrize("tells", [True, False])
def test_the_paths_of_local_routes_are_judged_as_by_who_gets_them(*, tells: bool) -> None:
    story = Paths()
    for address in (*AT.values(), PEER):
        if tells:
            story.sends(address, [65000, 64500], 64500)
        else:
            story.lists(address, " as-path [ 65000 64500 ] attribute [ 0x23 0xc0 0x0000fbf4 ]")
    story.have({64500: {64501}})
    denied = "AS64500 does not name AS65000 as its provider"
    own = story.engine.local_routes
    assert {own.as_path(route) for _, route in own.routes()} == {"65000 64500"}
    otc = "it has Only to Customer of AS64500, and goes to "
    assert story.found() == {
        AT["provider"]: ("valid", False, None),  # our customer: downstream, and two ASes are no leak
        AT["customer"]: ("invalid", True, f"{denied}; {otc}a provider"),
        AT["peer"]: ("invalid", True, f"{denied}; {otc}a peer, of another AS than ours"),
        AT["rs"]: ("invalid", False, denied),
        AT["rs-client"]: ("invalid", True, f"{denied}; {otc}a route server"),
        PEER: (None, False, None),
    }
    story.have({64500: {64501, 65000}})
    assert {outcome for outcome, *_ in story.found().values()} == {"valid", None}


def test_a_local_route_without_a_path_goes_out_with_our_as() -> None:
    story = Paths()
    story.lists(AT["peer"], " origin igp")
    assert story.found() == {AT["peer"]: ("valid", False, None)}
    story.lists(AT["peer"], " as-path [ 64500 ]")
    first = "the first AS is AS64500, not the neighbor's AS65000"
    assert story.found() == {AT["peer"]: ("invalid", False, first)}, "ExaBGP adds nothing to a path that is given"
    story.lists(AT["peer"], " next-hop self")
    assert story.found() == {AT["peer"]: (None, False, None)}, "not certain: not judged"
    own = story.engine.local_routes
    assert [own.as_path(route) for _, route in own.routes()] == [None]


def test_a_role_that_is_configured_later_counts() -> None:
    story = Paths()
    story.engine.set_policy(policy_of(""))
    story.sends(AT["peer"], [65000, 64500])
    story.have({64500: {64501}})
    assert story.found() == {AT["peer"]: (None, False, None)}
    story.engine.set_policy(policy_of(f"neighbors:\n{ROLES}"))
    assert story.found()[AT["peer"]][0] == "invalid"
    story.engine.spoken(AT["peer"], 65000, 65000)
    assert story.found() == {AT["peer"]: (None, False, None)}, "of our own AS after all"
