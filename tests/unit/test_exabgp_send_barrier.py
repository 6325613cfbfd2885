"""When the send barrier falls, as stories with a clock that is turned by hand."""

import pytest

from rtrd.exabgp.send_barrier import ALIKE, LONGEST, QUIET, SILENCE, UNLISTED, WAIT, SendBarrier


class Story:
    """The barrier, and an ExaBGP that says how many UPDATEs it has sent."""

    def __init__(self) -> None:
        self.barrier = SendBarrier()
        self.now = 100.0
        self.sent = 7

    def answer(self, **others: int) -> bool:
        """ExaBGP answers `show neighbor summary`. True: all is sent."""
        self.now += 0.01
        ended = self.barrier.answer_begins(self.now)
        self.barrier.sent("127.0.0.3", self.sent)
        for name, count in others.items():
            self.barrier.sent(name, count)
        return ended

    def look(self, *, parked: bool = True, full: bool = False, idle: bool = False) -> bool:
        self.barrier.look(self.now, parked=parked, full=full, idle=idle)
        return self.barrier.draining


@pytest.fixture
def story() -> Story:
    return Story()


def test_an_nlri_is_written_once_until_all_is_sent(story: Story) -> None:
    story.barrier.wrote(story.now)
    assert story.look(idle=True), "one waits, and nothing else is to be written"
    assert story.barrier.asks(story.now)
    for _ in range(5):
        story.sent += 25
        assert not story.answer()
    for _ in range(ALIKE - 1):
        assert not story.answer()
    assert story.answer(), "the answers before this one were alike"
    assert not story.barrier.draining
    assert not story.barrier.asks(story.now)


def test_others_are_written_while_one_waits_but_not_for_long(story: Story) -> None:
    story.barrier.wrote(story.now)
    assert not story.look()
    story.now += WAIT / 2
    assert not story.look()
    story.now += WAIT
    assert story.look()


def test_when_no_more_can_be_written_it_drains_at_once() -> None:
    assert Story().look(parked=False, full=True)


def test_it_falls_by_itself_when_it_is_quiet_and_nothing_stops_for_that(story: Story) -> None:
    story.barrier.wrote(story.now)
    assert not story.barrier.asks(story.now)
    assert story.barrier.deadline(unanswered=False) == story.now + QUIET
    story.now += QUIET
    assert story.barrier.asks(story.now)
    assert not story.look(parked=False)
    assert [story.answer() for _ in range(ALIKE + 1)] == [False] * ALIKE + [True]
    assert story.barrier.deadline(unanswered=False) is None


def test_what_is_written_in_between_has_to_be_sent_too(story: Story) -> None:
    story.barrier.wrote(story.now)
    assert not any(story.answer() for _ in range(ALIKE))
    story.barrier.wrote(story.now)
    assert [story.answer() for _ in range(ALIKE + 1)] == [False] * ALIKE + [True]


def test_a_session_that_comes_or_goes_begins_the_count_anew(story: Story) -> None:
    story.barrier.drain(story.now)
    assert not any(story.answer() for _ in range(ALIKE))
    assert [story.answer(other=0) for _ in range(ALIKE + 1)] == [True, False, False, False]


def test_with_an_exabgp_that_answers_nothing_it_falls_by_the_clock(story: Story) -> None:
    story.barrier.drain(story.now)
    story.now += SILENCE / 2
    assert not story.barrier.overdue(story.now, unanswered=True)
    story.now += SILENCE
    assert story.barrier.overdue(story.now, unanswered=True)
    assert not story.barrier.draining


def test_a_receiver_that_is_never_done_does_not_stop_the_others_for_ever(story: Story) -> None:
    story.barrier.drain(story.now)
    end = story.now + LONGEST
    while story.now < end:
        assert not story.barrier.overdue(story.now, unanswered=True)
        story.sent += 1
        story.now += 1
        assert not story.answer()
    assert story.barrier.overdue(story.now, unanswered=True)


@pytest.mark.parametrize("parked", [True, False])
def test_an_answer_without_a_list_is_not_waited_for_again(story: Story, *, parked: bool) -> None:
    story.barrier.wrote(story.now)
    story.now += QUIET
    story.look(parked=parked, idle=True)
    assert story.barrier.asks(story.now)
    story.barrier.asked(story.now)
    for _ in range(2):
        story.barrier.answered_without_list(story.now)
        assert not story.barrier.asks(story.now)
        assert not story.barrier.overdue(story.now, unanswered=False)
    assert story.barrier.deadline(unanswered=False) == story.now + UNLISTED
    story.now += UNLISTED
    assert story.barrier.overdue(story.now, unanswered=False)
    assert not story.barrier.pending


def test_nor_when_something_comes_to_wait_later(story: Story) -> None:
    story.barrier.wrote(story.now)
    story.barrier.asked(story.now)
    story.barrier.answered_without_list(story.now)
    story.now += UNLISTED / 2
    assert story.look(idle=True)
    story.now += UNLISTED / 2
    assert story.barrier.overdue(story.now, unanswered=False)


def test_what_was_answered_before_a_command_says_nothing_of_it(story: Story) -> None:
    story.barrier.wrote(story.now)
    story.barrier.asked(story.now)
    story.barrier.answered_without_list(story.now)
    story.barrier.wrote(story.now)
    story.now += UNLISTED
    assert not story.barrier.overdue(story.now, unanswered=False)
