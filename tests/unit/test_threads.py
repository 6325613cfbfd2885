"""Threads are started without waiting for them: one that finds no memory never says that it has begun."""

import _thread
import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtrd.base import file_thread, threads
from rtrd.base.clock import Clock
from rtrd.base.errors import NotReadyError
from rtrd.base.loop import WatchedLoop
from rtrd.base.notation import parse_prefix
from rtrd.base.shortages import NO_MEMORY, NO_THREAD
from rtrd.event_log import EventLog
from rtrd.history import History
from rtrd.history_tables import HistoryQuery
from tests.lab.wait import until

QUESTION = HistoryQuery(parse_prefix("192.0.2.0/24"), covering=False, before=1 << 62, most=10)


def history_in(folder: Path) -> History:
    clock = Clock()
    return History(folder, None, EventLog(clock), clock)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """A daemon's own loop."""
    with asyncio.Runner(loop_factory=WatchedLoop) as runner:
        yield runner


@pytest.fixture
def stillborn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each thread end before it has begun, as where there is no memory for its first call."""
    monkeypatch.setattr(_thread, "start_new_thread", lambda _work, _arguments: 1)
    monkeypatch.setattr(threads, "LOOK", 0.01)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system refuse each thread."""

    def refuse(_work: object, _arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)


def test_what_a_loop_has_done_in_a_thread_waits_for_no_beginning(
    loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the loop may wait forever, and ExaBGP with it."""

    def waits(_: threading.Thread) -> None:
        raise AssertionError("it waits until the thread says that it has begun")

    monkeypatch.setattr(threading.Thread, "start", waits)

    async def work() -> list[int]:
        many = await asyncio.gather(*(asyncio.to_thread(int, number) for number in range(3 * threads.AT_ONCE)))
        return [*many, await file_thread.in_thread(10, int, 7)]

    assert loop.run(work()) == [*range(3 * threads.AT_ONCE), 7]


def test_one_for_which_nobody_waits_any_more_keeps_its_place(
    loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever asks and goes away has as many threads as it likes."""
    started = list[object]()
    start = _thread.start_new_thread

    def note(work: Callable[[], object], arguments: tuple[()]) -> int:
        started.append(work)
        return start(work, arguments)

    async def work() -> int:
        over = threading.Event()
        asked = [asyncio.create_task(asyncio.to_thread(over.wait)) for _ in range(threads.AT_ONCE)]
        await until(lambda: len(started) == threads.AT_ONCE)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
        last = asyncio.create_task(asyncio.to_thread(int, 7))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(started) == threads.AT_ONCE
        over.set()
        return await last

    monkeypatch.setattr(_thread, "start_new_thread", note)
    assert loop.run(work()) == 7


def test_what_a_thread_raises_is_raised(loop: asyncio.Runner) -> None:
    with pytest.raises(ValueError, match="no number"):
        loop.run(asyncio.to_thread(int, "no number"))


@pytest.mark.usefixtures("stillborn")
def test_one_that_ends_without_a_word_is_no_memory(loop: asyncio.Runner) -> None:
    with pytest.raises(MemoryError):
        loop.run(asyncio.wait_for(asyncio.to_thread(int, 7), 30))
    with pytest.raises(OSError, match="no memory is to be had"):
        loop.run(file_thread.in_thread(30, int, 7))


@pytest.mark.usefixtures("refused")
def test_one_that_is_refused_is_said(loop: asyncio.Runner) -> None:
    with pytest.raises(RuntimeError, match="can't start new thread"):
        loop.run(asyncio.to_thread(int, 7))
    with pytest.raises(OSError, match="no thread can be started"):
        loop.run(file_thread.in_thread(30, int, 7))


def test_no_memory_within_one_is_said_as_that(loop: asyncio.Runner) -> None:
    def work() -> None:
        raise MemoryError

    with pytest.raises(OSError, match="no memory is to be had") as raised:
        loop.run(file_thread.in_thread(30, work))
    assert raised.value.strerror == NO_MEMORY


async def test_a_history_without_a_thread_says_so_and_has_one_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rtrd.history.LOOK", 0.01)
    history = history_in(tmp_path)
    with monkeypatch.context() as short:

        def refuse(_work: object, _arguments: object) -> int:
            raise RuntimeError("can't start new thread")

        short.setattr(_thread, "start_new_thread", refuse)
        history.start()
        assert NO_THREAD in str(history.status()["fault"])
        with pytest.raises(NotReadyError, match="no thread can be started"):
            await history.find(QUESTION)
    await until(lambda: history.status()["fault"] is None)
    assert (await history.find(QUESTION)).ids == []
    await history.close()


async def test_a_history_whose_thread_finds_no_memory_goes_on_in_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rtrd.history.LOOK", 0.01)
    history = history_in(tmp_path)
    answer = history._answer

    def short(_job: object) -> None:
        monkeypatch.setattr(history, "_answer", answer)
        raise MemoryError

    monkeypatch.setattr(history, "_answer", short)
    history.start()
    asked = asyncio.ensure_future(history.find(QUESTION))
    await until(lambda: history._answer == answer)
    asked.cancel()
    assert (await asyncio.wait_for(history.find(QUESTION), 30)).ids == []
    await history.close()


async def test_a_history_whose_thread_finds_no_memory_at_its_end_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rtrd.history.PATIENCE", 1000.0)
    history = history_in(tmp_path)

    def short() -> None:
        raise MemoryError

    monkeypatch.setattr(history._store, "close", short)
    history.start()
    await asyncio.wait_for(history.close(), 30)
