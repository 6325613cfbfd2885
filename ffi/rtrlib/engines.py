"""What speaks RTR with a cache: librtr, in a process of its own or in threads of this one, or the client of ours.

librtr is loaded when the first cache wants it: whoever has the native engine alone needs none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from rtrlib.link import Link, Resume
from rtrlib.native_link import NativeLink
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.servers import CacheGroup, Engine, Intervals, Server, SSHServer

__all__ = ["Engines", "await_librtr"]

Connect: TypeAlias = Callable[[Server, Intervals, Resume], Link]


class Engines:
    """Makes the links of one manager."""

    def __init__(self, default: Engine, memory: int, *, isolated: bool, max_version: int = MAX_VERSION) -> None:
        """`default`: of the servers that do not say; `memory`: bytes that a cache may take. See RTRManager."""
        self._default = default
        self._isolated = isolated
        self._memory = memory
        self._native: Connect = partial(NativeLink, memory=memory, max_version=max_version)
        self._librtr: Connect | None = None

    def load(self, groups: Iterable[CacheGroup]) -> None:
        """Load what these groups' caches need. LibrtrMissingError: one of them needs librtr, and it is not there."""
        for group in groups:
            for server in group.servers:
                self._of(server)

    def connect(self, server: Server, intervals: Intervals, resume: Resume) -> Link:
        """Make a link. LinkEnded."""
        return self._of(server)(server, intervals, resume)

    def knows_aspas(self, groups: Iterable[CacheGroup]) -> bool:
        """Tell whether any of these groups' caches can be asked for ASPAs: librtr knows none."""
        return any(self._of(server) is self._native for group in groups for server in group.servers)

    def _of(self, server: Server) -> Connect:
        wanted = "native" if server.beyond_librtr() else server.engine or self._default
        if wanted == "native" and not (isinstance(server, SSHServer) and server.password is not None):
            return self._native
        if self._librtr is None:
            self._librtr = self._load_librtr()
        return self._librtr

    def _load_librtr(self) -> Connect:
        if self._isolated:
            from rtrlib.process_link import ProcessLink  # noqa: PLC0415

            return partial(ProcessLink, memory=self._memory)
        from rtrlib.thread_link import ThreadLink  # noqa: PLC0415

        return ThreadLink


def await_librtr(seconds: float) -> None:
    """Wait until librtr's threads in this process have ended, at most so long; for what is not loaded at all, not."""
    module = sys.modules.get("rtrlib.thread_link")
    if module is not None:
        module.await_ended(seconds)
