"""The configured groups of caches in; the manager that keeps them, driven by the event loop, out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from rtrlib import CacheGroup, RTRManager, SSHServer, TCPServer

if TYPE_CHECKING:
    from rtrd.base.clock import Clock
    from rtrd.config import Config, Group, Server
    from rtrd.vrps.effective import EffectiveVRPs

MIB: Final = 1 << 20
PAUSE: Final = 0.005
"""Seconds between two looks whether what was heard is done with, before more is read."""
AFTER_FAULT: Final = 1.0
"""Seconds after which the manager is driven on though it raised: something may be due, with nothing to read."""


class Caches:
    """Every cache of the configuration, each in a process of its own, from `open` to `close`."""

    def __init__(self, settings: Config, clock: Clock) -> None:
        self.manager = make_manager(settings, clock)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._effective: EffectiveVRPs | None = None

    def open(self, effective: EffectiveVRPs) -> None:
        """Connect; what the caches say becomes the effective VRPs."""
        self._effective = effective
        self.manager.open(effective)
        self._loop.add_reader(self.manager.fileno(), self.look)
        self.look()

    def change(self, settings: Config) -> None:
        """Use other groups and intervals from now on. RTRInitError: it can't, and nothing has changed."""
        caches = settings.caches
        self.manager.regroup(
            [_group(group, caches.keepalive) for group in caches.groups],
            caches.refresh,
            caches.expire,
            caches.retry,
            intervals=caches.intervals,
        )
        self.look()

    def close(self) -> None:
        """Disconnect, end every child process."""
        self._stop_timer()
        self._loop.remove_reader(self.manager.fileno())
        self.manager.close()

    def look(self) -> None:
        """Do what is due: to be called when the time jumped, and by nobody else than the loop otherwise."""
        self._stop_timer()
        busy = self._effective is not None and self._effective.task_queue.tasks
        seconds: float | None = AFTER_FAULT
        try:
            seconds = PAUSE if busy else self.manager.dispatch()
        finally:
            if seconds is not None:
                self._timer = self._loop.call_later(seconds, self.look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def make_manager(settings: Config, clock: Clock) -> RTRManager:
    """Give the manager of all groups, each cache in a process of its own."""
    caches = settings.caches
    return RTRManager(
        groups=[_group(group, caches.keepalive) for group in caches.groups],
        refresh_interval=caches.refresh,
        retry_interval=caches.retry,
        expire_interval=caches.expire,
        intervals=caches.intervals,
        isolated=True,
        memory_limit=caches.memory_limit * MIB,
        clock=clock.steady,
        wall=clock.wall,
    )


def _group(group: Group, keepalive: int) -> CacheGroup:
    # The texts of a configuration have types of their own, which no JSON of a status takes.
    return CacheGroup(group.preference, [_server(server, keepalive) for server in group.servers], name=str(group.name))


def _server(server: Server, keepalive: int) -> TCPServer | SSHServer:
    if server.transport == "tcp":
        return TCPServer(str(server.host), server.port, keepalive=keepalive)
    return SSHServer(
        str(server.host),
        server.port,
        keepalive=keepalive,
        username=server.user or "",
        private_key=None if server.key is None else str(server.key),
        host_key=None if server.host_key is None else str(server.host_key),
    )
