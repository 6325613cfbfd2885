"""The effective set of ASPAs: what caches say, SLURM's filters, then its assertions (draft-ietf-sidrops-aspa-slurm).

They follow the VRPs: staged, in force at End of Data, those of the active caches count. No clock, no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rtrlib import aspas


class ASPASet:
    """The effective ASPAs, as a packed set (rtrlib.aspas)."""

    def __init__(self, changed: Callable[[bytes], None] = lambda _: None) -> None:
        """Begin with none. `changed`: `effective` is another set than before; it is given the changes."""
        self.effective = b""
        """What counts, and what routers are told."""
        self.index = aspas.Index(b"")
        """The same, to be asked."""
        self._changed = changed
        self._theirs = b""
        self._filters: frozenset[int] = frozenset()
        self._assertions = b""

    def caches_say(self, theirs: bytes) -> None:
        """Take the set that the active caches have together."""
        self._theirs = theirs
        self._settle()

    def slurm(self, filters: Iterable[int], assertions: bytes) -> None:
        """Leave out these customers, and add this set, from now on; no others."""
        self._filters, self._assertions = frozenset(filters), assertions
        self._settle()

    def _settle(self) -> None:
        before = self.effective
        self.effective = aspas.union(aspas.without(self._theirs, self._filters), self._assertions)
        if self.effective != before:
            self.index = aspas.Index(self.effective)
            self._changed(aspas.changes(before, self.effective))
