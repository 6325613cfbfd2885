"""What a router announces by itself, as stories: validated as it is sent, never mistaken for what rtrd had it send."""

from __future__ import annotations

import pytest

from rtrd.config import Action, PolicyRule
from rtrd.engine import Engine
from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.decode import State, Update, attribute_key
from rtrd.policy import Policy
from rtrlib.vrp_set import VRP, VRPSet, pack

PEER, LEARNED = "192.0.2.2", "192.0.2.1"
OURS = VRP("198.51.100.0/24", 24, 65000)
PATH = b'{"as-path": {"0": {"element": "as-sequence", "value": [65000]}}}'


class Story:
    def __init__(self, *vrps: VRP) -> None:
        self.vrp_set = VRPSet()
        self.vrp_set.activate([0])
        self.vrp_set.replace(0, b"".join(map(pack, vrps)))
        self.vrp_set.usable = True
        announce = Action(action="announce")
        rule = PolicyRule(from_=(LEARNED,), to=(PEER,), valid=announce, not_found=announce)  # type: ignore[arg-type]
        self.engine = Engine("exabgp", self.vrp_set, Policy([rule]), read_attributes)

    def sent(self, *prefixes: str, withdrawn: tuple[str, ...] = (), attributes: bytes = PATH) -> None:
        key = attribute_key(attributes, "192.0.2.254", 65000, "ipv4 unicast")
        self.engine.egress.sent(Update(PEER, list(withdrawn), [(key, list(prefixes))] if prefixes else [], 0))

    def now(self, *vrps: VRP) -> None:
        self.engine.vrps_changed(self.vrp_set.replace(0, b"".join(map(pack, vrps))))
        while self.engine.work(100):
            pass

    @property
    def own(self) -> dict[str, str]:
        found = list(self.engine.egress.routes())
        assert all((neighbor, route.decision) == (PEER, "observe") for neighbor, route in found)
        assert self.engine.next_decision(50) is None, "nothing is ever said about them"
        return {route.prefix: route.validity for _, route in found}


@pytest.fixture
def story() -> Story:
    return Story(OURS)


def test_own_routes_are_validated_and_again_when_a_vrp_changes(story: Story) -> None:
    story.sent("198.51.100.0/24", "198.51.100.0/25", "203.0.113.0/24")
    assert story.own == {"198.51.100.0/24": "valid", "198.51.100.0/25": "invalid", "203.0.113.0/24": "not-found"}
    assert story.engine.egress.total() == {"valid": 1, "invalid": 1, "not-found": 1, "unverified": 0}
    story.now(VRP("203.0.113.0/24", 24, 64500))
    assert story.own == {"198.51.100.0/24": "not-found", "198.51.100.0/25": "not-found", "203.0.113.0/24": "invalid"}
    assert story.engine.counts()["valid"] == 0, "they are no routes of a neighbour"


def test_the_origin_of_an_empty_path_is_our_own_as(story: Story) -> None:
    """To an iBGP neighbour."""
    story.sent("198.51.100.0/24", attributes=b"{}")
    assert story.own == {"198.51.100.0/24": "valid"}


def test_withdrawn_ones_and_those_of_a_session_that_ends_are_gone(story: Story) -> None:
    story.sent("198.51.100.0/24", "203.0.113.0/24")
    story.sent(withdrawn=("203.0.113.0/24",))
    assert set(story.own) == {"198.51.100.0/24"}
    story.engine.state(State(PEER, up=False, reason=""))
    while story.engine.work(100):
        pass
    assert story.own == {}


def learn(story: Story, prefix: str, *, withdraw: bool = False) -> None:
    """Let a neighbour announce it; ExaBGP is told to announce it on, and does."""
    key = attribute_key(PATH, "192.0.2.9", 65000, "ipv4 unicast")
    update = Update(LEARNED, [prefix] if withdraw else [], [] if withdraw else [(key, [prefix])], 0)
    story.engine.update(update)
    decision = story.engine.next_decision(50)
    assert decision is not None
    assert (decision.announce, decision.prefixes) == (not withdraw, prefix)


def test_what_rtrd_announced_is_no_own_route(story: Story) -> None:
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
