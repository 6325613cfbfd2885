"""The exempts over HTTP: everyone may list them, and who may open the control socket adds and removes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from rtrd.api.requests import delete, get, post
from rtrd.api.responses import json, stream
from rtrd.api.whatif import WhatIf
from rtrd.base.clock import Clock
from rtrd.base.errors import ConflictError
from rtrd.base.notation import parse_asn, parse_prefix
from rtrd.base.text import counted
from rtrd.vrps.exempt import Exempt, Key, parse_comment, parse_until
from rtrd.vrps.exempts import Exempts
from rtrd.vrps.notation import VRPEdit
from rtrlib.vrp_set import VRPSet


class ExemptHandlers:
    """Handlers of exempts."""

    def __init__(self, exempts: Exempts, whatif: WhatIf, vrp_set: VRPSet, clock: Clock) -> None:
        """Join the parts. `whatif`: says which routes an exempt would turn invalid."""
        self._exempts = exempts
        self._whatif = whatif
        self._vrp_set = vrp_set
        self._clock = clock

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is done where."""
        return [
            get("/exempts", self._list),
            post("/exempt", self._add, "prefix", "asn", "until", "comment", "force"),
            delete("/exempt", self._remove, "prefix", "asn"),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        def items() -> Iterator[Mapping[str, Any]]:
            return (one.answer() for one in self._exempts)

        return await stream(request, "exempts", items())

    async def _add(self, request: web.Request) -> web.Response:
        query = request.query
        prefix, asn = _key(request)
        if asn == 0:
            raise ValueError("AS0 can't be exempted: a VRP of AS 0 makes no route valid (RFC 6483, section 4)")
        now = self._clock.wall()
        until = None if "until" not in query else parse_until(query["until"], now)
        one = Exempt(prefix, asn, parse_comment(query.get("comment", "")), int(now), until)
        if query.get("force") != "yes":
            await self._check(one)
        replaced = await self._exempts.add(one)
        return json(
            {
                **one.answer(),
                "kept": None if self._exempts.path is None else str(self._exempts.path),
                "usable": self._vrp_set.usable,
                "replaced": None if replaced is None else replaced.answer(),
            }
        )

    async def _remove(self, request: web.Request) -> web.Response:
        prefix, asn = _key(request)
        await self._exempts.remove((prefix, asn))
        return json({"prefix": prefix, "asn": f"AS{asn}"})

    async def _check(self, one: Exempt) -> None:
        """Raise ConflictError if it would be the first VRP for other routes, and turn them invalid."""
        if not self._vrp_set.usable or self._vrp_set.covering(one.prefix):
            return
        found = await self._whatif.ask([VRPEdit(one.vrp, appears=True)], 0)
        if count := sum(found["newly_invalid"].values()):
            what = counted(count, "route")
            raise ConflictError(
                f"no VRP covers {one.prefix} yet, and this one would turn {what} of other ASes there invalid:"
                f" `rtrd whatif '+{one.prefix}@AS{one.asn}'` lists them, `--force` does it all the same"
            )


def _key(request: web.Request) -> Key:
    if not {"asn", "prefix"} <= request.query.keys():
        raise ValueError("expected /exempt?prefix=PREFIX&asn=ASN")
    return str(parse_prefix(request.query["prefix"])), parse_asn(request.query["asn"])
