"""Which routes there are, with validity and decision, answered as JSON.

An answer may stop between two routes for as long as a client reads slowly: it skips those that went, and may or may not
have those that came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from aiohttp import web

from rtrd.api.requests import YES_NO, choice, get, number, wanted_prefix
from rtrd.api.responses import error, json, stream
from rtrd.base.clock import timestamp
from rtrd.base.notation import Prefix, parse_address, parse_asn
from rtrd.base.turn import Turn
from rtrd.rib.engine import Engine
from rtrd.rib.terms import PATH_OUTCOMES, Route
from rtrd.routers import Routers
from rtrd.tags import VALIDITIES, Validity

MOST_ROWS: Final = 1000
"""Routes in an answer to a question for the first of them."""
_OUTCOMES: Mapping[str, str] = {each or "none": each or "none" for each in PATH_OUTCOMES}
_DIRECTIONS: Mapping[str, Literal["in", "out"]] = {"in": "in", "out": "out"}


class WantedRoutes(NamedTuple):
    """Which routes are asked for; None: any."""

    validity: Validity | None = None
    prefix: Prefix | None = None
    """This one and more specific ones."""
    address: str | None = None
    """Those that cover it."""
    covered: bool | None = None
    """Whether some VRP covers it."""
    neighbor: str | None = None
    """Its address, as rtrd shows it."""
    origin: int | str | None = None
    """Its origin AS; `none` for routes that have none."""
    direction: Literal["in", "out"] = "in"
    """`out`: local routes of the router, and the neighbor is the one that gets them."""
    aspa: str | None = None
    """What its path is by ASPAs; `none` for routes whose paths are not judged."""
    leak: bool | None = None

    def matches(self, route: Route, neighbor: str) -> bool:
        """Tell whether a route within the prefix is one of those."""
        return (
            self.validity in (None, route.validity)
            and self.neighbor in (None, neighbor)
            and (self.covered is None or self.covered == (route.validity in ("valid", "invalid")))
            and (self.origin is None or self.origin == ("none" if route.origin is None else route.origin))
            and self.aspa in (None, route.aspa or "none")
            and self.leak in (None, route.leak)
        )


class RouteQueries:
    """Which routes there are, with validity and decision."""

    def __init__(self, routers: Routers) -> None:
        self._routers = routers

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        names = ("validity", "prefix", "address", "covered", "neighbor", "origin", "direction", "aspa", "leak", "rows")
        return [get("/routes", self._routes, *names)]

    async def _routes(self, request: web.Request) -> web.StreamResponse:
        neighbor, origin = request.query.get("neighbor"), request.query.get("origin")
        wanted = WantedRoutes(
            validity=choice(request, "validity", {each: each for each in VALIDITIES}),
            prefix=wanted_prefix(request),
            address=None if (address := request.query.get("address")) is None else parse_address(address),
            covered=choice(request, "covered", YES_NO),
            neighbor=None if neighbor is None else parse_address(neighbor, zone=True),
            origin=origin if origin in (None, "none") else parse_asn(origin),
            direction=choice(request, "direction", _DIRECTIONS) or "in",
            aspa=choice(request, "aspa", _OUTCOMES),
            leak=choice(request, "leak", YES_NO),
        )
        if wanted.prefix is not None and wanted.address is not None:
            return error(400, "expected prefix or address, not both")
        if "rows" in request.query:
            return json(await self._first(wanted, number(request, "rows", MOST_ROWS, MOST_ROWS)))
        return await stream(request, "routes", self._rows(wanted))

    async def _first(self, wanted: WantedRoutes, most: int) -> dict[str, Any]:
        """Give so many routes, and how many more there are."""
        first: list[Mapping[str, Any]] = []
        more = 0
        turn = Turn()
        for found in self._found(wanted):
            if found is not None and len(first) < most:
                first.append(found())
            elif found is not None:
                more += 1
            if turn.over:
                await turn.next()
        return {"routes": first, "more": more}

    def _rows(self, wanted: WantedRoutes) -> Iterator[Mapping[str, Any] | None]:
        return (found and found() for found in self._found(wanted))

    def _found(self, wanted: WantedRoutes) -> Iterator[Callable[[], Mapping[str, Any]] | None]:
        """Give each route that is wanted, as what makes its row at once; None: the loop may turn."""
        within = None if wanted.prefix is None else str(wanted.prefix)
        for router in self._routers.all():
            ribs = router.ribs()
            source = router.engine if wanted.direction == "in" else router.engine.local_routes
            for neighbor, route in source.routes(within, address=wanted.address):
                # Of a full table few may be wanted.
                found = wanted.matches(route, neighbor)
                yield partial(_row, router.engine, wanted.direction, neighbor, route, ribs) if found else None


def _row(engine: Engine, direction: str, neighbor: str, route: Route, ribs: Mapping[int, str]) -> Mapping[str, Any]:
    learned = direction == "in"
    source = engine if learned else engine.local_routes
    role, neighbor_as = (engine.sessions.judged(route.neighbor) if learned else None) or (None, None)
    return {
        "router": engine.name,
        "neighbor": neighbor,
        "prefix": route.prefix,
        "path_id": route.path_id,
        "origin_as": route.origin,
        "validity": route.validity,
        "decision": route.decision,
        "reason": route.reason,
        "since": timestamp(route.since) if route.since else None,
        "as_path": source.as_path(route),
        "local_role": role,
        "neighbor_as": neighbor_as,
        "aspa": route.aspa,
        "leak": route.leak,
        "path_reason": source.path_reason(route),
        "kept_back": [
            {"neighbor": receiver, "reason": "otc"}
            for receiver in (engine.receivers.names(route.kept_back) if route.kept_back else ())
        ],
        **({"rib": ribs.get(route.neighbor)} if ribs else {}),
    }
