"""What is asked about the daemon as it is now, answered as JSON (metrics: as Prometheus has them).

An answer may stop between two items for as long as a client reads slowly. VRPs are as of one moment, or the answer says
that they are not; of routes it skips what went and may or may not have what came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from rtrd.api import path_query, scrape, selection
from rtrd.api.aspa_queries import entries
from rtrd.api.requests import YES_NO, choice, get, wanted_prefix
from rtrd.api.responses import error, json, json_of, stream
from rtrd.api.trend import Trend
from rtrd.base.errors import ConflictError, NotReadyError
from rtrd.base.notation import parse_asn, parse_prefix
from rtrd.base.registry import Registry
from rtrd.caches import Caches
from rtrd.health import Health
from rtrd.rib.paths import origin_of
from rtrd.rib.validity import explain
from rtrd.rib.whatif import validity_then
from rtrd.version import __version__
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.disagreement import NothingToCompareError, aspas_disagreement, chosen, disagreement
from rtrd.vrps.effective import EffectiveVRPs
from rtrd.vrps.exempts import Exempts
from rtrd.vrps.guarding import Guarding
from rtrd.vrps.listing import Listing, Listings
from rtrd.vrps.slurm_files import SlurmFiles
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_entries import key_entries
from rtrlib.vrp_set import SLURM, SNAPSHOT, CoveringVRP

MOST_REASONS: Final = 20
"""VRPs of a route of which is told what SLURM files do with them."""


class StateQueries:
    """How the daemon is."""

    def __init__(
        self,
        registry: Registry,
        health: Health,
        effective: EffectiveVRPs,
        trend: Trend,
        *,
        dump: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        """Join the parts. `dump`: gives all that a report of a fault should have."""
        self._registry = registry
        self._health = health
        self._effective = effective
        self._trend = trend
        self._dump = dump

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [
            _get_json("/status", self._registry.status),
            get("/version", self._version),
            _get_json("/trend", self._trend.answer),
            _get_json("/dump", self._dump),
            web.get("/healthz", self._healthz),
            web.get("/metrics", self._scrape),
        ]

    async def _version(self, _request: web.Request) -> web.Response:
        return json({"version": __version__})

    async def _healthz(self, _request: web.Request) -> web.Response:
        reading = self._health.read()
        answer = {
            "status": reading.status,
            "reasons": [problem.what for problem in reading.problems if problem.severity == "critical"],
            "warnings": [problem.what for problem in reading.problems if problem.severity == "warning"],
            "snapshot": self._effective.snapshot_used,
        }
        if reading.status == "failed":
            return json({"error": reading.summary, **answer}, 503)
        return json(answer)

    async def _scrape(self, request: web.Request) -> web.Response:
        page, content_type = await scrape.page(self._registry.collect(), request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})


def _get_json(path: str, give: Callable[[], Awaitable[Mapping[str, Any]]]) -> web.RouteDef:
    async def answer(_request: web.Request) -> web.Response:
        return await json_of(await give())

    return get(path, answer)


class VRPQueries:
    """Which VRPs are in force, and what follows from them."""

    def __init__(  # noqa: PLR0917 - the parts that are asked
        self,
        effective: EffectiveVRPs,
        caches: Caches,
        slurm: SlurmFiles,
        exempts: Exempts,
        guarding: Guarding,
        aspa_set: ASPASet,
        paths: path_query.PathQuery,
    ) -> None:
        self._aspa_set = aspa_set
        self._paths = paths
        self._slurm = slurm
        self._exempts = exempts
        self._guarding = guarding
        self._vrp_set = effective.vrp_set
        self._listings = Listings(effective.vrp_set)
        self._keys = effective.keys
        self._caches = caches

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [
            get("/json", self._vrp_file, "prefix", *selection.PARAMETERS),
            get("/vrps", self._vrps, "prefix", "covering"),
            get("/validity", self._validity, "prefix", "asn", *path_query.PARAMETERS),
            get("/api/v1/validity/{asn}/{prefix:.+}", self._validity, *path_query.PARAMETERS),
            get("/diff", self._diff, "cache"),
        ]

    async def _validity(self, request: web.Request) -> web.Response:
        given = {**request.query, **request.match_info}
        if not {"asn", "prefix"} <= given.keys():
            return error(400, "expected /validity?asn=ASN&prefix=PREFIX")
        prefix, said = parse_prefix(given["prefix"]), parse_asn(given["asn"])
        question = path_query.read(request.query)
        asn = said if question is None else origin_of(question.path, said)
        self._check_usable()
        covering = self._vrp_set.covering(str(prefix))
        explained = explain(prefix, asn, (found.vrp for found in covering))
        asserted = [found.vrp for found in covering if found.sources >> SLURM & 1]
        in_force = {found.vrp for found in covering}  # a filter that the guard holds has taken nothing away yet
        filtered = [found.vrp for found in self._vrp_set.filtered(str(prefix)) if found.vrp not in in_force]
        if asserted or filtered:
            explained["slurm"] = self._by_slurm(asserted, filtered)
        guard = self._guarding.status()
        if (held := guard["held"]) is not None:
            explained["held"] = {
                "state": guard["state"],
                "cause": held["cause"],
                "until": held["until"],
                "then": validity_then(self._vrp_set, str(prefix), asn),
            }
        if question is not None:
            explained["path"] = self._paths.answer(question)
        return json(explained)

    def _check_usable(self) -> None:
        if not self._vrp_set.usable:
            raise NotReadyError("no VRP set is usable yet: no cache has answered")

    def _by_slurm(self, asserted: list[VRP], filtered: list[VRP]) -> dict[str, Any]:
        """Say which exempt, assertion or filter brought each VRP or took it away; of many the first."""

        def told(vrp: VRP, by: list[dict[str, Any]]) -> dict[str, Any]:
            return {"asn": f"AS{vrp.asn}", "prefix": vrp.prefix, "max_length": str(vrp.max_length), "by": by}

        reasons, exempts = self._slurm.reasons, self._exempts
        of_exempts = {vrp: one for vrp in asserted[:MOST_REASONS] if (one := exempts.of(vrp)) is not None}
        return {
            "asserted": [
                told(
                    vrp,
                    [{"exempt": True, **of_exempts[vrp].answer()}] if vrp in of_exempts else reasons.of_asserted(vrp),
                )
                for vrp in asserted[:MOST_REASONS]
            ],
            "filtered": [told(vrp, reasons.of_filtered(vrp)) for vrp in filtered[:MOST_REASONS]],
        }

    async def _vrp_file(self, request: web.Request) -> web.StreamResponse:
        prefix, selected = wanted_prefix(request), selection.read(request)
        self._check_usable()  # who fetches VRP files would take an empty one for the RPKI
        keys = sorted(self._keys.effective) if prefix is None and selected.router_keys else []
        listing = await self._listings.take(None if prefix is None else str(prefix))
        chosen_keys = key_entries(key for key in keys if selected.all or key.asn in selected.asns)
        rest = partial(_rest, listing, chosen_keys)
        customers = None
        if prefix is None and selected.aspas:
            customers = entries(self._aspa_set.effective, None if selected.all else selected.asns)
        if not selected.vrps:
            return json(rest()) if customers is None else await stream(request, "aspas", customers, rest)
        with_aspas = rest if customers is None else lambda: {**rest(), "aspas": customers}
        return await stream(request, "roas", _entries(listing, None, selected), with_aspas)

    async def _vrps(self, request: web.Request) -> web.StreamResponse:
        prefix, covering = wanted_prefix(request), choice(request, "covering", YES_NO)
        if covering and prefix is None:
            return error(400, "covering: expected a prefix too")
        heard = {**{cache.index: str(cache) for cache in self._caches.all()}, SNAPSHOT: "snapshot"}
        sources = partial(self._sources, heard)
        if covering:
            return await stream(request, "roas", _entries(self._vrp_set.covering(str(prefix)), sources))
        listing = await self._listings.take(None if prefix is None else str(prefix))
        return await stream(request, "roas", _entries(listing, sources), partial(_rest, listing, []))

    def _sources(self, heard: Mapping[int, str], found: CoveringVRP) -> list[str]:
        """Name where a VRP in force is from; `held`: nobody says it any more, but the guard holds that."""
        names = [name for source, name in heard.items() if found.sources >> source & 1]
        if found.sources >> SLURM & 1:
            exempt = self._exempts.of(found.vrp) is not None
            in_file = not exempt or pack(found.vrp) in self._slurm.assertions
            names += ["exempt"] * exempt + ["slurm"] * in_file
        return names or ["held"]

    async def _diff(self, request: web.Request) -> web.StreamResponse:
        try:
            caches = chosen(self._caches.all(), self._vrp_set, request.query.getall("cache", []))
        except NothingToCompareError as why:
            raise ConflictError(str(why)) from why
        sets = {str(cache): self._aspa_set.sources.said(cache.index) for cache in caches}
        return await stream(
            request, "vrps", disagreement(caches, self._vrp_set), lambda: {"aspas": aspas_disagreement(sets)}
        )


def _entries(
    vrps: Iterable[CoveringVRP | None],
    sources: Callable[[CoveringVRP], list[str]] | None,
    selected: selection.Selection | None = None,
) -> Iterator[Mapping[str, Any] | None]:
    """Give VRPs as of a VRP file, with the names of their sources if something gives these."""
    for found in vrps:
        if found is None or not (selected is None or selected.has(found.vrp)):
            yield None
            continue
        vrp: dict[str, Any] = {"asn": found.vrp.asn, "prefix": found.vrp.prefix, "maxLength": found.vrp.max_length}
        if sources is not None:
            vrp["sources"] = sources(found)
        yield vrp


def _rest(listing: Listing, keys: list[dict[str, int | str]]) -> dict[str, Any]:
    """Give what follows the VRPs."""
    changed = {} if listing.one_moment else {"changed_meanwhile": True}
    return {**({"bgpsec_keys": keys} if keys else {}), **changed}
