"""The window toward ExaBGP, as stories: acks on, off, silence, answers that never come, ExaBGP stopped and back."""

import math
from collections import deque
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.exabgp.window import (
    AGAIN,
    FENCE,
    FOREIGN_AFTER,
    HELLO,
    NAMELESS_AFTER,
    PASSWORD,
    PASSWORD_BITS,
    PASSWORD_PATIENCE,
    Acks,
    Window,
    Written,
)

COMMANDS, PREFIXES, PATIENCE = 4, 100, 5.0
BATCH = 10
REFUSED, UNANSWERED = "refused\n", "unanswered\n"


class Link:
    """An ExaBGP that does what was measured of it, our window toward it, and a clock."""

    def __init__(self, *, acks: bool = True, mute: bool = False) -> None:
        self.window = Window(commands=COMMANDS, prefixes=PREFIXES, patience=PATIENCE)
        self.acks = acks
        self.mute = mute
        self.now = 100.0
        self.queue: deque[str] = deque()
        self.answered: list[tuple[str, bool]] = []
        """Commands that the window says were answered, and whether with an error."""
        self.executed: list[str] = []
        self._count = 0

    def greeted(self) -> Self:
        """rtrd starts. `version` is answered at once, whatever stands before it."""
        comment, *versions = self.window.start(self.now).splitlines()
        assert comment.startswith("#")
        if not self.mute:
            self._done()
        self.answers_version(len(versions))
        if not self.mute:
            self.says_password()
        return self

    def says_password(self) -> None:
        """rtrd asks what nobody else asks in this order, and ExaBGP answers."""
        for question in (self.window.says(self.now) or "").splitlines(keepends=True):
            if question == PASSWORD[1]:
                self.window.heard_fence(self.now)
            self._done()

    def answers_version(self, times: int = 2) -> None:
        for _ in range(0 if self.mute else times):
            self.window.heard_version("5.0.15", self.now)
            self._done()

    def write(self, text: str = "", weight: int = BATCH) -> str:
        """rtrd writes a command, there being room for it."""
        assert not self.window.full
        self._count += 1
        text = text or f"announce {self._count}\n"
        self.window.wrote(text, weight, self.now)
        self.queue.append(text)
        return text

    def fill(self, weight: int = BATCH) -> int:
        """rtrd writes for as long as there is room. Gives the number of commands."""
        count = 0
        while not self.window.full:
            self.write(weight=weight)
            count += 1
            assert count < 1000, "the window has no bound"
        return count

    def fence(self) -> bool:
        """rtrd writes a fence if it's time for one."""
        if self.now >= self.window.fence_due:
            self.window.wrote(FENCE, 0, self.now)
            self.queue.append(FENCE)
            return True
        return False

    def execute(self, count: int = 1000) -> None:
        """ExaBGP executes commands in order, and answers as it does."""
        while self.queue and count:
            count -= 1
            text = self.queue.popleft()
            self.executed.append(text)
            if self.mute:
                continue
            if text == FENCE:
                self.window.heard_fence(self.now)
            if text != UNANSWERED:
                self._done(error=text == REFUSED)

    def _done(self, *, error: bool = False) -> None:
        if self.acks:
            answered = self.window.heard_answer(self.now, error=error)
            if isinstance(answered, Written):
                self.answered.append((answered.text, error))


# -- the start


@pytest.fixture
def greeted() -> Link:
    return Link().greeted()


def test_the_first_words_ask_twice_for_the_version() -> None:
    assert Window().start(0.0) == HELLO == "# rtrd\nversion\nversion\n"


@pytest.mark.parametrize("answer", [True, False])
def test_what_a_killed_process_left_of_a_line_spoils_a_comment_and_no_version(*, answer: bool) -> None:
    """4.2 puts `announce attributes ... nlri 10.0.0.0/2` before our first line: an error, or no answer at all."""
    link = Link()
    link.window.start(link.now)
    if answer:
        link.window.heard_answer(link.now, error=True)
    link.answers_version()
    link.says_password()
    assert link.window.acks is Acks.ON
    assert link.window.errors == 0
    first = link.write()
    link.execute()
    assert link.answered == [(first, False)]


def test_a_done_between_two_versions_means_acks_are_on() -> None:
    link = Link(acks=True).greeted()
    assert (link.window.acks, link.window.version, link.window.greeted) == (Acks.ON, "5.0.15", True)
    assert link.answered == [], "those of the start answer no command"


def test_none_means_acks_are_off() -> None:
    link = Link(acks=False).greeted()
    assert link.window.acks is Acks.OFF


def test_one_version_says_nothing_yet() -> None:
    link = Link(acks=True)
    link.window.start(link.now)
    link.answers_version(1)
    assert not link.window.greeted


# -- the dead: what ExaBGP still answers to a process before this one


def test_the_password_has_as_many_questions_of_both_kinds_in_a_random_order() -> None:
    passwords = {tuple(Window()._password) for _ in range(20)}
    assert {sum(one) for one in passwords} == {PASSWORD_BITS // 2}
    assert len(passwords) > 10


@pytest.mark.parametrize("dead", [0, 1, 5, 16, 40])
def test_answers_to_a_dead_process_are_no_answers_to_ours(dead: int) -> None:
    """They come behind the answers to `version`, which overtakes: sixteen commands, a fence, an error among them."""
    link = Link()
    link.window = Window(COMMANDS, PREFIXES, PATIENCE, password=[1, 0, 1, 1, 0, 0, 1, 0])
    link.window.start(link.now)
    link.answers_version()
    password = link.window.says(link.now)
    assert password is not None
    assert link.window.says(link.now) is None, "it is said once"
    for number in range(dead):
        assert link.window.full
        if number % 4 == 2:
            link.window.heard_fence(link.now)
        link._done(error=number == 3)
    for question in password.splitlines(keepends=True):
        assert not link.window.greeted
        if question == PASSWORD[1]:
            link.window.heard_fence(link.now)
        link._done()
    assert link.window.greeted
    assert link.window.errors == 0
    first = link.write()
    link.execute()
    assert link.answered == [(first, False)]


def test_an_exabgp_that_stops_behind_the_version_is_waited_for() -> None:
    link = Link()
    link.window.start(link.now)
    link.answers_version()
    assert link.window.says(link.now)
    link._done()
    link.now += 1000
    assert link.window.says(link.now) is None
    assert link.window.full
    assert link.window.greeting_due() is None, "nothing but an answer helps"


def without_a_line() -> Link:
    """An ExaBGP that answers each question of the password without a line, as none does that was measured."""
    link = Link()
    link.window.start(link.now)
    link.answers_version()
    for _ in (link.window.says(link.now) or "").splitlines():
        link._done()
    return link


def test_as_many_answers_as_questions_are_enough_if_no_more_come() -> None:
    link = without_a_line()
    assert link.window.greeting_due() == link.now + PASSWORD_PATIENCE
    link.now += PASSWORD_PATIENCE
    assert link.window.says(link.now) is None
    assert link.window.greeted
    assert link.fill() == COMMANDS


def test_while_lines_of_another_answer_come_there_is_no_silence() -> None:
    """A process that is dead asked for a long list, behind as many commands as there are questions."""
    link = without_a_line()
    for _ in range(3):
        link.now += PASSWORD_PATIENCE / 2
        link.window.heard_other(link.now)
        assert link.window.says(link.now) is None
        assert not link.window.greeted
    link.now += PASSWORD_PATIENCE
    assert link.window.says(link.now) is None
    assert link.window.greeted


# -- acks on


def test_the_window_is_bounded_in_commands_and_opens_with_each_answer(greeted: Link) -> None:
    assert greeted.fill() == COMMANDS
    greeted.execute(1)
    assert greeted.fill() == 1
    greeted.execute()
    assert not greeted.window.written
    assert greeted.fill() == COMMANDS


def test_the_window_is_bounded_in_prefixes(greeted: Link) -> None:
    assert greeted.fill(weight=PREFIXES // 2) == 2
    greeted.execute(1)
    assert greeted.fill(weight=PREFIXES) == 1, "the last one may go past the bound, none after it"


def test_no_fence_while_answers_come(greeted: Link) -> None:
    for _ in range(100):
        greeted.fill()
        greeted.now += PATIENCE * 0.9
        assert not greeted.fence()
        greeted.execute()


def test_an_error_names_its_command(greeted: Link) -> None:
    first = greeted.write()
    greeted.write(REFUSED)
    last = greeted.write()
    greeted.execute()
    assert greeted.answered == [(first, False), (REFUSED, True), (last, False)]
    assert greeted.window.errors == 1


# -- an answer that never comes


def test_a_command_that_is_never_answered_is_settled_by_a_fence(greeted: Link) -> None:
    """4.2 gives none where its parser throws: without the fence the window would close for good."""
    for _ in range(COMMANDS):
        greeted.write(UNANSWERED)
    greeted.execute()
    assert greeted.window.full
    greeted.now += PATIENCE - 0.1
    assert not greeted.fence()
    greeted.now += 0.1
    assert greeted.fence()
    assert not greeted.fence(), "one is enough"
    greeted.execute()
    assert not greeted.window.written
    assert greeted.window.unanswered == COMMANDS
    assert greeted.fill() == COMMANDS


def test_answers_after_one_that_never_came_are_credited_again_behind_the_fence(greeted: Link) -> None:
    greeted.write(UNANSWERED)
    greeted.write()
    greeted.execute()
    assert greeted.answered == [(UNANSWERED, False)], "off by one, which nobody can know yet"
    greeted.now += PATIENCE
    assert greeted.fence()
    greeted.execute()
    greeted.answered.clear()
    greeted.write(REFUSED)
    greeted.execute()
    assert greeted.answered == [(REFUSED, True)]


# -- acks off


def test_without_acks_each_window_ends_with_a_fence_and_opens_with_its_answer() -> None:
    link = Link(acks=False).greeted()
    for _ in range(3):
        assert link.fill() == COMMANDS
        assert link.fence()
        assert link.window.full
        assert not link.fence()
        link.execute(COMMANDS)
        assert link.window.full, "the fence itself is not answered yet"
        link.execute()
        assert not link.window.written
    assert link.window.unanswered == 0, "nothing was to be answered"


def test_without_acks_a_single_command_is_fenced_too() -> None:
    link = Link(acks=False).greeted()
    assert not link.fence(), "nothing was written"
    link.write()
    assert link.fence()
    link.execute()
    assert not link.window.written


def test_acks_that_somebody_turns_on_count_from_there() -> None:
    link = Link(acks=False).greeted()
    link.acks = True
    first = link.write()
    link.execute()
    assert link.window.acks is Acks.ON
    assert link.answered == [(first, False)]


@pytest.mark.parametrize("executed", [0, 1, COMMANDS])
def test_acks_that_somebody_silences_are_done_without(greeted: Link, executed: int) -> None:
    """The text of a second fence without the `done` of the first says so: from there each window ends with a fence."""
    greeted.fill()
    greeted.execute(executed)
    greeted.acks = False
    for _ in range(2):
        greeted.fill()
        greeted.now += 6 * PATIENCE
        assert greeted.fence()
        greeted.execute()
    assert greeted.window.acks is Acks.OFF
    for _ in range(10):
        assert greeted.fill() == COMMANDS, "and nobody waits for an answer any more"
        assert greeted.fence()
        greeted.execute()
    assert not greeted.window.written


# -- silence, and another API


def test_an_exabgp_that_says_nothing_is_asked_again_until_it_does() -> None:
    link = Link(mute=True).greeted()
    assert link.fill() == 0, "what it announces already is not known"
    for _ in range(3):
        assert link.window.greeting_due() == link.now + AGAIN
        link.now += AGAIN
        assert link.window.says(link.now) == "version\n"
        assert link.window.says(link.now) is None
    link.mute = False
    link.answers_version(5)
    link.says_password()
    assert link.window.acks is Acks.ON
    assert link.fill() == COMMANDS
    link.execute()
    assert not link.window.written


def test_one_that_refuses_to_say_its_version_speaks_another_api() -> None:
    """ExaBGP 6 with its own API: nothing is written but that question, twice a minute."""
    link = Link()
    link.window.start(link.now)
    for _ in range(3):
        link._done(error=True)
    assert link.window.greeting_due() == link.now + FOREIGN_AFTER
    assert not link.window.foreign
    link.now += FOREIGN_AFTER
    assert link.window.says(link.now) is None
    assert link.window.foreign
    assert link.window.full
    link.now += AGAIN - FOREIGN_AFTER
    assert link.window.says(link.now) == "version\n"
    link.answers_version()
    link.says_password()
    assert link.window.greeted
    assert not link.window.foreign


def nameless(bits: int = 0) -> Link:
    """rtrd starts at one that says `done` to each line; `bits`: how much more it says to the password."""
    link = Link()
    link.window.start(link.now)
    for _ in range(2):
        link._done()
    assert link.window.says(link.now) is None
    assert link.window.greeting_due() == link.now + NAMELESS_AFTER
    link.now += NAMELESS_AFTER
    if bits:
        link.says_password()
    else:
        for _ in (link.window.says(link.now) or "").splitlines():
            link._done()
    return link


def test_one_that_does_not_tell_its_version_is_written_to_all_the_same() -> None:
    link = nameless()
    assert (link.window.nameless, link.window.version, link.window.greeted) == (True, None, False)
    link.now += PASSWORD_PATIENCE
    assert link.window.says(link.now) is None
    assert (link.window.greeted, link.window.acks) == (True, Acks.ON)
    first = link.write()
    link.execute()
    assert link.answered == [(first, False)]


def test_so_is_one_that_answers_the_password() -> None:
    link = nameless(PASSWORD_BITS)
    assert (link.window.nameless, link.window.greeted, link.window.acks) == (True, True, Acks.ON)


def test_one_that_was_only_late_is_known_by_its_version() -> None:
    """It was busy with what a dead process had written, for longer than we waited."""
    link = Link()
    link.window.start(link.now)
    for _ in range(5):
        link._done()
    link.now += NAMELESS_AFTER
    questions = (link.window.says(link.now) or "").splitlines(keepends=True)
    for _ in range(5):
        link._done()
    link.answers_version(2)
    assert (link.window.nameless, link.window.version, link.window.acks) == (False, "5.0.15", Acks.ON)
    for question in questions:
        assert not link.window.greeted
        if question == PASSWORD[1]:
            link.window.heard_fence(link.now)
        link._done()
    assert link.window.greeted


def test_a_single_done_or_one_after_an_error_is_no_answer_to_both() -> None:
    one, refusing = Link(), Link()
    for link in (one, refusing):
        link.window.start(link.now)
        link._done()
    refusing._done(error=True)
    refusing._done()
    for link in (one, refusing):
        link.now += AGAIN - 1
        assert link.window.says(link.now) is None
        assert not link.window.nameless


# -- stopped, and back


@pytest.mark.parametrize("acks", [True, False])
def test_exabgp_stops_for_a_minute_and_comes_back(*, acks: bool) -> None:
    link = Link(acks=acks).greeted()
    written = link.fill()
    fences = 0
    for _ in range(60):
        link.now += 1.0
        fences += link.fence()
        assert link.fill() == 0, "what it has not executed is bounded"
    assert fences == 2, "one, and one more after half a minute in case the first was lost"
    link.execute()
    assert not link.window.written
    assert link.window.unanswered == 0, "it answered all of it"
    assert len(link.executed) == written + fences
    assert link.fill() == COMMANDS


def test_answers_that_nobody_waits_for_do_no_harm(greeted: Link) -> None:
    assert greeted.window.heard_answer(greeted.now, error=False) is None
    greeted.window.heard_fence(greeted.now)
    greeted.window.heard_version("5.0.15", greeted.now)
    assert greeted.window.acks is Acks.ON
    assert not greeted.window.written
    assert greeted.fill() == COMMANDS


# -- when to look again


def test_it_is_known_when_a_fence_is_due() -> None:
    link = Link()
    link.greeted()
    assert link.window.fence_due == math.inf, "nothing is waited for"
    link.write()
    assert link.window.fence_due == link.now + PATIENCE
    link.now += PATIENCE
    assert link.fence()
    assert link.window.fence_due == link.now + 6 * PATIENCE, "no busy waiting for a stopped ExaBGP"
    link.execute()
    assert link.window.fence_due == math.inf


# -- any story

STEPS = st.lists(
    st.one_of(
        st.sampled_from(["write", "refused", "unanswered", "fence", "enable-ack", "silence-ack"]),
        st.integers(1, 6).map(lambda count: ("execute", count)),
        st.floats(0.01, 40.0).map(lambda seconds: ("wait", seconds)),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(acks=st.booleans(), steps=STEPS)
def test_whatever_happens_the_window_is_bounded_and_opens(*, acks: bool, steps: list[str | tuple[str, float]]) -> None:
    link = Link(acks=acks).greeted()
    for step in steps:
        if isinstance(step, tuple):
            if step[0] == "execute":
                link.execute(int(step[1]))
            else:
                link.now += step[1]
        elif step == "fence":
            link.fence()
        elif step in {"enable-ack", "silence-ack"}:
            link.acks = step == "enable-ack"
        elif not link.window.full:
            link.write({"refused": REFUSED, "unanswered": UNANSWERED}.get(step, ""))
        commands = [text for text in link.queue if text != FENCE]
        assert len(commands) <= COMMANDS or UNANSWERED in link.executed
        assert len(commands) <= 2 * COMMANDS + 1, "answers that are credited to others widen it once, no further"
    for _ in range(8):
        link.execute()
        link.now += 6 * PATIENCE
        link.fence()
    link.execute()
    assert not link.window.written
    assert not link.window.full
    assert link.fill() == COMMANDS
