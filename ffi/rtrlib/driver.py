"""A thread that drives the dispatcher: the VRPs in force, and news of what changes.

For programs without an event loop of their own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import select
import threading
import weakref
from collections import deque
from functools import reduce
from typing import Final

from rtrlib import aspas, forks
from rtrlib.aspa_sources import ASPASources
from rtrlib.aspas import ASPA
from rtrlib.caller import Caller
from rtrlib.changes import Reader, RouterKeyChange, StatusChange
from rtrlib.dispatcher import Dispatcher
from rtrlib.engines import await_librtr
from rtrlib.exceptions import SyncTimeout
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.readers import Readers
from rtrlib.records import SLICE, SPKIRecord
from rtrlib.router_keys import RouterKeys
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp_table import VRPTable

__all__ = ["Driver"]

log = logging.getLogger("rtrlib")

MOST_SAID: Final = 500
"""Characters of what is wrong with the caches."""
STOP_LIMIT: Final = 5.0
"""Seconds that `stop` waits for the thread, which needs none."""
EXIT_LIMIT: Final = 1.0
"""Seconds that the end of the program waits for librtr's threads, which may sleep for their retry interval."""


class Driver:
    """One life of a manager, from `start` to `stop`; a VRPListener."""

    def __init__(self, dispatcher: Dispatcher, caller: Caller, readers: Readers, previous: Driver | None) -> None:
        """`readers`: who else hears of changes. `previous`: the life before this one, which may be ending still."""
        self.table = VRPTable()
        self._keys = RouterKeys()
        self._aspas = ASPASources()
        self._aspas_in_force = b""
        self._dispatcher = dispatcher
        self._caller = caller
        self._readers = readers
        self._previous = previous
        self._held: set[int] = set()
        """Caches that have VRPs which are not too old."""
        self._active: frozenset[RTRSocket] = frozenset()
        self._cause: RTRSocket | None = None
        """The cache that spoke last: what follows is its doing."""
        self._moved = threading.Condition()
        self._synced = False
        self.was_synced = False
        self._told = False
        """Synced, and every callback up to that was called."""
        self._over = False
        self._waiting: list[asyncio.Future[None]] = []
        self._new: deque[Reader] = deque()
        """Readers that want a Snapshot."""
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._close = weakref.finalize(self, forks.close, self._wake)
        self._close.atexit = False  # the thread may still be there
        self._thread = threading.Thread(target=self._run, name="rtrlib caches", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._caller.begin()
        self._thread.start()
        _started.add(self)

    def quit(self) -> None:
        """Disconnect from everything, soon."""
        self._stopping = True
        self._caller.interrupt()
        with contextlib.suppress(OSError):  # it ended, and its descriptor is closed
            os.eventfd_write(self._wake, 1)

    def abandon(self) -> None:
        """Do so, and call no callback any more: their owner is gone, or the program ends."""
        self._caller.quit()  # before the thread tells that everything goes
        self.quit()

    def stop(self) -> None:
        """Disconnect from everything; return when that is done."""
        self.quit()
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_LIMIT)

    def forked(self) -> None:
        """In a forked child, where the thread is not: what was in force can be read, and nothing more will come."""
        self._close()
        self._moved = threading.Condition()
        self._over = True
        self._synced = self._told = False
        self._waiting.clear()
        for reader in self._new:
            reader.forked()
        self._new.clear()

    def is_synced(self) -> bool:
        """Tell whether a complete set of VRPs is in force, and everyone knows (but for a callback that asks)."""
        return self._synced if self._caller.is_current() else self._told

    def introduce(self, reader: Reader) -> bool:
        """Have a reader told all that is in force, and then what changes. False: this life is over."""
        with self._moved:
            if self._over:
                return False
            self._new.append(reader)
        os.eventfd_write(self._wake, 1)
        return True

    def router_keys(self) -> list[SPKIRecord]:
        """Give the router keys in force."""
        return self._keys.in_force()

    def known_aspas(self) -> list[ASPA]:
        """Give the ASPAs in force."""
        return list(aspas.records(self._aspas_in_force))

    def aspa_count(self) -> int:
        """Give how many customers have ASPAs in force."""
        return aspas.count(self._aspas_in_force)

    def wait_for_sync(self, timeout: float | None) -> None:
        """Return when `is_synced`. SyncTimeout after `timeout` seconds, or when it is stopped."""
        with self._moved:
            self._moved.wait_for(lambda: self.is_synced() or self._over, timeout)
            if not self.is_synced():
                raise self._missing(timeout)

    async def wait_synced(self, timeout: float | None) -> None:  # noqa: ASYNC109 - raises SyncTimeout
        """Do the same in an event loop."""
        future = asyncio.get_running_loop().create_future()
        with self._moved:
            if self.is_synced():
                return
            if self._over:
                raise self._missing(timeout)
            self._waiting.append(future)
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise self._missing(timeout) from None
        finally:
            with self._moved:
                if future in self._waiting:
                    self._waiting.remove(future)

    def _missing(self, timeout: float | None) -> SyncTimeout:
        if self._over or timeout is None:
            return SyncTimeout("the manager was stopped before a cache delivered a complete set of VRPs")
        sockets = (socket for group in self._dispatcher.groups() for socket in group.sockets)
        why = "; ".join(f"{socket.name}: {socket.error}" for socket in sockets if socket.error)
        said = f": {why[:MOST_SAID]}" if why else ""
        return SyncTimeout(f"no cache delivered a complete set of VRPs within {timeout:g} seconds{said}")

    def _run(self) -> None:
        try:
            if self._previous is not None:
                self._previous._thread.join()  # noqa: SLF001 - one of us
                self._previous = None
            self._dispatcher.open(self)
            poller = select.poll()
            poller.register(self._dispatcher.fileno(), select.POLLIN)
            poller.register(self._wake, select.POLLIN)
            while not self._stopping:
                again = self._dispatcher.dispatch()
                self._welcome()
                if any(fd == self._wake for fd, _ in poller.poll(None if again is None else again * 1000 + 1)):
                    os.eventfd_read(self._wake)
        except Exception:
            log.exception("the manager's thread ends")
        finally:
            self._end()

    def _welcome(self) -> None:
        """Tell new readers all that is in force."""
        while self._new:
            reader = self._new.popleft()
            slices, keys = list(self.table.listed().slices(SLICE)), self._keys.in_force()
            reader.begin(slices, self.table.sources(), keys, self.known_aspas())
            self._readers.add(reader)

    def _end(self) -> None:
        self._welcome()
        with self._moved:
            self._over = True
            self._synced = self._told = False
            self._moved.notify_all()
            self._resolve()
        self._caller.interrupt()
        open_groups = [group for group in self._dispatcher.groups() if group.status is not ManagerGroupStatus.CLOSED]
        self._dispatcher.close()
        self._caller.withdraw(self.table.clear(), self._cause)
        for record, _ in self._keys.clear():
            self._caller.router_key(record, added=False)
        self._aspas.clear()
        self._caller.aspas(self._settle_aspas())
        for group in open_groups:
            self._tell_status(group, group.sockets[0])
        self._welcome()
        for reader in self._readers.listed():
            reader.end()
            self._readers.discard(reader)

    def _resolve(self) -> None:
        """Wake those that wait in event loops."""
        for future in self._waiting:
            try:
                future.get_loop().call_soon_threadsafe(_resolve, future, self._missing(None) if self._over else None)
            except RuntimeError:
                log.debug("an event loop was closed while something in it waited for a sync")
        self._waiting.clear()

    def _settle(self) -> None:
        """Work out whether a set is in force; make it known when the callbacks know it."""
        synced = any(cache.index in self._held for cache in self._active)
        with self._moved:
            changed, self._synced = synced != self._synced, synced
            self.was_synced |= synced
            if not synced:
                self._told = False
            self._moved.notify_all()
        if synced and changed:
            self._caller.mark(self._mark_told)

    def _mark_told(self) -> None:
        with self._moved:
            self._told = self._synced
            if self._told:
                self._resolve()
            self._moved.notify_all()

    def staged(self, cache: RTRSocket, records: bytes) -> None:
        """See VRPListener."""
        self.table.stage(cache.index, records)

    def committed(self, cache: RTRSocket, full: bool) -> None:
        """See VRPListener."""
        self._cause = cache
        self._held.add(cache.index)
        self._aspas.commit(cache.index)
        self._tell(self.table.commit(cache.index, full=full), self._keys.commit(cache.index, full=full))

    def discarded(self, cache: RTRSocket) -> None:
        """See VRPListener."""
        self.table.discard(cache.index)
        self._keys.discard(cache.index)
        self._aspas.discard(cache.index)

    def expired(self, cache: RTRSocket) -> None:
        """See VRPListener."""
        self._cause = cache
        self._held.discard(cache.index)
        self._aspas.drop(cache.index)
        self._tell(self.table.drop(cache.index), self._keys.drop(cache.index))

    def active(self, caches: frozenset[RTRSocket]) -> None:
        """See VRPListener."""
        self._active = caches
        by_index = {cache.index: cache for cache in caches}
        self._aspas.activate(by_index)
        self._tell(self.table.activate(by_index), self._keys.activate(by_index))

    def changed(self, what: RTRSocket | ManagerGroup) -> None:
        """See VRPListener."""
        for group in self._dispatcher.groups():
            if what is group or what in group.sockets:
                self._tell_status(group, group.sockets[0] if isinstance(what, ManagerGroup) else what)

    def router_key(self, cache: RTRSocket, asn: int, ski: bytes, spki: bytes, announce: bool) -> None:
        """See VRPListener."""
        self._keys.stage(cache.index, (asn, ski, spki), announce=announce)

    def aspas(self, cache: RTRSocket, held: bytes) -> None:
        """See VRPListener."""
        self._aspas.stage(cache.index, held)

    def aspas_expired(self, cache: RTRSocket) -> None:
        """See VRPListener."""
        self._cause = cache
        self._aspas.drop(cache.index)
        self._tell([], [])

    def _settle_aspas(self) -> bytes:
        """Put into force what counts now; give what changed."""
        before = self._aspas_in_force
        self._aspas_in_force = reduce(aspas.union, self._aspas.counting().values(), b"")
        return aspas.changes(before, self._aspas_in_force)

    def _tell(self, changes: list[bytes], keys: list[tuple[SPKIRecord, bool]]) -> None:
        changed_aspas = self._settle_aspas()
        self._caller.vrps(changes, self._cause)
        for record, added in keys:
            self._caller.router_key(record, added=added)
        self._caller.aspas(changed_aspas)
        for reader in self._readers.listed():
            reader.vrps(changes)
            for record, added in keys:
                reader.router_key(RouterKeyChange(record, added))
            reader.aspas(changed_aspas)
        self._settle()

    def _tell_status(self, group: ManagerGroup, socket: RTRSocket) -> None:
        picture = group.picture()
        one = next(one for one in picture.sockets if one == socket)
        self._caller.status(picture, picture.status, one)
        for reader in self._readers.listed():
            reader.status(StatusChange(picture, picture.status, one))


_started: Final[weakref.WeakSet[Driver]] = weakref.WeakSet()


def _end_all() -> None:
    """At the end of the program: disconnect in good order, and call nobody any more.

    What runs on while the interpreter is taken down finds its descriptors closed, and libraries taken down beneath it.
    """
    drivers = list(_started)
    for driver in drivers:
        driver.abandon()
    for driver in drivers:
        driver.stop()
    await_librtr(EXIT_LIMIT)


atexit.register(_end_all)
os.register_at_fork(after_in_child=_started.clear)


def _resolve(future: asyncio.Future[None], fault: SyncTimeout | None) -> None:
    if future.done():
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)
