"""A turn of the loop in which a long list is walked: so long, and then others have theirs."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

TURN: Final = 0.002
"""Seconds of one turn."""


class Turn:
    """Says when it is time to let the loop turn: `if turn.over: await turn.next()` after each few steps of a walk."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + TURN

    @property
    def over(self) -> bool:
        """Whether others should have their turn now."""
        return time.perf_counter() >= self._until

    async def next(self) -> None:
        """Let the loop turn."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + TURN


class SharedTurn(Turn):
    """The same for walks that many may begin at once, such as an answer's: those of a hundred take no more than one.

    `async with SharedTurn() as turn:`, and each of them walks in its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._given_up = False

    async def __aenter__(self) -> Self:
        await _lock().acquire()
        self._until = time.perf_counter() + TURN
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._given_up:
            _lock().release()

    async def next(self) -> None:
        """Let the loop turn, and the others have their turn."""
        self._given_up = True
        _lock().release()
        await asyncio.sleep(0)
        await _lock().acquire()
        self._given_up = False
        self._until = time.perf_counter() + TURN


_LOCKS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


def _lock() -> asyncio.Lock:
    return _LOCKS.setdefault(asyncio.get_running_loop(), asyncio.Lock())
