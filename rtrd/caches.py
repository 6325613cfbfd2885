"""The configured groups of caches in; the manager that keeps them, driven by the event loop, out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtrlib import CacheGroup, RTRManager, SSHServer, TCPServer

if TYPE_CHECKING:
    from rtrd.config import Config, Group, Server
    from rtrd.vrps.feed import Feed


class Caches:
    """Every cache of the configuration, each in a process of its own, from `open` to `close`."""

    def __init__(self, settings: Config) -> None:
        self.manager = make_manager(settings)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def open(self, feed: Feed) -> None:
        """Connect; what the caches say goes to the feed."""
        self.manager.open(feed)
        self._loop.add_reader(self.manager.fileno(), self._dispatch)
        self._dispatch()

    def close(self) -> None:
        """Disconnect, end every child process."""
        self._stop_timer()
        self._loop.remove_reader(self.manager.fileno())
        self.manager.close()

    def _dispatch(self) -> None:
        self._stop_timer()
        seconds = self.manager.dispatch()
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._dispatch)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def make_manager(settings: Config) -> RTRManager:
    """Give the manager of all groups, each cache in a process of its own."""
    caches = settings.caches
    return RTRManager(
        groups=[_group(group) for group in caches.groups],
        refresh_interval=caches.refresh,
        retry_interval=caches.retry,
        expire_interval=caches.expire,
        intervals=caches.intervals,
        isolated=True,
    )


def _group(group: Group) -> CacheGroup:
    # The texts of a configuration have types of their own, which no JSON of a status takes.
    return CacheGroup(group.preference, [_server(server) for server in group.servers], name=str(group.name))


def _server(server: Server) -> TCPServer | SSHServer:
    if server.transport == "tcp":
        return TCPServer(str(server.host), server.port)
    return SSHServer(
        str(server.host),
        server.port,
        username=server.user or "",
        private_key=None if server.key is None else str(server.key),
        host_key=None if server.host_key is None else str(server.host_key),
    )
