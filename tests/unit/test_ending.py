"""The end of many parts: one that can't be ended keeps none of the others, nor the end that was asked for."""

import asyncio
import errno

import pytest

from rtrd.base.ending import end_each
from rtrd.base.shortages import NO_DESCRIPTOR, NO_MEMORY, NO_THREAD, shortage


def test_one_that_fails_keeps_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0)
        ended.append("slow")

    async def short_of_memory() -> None:
        raise MemoryError

    def faulty() -> None:
        raise KeyError("a fault of ours")

    asyncio.run(end_each(short_of_memory, slow, faulty, lambda: ended.append("last")))
    assert ended == ["slow", "last"]
    said = capfd.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "could not be ended in order" in line]
    assert ["short_of_memory" in lines[0], "faulty" in lines[1], len(lines)] == [True, True, 2]


def test_shortages_are_told_from_faults() -> None:
    assert shortage(MemoryError("no memory for a policy")) == NO_MEMORY
    assert shortage(RuntimeError("can't start new thread")) == NO_THREAD
    assert shortage(OSError(errno.EMFILE, "Too many open files")) == NO_DESCRIPTOR
    assert shortage(OSError(errno.ENOMEM, "Cannot allocate memory")) == NO_MEMORY
    assert shortage(OSError(errno.ENOENT, "No such file or directory")) is None
    assert shortage(RuntimeError("a fault of ours")) is None
    assert shortage(None) is None
