"""What a router announces by itself, as stories: validated as it is sent, never mistaken for what rtrd had it send."""

import pytest

from rtrd.config import Action, PolicyRule
from rtrd.config.types import Address, NeighborMatch
from rtrd.policy import Policy
from rtrd.rib.attributes import AttributeSet
from rtrd.rib.bgp_events import State, Update
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, key_of_json

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
