"""The ASPAs of all caches (draft-ietf-sidrops-8210bis section 5.12), and those of them that count.

They follow the VRPs: nothing counts before End of Data, of the active caches it is the union of each customer's lists
(section 10), and what a lost cache said stays until it expires. Sets are those of rtrlib.aspas, and never copied.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtrlib.aspas import ASPAIndex

__all__ = ["ASPASources"]


class ASPASources:
    """The set of each cache, which is named by its index."""

    def __init__(self) -> None:
        self._staged: dict[int, bytes] = {}
        self._said: dict[int, bytes] = {}
        self._active: tuple[int, ...] = ()

    def stage(self, cache: int, held: bytes) -> None:
        """Keep all that a cache has from its next commit on."""
        self._staged[cache] = held

    def commit(self, cache: int) -> bool:
        """Let that count; tell whether what counts may be another set now."""
        held = self._staged.pop(cache, None)
        if held is None or held == self._said.get(cache, b""):
            return False
        self._said[cache] = held
        return cache in self._active

    def discard(self, cache: int) -> None:
        """Forget what was staged."""
        self._staged.pop(cache, None)

    def drop(self, cache: int) -> bool:
        """Forget all of a cache; tell whether what counts may be another set now."""
        self._staged.pop(cache, None)
        return bool(self._said.pop(cache, b"")) and cache in self._active

    def activate(self, caches: Iterable[int]) -> None:
        """From now on these caches' ASPAs count."""
        self._active = tuple(sorted(caches))

    def clear(self) -> None:
        """Forget everything."""
        self._staged.clear()
        self._said.clear()

    def counting(self) -> dict[int, bytes]:
        """Give the sets that count, by cache."""
        return {cache: held for cache in self._active if (held := self._said.get(cache))}

    def said(self, cache: int) -> bytes:
        """Give a cache's set."""
        return self._said.get(cache, b"")

    def of(self, customer: int) -> dict[int, tuple[int, ...]]:
        """Give the providers that each cache names for a customer, of those that do, whether they count or not."""
        found = ((cache, ASPAIndex(held).find(customer)) for cache, held in sorted(self._said.items()))
        return {cache: one.providers for cache, one in found if one is not None}
