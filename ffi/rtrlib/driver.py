"""A dispatcher in; a thread that drives it, a VRP set and the user's callbacks, called one after the other, out.

For programs without a loop of their own. Callbacks run in this thread and never in one of librtr's, with no lock
held; an exception in one is logged and stops nothing.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtrlib.exceptions import SyncTimeout
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord, records_of
from rtrlib.vrp_set import VRPSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrlib.dispatcher import Dispatcher
    from rtrlib.rtr_socket import RTRSocket

__all__ = ["Callbacks", "Driver"]

log = logging.getLogger("rtrlib")


@dataclass(frozen=True)
class Callbacks:
    """The user's functions, each with the `data` that it is given as its last argument."""

    status: Callable[[ManagerGroup, ManagerGroupStatus, RTRSocket, Any], object] | None = None
    status_data: Any = None
    pfx_update: Callable[[PFXRecord, bool, Any], object] | None = None
    pfx_update_data: Any = None
    spki_update: Callable[[SPKIRecord, bool, Any], object] | None = None
    spki_update_data: Any = None


class Driver:
    """One life of a manager, from `start` to `stop`; a VRPListener."""

    def __init__(self, dispatcher: Dispatcher, callbacks: Callbacks) -> None:
        self.vrps = VRPSet()
        self.lock = threading.Lock()
        """Held while the VRP set is used."""
        self._dispatcher = dispatcher
        self._callbacks = callbacks
        self._mirrored: set[int] = set()
        """Caches whose next commit is a change, not a full set."""
        self._begun: set[int] = set()
        """Caches for which the VRP set knows that a full set is being staged."""
        self._synced = threading.Event()
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._wake)
        self._thread = threading.Thread(target=self._run, name="rtrlib", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnect from everything; from within a callback, as soon as that returns."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def is_synced(self) -> bool:
        """Tell whether a complete set of VRPs is in force."""
        return self._synced.is_set()

    def wait_for_sync(self, timeout: float) -> None:
        """Return when a complete set of VRPs is in force. SyncTimeout after `timeout` seconds."""
        if not self._synced.wait(timeout):
            raise SyncTimeout(f"no cache delivered a complete set of VRPs within {timeout:g} seconds")

    def _run(self) -> None:
        try:
            self._dispatcher.open(self)
            poller = select.poll()
            poller.register(self._dispatcher.fileno(), select.POLLIN)
            poller.register(self._wake, select.POLLIN)
            while not self._stopping:
                again = self._dispatcher.dispatch()
                poller.poll(None if again is None else again * 1000 + 1)
        except Exception:
            log.exception("the manager's thread ends")
        finally:
            self._dispatcher.close()
            self._synced.clear()

    def staged(self, cache: RTRSocket, records: bytes) -> None:
        """See VRPListener."""
        with self.lock:
            self._begin(cache.index)
            self.vrps.stage(cache.index, records)

    def committed(self, cache: RTRSocket, full: bool) -> None:
        """See VRPListener."""
        with self.lock:
            if full:
                self._begin(cache.index)
            self._begun.discard(cache.index)
            self._mirrored.add(cache.index)
            changes = self.vrps.commit(cache.index).packed()
        self._tell(changes, cache)

    def discarded(self, cache: RTRSocket) -> None:
        """See VRPListener."""
        with self.lock:
            self._begun.discard(cache.index)
            self._mirrored.discard(cache.index)
            self.vrps.discard(cache.index)

    def expired(self, cache: RTRSocket) -> None:
        """See VRPListener."""
        with self.lock:
            changes = self.vrps.replace(cache.index, b"").packed()
        self._tell(changes, cache)

    def active(self, caches: frozenset[RTRSocket]) -> None:
        """See VRPListener."""
        with self.lock:
            changes = self.vrps.activate(cache.index for cache in caches).packed()
            self.vrps.usable = True
        self._tell(changes, next(iter(caches)) if len(caches) == 1 else None)
        self._synced.set()

    def changed(self, what: RTRSocket | ManagerGroup) -> None:
        """See VRPListener."""
        function = self._callbacks.status
        if function is None:
            return
        for group in self._dispatcher.groups():
            if what is group or what in group.sockets:
                socket = group.sockets[0] if isinstance(what, ManagerGroup) else what
                self._call(function, group, group.status, socket, self._callbacks.status_data)

    def router_key(self, cache: RTRSocket, asn: int, ski: bytes, spki: bytes, announce: bool) -> None:
        """See VRPListener."""
        function = self._callbacks.spki_update
        if function is not None:
            record = SPKIRecord(asn, ski, spki, cache)
            self._call(function, record, announce, self._callbacks.spki_update_data)

    def _begin(self, index: int) -> None:
        if index not in self._mirrored and index not in self._begun:
            self.vrps.begin(index)
            self._begun.add(index)

    def _tell(self, changes: bytes, cache: RTRSocket | None) -> None:
        function = self._callbacks.pfx_update
        if function is not None:
            for record, added in records_of(changes, cache):
                self._call(function, record, added, self._callbacks.pfx_update_data)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("a callback of the user raised; the manager goes on")
