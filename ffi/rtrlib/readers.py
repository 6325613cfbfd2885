"""Who hears of a manager's changes."""

from __future__ import annotations

import threading
import weakref

from rtrlib.changes import Reader

__all__ = ["Readers"]


class Readers:
    """The readers of one manager that somebody holds, for any thread."""

    def __init__(self) -> None:
        self._known: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._lock = threading.RLock()  # nobody may join while they are listed; a signal handler may

    def add(self, reader: Reader) -> None:
        """Have it told of what changes from now on."""
        with self._lock:
            self._known.add(reader)

    def discard(self, reader: Reader) -> None:
        """Tell it nothing more."""
        with self._lock:
            self._known.discard(reader)

    def listed(self) -> list[Reader]:
        """Give all of them, as of now."""
        with self._lock:
            return list(self._known)

    def forked(self) -> None:
        """In a forked child: let them end, and know none."""
        known, self._known = self._known, weakref.WeakSet()
        self._lock = threading.RLock()
        for reader in list(known):
            reader.forked()
