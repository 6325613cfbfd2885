"""The VRPs in force as of one moment, listed slice by slice however slowly somebody reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final
from weakref import WeakSet

from rtrd.base.turn import Turn
from rtrd.vrps.copying import ATTEMPTS, settled
from rtrlib.vrp_set import CoveringVRP, VRPSet, found_in

MOST: Final = 4
"""Lists of all VRPs that are kept for slow readers at a time, each of 20 MB with 0.7 M VRPs."""
SMALL: Final = 1 << 16
"""Octets of a list that does not count."""


class Listing:
    """VRPs that were in force together, or, if `one_moment` is false, one after the other."""

    def __init__(self, generation: int, prefix: str | None, parts: list[bytes] | None, vrp_set: VRPSet) -> None:
        self.generation = generation
        self.prefix = prefix
        self._parts = parts
        self._vrp_set = vrp_set

    @property
    def one_moment(self) -> bool:
        """Whether they were all in force at one moment; known when all were given."""
        return self._parts is not None or self._vrp_set.generation == self.generation

    def __iter__(self) -> Iterator[CoveringVRP | None]:
        """Give each VRP, and None where the loop may turn."""
        for part in self._vrp_set.around_packed(self.prefix) if self._parts is None else self._parts:
            yield from found_in(part)
            yield None

    def octets(self) -> int:
        """How much is kept for it."""
        return sum(map(len, self._parts or ()))


class Listings:
    """Lists of the VRPs of one set; who asks while they are the same gets the same list."""

    def __init__(self, vrp_set: VRPSet) -> None:
        self._vrp_set = vrp_set
        self._kept: WeakSet[Listing] = WeakSet()
        self._turn = asyncio.Lock()

    async def take(self, prefix: str | None = None) -> Listing:
        """Give the VRPs in force, or those that cover a prefix or lie within it, as of a moment before this returns.

        Where VRPs come into force all the time, or too many lists are kept for slow readers, it is one that says so.
        """
        async with self._turn:  # of a hundred who ask together one has it copied
            return await self._take(prefix)

    async def _take(self, prefix: str | None) -> Listing:
        for _ in range(ATTEMPTS):
            await settled(self._vrp_set)
            generation = self._vrp_set.generation
            kept = [each for each in self._kept if each.octets() > SMALL]
            for each in kept:
                if (each.generation, each.prefix) == (generation, prefix):
                    return each
            parts = None if len(kept) >= MOST else await self._copied(generation, prefix)
            if parts is not None:
                listing = Listing(generation, prefix, parts, self._vrp_set)
                self._kept.add(listing)
                return listing
        return Listing(self._vrp_set.generation, prefix, None, self._vrp_set)

    async def _copied(self, generation: int, prefix: str | None) -> list[bytes] | None:
        """Copy the VRPs; None when some came into force meanwhile."""
        parts = []
        turn = Turn()
        for part in self._vrp_set.around_packed(prefix):
            if part:
                parts.append(part)
            if turn.over:
                await turn.next()
                if self._vrp_set.generation != generation or self._vrp_set.changing:
                    return None
        return parts
