"""Which routes of all routers would have another outcome of their path if ASPAs were others. Nothing changes.

One question at a time, in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get, number, post
from rtrd.api.responses import json
from rtrd.api.whatif import MOST_ROWS, ROWS, body, in_slices, of_route, summary
from rtrd.base.turn import Turn
from rtrd.rib.path_whatif import MOST_NAMED, PathWhatIf, parse_aspa, with_changes
from rtrd.rib.whatif import COVERS
from rtrd.routers import Routers
from rtrd.vrps.aspas import ASPASet
from rtrlib import aspas
from rtrlib.aspas import ASPA, ASPAIndex

MOST_ASPAS: Final = 100
"""ASPAs that a question may change."""
MOST_SET: Final = 16 << 20
"""Octets of the ASPAs of a file: those of all ASes of the world are less."""


class PathWhatIfQuery:
    """What the API asks of one daemon."""

    def __init__(self, held: ASPASet, routers: Routers) -> None:
        self._aspas = held
        self._routers = routers
        self._lock = asyncio.Lock()

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/whatif/aspas", self._ask, "aspa", "rows"), post("/whatif/aspas", self._replacing, "rows")]

    async def _ask(self, request: web.Request) -> web.Response:
        edits = [parse_aspa(text) for text in request.query.getall("aspa", [])]
        if not 0 < len(edits) <= MOST_ASPAS:
            raise ValueError(f"expected /whatif/aspas?aspa=CUSTOMER:PROVIDER,PROVIDER, 1 to {MOST_ASPAS} of them")
        most = number(request, "rows", ROWS, MOST_ROWS, least=0)
        async with self._lock:
            return json(await self.ask(edits, most))

    async def _replacing(self, request: web.Request) -> web.Response:
        most = number(request, "rows", ROWS, MOST_ROWS, least=0)
        async with self._lock:
            return json(await self.replacing(body(request), most))

    async def ask(self, edits: Sequence[ASPA], most: int) -> dict[str, Any]:
        """Tell which paths would be something else if the ASPAs of some customers were these."""
        held = self._aspas.index
        then = ASPAIndex(with_changes(held.held, edits))
        customers = {edit.customer for edit in edits}
        idle = sorted(customer for customer in customers if held.find(customer) == then.find(customer))
        return {**await self._go_over(then, customers, most), "without_effect": idle}

    async def replacing(self, chunks: AsyncIterator[bytes], most: int) -> dict[str, Any]:
        """Tell what would change if the caches said exactly these packed ASPAs (rtrlib.aspas); SLURM files stay."""
        held = await _whole(chunks)  # in any order: to sort so much takes up to 0.3 s
        said = await asyncio.to_thread(aspas.union_of, held)
        due = await asyncio.to_thread(self._aspas.if_said, said)
        change = aspas.changes(self._aspas.effective, due)
        few = aspas.count(change) <= MOST_NAMED
        customers = [one.customer for one in aspas.records(change)] if few else None
        return {**await self._go_over(ASPAIndex(due), customers, most), "without_effect": []}

    async def _go_over(self, then: ASPAIndex, customers: Collection[int] | None, most: int) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        moved: Counter[tuple[str, str]] = Counter()
        covers = dict.fromkeys(COVERS, 0)
        routes = 0
        for engine in [router.engine for router in self._routers.all()]:
            question = PathWhatIf(engine.table, then, customers, covers=True)
            async for found in in_slices(question.rows, most - len(rows)):
                rows += [
                    {
                        **of_route(engine, row),
                        "cover": row.cover,
                        "reason": engine.path_reason_by(then, row.neighbor, row.attributes),
                    }
                    for row in found
                ]
            routes += question.routes
            moved.update(question.moved)
            for cover, count in question.covers.items():
                covers[cover] += count
        return {
            "routes": routes,
            "newly_invalid": covers,
            **summary(moved, rows),
        }


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    """Put the ASPAs of a body together; ValueError if they are none."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) > MOST_SET:
            raise ValueError(f"more than {MOST_SET >> 20} MiB of ASPAs: this is not a VRP file")
    words = memoryview(held[: len(held) // aspas.NUMBER_SIZE * aspas.NUMBER_SIZE]).cast("I")
    at, turn = 0, Turn()
    while at + 1 < len(words):
        at += 2 + words[at + 1]
        if turn.over:
            await turn.next()
    if at * aspas.NUMBER_SIZE != len(held):
        raise ValueError("the body is not packed ASPAs: it ends in the middle of one")
    return bytes(held)
