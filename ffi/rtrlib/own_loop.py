"""A manager in a loop of the caller's: no thread is started, and nothing waits."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Literal

from rtrlib.dispatcher import Dispatcher
from rtrlib.engines import Engines
from rtrlib.exceptions import RTRInitError
from rtrlib.listener import VRPListener, check_listener
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import CacheGroup, Intervals, check_groups

__all__ = ["OwnLoop", "follows"]


class OwnLoop(ABC):
    """What a manager has for such a loop, from `open` to `close`."""

    _dispatcher: Dispatcher
    _engines: Engines
    _lifecycle: threading.RLock
    _opened: bool
    """In a loop of the caller, by `open`."""

    @abstractmethod
    def _is_started(self) -> bool:
        """Tell whether it has a thread of its own."""

    def open(self, listener: VRPListener) -> None:
        """Start the most preferred group, in a loop of the caller's. RTRInitError: it is open or started already.

        `listener` must be a fresh one, which knows of no VRPs. OptionTypeError: it lacks a method.
        """
        check_listener(listener)
        with self._lifecycle:
            if self._is_started():
                raise RTRInitError("the manager is started: it cannot be opened in another loop as well")
            self._dispatcher.open(listener)
            self._opened = True

    def fileno(self) -> int:
        """Return what is readable when `dispatch` has something to do. RTRInitError when it is not open."""
        return self._dispatcher.fileno()

    def dispatch(self) -> float | None:
        """Handle what is pending: bounded work, no waiting.

        Returns the seconds after which to call again even if `fileno` is not readable; None: no need to.
        """
        return self._dispatcher.dispatch()

    def close(self) -> None:
        """Undo `open`: disconnect, end every child process, tell the listener nothing; `open` may follow."""
        if self._opened:
            self._dispatcher.close()
            self._opened = False

    def regroup(
        self,
        groups: Sequence[CacheGroup],
        refresh_interval: int = 3600,
        expire_interval: int = 7200,
        retry_interval: int = 600,
        *,
        intervals: Literal["configured", "cache"] = "configured",
    ) -> None:
        """Use other groups and intervals from now on, after `open`, in the loop that dispatches.

        A cache with equal options, in any group, keeps its connection, session and VRPs; with other intervals it is
        connected to again, and its VRPs count meanwhile. What is in force stays so until a group of the new ones is
        usable. RTRInitError: what is wrong, and nothing has changed.
        """
        if self._is_started():
            raise RTRInitError("the manager has a thread of its own, in which its groups stay as they are")
        groups = check_groups(groups)
        options = Intervals(refresh_interval, retry_interval, expire_interval, follow_cache=follows(intervals))
        self._engines.load(groups)
        self._dispatcher.regroup(groups, options)

    def reconnect(self, caches: Iterable[RTRSocket]) -> None:
        """Ask these caches now, after `open`, in the loop that dispatches.

        What a cache said counts until it says something else, or expires. One whose group is not started, since a
        more preferred one is in use, stays as it is. RTRInitError: it is not open.
        """
        if not self._opened:
            raise RTRInitError("the manager is not open")
        self._dispatcher.reconnect([cache.index for cache in caches])

    def speak_lower(self, cache: RTRSocket, seconds: float) -> None:
        """Speak version 1 with a cache for so long: as `lower_version_until` said in an earlier life of the program.

        To be called after the constructor or `regroup`, before anything is dispatched: a session goes on as it began.
        """
        self._dispatcher.speak_lower(cache.index, seconds)


def follows(intervals: str) -> bool:
    """Tell whether the intervals of End of Data count. RTRInitError for another word."""
    if intervals not in {"configured", "cache"}:
        raise RTRInitError(f"intervals must be 'configured' or 'cache', not {intervals!r:.60}")
    return intervals == "cache"
