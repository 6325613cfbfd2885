"""What waits to be published: stories of a server that is away, of files, of a limit; without any of them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.events import spool as module
from rtrd.events.spool import Message, Segment, Spool, Write, parse


def message(number: int, size: int = 20) -> Message:
    return Message(str(number), "a.b", b'{"n":"' + b"x" * size + b'"}')


class Story:
    """A spool with files that are kept here, and a server that takes what it is given when told to."""

    def __init__(self, most: int = 1 << 20, *, on_disk: bool = True) -> None:
        self.spool = Spool(most, on_disk=on_disk)
        self.files: dict[int, bytes] = {}
        self.taken: list[str] = []
        self.made = 0
        self.under_way: Sequence[Message] = ()

    def happens(self, count: int, size: int = 20) -> None:
        for _ in range(count):
            self.made += 1
            self.spool.put(message(self.made, size))

    def writes(self, *, all_of_it: bool = False) -> None:
        """As the task of files does, once."""
        for number in self.spool.gone():
            del self.files[number]
        if (write := self.spool.to_write(all_of_it=all_of_it)) is not None:
            self.spool.written(write, self.puts(write))
        if (wanted := self.spool.wanted) is not None:
            self.spool.loaded(wanted, parse(self.files[wanted]))

    def puts(self, write: Write) -> int:
        lines = b"".join(each.line() for each in write.messages)
        self.files[write.number] = self.files.get(write.number, b"")[: write.at] + lines
        return len(lines)

    def gives(self, most: int = 10) -> list[str]:
        self.under_way = self.spool.next(most, 1 << 20)
        return [each.number for each in self.under_way]

    def takes(self, count: int | None = None) -> None:
        done = self.under_way[:count]
        self.taken += [each.number for each in done]
        self.spool.sent(len(done))
        self.under_way = ()

    def runs_dry(self) -> list[str]:
        """Take all that there is, and give all that was ever taken."""
        for _ in range(10 * self.made + 10):
            self.writes()
            if not self.gives() and not self.spool.waiting:
                break
            self.takes()
        assert not self.spool.waiting
        self.writes()
        assert not self.files
        return self.taken

    def restarts(self) -> "Story":
        """What the next run finds."""
        new = Story(self.spool.most)
        new.files, new.made = self.files, self.made
        found = [Segment(n, len(parse(octets)), len(octets)) for n, octets in sorted(self.files.items())]
        new.spool.found(found, self.spool.lost)
        return new


def numbers(first: int, last: int) -> list[str]:
    return [str(each) for each in range(first, last + 1)]


def test_what_is_taken_soon_is_in_no_file() -> None:
    story = Story()
    story.happens(3)
    assert story.gives() == numbers(1, 3)
    story.takes()
    story.writes()
    story.happens(1)
    story.gives()
    story.takes()
    story.writes()
    assert (story.files, story.taken, story.spool.waiting) == ({}, numbers(1, 4), 0)


def test_what_nobody_takes_is_in_a_file_and_goes_in_order_afterwards() -> None:
    story = Story()
    story.happens(3)
    story.writes()
    assert story.files == {}, "it may still be taken"
    story.writes()
    story.happens(2)
    story.writes()
    assert [each.number for each in parse(b"".join(story.files.values()))] == numbers(1, 5)
    assert story.spool.waiting == 5
    assert story.runs_dry() == numbers(1, 5)


def test_only_what_was_acknowledged_is_forgotten() -> None:
    story = Story()
    story.happens(5)
    story.gives()
    story.takes(2)
    assert story.gives() == numbers(3, 5)


def test_what_is_acknowledged_while_it_is_being_written_is_not_sent_again() -> None:
    story = Story()
    story.happens(4)
    story.spool.to_write()
    story.gives(3)
    write = story.spool.to_write()
    assert write is not None
    story.takes(2)
    story.spool.written(write, story.puts(write))
    assert story.gives() == numbers(3, 4)
    story.takes()
    story.writes()
    assert story.files == {}


def test_what_is_under_way_while_it_is_written_can_be_acknowledged_then() -> None:
    story = Story()
    story.happens(4)
    story.gives(3)
    story.writes()
    story.writes()
    assert story.files
    story.takes()
    assert story.runs_dry() == numbers(1, 4)


def test_a_file_that_goes_while_more_is_written_to_it_takes_nothing_along() -> None:
    story = Story()
    story.happens(2)
    story.writes(all_of_it=True)
    story.happens(2)
    write = story.spool.to_write()
    assert write is not None
    assert write.at > 0
    story.gives()
    story.takes()
    story.spool.written(write, story.puts(write))
    assert story.runs_dry() == numbers(1, 4)


def test_a_restart_sends_what_was_not_acknowledged_and_perhaps_a_little_more() -> None:
    story = Story()
    story.happens(5)
    story.writes(all_of_it=True)
    story.gives(2)
    story.takes()
    again = story.restarts()
    again.happens(1)
    assert again.runs_dry() == numbers(1, 6)


def test_the_end_keeps_only_what_is_left() -> None:
    story = Story()
    story.happens(5)
    story.writes(all_of_it=True)
    assert story.spool.rest_of_oldest() is None
    story.gives(2)
    story.takes()
    number, rest = story.spool.rest_of_oldest() or (0, [])
    assert [each.number for each in rest] == numbers(3, 5)
    story.files[number] = b"".join(each.line() for each in rest)
    assert story.restarts().runs_dry() == numbers(3, 5)


def test_beyond_the_limit_the_oldest_are_lost_and_counted() -> None:
    story = Story(most=16 << 10)
    for _ in range(100):
        story.happens(10, 100)
        story.writes()
    assert story.spool.octets <= 16 << 10
    assert sum(map(len, story.files.values())) <= (16 << 10) + (2 << 10), "files that go next time are few"
    lost = story.spool.lost
    taken = story.runs_dry()
    assert taken == numbers(1001 - len(taken), 1000)
    assert lost == story.spool.lost == 1000 - len(taken) > 500


def test_what_is_under_way_is_not_lost_meanwhile() -> None:
    story = Story(most=16 << 10)
    story.happens(10, 100)
    story.writes(all_of_it=True)
    assert story.gives(10) == numbers(1, 10)
    for _ in range(100):
        story.happens(10, 100)
        story.writes()
    story.takes()
    taken = story.runs_dry()
    assert taken[:10] == numbers(1, 10)
    assert len(taken) + story.spool.lost == story.made


def test_without_a_folder_memory_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY", 4000)
    story = Story(on_disk=False)
    story.happens(5)
    under_way = story.gives(3)
    story.happens(200)
    story.writes()
    story.takes()
    assert story.taken == under_way
    left = story.spool.waiting
    assert left < 40
    assert left + story.spool.lost + 3 == 205
    assert story.runs_dry()[-left:] == numbers(206 - left, 205)


def test_lost_ones_are_told_once() -> None:
    spool = Spool(1, on_disk=False)
    spool.lose(3)
    spool.lose(2)
    spool.told(3)
    assert (spool.lost, spool.lost_ever) == (2, 5)


def test_a_line_that_was_cut_is_left_out_and_counted() -> None:
    story = Story()
    story.happens(3)
    story.writes(all_of_it=True)
    (number,) = story.files
    again = story.restarts()
    again.files[number] = again.files[number][:-5]
    assert again.runs_dry() == numbers(1, 2)
    assert again.spool.lost == 1


def test_a_file_that_somebody_took_away_is_lost() -> None:
    story = Story()
    story.happens(3)
    story.writes(all_of_it=True)
    again = story.restarts()
    again.spool.loaded(again.spool.wanted or 0, [])
    assert (again.spool.lost, again.spool.waiting, again.spool.wanted) == (3, 0, None)


@given(st.binary())
def test_any_octets_can_be_read(octets: bytes) -> None:
    for each in parse(octets):
        assert each.line().endswith(b"\n")
        assert parse(each.line()) == [each]


@given(
    st.lists(
        st.tuples(st.sampled_from(["happens", "writes", "gives", "takes", "fails", "restarts"]), st.integers(0, 5))
    )
)
def test_nothing_is_sent_out_of_order_or_forgotten(steps: list[tuple[str, int]]) -> None:
    """Without a limit that matters: whatever comes, everything is taken at last, in order but for repetitions."""
    story = Story()
    for step, count in steps:
        if step == "restarts":
            taken = story.taken
            story.under_way = ()
            story.writes(all_of_it=True)
            story = story.restarts()
            story.taken = taken
        elif step == "fails":
            story.spool.sent(0)
            story.under_way = ()
        elif step == "takes":
            story.takes(count)
        elif step == "happens":
            story.happens(count)
        elif step == "gives":
            story.gives(count + 1)
        else:
            story.writes()
    taken = story.runs_dry()
    assert story.spool.lost == 0
    assert sorted(set(taken), key=int) == numbers(1, story.made)
    assert list(dict.fromkeys(taken)) == numbers(1, story.made)
