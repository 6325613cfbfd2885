"""Questions about the daemon as it is now in, its answers as JSON (metrics: as Prometheus has them) out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from aiohttp import web

from rtrd.api import scrape
from rtrd.api.responses import error, json, stream
from rtrd.base.notation import Prefix, parse_address, parse_asn, parse_prefix
from rtrd.tags import VALIDITIES, Validity
from rtrd.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from rtrd.config.diff import Change
    from rtrd.event_log import EventLog
    from rtrd.vrps.notation import Supposed

T = TypeVar("T")

_YES_NO = {"yes": True, "no": False}
_DIRECTIONS: Mapping[str, Literal["in", "out"]] = {"in": "in", "out": "out"}


class Wanted(NamedTuple):
    """Which routes are asked for; None: any."""

    validity: Validity | None = None
    prefix: Prefix | None = None
    """This one and more specific ones."""
    covered: bool | None = None
    """Whether some VRP covers it."""
    neighbor: str | None = None
    """Its address, as rtrd shows it."""
    origin: int | str | None = None
    """Its origin AS; `none` for routes that have none."""
    direction: Literal["in", "out"] = "in"
    """`out`: those that the router announces by itself, and the neighbor is the one that gets them."""

    def matches(self, validity: str, neighbor: str, origin: int | None) -> bool:
        """Tell whether a route within the prefix is one of those."""
        return (
            self.validity in (None, validity)
            and self.neighbor in (None, neighbor)
            and (self.covered is None or self.covered == (validity in ("valid", "invalid")))
            and (self.origin is None or self.origin == ("none" if origin is None else origin))
        )


class WhatIf(Protocol):
    """Tells which routes would change validity; works in slices. `most`: routes that an answer names."""

    async def supposing(self, supposed: Sequence[Supposed], most: int) -> dict[str, Any]:
        """Return the answer of /whatif for VRPs that appear or vanish."""

    async def replacing(self, chunks: AsyncIterator[bytes], most: int) -> dict[str, Any]:
        """Return it for packed VRPs in the place of all that caches say."""


class Daemon(Protocol):
    """What the API asks of the daemon, on the event loop; each call and each step of an iterator is short.

    An iterator may be left advertised between two steps for as long as a client reads slowly, while routes and
    VRPs change: it skips what went and may or may not yield what came.
    """

    @property
    def event_log(self) -> EventLog:
        """The events."""

    async def reload(self) -> list[Change]:
        """Read the configuration again and do as it says; give what changed. Raises FaultyFileError."""

    def history(self) -> dict[str, Any]:
        """Return the answer of /history."""

    def dump(self) -> dict[str, Any]:
        """Return the answer of /dump."""

    def status(self) -> dict[str, Any]:
        """Return the answer of /status."""

    def health(self) -> str | None:
        """Return why the daemon is not healthy (no VRP set usable, or past expiry); None: it is."""

    @property
    def snapshot_used(self) -> bool:
        """Whether the VRPs that count are those of the last run."""

    def metrics(self) -> Iterator[Metric]:
        """Yield each metric with its samples; see `rtrd.api.metrics.collect`."""

    @property
    def whatif(self) -> WhatIf:
        """Tells what VRPs would change."""

    def disagreement(self, names: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
        """Yield the VRPs that some of these caches have and others have not, now and then None; no name: all caches.

        Each is as in a VRP file, with `in` and `not_in`: the caches. May raise ConflictError.
        """

    def decide(self, *, accept: bool) -> dict[str, Any]:
        """Accept or reject the change of the VRPs that is held; return the guard's status. May raise ConflictError."""

    def validity(self, prefix: Prefix, asn: int) -> dict[str, Any]:
        """Return `rtrd.rib.validity.explain` over the effective VRPs; may raise NotReadyError."""

    def router_keys(self) -> list[dict[str, int | str]]:
        """Return the effective router keys as of a VRP file's `bgpsec_keys`."""

    def vrps(self, prefix: Prefix | None, *, covering: bool, sources: bool) -> Iterator[Mapping[str, Any] | None]:
        """Yield effective VRPs as of a VRP file: `asn` (int), `prefix`, `maxLength`; None now and then.

        With a prefix: those that cover it or lie within it; `covering`: only those that cover it. With `sources`
        there is also from where each is: a list of caches, `snapshot`, `slurm`.
        """

    def routes(self, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
        """Yield routes: `router`, `neighbor`, `prefix`, `path_id`, `origin_as`, `validity`, `decision`.

        `path_id` and `origin_as` are null where there is none.
        """


class Questions:
    """Handlers that only read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [
            web.get("/status", self.status),
            web.get("/healthz", self.healthz),
            web.get("/version", self.version),
            web.get("/metrics", self.scrape),
            web.get("/json", self.vrp_file),
            web.get("/vrps", self.vrps),
            web.get("/routes", self.routes),
            web.get("/validity", self.validity),
            web.get("/api/v1/validity/{asn}/{prefix:.+}", self.validity),
            web.get("/history", self.history),
            web.get("/dump", self.dump),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        """Answer /status."""
        return json(self._daemon.status())

    async def healthz(self, _request: web.Request) -> web.Response:
        """Answer /healthz."""
        why = self._daemon.health()
        if why is not None:
            return error(503, why)
        return json({"status": "ok", "snapshot": self._daemon.snapshot_used})

    async def version(self, _request: web.Request) -> web.Response:
        """Answer /version."""
        return json({"version": __version__})

    async def history(self, _request: web.Request) -> web.Response:
        """Answer /history."""
        return json(self._daemon.history())

    async def dump(self, _request: web.Request) -> web.Response:
        """Answer /dump."""
        return json(self._daemon.dump())

    async def scrape(self, request: web.Request) -> web.Response:
        """Answer /metrics."""
        page = await scrape.page(self._daemon.metrics(), request.headers.get("Accept", ""))
        return web.Response(body=page.text, headers={"Content-Type": page.content_type})

    async def validity(self, request: web.Request) -> web.Response:
        """Answer /validity and its form of Routinator."""
        given = {**request.query, **request.match_info}
        if not {"asn", "prefix"} <= given.keys():
            return error(400, "expected /validity?asn=ASN&prefix=PREFIX")
        return json(self._daemon.validity(parse_prefix(given["prefix"]), parse_asn(given["asn"])))

    async def vrp_file(self, request: web.Request) -> web.StreamResponse:
        """Answer /json: nothing but what a VRP file has."""
        prefix = _prefix(request)
        vrps = self._daemon.vrps(prefix, covering=False, sources=False)
        keys = self._daemon.router_keys() if prefix is None else []
        return await stream(request, "roas", vrps, **({"bgpsec_keys": keys} if keys else {}))

    async def vrps(self, request: web.Request) -> web.StreamResponse:
        """Answer /vrps."""
        prefix, covering = _prefix(request), _choice(request, "covering", _YES_NO)
        if covering and prefix is None:
            return error(400, "covering: expected a prefix too")
        return await stream(request, "roas", self._daemon.vrps(prefix, covering=bool(covering), sources=True))

    async def routes(self, request: web.Request) -> web.StreamResponse:
        """Answer /routes."""
        neighbor, origin = request.query.get("neighbor"), request.query.get("origin")
        wanted = Wanted(
            validity=_choice(request, "validity", {each: each for each in VALIDITIES}),
            prefix=_prefix(request),
            covered=_choice(request, "covered", _YES_NO),
            neighbor=None if neighbor is None else parse_address(neighbor),
            origin=origin if origin in (None, "none") else parse_asn(origin),
            direction=_choice(request, "direction", _DIRECTIONS) or "in",
        )
        return await stream(request, "routes", self._daemon.routes(wanted))


def _prefix(request: web.Request) -> Prefix | None:
    text = request.query.get("prefix")
    return None if text is None else parse_prefix(text)


def _choice(request: web.Request, name: str, choices: Mapping[str, T]) -> T | None:
    text = request.query.get(name)
    if text is None:
        return None
    if text not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}")
    return choices[text]
