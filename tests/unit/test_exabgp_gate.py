"""When something may be written to ExaBGP, and what it waits for if not, as stories with a clock turned by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.bgp_sessions import BGPSessions
from rtrd.exabgp.gate import COALESCE, MOST_PREFIXES, NEIGHBORS, NEIGHBORS_EVERY, Do, Gate, WaitsFor
from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.neighbors import Neighbors
from rtrd.exabgp.send_barrier import ALIKE
from rtrd.exabgp.sent_before import SentBefore
from rtrd.exabgp.startup import ADVERTISED, HELD, StartUp
from rtrd.exabgp.window import AGAIN, FENCE, PASSWORD, Acks, Window
from rtrd.policy import Policy
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from tests.lab.vrp_sets import set_of

LISTENER = "127.0.0.3"
ANNOUNCED = Command(True, 1, 4, 0, 0, None, "10.0.0.0/8", 1)


@dataclass
class Waiting:
    """What waits in a route table."""

    waiting: int = 0
    parked: int = 0
    changes: int = 0
    written_set_full: bool = False
    searching: bool = False
    work: bool = False
    routes: int = 0
    validity_changes: int = 0


class Story:
    """rtrd, which writes whenever it may, an ExaBGP that executes what it is told to, and a clock."""

    def __init__(self, *, acks: bool = True, mute: bool = False) -> None:
        self.rib, self.local_rib = Waiting(), Waiting()
        engine = Engine("exabgp", set_of(), Policy())
        self.now = 100.0
        api, neighbors = ApiSections(), Neighbors()
        self.startup = StartUp(engine, api, neighbors, BGPSessions(), SentBefore(api, neighbors))
        self.local_list = LocalRoutesList(engine, self.now)
        self.gate = Gate(self.rib, self.local_rib, self.startup, self.local_list, self.now)
        self.acks, self.mute = acks, mute
        self.pipe: deque[str] = deque()
        """What ExaBGP has yet to read."""
        self.room = 1 << 30
        """Lines that its pipe takes."""
        self.written = 0
        self.sent = 0
        self.stuck = False
        """It doesn't answer, for now."""
        self.wakes = 0
        self._owed = [*self.gate.window.start(self.now).splitlines(keepends=True)]
        self.pump()

    # -- rtrd

    def pump(self) -> None:
        """As the session does it."""
        gate = self.gate
        gate.pipe_full = len(self.pipe) > self.room
        if gate.may_withdraw_local(self.now):
            while gate.has_room() and self.local_rib.waiting:
                self.local_rib.waiting -= 1
                self._command()
            gate.barrier.drain(self.now)
        idle = False
        while gate.may_write(self.now):
            if self.rib.waiting == self.rib.parked:
                idle = True
                break
            self.rib.waiting -= 1
            self._command()
        fell = False
        while (step := gate.next(self.now, idle=idle)) is not None:
            if step.do is Do.GREET:
                self._owed += step.text.splitlines(keepends=True)
            elif step.do is Do.BARRIER_FALLS:
                self.rib.parked = 0
                fell = True
            else:
                self._write(step.text)
        if fell:
            self.pump()

    def _command(self) -> None:
        self.written += 1
        self._write("announce\n", ANNOUNCED)

    def _write(self, text: str, command: Command | None = None) -> None:
        self.gate.wrote(text, 0 if text == FENCE else 1, self.now, command)
        self.pipe.append(text)
        self.gate.pipe_full = len(self.pipe) > self.room

    def until(self, end: float) -> int:
        """Let time pass, rtrd wakes when it wants to and ExaBGP does nothing. Gives how often it woke."""
        wakes = 0
        while (deadline := self.gate.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.pump()
            wakes += 1
            assert wakes < 10_000, "it spins"
        self.now = end
        return wakes

    # -- ExaBGP

    def execute(self) -> None:
        """Execute and answer all that was written, until nothing more is."""
        for _ in range(1000):
            if self.stuck or not (self.pipe or self._owed):
                return
            self._answer(self._owed.pop(0) if self._owed else self.pipe.popleft())
            self.pump()

    def _answer(self, text: str) -> None:
        if self.mute:
            return
        gate = self.gate
        if text == "version\n":
            gate.window.heard_version("5.0.15", self.now)
        if text in (FENCE, PASSWORD[1]):
            for settled in gate.window.heard_fence(self.now):
                self._settled(settled.text)
        if text == FENCE:
            if gate.barrier.answer_begins(self.now):
                self.rib.parked = 0
            gate.barrier.sent(LISTENER, self.sent)
        if self.acks and (answered := gate.window.heard_answer(self.now, error=False)) is not None:
            self._settled(answered.text)

    def _settled(self, text: str) -> None:
        if text == NEIGHBORS:
            self.gate.listing_neighbors = False
        elif text.startswith("show adj-rib") and self.startup.over:
            self.local_list.ended()
        elif text.startswith("show adj-rib"):
            self.startup.ended(text, self.now)

    def started(self) -> Story:
        """Let the start pass."""
        self.execute()
        self.until(self.now + 10)
        self.execute()
        assert self.startup.over
        assert self.gate.deadline is not None
        return self


@pytest.fixture
def story() -> Story:
    return Story().started()


# -- what it waits for


def test_an_exabgp_that_has_said_nothing_yet_is_written_nothing() -> None:
    story = Story()
    assert story.gate.waits_for is WaitsFor.GREETING
    story.rib.waiting = 1
    assert story.until(story.now + 600) == 600 / AGAIN, "it is asked again, and no more"
    assert story.gate.waits_for is WaitsFor.GREETING
    assert story.written == 0, "what it announces already is not known"
    story.execute()
    assert story.written == 1


def test_until_it_has_listed_what_it_advertises_nothing_is_written_but_not_for_ever() -> None:
    story = Story()
    story.rib.waiting = 1
    while story._owed:
        story._answer(story._owed.pop(0))
        story.pump()
    story._settled(story.pipe.popleft())
    story.pump()
    assert story.pipe.popleft() == ADVERTISED
    assert (story.gate.waits_for, story.gate.since) == (WaitsFor.STARTUP, story.now)
    story.until(story.now + HELD)
    assert story.gate.waits_for is None
    assert story.written == 1


def test_a_full_pipe_is_waited_for_without_a_clock(story: Story) -> None:
    story.room = -1
    story.rib.waiting = 1
    story.pump()
    assert story.gate.waits_for is WaitsFor.PIPE
    assert story.gate.deadline is None
    story.room = 10
    story.pump()
    assert story.written == 1


def test_a_full_window_waits_for_answers(story: Story) -> None:
    story.rib.waiting = 100
    story.pump()
    began = story.now
    assert story.gate.waits_for is WaitsFor.ANSWERS
    assert story.written == 16
    story.until(story.now + 2)
    assert story.gate.since == began
    story.execute()
    assert story.written == 100
    assert story.gate.waits_for is None


def test_what_is_to_be_written_again_waits_until_all_is_sent(story: Story) -> None:
    story.rib.waiting = story.rib.parked = 1
    story.pump()
    assert story.gate.waits_for is WaitsFor.SENT
    story.execute()
    assert story.gate.waits_for is None
    assert story.written == 1


def test_a_change_of_our_tags_holds_what_is_announced(story: Story) -> None:
    story.gate.retagging = True
    story.rib.waiting = 1
    story.pump()
    assert story.gate.waits_for is WaitsFor.RETAG
    story.gate.retagging = False
    story.pump()
    assert story.written == 1


# -- routes of the next lines


def test_routes_of_a_line_wait_ten_milliseconds_for_more(story: Story) -> None:
    began = story.now
    story.gate.routes_came("", story.now)
    story.rib.waiting = 20
    story.pump()
    assert story.gate.waits_for is WaitsFor.ROUTES
    assert story.gate.deadline == began + COALESCE
    story.now += COALESCE / 2
    story.gate.routes_came("", story.now)
    story.pump()
    assert story.written == 0, "the first line begins the wait, and later ones make it no longer"
    story.now = began + COALESCE
    story.pump()
    assert story.written > 0


def test_enough_routes_wait_no_longer(story: Story) -> None:
    story.gate.routes_came("", story.now)
    story.rib.waiting = 2 * MOST_PREFIXES
    assert story.gate.may_write(story.now)


def test_lines_of_which_nothing_is_to_be_said_begin_no_wait(story: Story) -> None:
    story.gate.routes_came("", story.now)
    assert story.gate.may_write(story.now)
    story.rib.waiting = 20
    assert story.gate.may_write(story.now), "of something else: a change of VRPs"


def test_what_a_change_of_vrps_brings_waits_for_nobody(story: Story) -> None:
    story.gate.routes_came("", story.now)
    story.rib.waiting = 20
    story.gate.coalesce_no_longer()
    assert story.gate.may_write(story.now)


# -- local routes


def test_withdraws_of_local_routes_have_a_barrier_before_and_after_them(story: Story) -> None:
    story.local_rib.waiting = 2
    story.pump()
    assert story.gate.barrier.draining, "what was written before is sent first"
    assert story.written == 0
    for _ in range(ALIKE):
        story._answer(story.pipe.popleft())
        story.pump()
    assert story.written == 0
    story.execute()
    assert story.written == 2
    assert story.local_rib.waiting == 0


def test_local_routes_that_need_no_withdraw_any_more_leave_no_turn_behind(story: Story) -> None:
    story.local_rib.waiting = 1
    story.pump()
    story.local_rib.waiting = 0
    story.execute()
    story.local_rib.waiting = 1
    assert not story.gate.may_withdraw_local(story.now), "it needs a barrier of its own"


# -- questions


def test_neighbors_are_asked_for_now_and_then_and_one_list_is_read_at_a_time(story: Story) -> None:
    story.until(story.gate.neighbors_due)
    assert list(story.pipe) == [NEIGHBORS]
    story.local_list.soon(story.now)
    story.until(story.now + 4)
    assert list(story.pipe) == [NEIGHBORS], "until they are named, nothing else is listed"
    story.execute()
    assert not story.gate.listing_neighbors
    assert story.local_list.due is not None
    assert story.local_list.due > story.now + 100, "it was asked, and has answered"
    assert story.gate.neighbors_due <= story.now + NEIGHBORS_EVERY


# -- it wakes when there is something to do, and never without need


def pumped(story: Story, waiting: int, parked: int = 0, local: int = 0) -> None:
    """So many commands wait in the tables; rtrd writes what it may."""
    story.rib.waiting, story.rib.parked, story.local_rib.waiting = waiting, parked, local
    story.pump()


def draining(story: Story) -> None:
    pumped(story, 1, parked=1)
    pumped(story, 2, parked=2)


def full_pipe(story: Story) -> None:
    story.room = -1
    story.gate.barrier.wrote(story.now)
    pumped(story, 100)


def lists_are_due(story: Story, waiting: int) -> None:
    story.local_list.soon(story.now)
    story.gate.neighbors_due = story.now
    pumped(story, waiting)


def asked_for_neighbors(story: Story) -> None:
    lists_are_due(story, 0)
    pumped(story, 1)


STATES: dict[str, Callable[[Story], None]] = {
    "unanswered": lambda story: pumped(story, 1),
    "full window": lambda story: pumped(story, 100),
    "draining": draining,
    "full pipe": full_pipe,
    "lists are due": lambda story: lists_are_due(story, 100),
    "asked for neighbors": asked_for_neighbors,
    "local withdraws": lambda story: pumped(story, 1, local=1),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("acks", [True, False])
def test_while_exabgp_answers_nothing_more_rtrd_sleeps(state: str, acks: bool) -> None:
    story = Story(acks=acks).started()
    STATES[state](story)
    assert story.until(story.now + 60) <= 12, "some for what is overdue, none to look again"


@pytest.mark.parametrize("answered", range(8))
def test_a_start_that_is_not_answered_wakes_nobody_either(answered: int) -> None:
    story = Story()
    for _ in range(answered):
        story._answer(story._owed.pop(0))
        story.pump()
    assert story.until(story.now + 60) <= 12


# -- any story

STEPS = st.lists(
    st.one_of(
        st.sampled_from(
            ["execute", "stuck", "goes on", "enable-ack", "silence-ack", "speaks", "pipe is full", "pipe has room",
             "a session came up", "retag", "retagged"]
        ),
        st.tuples(st.just("routes"), st.integers(1, 300)),
        st.tuples(st.just("again"), st.integers(1, 30)),
        st.tuples(st.just("local"), st.integers(1, 30)),
        st.tuples(st.just("wait"), st.floats(0.001, 100.0)),
    ),
    max_size=30,
)  # fmt: skip


def step(story: Story, name: str, number: float) -> None:
    """Let one thing happen."""
    if name == "routes":
        story.rib.waiting += int(number)
        story.gate.routes_came("", story.now)
    elif name == "again":
        story.rib.waiting += int(number)
        story.rib.parked += int(number)
    elif name == "local":
        story.local_rib.waiting += int(number)
    elif name == "wait":
        assert story.until(story.now + number) <= 12 * number + 100, "it wakes ten times a second and oftener"
    elif name in {"stuck", "goes on"}:
        story.stuck = name == "stuck"
    elif name.endswith("-ack"):
        story.acks = name == "enable-ack"
    elif name == "speaks":
        story.mute = False
    elif name.startswith("pipe"):
        story.room = -1 if name == "pipe is full" else 1 << 30
    elif name == "a session came up":
        story.gate.neighbors_due = story.now
        story.local_list.soon(story.now)
    elif name.startswith("retag"):
        story.gate.retagging = name == "retag"
    else:
        story.execute()
    story.pump()


def wakes_again(story: Story) -> bool:
    """Whether there is a deadline, or something that happens anyway: room in the pipe, a slice of work."""
    return story.gate.deadline is not None or story.gate.pipe_full or story.gate.retagging


@settings(max_examples=300, deadline=None)
@given(acks=st.booleans(), mute=st.booleans(), steps=STEPS)
def test_what_waits_is_written_in_the_end(*, acks: bool, mute: bool, steps: list[str | tuple[str, float]]) -> None:
    """No state is one that nothing ends: there is a deadline, or what is waited for comes from outside."""
    story = Story(acks=acks, mute=mute)
    for each in steps:
        name, number = each if isinstance(each, tuple) else (each, 0)
        step(story, name, number)
        waits = story.rib.waiting or story.local_rib.waiting or story.gate.window.written
        assert not waits or wakes_again(story), f"nothing ends this: {story.gate.waits_for}"
        assert len([entry.text for entry in story.gate.window.written if entry.text != FENCE]) <= 16
    step(story, "pipe has room", 0)
    step(story, "retagged", 0)
    story.stuck = story.mute = False
    for _ in range(60):
        story.execute()
        story.until(story.now + 30)
    story.execute()
    assert (story.rib.waiting, story.local_rib.waiting) == (0, 0)
    assert story.gate.waits_for is None


def test_the_window_can_be_any() -> None:
    """`waits_for` says the same with another window."""
    story = Story().started()
    story.gate.window = Window(commands=1)
    story.gate.window.acks = Acks.ON
    story.gate.window._greeted()
    story.rib.waiting = 2
    story.pump()
    assert story.written == 1
    assert story.gate.waits_for is WaitsFor.ANSWERS
