"""Groups of caches, used by preference: their VRPs, router keys, ASPAs and states."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, Self

from rtrlib import forks
from rtrlib.arguments import option_flag, option_function, option_number, option_seconds, wait_limit
from rtrlib.aspas import ASPA
from rtrlib.caller import ASPACallback, Callbacks, Caller, PFXCallback, SPKICallback, StatusCallback
from rtrlib.changes import Changes, Subscription
from rtrlib.dispatcher import Dispatcher
from rtrlib.driver import Driver
from rtrlib.engines import Engines
from rtrlib.exceptions import RTRInitError, SyncTimeout
from rtrlib.failover import START_TIMEOUT
from rtrlib.link import MEMORY_LIMIT
from rtrlib.listener import VRPListener
from rtrlib.lookups import Lookups
from rtrlib.manager_group import ManagerGroup
from rtrlib.own_loop import OwnLoop, follows
from rtrlib.readers import Readers
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.servers import VERSION_RANGE, CacheGroup, Engine, Intervals, TCPServer, check_engine, check_groups
from rtrlib.validation import PfxvState, Reason, ValidationResult
from rtrlib.vrp_table import VRPTable

__all__ = ["PfxvState", "RTRManager", "Reason", "VRPListener", "ValidationResult"]

MEMORY_RANGE: Final = (1 << 16, 1 << 48)
"""Bytes."""
NOTHING: Final = VRPTable()
"""What a manager that does not run knows."""


class RTRManager(Lookups, OwnLoop):
    """Groups of caches, used by preference (rtrlib.failover), each cache with a client of its own."""

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
        engine: Engine = "librtr",
        isolated: bool = True,
        start_timeout: float = START_TIMEOUT,
        memory_limit: int = MEMORY_LIMIT,
        sync_timeout: float | None = 5,
        max_version: int = MAX_VERSION,
        aspa_update_callback: ASPACallback | None = None,
        aspa_update_callback_data: Any = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Check everything; connect to nothing.

        One cache at `host` and `port`, or `groups`. Intervals in seconds (RFC 8210 section 6); `intervals="cache"`:
        what End of Data says replaces them. Callbacks: see `start`. `engine`: what speaks RTR with a cache that does
        not say so itself: librtr, or the native client of this package. SSH with a password is always librtr's; what
        librtr has not (TLS, signed TCP, a device to connect by) is always the native client's. `isolated`: one child
        process for each cache that librtr speaks with, with `memory_limit` bytes of address space; else librtr's
        threads run in this process. With the native engine `memory_limit` bounds the VRPs that a cache may send.
        `start_timeout`: seconds that a group has before the next is started. `sync_timeout`: seconds that `with` and
        `async with` wait; None: however long. `max_version`: the newest version of RTR that the native engine speaks,
        0..2, with a cache that does not say so itself; librtr speaks 1 and 0, and so has no ASPAs. `clock`: seconds
        that never go back; `wall`: seconds since 1970.
        RTRInitError: what is wrong; OptionTypeError, which is one: of which type.
        """
        if groups is None:
            if host is None or port is None:
                raise RTRInitError("a manager needs a host and a port, or groups")
            groups = [CacheGroup(1, [TCPServer(host, port)])]
        elif host is not None or port is not None:
            raise RTRInitError("a manager takes a host and a port, or groups, but not both")
        groups = check_groups(groups)
        options = Intervals(refresh_interval, retry_interval, expire_interval, follow_cache=follows(intervals))
        start_timeout = option_seconds("start_timeout", start_timeout)
        memory_limit = option_number("memory_limit", memory_limit, MEMORY_RANGE, "bytes")
        isolated = option_flag("isolated", isolated)
        option_function("clock", clock)
        option_function("wall", wall)
        self._sync_timeout = None if sync_timeout is None else option_seconds("sync_timeout", sync_timeout)
        check_engine(engine)
        max_version = option_number("max_version", max_version, VERSION_RANGE)
        self._engines = Engines(engine, memory_limit, isolated=isolated, max_version=max_version)
        self._engines.load(groups)
        if aspa_update_callback is not None:
            self._check_aspas(groups)
        self._dispatcher = Dispatcher(groups, options, self._engines.connect, start_timeout, clock, wall=wall)
        self._lifecycle = threading.RLock()
        self._opened = False
        self._driver: Driver | None = None
        """In a thread of ours, by `start`."""
        self._last: Driver | None = None
        self._readers = Readers()
        self._entered = 0
        """How many `with` it is inside of."""
        self._started_by_with = False
        self._callbacks = Callbacks(
            status_callback,
            status_callback_data,
            pfx_update_callback,
            pfx_update_callback_data,
            spki_update_callback,
            spki_update_callback_data,
            aspa_update_callback,
            aspa_update_callback_data,
        )
        self._caller = Caller(self._callbacks)
        self._finalizer: weakref.finalize[..., RTRManager] | None = None
        self._inherited: Driver | None = None
        """In a forked child: the parent's, until a session of the child's own has VRPs."""
        forks.watch(self, RTRManager._forked)

    def groups(self) -> list[ManagerGroup]:
        """Return the groups as they are now, most preferred first."""
        return self._dispatcher.groups()

    @property
    def active_group(self) -> ManagerGroup | None:
        """The group whose VRPs are in force; None before any was usable."""
        return self._dispatcher.active_group

    def start(self, wait: bool = True, timeout: float | None = 5) -> None:
        """Connect, in a thread of ours; with `wait`, return when a complete set of VRPs is in force.

        Also after `stop`. A manager that runs already is only waited for. SyncTimeout when it takes more than
        `timeout` seconds (None and 0: no limit); the manager keeps trying. RTRInitError: see `open`. ValueError,
        TypeError: `timeout` is no such number.
        """
        timeout = wait_limit(timeout)
        with self._lifecycle:
            driver = self._driver
            if driver is None:
                if self._opened:
                    raise RTRInitError("the manager is open in a loop of the caller: it cannot be started as well")
                driver = Driver(self._dispatcher, self._caller, self._readers, self._last)
                self._driver = self._last = driver
                self._finalizer = weakref.finalize(self, driver.abandon)
                self._finalizer.atexit = False  # the driver ends itself then
                driver.start()
        if wait:
            driver.wait_for_sync(timeout)

    def stop(self) -> None:
        """Disconnect from everything; `start` may follow. Nothing happens when it does not run.

        In a forked child it forgets what the child inherited; the parent's session goes on.

        The prefix callback is told that each VRP went, the status callback that each group closed; `stop`
        returns after that, inside a callback before it.
        """
        with self._lifecycle:
            driver, self._driver = self._driver, None
            self._inherited = None
            if driver is None:
                return
            self._detach()
            driver.stop()
        self._caller.end()

    async def astart(self, wait: bool = True, timeout: float | None = 5) -> None:  # noqa: ASYNC109
        """Do what `start` does; the event loop goes on meanwhile. Who is canceled while it waits leaves it running."""
        timeout = wait_limit(timeout)
        starting = asyncio.ensure_future(asyncio.to_thread(self.start, wait=False))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])  # or `astop` could come before it
            raise
        if wait:
            await self._running().wait_synced(timeout)

    async def astop(self) -> None:
        """Do what `stop` does; the event loop goes on meanwhile. It is stopped also when who waits is canceled."""
        await asyncio.shield(asyncio.to_thread(self.stop))

    @property
    def stale(self) -> bool:
        """In a forked child: answers are by the VRPs that were in force at the fork, since the session is the parent's.

        Until `start` gave the child a session of its own, and that is in sync.
        """
        return self._source() is self._inherited is not None

    def is_synced(self) -> bool:
        """Tell whether a complete set of VRPs is in force, and the callbacks were told of it."""
        driver = self._driver
        return driver is not None and driver.is_synced()

    def wait_for_sync(self, timeout: float | None = 5) -> None:
        """Return when `is_synced`, in any thread. SyncTimeout after `timeout` seconds (None and 0: never)."""
        self._running().wait_for_sync(wait_limit(timeout))

    async def wait_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - raises SyncTimeout
        """Do what `wait_for_sync` does, in an event loop. SyncTimeout after `timeout` seconds (None and 0: never)."""
        await self._running().wait_synced(wait_limit(timeout))

    def changes(self) -> Changes:
        """Give the changes from now on, for `async for`, until `stop`: VRPChange, or what else `Change` is.

        A slow reader is told what the changes amount to (rtrlib.changes). RuntimeError outside of an event loop.
        """
        reader = Changes()
        self._readers.add(reader)
        return reader

    def subscribe(self) -> Subscription:
        """Give all that is in force, then each change, for `async for`: a Snapshot, then what `changes` gives.

        Nothing is left out and nothing told twice; what is in force is that of one moment, shortly after the call.
        Before `start` it is nothing. It ends after `stop`. RuntimeError outside of an event loop.
        """
        while True:
            reader, driver = Subscription(), self._driver
            if driver is not None and driver.introduce(reader):
                return reader
            reader.begin([], {}, [], [])
            self._readers.add(reader)
            if self._driver is driver:
                return reader
            self._readers.discard(reader)  # it was started meanwhile, and may have told the others something

    def router_keys(self) -> list[SPKIRecord]:
        """Give the router keys in force, of the moment of this call, in the order of their AS numbers."""
        self._table()
        return self._keys()

    def _keys(self) -> list[SPKIRecord]:
        source = self._source()
        return [] if source is None else source.router_keys()

    def _customers(self) -> int:
        source = self._source()
        return 0 if source is None else source.aspa_count()

    def aspas(self) -> list[ASPA]:
        """Return the ASPAs in force, of the moment of this call, in the order of their customers' AS numbers.

        RTRInitError: librtr speaks with all of the caches, and knows no ASPAs.
        """
        self._check_aspas(self._dispatcher.configured())
        self._table()
        source = self._source()
        return [] if source is None else source.known_aspas()

    def _check_aspas(self, groups: Iterable[CacheGroup]) -> None:
        if not self._engines.knows_aspas(groups):
            raise RTRInitError("librtr knows no ASPAs: they need engine='native'")

    def ipv4_records(self) -> Iterator[PFXRecord]:
        """Give the IPv4 VRPs in force, all of the moment of this call, in no order."""
        return self._table().records(4)

    def ipv6_records(self) -> Iterator[PFXRecord]:
        """Give the IPv6 VRPs in force, all of the moment of this call, in no order."""
        return self._table().records(6)

    def for_each_ipv4_record(self, callback: Callable[[PFXRecord, Any], object], data: Any) -> None:
        """Call `callback(record, data)`, in this thread, for each of `ipv4_records`. TypeError: it is no function."""
        option_function("callback", callback)
        for record in self.ipv4_records():
            callback(record, data)

    def for_each_ipv6_record(self, callback: Callable[[PFXRecord, Any], object], data: Any) -> None:
        """Call `callback(record, data)`, in this thread, for each of `ipv6_records`. TypeError: it is no function."""
        option_function("callback", callback)
        for record in self.ipv6_records():
            callback(record, data)

    def _is_started(self) -> bool:
        return self._driver is not None

    def _running(self) -> Driver:
        driver = self._driver
        if driver is None:
            raise SyncTimeout("the manager is not started")
        return driver

    def _table(self) -> VRPTable:
        if self._opened:
            raise RTRInitError("the manager is open in a loop of the caller: the VRPs are with its listener")
        source = self._source()
        return NOTHING if source is None else source.table

    def _source(self) -> Driver | None:
        """Give what knows the VRPs; None: nobody does."""
        driver, inherited = self._driver, self._inherited
        if inherited is None or (driver is not None and driver.was_synced):
            self._inherited = None
            return driver
        return inherited

    def _forked(self) -> None:
        """Count as stopped in a forked child, with the parent's VRPs (`stale`). Called by rtrlib.forks, at once."""
        self._lifecycle = threading.RLock()
        driver, self._driver, self._last = self._driver, None, None
        self._detach()
        if driver is not None:
            driver.forked()
            if driver.was_synced or self._inherited is None:
                self._inherited = driver
        self._opened = False
        self._dispatcher = self._dispatcher.forked()
        self._caller.forked()
        self._caller = Caller(self._callbacks)
        self._readers.forked()

    def _detach(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()

    def __enter__(self) -> Self:
        """Start it, unless it is started already, and wait for sync. SyncTimeout: if it started it, it stops it."""
        is_started = self._enter()
        try:
            if is_started:
                self.wait_for_sync(self._sync_timeout)
            else:
                self.start(timeout=self._sync_timeout)
        except BaseException:
            if self._leave():
                self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, if the outermost `with` started it."""
        if self._leave():
            self.stop()

    async def __aenter__(self) -> Self:
        """Do what `with` does; the event loop goes on meanwhile."""
        is_started = self._enter()
        try:
            if is_started:
                await self.wait_synced(self._sync_timeout)
            else:
                await self.astart(timeout=self._sync_timeout)
        except BaseException:
            if self._leave():
                await self.astop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do what the end of a `with` does."""
        if self._leave():
            await self.astop()

    def _enter(self) -> bool:
        """Tell whether it is started already."""
        with self._lifecycle:
            is_started = self._driver is not None
            if not self._entered:
                self._started_by_with = not is_started
            self._entered += 1
            return is_started

    def _leave(self) -> bool:
        """Tell whether this `with` is the outermost one, and started it."""
        with self._lifecycle:
            self._entered -= 1
            return not self._entered and self._started_by_with
