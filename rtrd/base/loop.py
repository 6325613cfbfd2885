"""An event loop that measures for how long it did not look at its descriptors.

ExaBGP's pipe is one of them, and ExaBGP stops while nobody reads it: this is what a router notices of rtrd.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Final, NamedTuple

LONG: Final = 0.05
"""Seconds: a turn that takes longer is counted."""


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
        self._began: tuple[float, float] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look at the descriptors: a turn ends, and the next one begins."""
        if self._began is not None:
            # The CPU of other threads counts: one that holds the interpreter holds the loop. But a turn can't be
            # longer than it took, and what others of this host were given meanwhile is not ours.
            wall, cpu = self._began
            took = min(self._wall() - wall, self._cpu() - cpu)
            if took > self.turns.longest:
                self.turns = self.turns._replace(longest=took)
            if took > LONG:
                self.turns = self.turns._replace(long=self.turns.long + 1)
        events = super().select(timeout)
        self._began = self._wall(), self._cpu()
        return events


class WatchedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with its turns measured."""

    def __init__(self) -> None:
        self._watched = WatchedSelector()
        super().__init__(self._watched)

    @property
    def turns(self) -> Turns:
        """The turns so far."""
        return self._watched.turns


def turns() -> Turns:
    """Give the turns of the running loop; none for a loop that is not watched."""
    loop = asyncio.get_running_loop()
    return loop.turns if isinstance(loop, WatchedLoop) else Turns()
