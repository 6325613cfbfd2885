"""The BGPsec router keys of all caches (RFC 8210 section 5.10), and which of them are in force.

They follow the VRPs: nothing is in force before End of Data, the union of the active caches' keys counts, and a
lost cache's keys stay until its VRPs expire.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from rtrlib.records import SPKIRecord
from rtrlib.rtr_socket import RTRSocket

__all__ = ["KEYS_OF_A_CACHE", "RouterKeys"]

log = logging.getLogger("rtrlib")

KEYS_OF_A_CACHE: Final = 100_000
"""More than that (a few dozen are published today) are left out: about 50 MB."""

Key = tuple[int, bytes, bytes]
"""AS number, SKI, SPKI."""
KeyChanges = list[tuple[SPKIRecord, bool]]
"""What came (True) into force and what went (False)."""


class RouterKeys:
    """The BGPsec router keys (RFC 8210 section 5.10) of all caches; a cache is named by its index."""

    def __init__(self) -> None:
        self._committed: dict[int, set[Key]] = {}
        self.staged: dict[int, dict[Key, bool]] = {}
        """What waits for the End of Data of a cache."""
        self._overrun: set[int] = set()
        """Caches of which that was said."""
        self._active: Mapping[int, RTRSocket] = {}
        self._in_force: dict[Key, SPKIRecord] = {}

    def stage(self, cache: int, key: Key, *, announce: bool) -> None:
        """Keep it until the commit."""
        staged = self.staged.setdefault(cache, {})
        if key in staged or len(staged) < KEYS_OF_A_CACHE:
            staged[key] = announce
        elif cache not in self._overrun:
            self._overrun.add(cache)
            log.warning("cache %d sends more than %d router keys: the others are left out", cache, KEYS_OF_A_CACHE)

    def commit(self, cache: int, *, full: bool) -> KeyChanges:
        """Put into force what was staged; `full`: it replaces what the cache had."""
        staged = self.staged.pop(cache, None)
        if not staged and not full:
            return []
        held = set() if full else self._committed.get(cache, set())
        for key, announce in (staged or {}).items():
            if not announce:
                held.discard(key)
            elif len(held) < KEYS_OF_A_CACHE:
                held.add(key)
        self._committed[cache] = held
        return self._settle()

    def discard(self, cache: int) -> None:
        """Forget what was staged."""
        self.staged.pop(cache, None)

    def drop(self, cache: int) -> KeyChanges:
        """Forget all of a cache."""
        self.staged.pop(cache, None)
        return self._settle() if self._committed.pop(cache, None) else []

    def activate(self, caches: Mapping[int, RTRSocket]) -> KeyChanges:
        """From now on these caches' keys count."""
        self._active = caches
        return self._settle()

    def clear(self) -> KeyChanges:
        """Forget everything."""
        self._committed.clear()
        self.staged.clear()
        return self._settle()

    def in_force(self) -> list[SPKIRecord]:
        """Give the keys in force, in the order of their AS numbers. From any thread."""
        return sorted(self._in_force.copy().values())

    def _settle(self) -> KeyChanges:
        """Work out what is in force now. There are few keys, so all of them are looked at."""
        owners: dict[Key, int] = {}
        for index in sorted(self._active):
            for key in self._committed.get(index, ()):
                owners.setdefault(key, index)
        gone = [(self._in_force.pop(key), False) for key in sorted(self._in_force.keys() - owners.keys())]
        return gone + list(self._come(owners))

    def _come(self, owners: Mapping[Key, int]) -> Iterable[tuple[SPKIRecord, bool]]:
        for key in sorted(owners.keys() - self._in_force.keys()):
            record = SPKIRecord(*key, self._active[owners[key]])
            self._in_force[key] = record
            yield record, True
