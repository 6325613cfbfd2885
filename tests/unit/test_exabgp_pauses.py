"""How ExaBGP's pipe is read: the first line at once, those that follow it closely together."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from rtrd.exabgp import pipe as pipes
from rtrd.exabgp.pipe import MUCH, Pipe
from tests.lab.wait import until

LINES = 40


@pytest.fixture
def ends() -> Iterator[tuple[int, int, int, int]]:
    """Two pipes: what ExaBGP writes to, what it is read from, and the same of our commands."""
    read, to = os.pipe()
    of, written = os.pipe()
    ends = [read, to, of, written]
    yield read, to, of, written
    for end in ends:
        os.close(end)


async def said_one_by_one(pipe: Pipe, to: int, reads: list[bytes]) -> None:
    """Write a line in each turn of the loop, the next turn not before the pipe could be read."""
    pipe.start(lambda: None)
    for number in range(LINES):
        os.write(to, b"line %d\n" % number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await until(lambda: sum(read.count(b"\n") for read in reads) == LINES)


async def test_lines_that_follow_each_other_closely_are_read_together(ends: tuple[int, int, int, int]) -> None:
    read, to, _, written = ends
    reads: list[bytes] = []
    pipe = Pipe(read, written, reads.append, lambda: None, lambda: None)
    await said_one_by_one(pipe, to, reads)
    assert b"".join(reads) == b"".join(b"line %d\n" % number for number in range(LINES))
    assert reads[0].count(b"\n") < 3  # at once
    assert len(reads) < LINES / 2
    pipe.close()


async def test_after_a_silence_the_pipe_is_waited_for_again(ends: tuple[int, int, int, int]) -> None:
    read, to, _, written = ends
    reads: list[bytes] = []
    pipe = Pipe(read, written, reads.append, lambda: None, lambda: None)
    pipe.start(lambda: None)
    for number in range(3):
        os.write(to, b"line %d\n" % number)
        await until(lambda: len(reads) == number + 1)  # noqa: B023
        await until(lambda: pipe.waits)
    pipe.close()


def that_closes(read: int, written: int) -> tuple[Pipe, list[bytes]]:
    """A pipe that is closed by what is read first, and what was read."""
    reads: list[bytes] = []

    def take(data: bytes) -> None:
        reads.append(data)
        pipe.close()

    pipe = Pipe(read, written, take, lambda: None, lambda: None)
    return pipe, reads


async def test_what_is_read_may_close_the_pipe(ends: tuple[int, int, int, int]) -> None:
    read, to, _, written = ends
    pipe, reads = that_closes(read, written)
    pipe.start(lambda: None)
    os.write(to, b"the last one\n")
    await until(lambda: reads)
    os.write(to, b"for somebody else\n")
    for _ in range(3):
        await asyncio.sleep(0.005)  # longer than a pause: nothing may come of it
    assert reads == [b"the last one\n"]


async def test_a_full_pipe_is_read_without_a_pause(ends: tuple[int, int, int, int]) -> None:
    read, to, _, written = ends
    reads: list[bytes] = []
    pipe = Pipe(read, written, reads.append, lambda: None, lambda: None)
    os.set_blocking(to, False)
    os.write(to, b"x" * (MUCH + 10) + b"\n")
    pipe.start(lambda: None)
    await until(lambda: reads)
    assert pipe.waits
    pipe.close()


class Turns:
    """Turns that are over when the test says so."""

    def __init__(self, *, over: bool) -> None:
        self.over = over


@pytest.mark.parametrize(("over", "reads_of_a_turn"), [(False, 4), (True, 1)])
async def test_what_waits_is_read_until_a_turn_is_over(
    ends: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch, over: bool, reads_of_a_turn: int
) -> None:
    monkeypatch.setattr(pipes, "READ", 100)
    monkeypatch.setattr(pipes, "Turn", lambda: Turns(over=over))
    read, to, _, written = ends
    turns, reads = [], list[bytes]()
    pipe = Pipe(read, written, reads.append, lambda: None, lambda: None)
    pipe.turned = lambda: turns.append(len(reads))
    os.write(to, (b"x" * 99 + b"\n") * 4)
    pipe.start(lambda: None)
    await until(lambda: len(reads) == 4)
    assert turns[0] == reads_of_a_turn
    pipe.close()


async def test_what_closes_the_pipe_ends_its_turn(
    ends: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "READ", 100)
    monkeypatch.setattr(pipes, "Turn", lambda: Turns(over=False))
    read, to, _, written = ends
    pipe, reads = that_closes(read, written)
    os.write(to, (b"x" * 99 + b"\n") * 4)
    pipe.start(lambda: None)
    await until(lambda: reads)
    assert len(reads) == 1
