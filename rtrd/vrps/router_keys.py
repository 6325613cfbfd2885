"""The effective set of BGPsec router keys: what caches say, SLURM's filters, then its assertions (RFC 8416 s.4.1).

They follow the VRPs: staged, in force at End of Data, those of the active caches count (rtrlib.router_keys). They
change no route: rtrd only passes them on to routers. No clock, no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rtrd.vrps.slurm import KeyFilter
from rtrlib.router_keys import KeyChanges
from rtrlib.vrp_entries import RouterKey


class KeySet:
    """The effective router keys. There are some dozens in the world, so each change looks at all."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """Begin with none. `changed`: `effective` is another set than before."""
        self.effective: frozenset[RouterKey] = frozenset()
        """What routers are told."""
        self._changed = changed
        self._theirs: set[RouterKey] = set()
        self._filters: tuple[KeyFilter, ...] = ()
        self._assertions: frozenset[RouterKey] = frozenset()

    def apply(self, changes: KeyChanges) -> None:
        """Take what came into force at the caches, or went."""
        for record, announce in changes:
            key = RouterKey(record.asn, record.ski, record.spki)
            (self._theirs.add if announce else self._theirs.discard)(key)
        self._settle()

    def slurm(self, filters: Iterable[KeyFilter], assertions: Iterable[RouterKey]) -> None:
        """Apply these from now on, and no others."""
        self._filters, self._assertions = tuple(filters), frozenset(assertions)
        self._settle()

    def _settle(self) -> None:
        kept = (key for key in self._theirs if not any(one.matches(key) for one in self._filters))
        effective = self._assertions.union(kept)
        if effective != self.effective:
            self.effective = effective
            self._changed()
