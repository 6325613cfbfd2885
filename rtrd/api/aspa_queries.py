"""Who may be whose provider, by the ASPAs in force (draft-ietf-sidrops-aspa-profile)."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get
from rtrd.api.responses import stream
from rtrd.base.notation import parse_asn
from rtrd.caches import Caches
from rtrd.vrps.aspas import ASPASet
from rtrlib.aspas import ASPAIndex, records

TURNS: Final = 64
"""Customers after which the loop may turn."""


class ASPAQueries:
    """Which ASPAs are in force, and where they come from."""

    def __init__(self, aspa_set: ASPASet, caches: Caches) -> None:
        self._aspa_set = aspa_set
        self._caches = caches

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/aspas", self._aspas, "asn")]

    async def _aspas(self, request: web.Request) -> web.StreamResponse:
        held = self._aspa_set.effective
        if "asn" not in request.query:
            return await stream(request, "aspas", entries(held))
        asn = parse_asn(request.query["asn"])
        return await stream(request, "customers", customers(held, asn), partial(self._of, held, asn))

    def _of(self, held: bytes, asn: int) -> dict[str, Any]:
        found, said = ASPAIndex(held).find(asn), self._caches.providers(asn)
        filtered, asserted = self._aspa_set.by_slurm(asn)
        return {
            "asn": asn,
            "providers": None if found is None else found.providers,
            "caches": [{"cache": cache, "providers": providers} for cache, providers in said.items()],
            "filtered": filtered,
            "asserted": asserted,
        }


def entries(held: bytes, wanted: Container[int] | None = None) -> Iterator[Mapping[str, Any] | None]:
    """Give a set, or the customers that are wanted, as a VRP file has them; None where the loop may turn."""
    for number, (customer, providers) in enumerate(records(held), 1):
        if wanted is None or customer in wanted:
            yield {"customer_asid": customer, "providers": providers}
        if not number % TURNS:
            yield None


def customers(held: bytes, asn: int) -> Iterator[int | None]:
    """Give the customers who name an AS as their provider, ascending; None where the loop may turn."""
    for number, (customer, providers) in enumerate(records(held), 1):
        if asn in providers:
            yield customer
        if not number % TURNS:
            yield None
