"""Threads that a loop starts without waiting for them, also where the host is short of memory or threads.

`threading.Thread.start` returns when the thread has begun. One that finds no memory before that says nothing, and who
started it waits forever: here that would be the loop, and with it ExaBGP, whose pipe nobody reads then.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

LOOK: Final = 1.0
"""Seconds between two looks whether a thread has ended without a word."""
AT_ONCE: Final = 5
"""Threads that `Pool` has at a time."""

_T = TypeVar("_T")


class _Work:
    """What a thread does. Nobody else has it, so it is there as long as the thread is, or is about to be."""

    __slots__ = ("__weakref__", "_work")

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __call__(self) -> None:
        self._work()


def start(work: Callable[[], object]) -> Callable[[], bool]:
    """Do some work in a thread; give what tells whether it is not over yet. The end of the process ends it, too.

    RuntimeError, MemoryError: none is to be had (`rtrd.base.shortages`).
    """
    made = _Work(work)
    ended = weakref.ref(made)
    _thread.start_new_thread(made, ())
    return lambda: ended() is not None


def future(work: Callable[[], _T]) -> tuple[asyncio.Future[_T], Callable[[], bool]]:
    """Do some work in a thread of its own; give what it comes to, for the running loop, and what `start` gives.

    Raises as `start` does. MemoryError of the future also where the thread ended without a word.
    """
    done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    runs = start(partial(_run, done, work))
    _watch(done, runs)
    return done, runs


def _run(done: asyncio.Future[_T], work: Callable[[], _T]) -> None:
    """Do the work, in the thread."""
    settle: Callable[[], object]
    try:
        result = work()
    except BaseException as caught:  # noqa: BLE001 - it is raised where it is waited for
        settle = partial(done.set_exception, caught)
    else:
        settle = partial(done.set_result, result)
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        done.get_loop().call_soon_threadsafe(lambda: done.done() or settle())


def _watch(done: asyncio.Future[Any], runs: Callable[[], bool], *, ended: bool = False) -> None:
    """See to it that it is settled: by the thread, whose word may still be on its way when it has ended, or here."""
    if done.done():
        return
    if ended:
        done.set_exception(MemoryError("a thread ended without a word"))
        return
    timer = done.get_loop().call_later(LOOK, lambda: _watch(done, runs, ended=not runs()))
    done.add_done_callback(lambda _: timer.cancel())


class Pool:
    """Does what `asyncio.to_thread` is given: a few at a time, each in a thread of its own."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._running = 0
        self._waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()

    def do(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        """Do some work as soon as there is room; give what it comes to."""
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((done, work))
        self._begin()
        return done

    def _begin(self) -> None:
        while self._waiting and self._running < AT_ONCE:
            done, work = self._waiting.popleft()
            if done.done():
                continue  # nobody waits for it any more
            try:
                ran, _ = future(work)
            except (RuntimeError, MemoryError) as error:
                done.set_exception(error)
                continue
            self._running += 1
            ran.add_done_callback(partial(self._ended, done))

    def _ended(self, done: asyncio.Future[Any], ran: asyncio.Future[Any]) -> None:
        """Hand on what a thread came to. Until here it has its place: whoever waited may have gone long before."""
        self._running -= 1
        error = ran.exception()
        if not done.done():
            if error is None:
                done.set_result(ran.result())
            else:
                done.set_exception(error)
        self._begin()
