"""A router that the BMP station keeps: while it is connected, and `stale-time` longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from rtrd.bmp.router import BMPRouter

WORK: Final = 2000
"""Routes that are looked at in one turn."""
TIME_TO_TELL: Final = 60.0
"""Seconds without a word of any neighbor, though a router tells of each when it connects (RFC 7854 section 3.3)."""
PEERS: Final = 100
"""Peers whose routes stayed, and that end in one turn."""


class Home(Protocol):
    """What keeps the routers: rtrd.routers.Routers."""

    def monitor(self, name: str, work: Callable[[], None]) -> BMPRouter:
        """Add one; `name` may get something behind it, if another has it."""

    def unmonitor(self, router: BMPRouter) -> None:
        """Forget one and its routes."""


class KeptRouter:
    """A router, whose engine's work is done a slice in a turn, whether it is connected or not."""

    def __init__(self, home: Home, name: str, host: str, wall: Callable[[], float]) -> None:
        """`name`: as it calls itself; `host`: where it connects from. `wall`: gives Unix time."""
        self.name, self.host = name, host
        self.connected = True
        self.since = wall()
        """When it connected (Unix time)."""
        self._home = home
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._working = False
        self._gone = False
        self._timer: asyncio.TimerHandle | None = None
        self.router = home.monitor(name, self.work_soon)

    def lost(self, seconds: float, over: Callable[[], None]) -> None:
        """Take note that its connection is lost; `over`: told when no route is left of what it said there."""
        self.connected = False
        self.router.lost(self._wall(), self._loop.time() + seconds)
        self._wait(over)
        if self._timer is None:
            over()

    def back(self) -> None:
        """Take note that it is connected again."""
        self.connected = True
        self.since = self._wall()
        self.router.back()

    def is_silent(self) -> bool:
        """Tell whether it is connected, and has told of no neighbor although it had the time."""
        silent = self.connected and not self.router.tells_of_neighbors
        return silent and self._wall() - self.since >= TIME_TO_TELL

    def forget(self) -> None:
        """Let go of it and its routes."""
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._home.unmonitor(self.router)

    def _wait(self, over: Callable[[], None]) -> None:
        """Wait for the first stale peer's end; one timer at a time, however often the connection is lost."""
        if self._timer is None and (when := self.router.next_stale_end()) is not None:
            self._timer = self._loop.call_at(when, self._sweep, over)

    def _sweep(self, over: Callable[[], None]) -> None:
        self._timer = None
        self.router.end_stale(self._loop.time(), self._wall(), PEERS)
        self._wait(over)
        if self._timer is None and not self.connected:
            over()

    def work_soon(self) -> None:
        """Have the engine's work done."""
        if not self._working and not self._gone:
            self._working = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        self._working = False
        engine = self.router.engine
        if not self._gone and engine.has_work:
            engine.set_time(int(self._wall()))
            engine.work(WORK)
            self.work_soon()
