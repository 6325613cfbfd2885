"""The effective set of ASPAs: what caches say, SLURM's filters, then its assertions (draft-ietf-sidrops-aspa-slurm).

They follow the VRPs: staged, in force at End of Data, those of the active caches count, a guard holds them up. What a
change amounts to is worked out in steps, and put into force in one. No clock, no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Final, NamedTuple

from rtrlib import aspas
from rtrlib.aspa_sources import ASPASources

STEP: Final = 1 << 20
"""Octets of sets that are joined in one go: some milliseconds."""


class _Rules(NamedTuple):
    """What SLURM files say."""

    filters: frozenset[int] = frozenset()
    assertions: bytes = b""


class ASPASet:
    """The effective ASPAs, as a packed set (rtrlib.aspas)."""

    def __init__(self, changed: Callable[[bytes], None] = lambda _: None) -> None:
        """Begin with none. `changed`: `effective` is another set than before; it is given the changes."""
        self.effective = b""
        """What counts, and what routers are told."""
        self.index = aspas.ASPAIndex(b"")
        """The same, to be asked."""
        self.due = b""
        """What would count if nothing were held up."""
        self.sources = ASPASources()
        """What each cache says; `settle` makes something of it."""
        self.too_long: list[int] = []
        """Customers that are left out: they have more providers than MOST_PROVIDERS."""
        self.filtered = 0
        """Customers of which caches say something that SLURM filters."""
        self.generation = 0
        """Another number after each change of `effective`."""
        self._changed = changed
        self._rules = self._rules_in_force = _Rules()
        self._in_force: Mapping[int, bytes] = {}
        """Whose sets `effective` was made of."""
        self._kept = b""
        """What counts while what is due is held up."""

    @property
    def pending(self) -> bool:
        """Something is due that is not in force."""
        return self.due != self.effective

    def slurm(self, filters: Iterable[int], assertions: bytes) -> bool:
        """Leave out these customers, and add this set, from the next `settle` on; tell whether that is news."""
        before, self._rules = self._rules, _Rules(frozenset(filters), assertions)
        return self._rules != before

    def settle(self) -> Generator[None, None, bool]:
        """Work out what is due, in steps; tell whether it is another set than it was."""
        before = self.due
        made = yield from _made(self.sources.counting(), self._rules)
        self.due, self.too_long, self.filtered = made
        return self.due != before

    def put_in_force(self, *, everything: bool = True) -> None:
        """Let what is due count; if not everything may, what remains after `expire`."""
        if everything:
            self._in_force, self._rules_in_force = self.sources.counting(), self._rules
            self._kept = self.due
        before, self.effective = self.effective, self._kept
        if self.effective != before:
            self.index = aspas.ASPAIndex(self.effective)
            self.generation += 1
            self._changed(aspas.changes(before, self.effective))

    def expire(self, cache: int) -> Generator[None, None, bool]:
        """Let go of what a cache said, also of what is in force: from the next `put_in_force` on."""
        self.sources.drop(cache)
        if cache in self._in_force:
            self._in_force = {index: held for index, held in self._in_force.items() if index != cache}
            self._kept, _, _ = yield from _made(self._in_force, self._rules_in_force)
        return (yield from self.settle())

    def if_said(self, held: bytes) -> bytes:
        """Give what would be in force if caches said exactly this set."""
        rules = self._rules_in_force
        kept, _ = aspas.limit(aspas.without(held, rules.filters) if rules.filters else held)
        return aspas.union(kept, rules.assertions)

    def by_slurm(self, customer: int) -> tuple[bool, tuple[int, ...] | None]:
        """Tell whether SLURM files filter what caches say of a customer, and give what they assert, if anything."""
        rules = self._rules_in_force
        found = aspas.ASPAIndex(rules.assertions).find(customer)
        return customer in rules.filters, None if found is None else found.providers

    def of(self, customer: int) -> dict[int, tuple[int, ...]]:
        """Give the providers that each cache, by its index, names for a customer, whether it counts or not."""
        return self.sources.of(customer)


def _made(sets: Mapping[int, bytes], rules: _Rules) -> Generator[None, None, tuple[bytes, list[int], int]]:
    """Make a set; tell which customers have too many providers, and how many are filtered."""
    union, done = b"", 0
    for held in sets.values():
        union = aspas.union(union, held)
        done += len(union)
        if done > STEP:
            done = 0
            yield
    filtered = 0
    if rules.filters:
        said, union = union, aspas.without(union, rules.filters)
        filtered = aspas.count(said) - aspas.count(union)
    union, too_long = aspas.limit(union)
    return aspas.union(union, rules.assertions), too_long, filtered
