"""Groups of caches in; their VRPs, with failover by preference, out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from rtrlib.dispatcher import Dispatcher, VRPListener
from rtrlib.driver import Callbacks, Driver
from rtrlib.exceptions import RTRInitError, SyncTimeout
from rtrlib.failover import START_TIMEOUT
from rtrlib.link import ThreadLink
from rtrlib.process_link import MEMORY_LIMIT, ProcessLink
from rtrlib.servers import CacheGroup, Intervals, TCPServer, check_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
    from rtrlib.records import PFXRecord, SPKIRecord
    from rtrlib.rtr_socket import RTRSocket

StatusCallback: TypeAlias = "Callable[[ManagerGroup, ManagerGroupStatus, RTRSocket, Any], object]"
PFXCallback: TypeAlias = "Callable[[PFXRecord, bool, Any], object]"
SPKICallback: TypeAlias = "Callable[[SPKIRecord, bool, Any], object]"

__all__ = ["RTRManager", "VRPListener"]


class RTRManager:
    """Groups of caches, used by preference (rtrlib.failover), each cache with a librtr of its own."""

    def __init__(  # noqa: PLR0917 - rtrlib-python's order
        self,
        host: str | None = None,
        port: int | str | None = None,
        refresh_interval: int = 3600,
        expire_interval: int = 7200,
        retry_interval: int = 600,
        status_callback: StatusCallback | None = None,
        status_callback_data: Any = None,
        pfx_update_callback: PFXCallback | None = None,
        pfx_update_callback_data: Any = None,
        spki_update_callback: SPKICallback | None = None,
        spki_update_callback_data: Any = None,
        *,
        groups: Sequence[CacheGroup] | None = None,
        intervals: Literal["configured", "cache"] = "configured",
        isolated: bool = True,
        start_timeout: float = START_TIMEOUT,
        memory_limit: int = MEMORY_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check everything; connect to nothing.

        One cache at `host` and `port`, or `groups`. Intervals in seconds (RFC 8210 section 6);
        `intervals="cache"`: what End of Data says replaces them. Callbacks: see `start`. `isolated`: one child
        process for each cache, with `memory_limit` bytes of address space; else librtr's threads run in this
        process. `start_timeout`: seconds that a group has before the next is started. `clock`: seconds that
        never go back. RTRInitError: what is wrong.
        """
        if groups is None:
            if host is None or port is None:
                raise RTRInitError("a manager needs a host and a port, or groups")
            groups = [CacheGroup(1, [TCPServer(host, port)])]
        elif host is not None or port is not None:
            raise RTRInitError("a manager takes a host and a port, or groups, but not both")
        if intervals not in {"configured", "cache"}:
            raise RTRInitError(f"intervals must be 'configured' or 'cache', not {intervals!r}")
        check_groups(groups)
        follow = intervals == "cache"
        options = Intervals(refresh_interval, retry_interval, expire_interval, follow_cache=follow)
        connect = partial(ProcessLink, memory=memory_limit) if isolated else ThreadLink
        self._dispatcher = Dispatcher(groups, options, connect, start_timeout, clock)
        self._driver: Driver | None = None
        self._callbacks = Callbacks(
            status_callback,
            status_callback_data,
            pfx_update_callback,
            pfx_update_callback_data,
            spki_update_callback,
            spki_update_callback_data,
        )

    def groups(self) -> list[ManagerGroup]:
        """Return the groups as they stand now, most preferred first."""
        return self._dispatcher.groups()

    @property
    def active_group(self) -> ManagerGroup | None:
        """The group whose VRPs are in force; None before any was usable."""
        return self._dispatcher.active_group

    def start(self, wait: bool = True, timeout: float = 5) -> None:
        """Connect, in a thread of ours; with `wait`, return when a complete set of VRPs is in force.

        Callbacks run in that thread, one after the other: status (group, group_status, socket, data), pfx
        update (record, added, data), spki update (record, added, data). Any method may be called in them.
        SyncTimeout when that takes more than `timeout` seconds (the manager goes on trying); RTRInitError when
        it runs already.
        """
        if self._driver is not None:
            raise RTRInitError("the manager is started already")
        self._driver = Driver(self._dispatcher, self._callbacks)
        self._driver.start()
        if wait:
            self._driver.wait_for_sync(timeout)

    def stop(self) -> None:
        """Disconnect from everything; `start` may follow. Nothing happens when it does not run."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.stop()

    def is_synced(self) -> bool:
        """Tell whether a complete set of VRPs is in force."""
        return self._driver is not None and self._driver.is_synced()

    def wait_for_sync(self, timeout: float = 5) -> None:
        """Return when a complete set of VRPs is in force. SyncTimeout after `timeout` seconds."""
        if self._driver is None:
            raise SyncTimeout("the manager is not started")
        self._driver.wait_for_sync(timeout)

    def open(self, listener: VRPListener) -> None:
        """Start the most preferred group, in a loop of the caller's. RTRInitError: it is open already.

        `listener` must be a fresh one, which knows of no VRPs.
        """
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
        self.stop()
        self.close()
