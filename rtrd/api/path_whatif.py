"""Which routes of all routers would have another outcome of their path if ASPAs were others. Nothing changes.

One question at a time, in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get, number
from rtrd.api.responses import json
from rtrd.api.whatif import MOST_ROWS, ROWS, in_slices, of_route, summary
from rtrd.rib.path_whatif import PathWhatIf, parse_aspa, with_changes
from rtrd.routers import Routers
from rtrd.vrps.aspas import ASPASet
from rtrlib.aspas import ASPA, ASPAIndex

MOST_ASPAS: Final = 100
"""ASPAs that a question may change."""


class PathWhatIfQuery:
    """What the API asks of one daemon."""

    def __init__(self, aspas: ASPASet, routers: Routers) -> None:
        self._aspas = aspas
        self._routers = routers
        self._lock = asyncio.Lock()

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/whatif/aspas", self._ask, "aspa", "rows")]

    async def _ask(self, request: web.Request) -> web.Response:
        edits = [parse_aspa(text) for text in request.query.getall("aspa", [])]
        if not 0 < len(edits) <= MOST_ASPAS:
            raise ValueError(f"expected /whatif/aspas?aspa=CUSTOMER:PROVIDER,PROVIDER, 1 to {MOST_ASPAS} of them")
        most = number(request, "rows", ROWS, MOST_ROWS, least=0)
        async with self._lock:
            return json(await self._go_over(edits, most))

    async def _go_over(self, edits: Sequence[ASPA], most: int) -> dict[str, Any]:
        held = self._aspas.index
        then = ASPAIndex(with_changes(held.held, edits))
        customers = {edit.customer for edit in edits}
        idle = sorted(customer for customer in customers if held.find(customer) == then.find(customer))
        rows: list[dict[str, Any]] = []
        moved: Counter[tuple[str, str]] = Counter()
        routes = 0
        for engine in [router.engine for router in self._routers.all()]:
            question = PathWhatIf(engine.table, then, customers)
            async for found in in_slices(question.rows, most - len(rows)):
                rows += [
                    {**of_route(engine, row), "reason": engine.path_reason_by(then, row.neighbor, row.attributes)}
                    for row in found
                ]
            routes += question.routes
            moved.update(question.moved)
        return {
            "routes": routes,
            "newly_invalid": sum(count for (_, later), count in moved.items() if later == "invalid"),
            **summary(moved, rows),
            "without_effect": idle,
        }
