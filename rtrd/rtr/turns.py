"""One budget of work a turn of the loop for all routers, who have it in turns: a thousand cost no more than one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

BUDGET: Final = 0.003
"""Seconds of one turn of the loop that go to routers, whoever they are and whatever they ask."""


class Worker(Protocol):
    """What is given turns: a router's connection."""

    def turn(self) -> bool:
        """Do some work, of a tenth of a millisecond or so; returns whether there is more to do at once."""


class Turns:
    """Who waits for a turn, in order."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._line: deque[Worker] = deque()
        self._waiting: set[Worker] = set()
        self._running = False

    def want(self, worker: Worker) -> None:
        """Give it a turn when all who wait now had theirs; it may ask again before that."""
        if worker in self._waiting:
            return
        self._waiting.add(worker)
        self._line.append(worker)
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        until = self._clock() + BUDGET
        while self._line:
            worker = self._line.popleft()
            self._waiting.discard(worker)
            if worker.turn() and worker not in self._waiting:
                self._waiting.add(worker)
                self._line.append(worker)
            if self._clock() >= until:
                break
        self._running = bool(self._line)
        if self._running:
            asyncio.get_running_loop().call_soon(self._run)
