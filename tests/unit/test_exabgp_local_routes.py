"""ExaBGP's list of its local routes, asked for again and again: as stories with a clock that is turned by hand."""

import pytest

from rtrd.config import Action, PolicyRule
from rtrd.config.types import Address
from rtrd.exabgp.local_routes import AFTER_UP, EVERY, MOST, WHILE_DEAF, LocalRoutesList
from rtrd.exabgp.startup import ADVERTISED
from rtrd.policy import Policy
from rtrd.rib.bgp_events import Update
from rtrd.rib.local_routes import LocalRoute
from rtrd.rib.terms import Command
from rtrlib.vrp import VRP
from tests.lab.engine_story import PEER as FEEDER
from tests.lab.engine_story import TAGGED, EngineStory, key_of_json, policy_of, tell

PEER = "127.0.0.3"
LINE = (
    f"neighbor {PEER} local-ip 127.0.0.1 local-as 65000 peer-as 65000 router-id 127.0.0.1 family-allowed in-open"
    " ipv4 unicast {} next-hop self"
)
MARK = " attribute [ 0x01 0x40 0x00 ] as-path ( 64496 )"
VERSION = "5.0.15"


class Story(EngineStory):
    def __init__(self) -> None:
        rule = PolicyRule(direction="out", to=(Address(PEER),), invalid=Action(action="withdraw"))
        super().__init__(Policy([rule]), VRP("198.51.100.0/24", 24, 65000))
        self.now = 100.0
        self.own = LocalRoutesList(self.engine, self.now)

    def lists(self, *lines: str) -> None:
        assert self.own.asks(self.now) == ADVERTISED
        for line in lines:
            assert self.own.line(line, VERSION)
        self.own.ended()

    @property
    def known(self) -> list[str]:
        return [route.prefix for _, route in self.engine.local_routes.routes()]


@pytest.fixture
def story() -> Story:
    return Story()


def test_it_is_asked_now_and_then_and_soon_after_a_session_came_up(story: Story) -> None:
    assert story.own.asks(story.now) is None
    assert story.own.due == story.now + EVERY
    story.own.soon(story.now)
    assert story.own.asks(story.now) is None
    story.now += AFTER_UP
    story.lists(LINE.format("198.51.100.0/24"), LINE.format("203.0.113.0/24") + MARK)
    assert story.known == ["198.51.100.0/24"], "the other one is ours"
    assert story.own.asks(story.now + EVERY - 1) is None
    story.now += EVERY
    story.lists(LINE.format("192.0.2.0/24"))
    assert story.known == ["192.0.2.0/24"]


def test_one_list_at_a_time(story: Story) -> None:
    story.now += EVERY
    assert story.own.asks(story.now) == ADVERTISED
    assert story.own.asks(story.now + 2 * EVERY) is None
    assert story.own.due is None
    story.own.ended()
    assert story.own.asks(story.now + EVERY) == ADVERTISED


def test_a_long_list_is_not_asked_for(story: Story) -> None:
    """ExaBGP would take long for it, and it has other things to do."""
    story.now += EVERY
    story.lists(*(LINE.format(f"10.{i >> 8}.{i & 255}.0/24") for i in range(MOST + 1)))
    story.now += EVERY
    assert story.own.asks(story.now) is None
    assert story.own.due == story.now + EVERY
    assert len(story.known) == MOST + 1


def test_a_line_that_nobody_asked_for_is_none(story: Story) -> None:
    assert not story.own.line(LINE.format("198.51.100.0/24"), VERSION)
    assert story.known == []


class Announced(EngineStory):
    """rtrd has had one route announced."""

    def __init__(self) -> None:
        super().__init__(policy_of(TAGGED))
        self.now = 100.0
        self.list = LocalRoutesList(self.engine, self.now)
        key = key_of_json(b'{"origin": "igp", "as-path": [64496]}')
        tell(self.engine, Update(FEEDER, [], [(key, ["10.0.0.0/8"])], 0))
        assert self.command() is not None

    def command(self) -> Command | None:
        self.work()
        self.engine.table.barrier_falls()
        return self.engine.next_command(50)

    def lists(self, *lines: str, between: Command | None = None) -> list[str]:
        assert self.list.due is not None
        self.now = max(self.now, self.list.due)
        assert self.list.asks(self.now) == ADVERTISED
        for line in lines:
            assert self.list.line(line, VERSION)
        if between is not None:
            self.list.wrote(between)
        self.list.ended()
        return [route.prefix for route in self.list.removed(self.now)]


OURS = LINE.format("10.0.0.0/8") + MARK


def test_what_two_lists_do_not_have_is_announced_again() -> None:
    story = Announced()
    assert story.lists(OURS) == []
    assert story.lists() == [], "it may have been written a moment ago"
    assert story.list.due == story.now + AFTER_UP
    assert story.lists() == ["10.0.0.0/8"]
    command = story.command()
    assert command is not None
    assert (command.announce, command.prefixes) == (True, "10.0.0.0/8")
    assert story.lists(OURS) == []


def test_what_is_back_or_was_written_meanwhile_is_left_alone() -> None:
    story = Announced()
    story.lists()
    assert story.lists(OURS) == []
    story.lists()
    command = Command(True, 1, 4, 0, 0, None, "10.0.0.0/8", 1)
    assert story.lists(between=command) == []
    assert story.command() is None


def test_what_somebody_else_announced_instead_of_ours_is_said_while_it_lasts() -> None:
    story, theirs = Announced(), LINE.format("10.0.0.0/8")
    assert story.lists(OURS) == []
    assert story.lists(theirs) == []
    assert story.list.replaced == set(), "it may have been written over a moment ago"
    assert story.list.due == story.now + AFTER_UP
    for _ in range(2):
        assert story.lists(theirs) == []
        assert story.list.replaced == {LocalRoute(PEER, "10.0.0.0/8")}
        assert story.list.due == story.now + EVERY
        assert story.command() is None, "the last one that was announced stands"
    assert story.lists(theirs, OURS) == []
    assert story.list.replaced == set(), "both are sent, by path id"


def test_what_is_listed_though_rtrd_withdrew_it_says_that_exabgp_is_deaf() -> None:
    """ExaBGP 4.2 after `clear adj-rib out`: it takes commands and sends nothing by them until the session ends."""
    story = Announced()
    assert story.lists(OURS) == []
    tell(story.engine, Update(FEEDER, ["10.0.0.0/8"], [], 0))
    command = story.command()
    assert command is not None
    assert story.lists(OURS, between=command) == []
    story.lists(OURS)
    assert story.list.deaf == {}, "it may have been withdrawn a moment ago"
    assert story.list.due == story.now + AFTER_UP
    for _ in range(2):
        story.lists(OURS)
        assert story.list.deaf == {PEER: "10.0.0.0/8"}
        assert story.list.due == story.now + WHILE_DEAF
        again = story.command()
        assert again is not None
        assert (again.announce, again.prefixes) == (False, "10.0.0.0/8"), "in a new session it is heard"
    story.engine.reachable(PEER, up=False)
    story.lists(OURS)
    assert story.list.deaf == {}, "while it is down nothing is sent"
    story.engine.reachable(PEER, up=True)
    story.lists()
    assert story.list.deaf == {}


def test_what_waits_to_be_withdrawn_is_left_over_by_nobody() -> None:
    story = Announced()
    tell(story.engine, Update(FEEDER, ["10.0.0.0/8"], [], 0))
    story.work()
    assert story.engine.table.state.waiting
    for _ in range(2):
        story.lists(OURS)
    assert story.list.deaf == {}


def test_what_is_announced_again_in_vain_says_so_too() -> None:
    story = Announced()
    for expected in ([], ["10.0.0.0/8"]) * 2:
        assert story.list.deaf == {}
        assert story.lists() == expected
        if expected:
            assert story.command() is not None
    for _ in range(2):
        assert story.list.deaf == {PEER: "10.0.0.0/8"}
        story.lists()
        story.command()
    story.lists(OURS)
    assert story.list.deaf == {}


def test_somebody_else_s_route_goes_with_ours_only_if_it_is_not_known() -> None:
    story, theirs = Announced(), LINE.format("10.0.0.0/8")
    for _ in range(2):
        story.lists(theirs)
    tell(story.engine, Update(FEEDER, ["10.0.0.0/8"], [], 0))
    assert story.command() is None, "what stands there is not ours"
    assert story.lists(theirs) == []
    assert [route.prefix for _, route in story.engine.local_routes.routes()] == ["10.0.0.0/8"]


def test_what_rtrd_announces_again_is_its_own_again() -> None:
    story, theirs = Announced(), LINE.format("10.0.0.0/8")
    for _ in range(2):
        story.lists(theirs)
    tell(story.engine, Update(FEEDER, [], [(key_of_json(b'{"origin": "egp", "as-path": [64496]}'), ["10.0.0.0/8"])], 0))
    command = story.command()
    assert command is not None
    assert command.announce
    assert story.list.replaced == set()
    tell(story.engine, Update(FEEDER, ["10.0.0.0/8"], [], 0))
    command = story.command()
    assert command is not None
    assert not command.announce


def test_what_was_written_meanwhile_is_replaced_by_nobody() -> None:
    story, theirs = Announced(), LINE.format("10.0.0.0/8")
    story.lists(theirs)
    story.lists(theirs, between=Command(True, 1, 4, 0, 0, None, "10.0.0.0/8", 1))
    assert story.list.replaced == set()


def test_where_exabgp_keeps_no_list_nothing_is_missing() -> None:
    story = Announced()
    story.list.forgetful = frozenset([PEER])
    story.lists()
    assert story.lists() == []
