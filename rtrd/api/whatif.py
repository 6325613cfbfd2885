"""Which routes of all routers would change validity if the VRPs were others. Nothing changes.

One question at a time, in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiohttp import web

from rtrd.api.requests import get, number, post
from rtrd.api.responses import json
from rtrd.base.errors import NotReadyError
from rtrd.base.turn import Turn
from rtrd.rib.engine import Engine
from rtrd.rib.path_whatif import ChangedPath
from rtrd.rib.whatif import COVERS, Changed, TableWhatIf, View
from rtrd.routers import Routers
from rtrd.vrps.exempts import Exempts
from rtrd.vrps.notation import VRPEdit, parse_edit
from rtrd.vrps.slurm_files import SlurmFiles
from rtrlib.vrp import PACKED, pack
from rtrlib.vrp_set import SLURM, VRPChanges, VRPSet

BUDGET: Final = 400
"""Routes between two looks at the time."""
MOST_EDITS: Final = 1000
"""VRPs that a question may let appear or vanish; for more there is a file."""
MOST_ROWS: Final = 10_000
"""Routes that one answer names at most."""
ROWS: Final = 1000
"""By default."""
BODY_TIME: Final = 60.0
"""Seconds that a client may take to send a VRP file."""
MOST_BODIES: Final = 2
"""VRP files at a time: each takes some 100 MB, and a connection."""
MOST_FILE: Final = 2_000_000
"""VRPs of a file; there are 0.7 million in the world."""

_STEP: Final = 4096 * PACKED.size


class WhatIf:
    """What the API asks of one daemon."""

    def __init__(self, vrp_set: VRPSet, slurm: SlurmFiles, exempts: Exempts, routers: Routers) -> None:
        self._vrp_set = vrp_set
        self._slurm = slurm
        self._exempts = exempts
        self._routers = routers
        self._lock = asyncio.Lock()
        self._bodies = 0

    async def ask(self, edits: Sequence[VRPEdit], most: int) -> dict[str, Any]:
        """Tell what some VRPs would change that appear or vanish; `most`: routes that are named.

        A VRP that SLURM filters would leave out has no effect, as it would have none from a cache.
        """
        if len(edits) > MOST_EDITS:
            raise ValueError(f"{len(edits)} VRPs, at most {MOST_EDITS} are possible")
        in_force = self._vrp_set
        if not in_force.usable:  # no route is judged, and would not be with these
            raise NotReadyError("no VRP set is usable yet: no cache has answered")
        come, gone = self._new_set(), VRPSet()
        gone.activate([0])
        ranges = VRPChanges()
        idle = []
        for one in edits:
            is_in_force = any(found.vrp == one.vrp for found in in_force.covering(one.vrp.prefix))
            into = come if one.appears else gone
            into.stage(0, pack(one.vrp))
            if one.appears == is_in_force:
                idle.append(("+" if one.appears else "-") + str(one.vrp))
        ranges.add(gone.commit(0))
        kept = come.commit(0)
        ranges.add(kept)
        left_out = {one.vrp for one in edits if one.appears} - {vrp for vrp, _ in kept}
        idle += [f"+{vrp} (by SLURM)" for vrp in sorted(left_out)]
        async with self._lock:
            answer = await self._go_over(View(in_force, without=gone, and_with=come), ranges, most)
        return {**answer, "without_effect": idle}

    async def replacing(self, chunks: AsyncIterator[bytes], most: int) -> dict[str, Any]:
        """Tell what would change if the caches said exactly these packed VRPs; SLURM files and exempts stay."""
        if self._bodies >= MOST_BODIES:
            raise NotReadyError(f"{MOST_BODIES} VRP files are being sent already: try again later")
        self._bodies += 1
        try:
            then = await self._read(chunks)
            async with self._lock:
                return {**await self._go_over(View(and_with=then), None, most), "without_effect": []}
        finally:
            self._bodies -= 1

    async def _read(self, chunks: AsyncIterator[bytes]) -> VRPSet:
        """Give the set of a body; however slow it comes, others are answered meanwhile."""
        then = self._new_set()
        rest = b""
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > MOST_FILE * PACKED.size:
                raise ValueError(f"more than {MOST_FILE} VRPs: this is not a VRP file")
            records = rest + chunk
            whole = len(records) // PACKED.size * PACKED.size
            for at in range(0, whole, _STEP):
                then.stage(0, memoryview(records)[at : min(at + _STEP, whole)])
                await asyncio.sleep(0)
            rest = records[whole:]
        if rest:
            raise ValueError("the body is not packed VRPs: it ends in the middle of one")
        then.commit(0)
        for packed in self._slurm.assertions:
            then.stage(SLURM, packed)
        then.commit(SLURM)
        then.exempt(b"".join(self._exempts.packed))
        return then

    def _new_set(self) -> VRPSet:
        """Give a set that treats VRPs as ours does."""
        found = VRPSet()
        found.usable = True
        found.filter(self._slurm.filters)
        found.activate([0])
        return found

    async def _go_over(self, then: View, ranges: VRPChanges | None, most: int) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        moved: Counter[tuple[str, str]] = Counter()
        covers = dict.fromkeys(COVERS, 0)
        routes = 0
        for engine in [router.engine for router in self._routers.all()]:
            question = TableWhatIf(engine.table, then, ranges, covers=True)
            async for found in in_slices(question.rows, most - len(rows)):
                rows += [{**of_route(engine, row), "cover": row.cover} for row in found]
            counts = question.counts()
            routes += counts.routes
            moved.update(counts.moved)
            for cover, count in counts.covers.items():
                covers[cover] += count
        return {"routes": routes, "newly_invalid": covers, **summary(moved, rows)}


_Row = TypeVar("_Row")


async def in_slices(
    rows: Callable[[int, int], tuple[Sequence[_Row], bool]], most: int, *, budget: int = BUDGET
) -> AsyncIterator[Sequence[_Row]]:
    """Give what a question finds in one table, at most so many rows; with the loop turning meanwhile.

    `rows(budget, most)`: looks at some routes, gives those that would change, and whether there is more.
    `budget`: so many routes at a time; what the caller does of each counts, too.
    """
    more = True
    turn = Turn()
    while more:
        found, more = rows(budget, min(most, 2 * budget))
        most -= len(found)
        if found:
            yield found
        if turn.over:
            await turn.next()


def summary(moved: Counter[tuple[str, str]], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the rows of an answer, how many routes would change from what to what, and how many rows are left out."""
    return {
        "changes": [{"now": now, "then": later, "routes": count} for (now, later), count in sorted(moved.items())],
        "changed": rows,
        "left_out": moved.total() - len(rows),
    }


def of_route(engine: Engine, row: Changed | ChangedPath) -> dict[str, Any]:
    """Give the row of an answer for a route that would change."""
    return {
        "router": engine.name,
        "neighbor": engine.sessions.address_of(row.neighbor),
        "prefix": row.prefix,
        "path_id": row.path_id,
        "origin_as": row.origin,
        "now": row.now,
        "then": row.then,
    }


class WhatIfQueries:
    """Handlers of /whatif."""

    def __init__(self, whatif: WhatIf) -> None:
        self._whatif = whatif

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/whatif", self._ask, "vrp", "rows"), post("/whatif", self._replacing, "rows")]

    async def _ask(self, request: web.Request) -> web.Response:
        edits = [parse_edit(text) for text in request.query.getall("vrp", [])]
        if not edits:
            raise ValueError("expected /whatif?vrp=%2BVRP or /whatif?vrp=-VRP")
        return json(await self._whatif.ask(edits, number(request, "rows", ROWS, MOST_ROWS, least=0)))

    async def _replacing(self, request: web.Request) -> web.Response:
        return json(await self._whatif.replacing(body(request), number(request, "rows", ROWS, MOST_ROWS, least=0)))


async def body(request: web.Request) -> AsyncIterator[bytes]:
    """Give what a client sends, as it comes."""
    try:
        async with asyncio.timeout(BODY_TIME):
            async for chunk in request.content.iter_chunked(1 << 16):
                yield chunk
    except TimeoutError as error:
        raise ValueError(f"the body did not come within {BODY_TIME:.0f} s") from error
