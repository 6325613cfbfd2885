"""The end of many parts: one that can't be ended keeps none of the others, nor the end that was asked for."""

import asyncio
import errno
from pathlib import Path

import pytest

from rtrd import routers
from rtrd.base import log, shortages
from rtrd.base.ending import end_each
from rtrd.base.shortages import NO_DESCRIPTOR, NO_MEMORY, NO_THREAD, shortage
from tests.lab.still_daemon import CONFIG, StillDaemon


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
    assert shortage(ImportError("libffi.so.8: failed to map segment from shared object")) == NO_MEMORY
    assert shortage(ImportError("No module named 'x'")) is None
    assert shortage(OSError(errno.ENOENT, "No such file or directory")) is None
    assert shortage(RuntimeError("a fault of ours")) is None
    assert shortage(None) is None


async def test_memory_that_ends_while_vrps_change_ends_rtrd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then which half of the change is in force. Nothing is withdrawn for it: another one comes."""

    async def listening() -> None:
        pass

    def short() -> None:
        raise MemoryError

    async with StillDaemon(tmp_path, f"{CONFIG}control: {tmp_path}/rtrd.sock\non-stop: withdraw\n") as one:
        monkeypatch.setattr(one.daemon, "_withdraw", short)
        with pytest.raises(MemoryError):
            one.daemon.effective.task_queue.call(short)
        assert await asyncio.wait_for(one.daemon.run(listening, exabgp=False), 30) == 1
        await one.daemon.close()


@pytest.mark.parametrize("what", ["learn", "serve"])
async def test_where_there_is_no_memory_to_learn_anew_in_rtrd_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Nobody would read ExaBGP's pipe."""

    async def listening() -> None:
        pass

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    async with StillDaemon(tmp_path, f"{CONFIG}control: {tmp_path}/rtrd.sock\n") as one:
        monkeypatch.setattr(routers, "Engine" if what == "learn" else "ExaBGP", short)
        one.daemon._learn_anew(one.router)
        assert await asyncio.wait_for(one.daemon.run(listening, exabgp=True), 30) == 1
        await one.daemon.close()


def test_what_was_short_is_told_for_a_while() -> None:
    shortages.note(NO_THREAD, 1000)
    shortages.note(NO_THREAD, 1030)
    assert shortages.noted(1030 + shortages.TOLD) == [(NO_THREAD, 1000)]
    assert shortages.noted(1031 + shortages.TOLD) == []
    shortages.note(NO_THREAD, 2000)
    assert shortages.noted(2000) == [(NO_THREAD, 2000)]


async def test_the_status_says_what_is_short(tmp_path: Path) -> None:
    async with StillDaemon(tmp_path) as one:
        before = [problem.what for problem in one.daemon.registry.problems()]
        log._shortage(None, "", {"exc_info": OSError(errno.EMFILE, "Too many open files")})
        now = [problem.what for problem in one.daemon.registry.problems()]
    assert sorted({*now} - {*before}) == [NO_DESCRIPTOR]
