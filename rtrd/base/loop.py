"""An event loop that measures for how long it did not look at its descriptors.

ExaBGP's pipe is one of them, and ExaBGP stops while nobody reads it: this is what a router notices of rtrd.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final, NamedTuple, TypeVar, TypeVarTuple

from rtrd.base.threads import Pool

LONG: Final = 0.05
"""Seconds: a turn that takes longer is counted."""
AT_ONCE: Final = 32
"""Descriptors of strangers that are attended to in one turn: each costs up to a tenth of a millisecond."""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Turns(NamedTuple):
    """The turns of a loop since its start: what it did between two looks at its descriptors."""

    longest: float = 0.0
    """Seconds of the longest one."""
    long: int = 0
    """Turns longer than LONG."""


class WatchedSelector(selectors.EpollSelector):
    """Measures each turn, by what this process did and not by what the machine did meanwhile."""

    def __init__(
        self, wall: Callable[[], float] = time.perf_counter, cpu: Callable[[], float] = time.process_time
    ) -> None:
        """`wall`: seconds that pass; `cpu`: seconds that all threads of this process computed."""
        super().__init__()
        self.turns = Turns()
        self._wall = wall
        self._cpu = cpu
        self.strangers: set[int] = set()
        """Descriptors of which anybody may have many: no more than some of them have their turn at once."""
        self._began: tuple[float, float] | None = None
        self._first = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look at the descriptors: a turn ends, and the next one begins."""
        if self._began is not None:
            # The CPU of other threads counts: one that holds the interpreter holds the loop. But a turn can't be
            # longer than it took, and what others of this host were given meanwhile is not ours.
            wall, cpu = self._began
            took = self._wall() - wall
            if took > min(self.turns.longest, LONG):  # rarely: the kernel takes a microsecond or more to say the CPU
                took = min(took, self._cpu() - cpu)
            if took > self.turns.longest:
                self.turns = self.turns._replace(longest=took)
            if took > LONG:
                self.turns = self.turns._replace(long=self.turns.long + 1)
        events = super().select(timeout)
        if len(events) > AT_ONCE and self.strangers:
            events = self._fewer(events)
        self._began = self._wall(), self._cpu()
        return events

    def _fewer(self, events: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        """Leave some strangers out, others each time; they are ready again in the next turn."""
        strangers = [event for event in events if event[0].fd in self.strangers]
        if len(strangers) <= AT_ONCE:
            return events
        self._first = (self._first + AT_ONCE) % len(strangers)
        chosen = (strangers[self._first :] + strangers[: self._first])[:AT_ONCE]
        return [event for event in events if event[0].fd not in self.strangers] + chosen


class WatchedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with its turns measured."""

    def __init__(self) -> None:
        self._watched = WatchedSelector()
        self._pool = Pool()
        super().__init__(self._watched)

    @property
    def turns(self) -> Turns:
        """The turns so far."""
        return self._watched.turns

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Do what `asyncio.to_thread` or a look-up of a name wants, without the threads of asyncio (`threads.py`)."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        return self._pool.do(partial(func, *args))

    @property
    def strangers(self) -> set[int]:
        """The descriptors of which anybody may have many."""
        return self._watched.strangers


def turns() -> Turns:
    """Give the turns of the running loop; none for a loop that is not watched."""
    loop = asyncio.get_running_loop()
    return loop.turns if isinstance(loop, WatchedLoop) else Turns()


def strangers() -> set[int]:
    """Give the descriptors of which anybody may have many, to be added to and discarded from."""
    loop = asyncio.get_running_loop()
    return loop.strangers if isinstance(loop, WatchedLoop) else set()
