"""The user's callbacks, called one by one in a thread of their own.

So a callback may take its time, fail, stop the manager or wait for it, and nothing else notices.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rtrlib import aspas
from rtrlib.aspas import ASPA
from rtrlib.changes import net
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord, records_of
from rtrlib.rtr_socket import RTRSocket
from rtrlib.user_functions import Raised, fitted
from rtrlib.vrp_set import LITTLE

__all__ = ["ASPACallback", "Callbacks", "Caller", "PFXCallback", "SPKICallback", "StatusCallback"]

LIMIT: Final = 64 << 20
"""Bytes of changes (2.8 million VRPs) that may wait for the callbacks; then the manager waits, too."""

StatusCallback: TypeAlias = (
    "Callable[[ManagerGroup, ManagerGroupStatus, RTRSocket, Any], object]"
    " | Callable[[ManagerGroup, ManagerGroupStatus, RTRSocket], object]"
)
PFXCallback: TypeAlias = "Callable[[PFXRecord, bool, Any], object] | Callable[[PFXRecord, bool], object]"
SPKICallback: TypeAlias = "Callable[[SPKIRecord, bool, Any], object] | Callable[[SPKIRecord, bool], object]"
ASPACallback: TypeAlias = "Callable[[ASPA, bool, Any], object] | Callable[[ASPA, bool], object]"


class Callbacks:
    """The user's functions, each called with its `data` as the last argument, or without where it takes none.

    OptionTypeError for what can't be called so.
    """

    def __init__(  # noqa: PLR0917 - rtrlib-python's order
        self,
        status: StatusCallback | None = None,
        status_data: Any = None,
        pfx_update: PFXCallback | None = None,
        pfx_update_data: Any = None,
        spki_update: SPKICallback | None = None,
        spki_update_data: Any = None,
        aspa_update: ASPACallback | None = None,
        aspa_update_data: Any = None,
    ) -> None:
        self.status = fitted("status_callback", status, status_data, 4)
        self.pfx_update = fitted("pfx_update_callback", pfx_update, pfx_update_data, 3)
        self.spki_update = fitted("spki_update_callback", spki_update, spki_update_data, 3)
        self.aspa_update = fitted("aspa_update_callback", aspa_update, aspa_update_data, 3)


@dataclass(frozen=True)
class _VRPs:
    """Changed VRPs, and the cache that caused it."""

    packed: bytes
    source: RTRSocket | None


@dataclass(frozen=True)
class _ASPAs:
    """Changed ASPAs."""

    packed: bytes


@dataclass(frozen=True)
class _Call:
    """A call of one of the user's functions."""

    name: str
    function: Callable[..., object]
    arguments: tuple[object, ...]


NONE: Final = Callbacks()


class Caller:
    """Calls the callbacks of one manager, in the order in which things happened; never two at a time."""

    def __init__(self, callbacks: Callbacks) -> None:
        """Whoever makes it keeps the callbacks: they may refer back to their owner, whom no thread is to keep alive."""
        self._kept_elsewhere = weakref.ref(callbacks)
        self._moved = threading.Condition()
        self._raised = Raised()
        self._waiting: deque[_VRPs | _ASPAs | _Call | Callable[[], object]] = deque()
        self._size = 0
        self._calling = False
        self._thread: threading.Thread | None = None
        self._bounded = True
        self._ending = False
        self._silent = False

    @property
    def _callbacks(self) -> Callbacks:
        return self._kept_elsewhere() or NONE

    def is_current(self) -> bool:
        """Tell whether this is asked from inside a callback."""
        return threading.current_thread() is self._thread

    def vrps(self, slices: Iterable[bytes], source: RTRSocket | None) -> None:
        """Tell changed VRPs, packed; wait while too many wait already, but not after `interrupt`."""
        if self._callbacks.pfx_update is None:
            return
        for packed in (one[at : at + LITTLE] for one in slices for at in range(0, len(one), LITTLE)):
            with self._moved:
                self._moved.wait_for(lambda: self._size < LIMIT or not self._bounded)
                self._append(_VRPs(packed, source))

    def aspas(self, changes: bytes) -> None:
        """Tell changed ASPAs (rtrlib.aspas)."""
        if changes and self._callbacks.aspa_update is not None:
            with self._moved:
                self._append(_ASPAs(changes))

    def router_key(self, record: SPKIRecord, *, added: bool) -> None:
        """Tell a router key that came or went."""
        self._call("spki_update_callback", self._callbacks.spki_update, record, added)

    def status(self, group: ManagerGroup, status: ManagerGroupStatus, socket: RTRSocket) -> None:
        """Tell a state."""
        self._call("status_callback", self._callbacks.status, group, status, socket)

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
            self._ending = self._silent = False
            self._moved.notify_all()

    def interrupt(self) -> None:
        """Let nobody wait in `vrps`: what waits is about to be cut short by `withdraw`."""
        with self._moved:
            self._bounded = False
            self._moved.notify_all()

    def withdraw(self, slices: Iterable[bytes], source: RTRSocket | None) -> None:
        """Tell that these VRPs, all that there are, went; of what was not told yet only what it amounts to."""
        with self._moved:
            untold = [item for item in self._waiting if isinstance(item, _VRPs)]
            self._waiting = deque(item for item in self._waiting if not isinstance(item, _VRPs))
            self._size = 0
        self.vrps([net([*(item.packed for item in untold), *slices])], source)

    def end(self) -> None:
        """Return when everything is told, from inside a callback at once; the thread ends then."""
        with self._moved:
            self._ending = True
            self._moved.notify_all()
            if not self.is_current():
                self._moved.wait_for(lambda: not self._ending or not (self._waiting or self._calling))
        self._raised.total()

    def forked(self) -> None:
        """In a forked child: tell nothing more; the thread is not there, unless it is the one that forked."""
        self._moved = threading.Condition()
        self._waiting.clear()
        self._ending = True
        self._bounded = False

    def quit(self) -> None:
        """Tell nothing more, up to the next `begin`; return at once."""
        with self._moved:
            self._ending = self._silent = True
            self._waiting.clear()
            self._size = 0
            self._moved.notify_all()

    def _call(self, name: str, function: Callable[..., object] | None, *arguments: object) -> None:
        if function is not None:
            with self._moved:
                self._append(_Call(name, function, arguments))

    def _append(self, item: _VRPs | _ASPAs | _Call | Callable[[], object]) -> None:
        if self._silent:
            return
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
            elif isinstance(item, _ASPAs):
                self._tell_aspas(item)
            elif isinstance(item, _Call):
                self._guarded(item.name, item.function, *item.arguments)
            else:
                item()
            del item

    def _tell(self, vrps: _VRPs) -> None:
        function = self._callbacks.pfx_update
        if function is None:  # its owner is gone
            return
        for record, added in records_of(vrps.packed, vrps.source):
            self._guarded("pfx_update_callback", function, record, added)

    def _tell_aspas(self, item: _ASPAs) -> None:
        function = self._callbacks.aspa_update
        if function is None:  # its owner is gone
            return
        for record in aspas.records(item.packed):
            self._guarded("aspa_update_callback", function, record, bool(record.providers))

    def _guarded(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the manager goes on
            self._raised.note(name, error)
