"""Groups of caches in; their VRPs, with failover by preference, out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from rtrlib.dispatcher import Dispatcher, VRPListener
from rtrlib.exceptions import RTRInitError
from rtrlib.failover import START_TIMEOUT
from rtrlib.link import ThreadLink
from rtrlib.process_link import MEMORY_LIMIT, ProcessLink
from rtrlib.servers import Intervals, check_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtrlib.manager_group import ManagerGroup
    from rtrlib.servers import CacheGroup

__all__ = ["RTRManager", "VRPListener"]


class RTRManager:
    """Groups of caches, used by preference (rtrlib.failover), each cache with a librtr of its own."""

    def __init__(
        self,
        *,
        groups: Sequence[CacheGroup],
        refresh_interval: int = 3600,
        retry_interval: int = 600,
        expire_interval: int = 7200,
        intervals: Literal["configured", "cache"] = "configured",
        isolated: bool = True,
        start_timeout: float = START_TIMEOUT,
        memory_limit: int = MEMORY_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check everything; connect to nothing.

        Intervals in seconds (RFC 8210 section 6); `intervals="cache"`: what End of Data says replaces them.
        `isolated`: one child process for each cache, with `memory_limit` bytes of address space; else
        librtr's threads run in this process. `start_timeout`: seconds that a group has before the next is
        started. `clock`: seconds that never go back. RTRInitError: what is wrong.
        """
        if intervals not in {"configured", "cache"}:
            raise RTRInitError(f"intervals must be 'configured' or 'cache', not {intervals!r}")
        check_groups(groups)
        follow = intervals == "cache"
        options = Intervals(refresh_interval, retry_interval, expire_interval, follow_cache=follow)
        connect = partial(ProcessLink, memory=memory_limit) if isolated else ThreadLink
        self._dispatcher = Dispatcher(groups, options, connect, start_timeout, clock)

    def groups(self) -> list[ManagerGroup]:
        """Return the groups as they stand now, most preferred first."""
        return self._dispatcher.groups()

    @property
    def active_group(self) -> ManagerGroup | None:
        """The group whose VRPs are in force; None before any was usable."""
        return self._dispatcher.active_group

    def open(self, listener: VRPListener) -> None:
        """Start the most preferred group, in a loop of the caller's. RTRInitError: it is open already."""
        self._dispatcher.open(listener)

    def fileno(self) -> int:
        """Return what is readable when `dispatch` has something to do. RTRInitError when it is not open."""
        return self._dispatcher.fileno()

    def dispatch(self) -> float | None:
        """Handle what is pending: bounded work, no waiting.

        Returns the seconds after which to call again even if `fileno` is not readable; None: no need to.
        """
        return self._dispatcher.dispatch()

    def close(self) -> None:
        """Disconnect, end every child process, tell the listener nothing; `open` may follow."""
        self._dispatcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
