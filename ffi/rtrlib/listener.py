"""What is told of the VRPs, router keys and ASPAs of caches (RFC 8210), and when."""

from __future__ import annotations

from typing import Final, Protocol

from rtrlib.exceptions import OptionTypeError
from rtrlib.manager_group import ManagerGroup
from rtrlib.rtr_socket import RTRSocket

__all__ = ["NOBODY", "VRPListener", "check_listener"]

WANTED: Final = ("staged", "committed", "discarded", "expired", "active", "changed", "router_key")
"""Methods that each listener needs; who wants no ASPAs may leave theirs out."""


class VRPListener(Protocol):
    """What takes the VRPs of caches. All calls come from inside `dispatch` or `open`, and must not raise.

    `cache.index` is 0, 1, .. in the order of configuration (after `regroup`: the lowest free number). Records are
    packed as struct vrp (ffi/native/base/vrp.h) and NOT checked. Who wants no ASPAs may leave out their two methods.
    """

    def staged(self, cache: RTRSocket, records: bytes) -> None:
        """Keep these changes, in order: they are not in force yet."""

    def committed(self, cache: RTRSocket, full: bool) -> None:
        """Put into force, all at once, what was staged since the last commit: End of Data has come.

        `full`: it replaces all that the cache had. That is so exactly for the first commit of the cache, and
        the first one after `discarded`. Otherwise it is a change of what the cache had.
        """

    def discarded(self, cache: RTRSocket) -> None:
        """Forget what was staged since the last commit: the link is gone, and what follows begins a full set.

        What was committed stays.
        """

    def expired(self, cache: RTRSocket) -> None:
        """Drop all that the cache had: no sync within the expire interval, its group was stopped, or it wants that.

        `cache.flushed` tells the last from the others.
        """

    def active(self, caches: frozenset[RTRSocket]) -> None:
        """From now on these caches' VRPs count, and no others'."""

    def changed(self, what: RTRSocket | ManagerGroup) -> None:
        """Note a new state; for status and logs."""

    def router_key(self, cache: RTRSocket, asn: int, ski: bytes, spki: bytes, announce: bool) -> None:
        """Keep or remove a BGPsec router key (RFC 8210 section 5.10); in force or void as the VRPs are."""

    def aspas(self, cache: RTRSocket, held: bytes) -> None:
        """Take all ASPAs that the cache has, as a set of rtrlib.aspas: in force from its next commit on, which follows.

        A commit without such a set before it leaves the cache's ASPAs as they were.
        """

    def aspas_expired(self, cache: RTRSocket) -> None:
        """Drop the ASPAs of a cache whose VRPs still count: it speaks an older version of RTR, which has none."""


class _Nobody:
    """Takes everything and does nothing."""

    def _ignore(self, *_: object, **__: object) -> None:
        pass

    staged = committed = discarded = expired = active = changed = router_key = aspas = aspas_expired = _ignore


NOBODY: Final = _Nobody()


def check_listener(listener: object) -> None:
    """OptionTypeError: it lacks a method without which no cache can be heard."""
    lacks = [name for name in WANTED if not callable(getattr(listener, name, None))]
    if lacks:
        raise OptionTypeError(f"listener must be a VRPListener: {type(listener).__name__} has no {', '.join(lacks)}")
