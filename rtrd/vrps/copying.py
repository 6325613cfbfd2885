"""A consistent copy of the VRPs in force, taken between the event loop's other work."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Iterable
from typing import Final

from rtrd.base.turn import Turn
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import VRPSet

ATTEMPTS: Final = 5
"""How often a copy starts again because something came into force meanwhile."""


async def copy(vrp_set: VRPSet, sources: Iterable[int] | None = None) -> memoryview:
    """Give the packed VRPs that some sources have in force, or the effective ones, as of one moment.

    That moment is when this returns. 0.7 M VRPs take 30 ms in slices of 2 ms; only when VRPs come into force all
    the time is it done in one go.
    """
    wanted = None if sources is None else list(sources)
    for _ in range(ATTEMPTS):
        await settled(vrp_set)
        generation = vrp_set.generation
        # Memory that nobody touched yet costs the time of a whole slice a megabyte: it is filled part by part, never
        # joined from parts.
        copied, size = memoryview(mmap.mmap(-1, max(1, _most(vrp_set, wanted)))), 0
        turn = Turn()
        for part in vrp_set.packed(wanted):
            copied[size : size + len(part)] = part
            size += len(part)
            if turn.over:
                await turn.next()
                if vrp_set.generation != generation or vrp_set.changing:
                    break
        else:
            return copied[:size]
    await settled(vrp_set)
    return memoryview(b"".join(vrp_set.packed(wanted)))


def _most(vrp_set: VRPSet, sources: list[int] | None) -> int:
    """Give the octets that the VRPs of some sources take at most, or the effective ones."""
    if sources is None:
        return PACKED.size * (vrp_set.count(4) + vrp_set.count(6))
    return PACKED.size * sum(vrp_set.count_source(source) for source in set(sources))


async def settled(vrp_set: VRPSet) -> None:
    """Return when no change is under way, in which a source says the old in one part and the new in another."""
    while vrp_set.changing:  # noqa: ASYNC110 - the set knows of no loop
        await asyncio.sleep(0)
