"""Which providers an AS has to name in its ASPA, from what the neighbors announce now. Nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get
from rtrd.api.responses import json
from rtrd.api.whatif import in_slices
from rtrd.base.notation import parse_asn
from rtrd.rib.aspa_suggestion import Example, Provider, Suggestion
from rtrd.rib.attributes import AS_SEQUENCE
from rtrd.rib.engine import Engine
from rtrd.rib.path_whatif import ChangedPath, PathWhatIf, with_changes
from rtrd.routers import Routers
from rtrd.vrps.aspas import ASPASet
from rtrlib.aspa_paths import LocalRole
from rtrlib.aspas import ASPA, ASPAIndex

AT_ONCE: Final = 40
"""Routes between two looks at the time: for each new path three are judged."""
ALL: Final = 1 << 31
"""Rows: more than a table can have."""


class ASPASuggestionQuery:
    """What the API asks of one daemon."""

    def __init__(self, aspas: ASPASet, routers: Routers) -> None:
        self._aspas = aspas
        self._routers = routers
        self._lock = asyncio.Lock()

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/aspas/suggestion", self._ask, "asn")]

    async def _ask(self, request: web.Request) -> web.Response:
        if "asn" not in request.query:
            raise ValueError("expected /aspas/suggestion?asn=AS")
        asn = parse_asn(request.query["asn"])
        if asn == 0:
            raise ValueError("AS 0 has no ASPA")
        async with self._lock:
            return json(await self._suggest(asn))

    async def _suggest(self, asn: int) -> dict[str, Any]:
        index = self._aspas.index
        today = index.find(asn)
        suggestion = Suggestion(index, asn)
        without = ASPAIndex(with_changes(index.held, [ASPA(asn, (0,))]))
        routes = 0
        for engine in [router.engine for router in self._routers.all()]:
            question = PathWhatIf(engine.table, without, [asn])
            async for row in _each(question, engine):
                suggestion.add(*row)
            routes += question.routes
        ours, servers = self._sessions(asn, "customer"), self._sessions(asn, "rs-client")
        us = self._sessions(asn, "provider", theirs=True)
        seen = {each.asn: each for each in suggestion.providers()}
        named = [*seen, *sorted({*ours, *us} - seen.keys())]
        return {
            "asn": asn,
            "routes": routes,
            "in_force": None if today is None else today.providers,
            "providers": [
                {
                    **_provider(each, seen.get(each)),
                    "neighbors": sorted(ours.get(each, ())),
                    "customers": sorted(us.get(each, ())),
                }
                for each in named
            ],
            "route_servers": sorted(servers),
            "not_needed": [] if today is None else [each for each in today.providers if each and each not in named],
            "invalid_anyway": suggestion.not_to_be_helped,
            "left_out": suggestion.left_out,
            "aspa": {"customer": f"AS{asn}", "providers": [f"AS{each}" for each in sorted(named)]} if named else None,
        }

    def _sessions(self, asn: int, role: LocalRole, *, theirs: bool = False) -> dict[int, set[str]]:
        """Give the neighbors to which we have this role where an AS is ours: their ASes, and addresses.

        `theirs`: where it is the neighbor's; then with our ASes.
        """
        found: dict[int, set[str]] = {}
        for router in self._routers.all():
            sessions = router.engine.sessions
            for name, session in sessions.by_name.items():
                asns = sessions.asns(name)
                if asns is not None and asns[theirs] == asn and sessions.role(name) == role:
                    found.setdefault(asns[not theirs], set()).add(session.address)
        return found


def _provider(asn: int, needed: Provider | None) -> dict[str, Any]:
    return {
        "asn": asn,
        "routes": needed.routes if needed else 0,
        "example": needed.example._asdict() if needed else None,
        "alternatives": needed.alternatives if needed else (),
    }


async def _each(question: PathWhatIf, engine: Engine) -> AsyncIterator[tuple[Example, LocalRole]]:
    """Give the routes of one table that would be invalid and are not."""
    async for found in in_slices(question.rows, ALL, budget=AT_ONCE):
        for row in found:
            judged = engine.sessions.judged(row.neighbor)
            if row.then == "invalid" and judged is not None:
                yield _example(engine, row), judged[0]


def _example(engine: Engine, row: ChangedPath) -> Example:
    segments = engine.attributes(engine.table.attributes_key(row.attributes)).as_path
    path = tuple(asn for segment in segments if segment.kind == AS_SEQUENCE for asn in segment.asns)
    return Example(engine.name, engine.sessions.address_of(row.neighbor), row.prefix, path)
