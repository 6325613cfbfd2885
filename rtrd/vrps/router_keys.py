"""Router keys of the caches, and SLURM's words on them, in; the one effective set of them out.

They follow the VRPs step by step: staged, in force at End of Data, those of the active caches count (rtrlib does that
part), and then SLURM's filters before its assertions (RFC 8416 section 4.1). They change no route: rtrd only passes
them on to routers. No clock, no socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.vrps.files import RouterKey
from rtrlib.router_keys import RouterKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtrd.vrps.slurm import KeyFilter
    from rtrlib.router_keys import KeyChanges
    from rtrlib.rtr_socket import RTRSocket


class KeySet:
    """The effective router keys. There are some dozens in the world, so each change looks at all."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """Begin with none. `changed`: `effective` is another set than before."""
        self.effective: frozenset[RouterKey] = frozenset()
        """What routers are told."""
        self._changed = changed
        self._caches = RouterKeys()
        self._theirs: set[RouterKey] = set()
        self._filters: tuple[KeyFilter, ...] = ()
        self._assertions: frozenset[RouterKey] = frozenset()

    def stage(self, cache: RTRSocket, key: RouterKey, *, announce: bool) -> None:
        """Keep it until the cache's End of Data."""
        self._caches.stage(cache.index, (key.asn, key.ski, key.spki), announce=announce)

    def commit(self, cache: RTRSocket, *, full: bool) -> None:
        """Put into force what was staged; `full`: instead of all that the cache had."""
        self._take(self._caches.commit(cache.index, full=full))

    def discard(self, cache: RTRSocket) -> None:
        """Forget what was staged."""
        self._caches.discard(cache.index)

    def drop(self, cache: RTRSocket) -> None:
        """Forget all of a cache: it is too old."""
        self._take(self._caches.drop(cache.index))

    def activate(self, caches: Iterable[RTRSocket]) -> None:
        """Let these caches' keys count, and no others'."""
        self._take(self._caches.activate({cache.index: cache for cache in caches}))

    def slurm(self, filters: Iterable[KeyFilter], assertions: Iterable[RouterKey]) -> None:
        """Apply these from now on, and none else."""
        self._filters, self._assertions = tuple(filters), frozenset(assertions)
        self._settle()

    def _take(self, changes: KeyChanges) -> None:
        for record, announce in changes:
            key = RouterKey(record.asn, record.ski, record.spki)
            (self._theirs.add if announce else self._theirs.discard)(key)
        if changes:
            self._settle()

    def _settle(self) -> None:
        kept = (key for key in self._theirs if not any(one.matches(key) for one in self._filters))
        effective = self._assertions.union(kept)
        if effective != self.effective:
            self.effective = effective
            self._changed()
