"""The user's callbacks, called one by one in a thread of their own.

So a callback may take its time, fail, stop the manager or wait for it, and nothing else notices.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rtrlib.changes import SLICE, net
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord, records_of
from rtrlib.rtr_socket import RTRSocket

__all__ = ["Callbacks", "Caller", "PFXCallback", "SPKICallback", "StatusCallback"]

log = logging.getLogger("rtrlib")

LIMIT: Final = 64 << 20
"""Bytes of changes (2.8 million VRPs) that may wait for the callbacks; then the manager waits, too."""

RAISED: Final = "a user's callback raised an exception; the manager continues"

StatusCallback: TypeAlias = "Callable[[ManagerGroup, ManagerGroupStatus, RTRSocket, Any], object]"
PFXCallback: TypeAlias = "Callable[[PFXRecord, bool, Any], object]"
SPKICallback: TypeAlias = "Callable[[SPKIRecord, bool, Any], object]"


@dataclass(frozen=True)
class Callbacks:
    """The user's functions, each with the `data` that it is given as its last argument."""

    status: StatusCallback | None = None
    status_data: Any = None
    pfx_update: PFXCallback | None = None
    pfx_update_data: Any = None
    spki_update: SPKICallback | None = None
    spki_update_data: Any = None


@dataclass(frozen=True)
class _VRPs:
    """Changed VRPs, and the cache that caused it."""

    packed: memoryview
    source: RTRSocket | None


class Caller:
    """Calls the callbacks of one manager, in the order in which things happened; never two at a time."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._moved = threading.Condition()
        self._waiting: deque[_VRPs | Callable[[], object]] = deque()
        self._size = 0
        self._calling = False
        self._thread: threading.Thread | None = None
        self._bounded = True
        self._ending = False

    def is_current(self) -> bool:
        """Tell whether this is asked from inside a callback."""
        return threading.current_thread() is self._thread

    def vrps(self, packed: bytes, source: RTRSocket | None) -> None:
        """Tell changed VRPs; wait while too many wait already, but not after `interrupt`."""
        if self._callbacks.pfx_update is None or not packed:
            return
        with self._moved:
            self._moved.wait_for(lambda: self._size < LIMIT or not self._bounded)
            view = memoryview(packed)
            for at in range(0, len(view), SLICE):
                self._append(_VRPs(view[at : at + SLICE], source))

    def router_key(self, record: SPKIRecord, *, added: bool) -> None:
        """Tell a router key that came or went."""
        function, data = self._callbacks.spki_update, self._callbacks.spki_update_data
        if function is not None:
            self._call(lambda: function(record, added, data))

    def status(self, group: ManagerGroup, status: ManagerGroupStatus, socket: RTRSocket) -> None:
        """Tell a state."""
        function, data = self._callbacks.status, self._callbacks.status_data
        if function is not None:
            self._call(lambda: function(group, status, socket, data))

    def mark(self, function: Callable[[], object]) -> None:
        """Call `function` when everything up to now is told."""
        with self._moved:
            if self._waiting or self._calling:
                self._append(function)
                return
        function()

    def begin(self) -> None:
        """Get ready, again after `end`."""
        with self._moved:
            self._bounded = True
            self._ending = False
            self._moved.notify_all()

    def interrupt(self) -> None:
        """Let nobody wait in `vrps`: what waits is about to be cut short by `withdraw`."""
        with self._moved:
            self._bounded = False
            self._moved.notify_all()

    def withdraw(self, packed: bytes, source: RTRSocket | None) -> None:
        """Tell that these VRPs, all that there are, went; of what was not told yet only what it amounts to."""
        with self._moved:
            untold = [item for item in self._waiting if isinstance(item, _VRPs)]
            self._waiting = deque(item for item in self._waiting if not isinstance(item, _VRPs))
            self._size = 0
        self.vrps(net([*(item.packed for item in untold), packed]), source)

    def end(self) -> None:
        """Return when everything is told, from inside a callback at once; the thread ends then."""
        with self._moved:
            self._ending = True
            self._moved.notify_all()
            if not self.is_current():
                self._moved.wait_for(lambda: not self._ending or not (self._waiting or self._calling))

    def quit(self) -> None:
        """Tell nothing more; return at once."""
        with self._moved:
            self._ending = True
            self._waiting.clear()
            self._moved.notify_all()

    def _call(self, function: Callable[[], object]) -> None:
        with self._moved:
            self._append(function)

    def _append(self, item: _VRPs | Callable[[], object]) -> None:
        self._waiting.append(item)
        if isinstance(item, _VRPs):
            self._size += len(item.packed)
        if self._thread is None:
            # Any other thread would keep a program alive whose manager nobody stops.
            self._thread = threading.Thread(target=self._run, name="rtrlib", daemon=True)
            self._thread.start()
        self._moved.notify_all()

    def _run(self) -> None:
        while True:
            with self._moved:
                self._calling = False
                self._moved.notify_all()
                self._moved.wait_for(lambda: self._waiting or self._ending)
                if not self._waiting:
                    self._thread = None
                    return
                item = self._waiting.popleft()
                self._calling = True
                if isinstance(item, _VRPs):
                    self._size -= len(item.packed)
            if isinstance(item, _VRPs):
                self._tell(item)
            else:
                _guarded(item)
            del item

    def _tell(self, vrps: _VRPs) -> None:
        function, data = self._callbacks.pfx_update, self._callbacks.pfx_update_data
        assert function is not None
        for record, added in records_of(vrps.packed, vrps.source):
            try:
                function(record, added, data)
            except BaseException:
                log.exception(RAISED)


def _guarded(function: Callable[[], object]) -> None:
    try:
        function()
    except BaseException:
        log.exception(RAISED)
