"""What the demo shows: a table; a VRP changes; it changes back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from rtrd.commands import http_client
from rtrd.demo import report
from rtrd.demo.caches import RtrdCache
from rtrd.demo.chain import Chain
from rtrd.demo.lab import Lab, LabError, find_program, want_programs
from rtrd.demo.report import Row
from rtrd.demo.routers import EXABGP_5, GOBGP, Received
from rtrd.demo.routes import Internet, Route, internet, validity

DRAWING = """\
  rtrd cache --RTR--> rtrd              {vrps} VRPs
                       |  process API
  ExaBGP ----BGP--> ExaBGP ----BGP--> GoBGP
  AS64496           AS65000           AS65000
  announces {routes}     {exabgp:<18}listens, {gobgp}
"""


class Show:
    """The demo, told to `say` line by line."""

    def __init__(self, lab: Lab, say: Callable[[str], None], *, every: bool, sample: int) -> None:
        self._lab = lab
        self._say = say
        self._every = every
        self._sample = sample
        self._internet = internet()

    def run(self) -> dict[str, Any]:
        """Play it; return the figures, and under `faults` what the peer received wrongly."""
        want_programs((("exabgp", EXABGP_5), ("gobgpd", GOBGP)))
        versions = {
            "exabgp": _version([find_program("exabgp", EXABGP_5), "version"], "exabgp"),
            "gobgp": _version([find_program("gobgpd", GOBGP), "--version"], "gobgpd"),
        }
        cache = RtrdCache(self._lab.folder, self._internet.vrps)
        static = [route.exabgp() for route in self._internet.routes]
        chain = Chain(self._lab, [[cache]], static=static)
        routes, vrps = len(self._internet.routes), len(self._internet.vrps)
        for line in DRAWING.format(routes=routes, vrps=vrps, **versions).splitlines():
            self._say(line)
        started = time.monotonic()
        chain.start()
        received = self._settled(chain, self._internet)
        self._say(f"\nSettled {time.monotonic() - started:.1f} s after the first process was started.\n")
        rows = self._rows(chain, received)
        shown = rows if self._every else report.sample(rows, self._sample)
        for line in report.table(shown):
            self._say(line)
        if len(shown) < len(rows):
            self._say(f"... {len(rows) - len(shown)} more: rtrd demo --all")
        self._say("")
        for line in report.summary(rows):
            self._say(line)
        changes = self._change(chain, cache)
        return {
            "versions": versions,
            "routes": [row.__dict__ for row in rows],
            "changes": changes,
            "faults": [f"{row.prefix}: {row.fault}" for row in rows if row.fault],
        }

    def _settled(self, chain: Chain, wanted: Internet, seconds: float = 20) -> dict[str, Received]:
        """Return what the listener has, by prefix, once it has what it should; else what it has by then."""
        expected = {route.prefix: tag for route in wanted.routes if (tag := _expected(route, wanted))}
        received: list[Received] = []

        def as_expected(routes: list[Received]) -> bool:
            received[:] = routes
            return {route.prefix: route.validity for route in routes} == expected

        try:
            chain.wait_routes(as_expected, "the routes that RFC 6811 lets through", seconds)
        except LabError:
            # Wrong routes are for the table to show; none at all is a chain that did not come up.
            if not received:
                raise
        return {route.prefix: route for route in received}

    def _rows(self, chain: Chain, received: dict[str, Received]) -> list[Row]:
        with http_client.ask(chain.socket, "/routes") as answer:
            said = {route["prefix"]: route for route in answer.value()["routes"]}
        rows = []
        for route in self._internet.routes:
            told = said.get(route.prefix, {"validity": "unknown", "decision": "unknown"})
            got = received.get(route.prefix)
            rows.append(
                Row(
                    prefix=route.prefix,
                    origin_as=route.origin_as,
                    validity=told["validity"],
                    reason=_reason(chain, route),
                    decision=told["decision"],
                    received=_described(got),
                    fault=_fault(route, self._internet, got, told["validity"]),
                )
            )
        return rows

    def _change(self, chain: Chain, cache: RtrdCache) -> list[dict[str, Any]]:
        """Give one VRP to another AS and back; return which routes went and came, and how fast."""
        before = self._internet
        old, new, after, prefixes = before.stolen()
        figures = []
        for published, vrp, withdrawn in ((after, new, True), (before, old, False)):
            seen = len(chain.listener.monitor.lines)
            start = time.monotonic()
            cache.serve(published.vrps)
            arrived = chain.listener.wait_changes(prefixes, withdrawn=withdrawn, since=seen)
            milliseconds = {prefix: (moment - start) * 1000 for prefix, moment in arrived.items()}
            self._settled(chain, published)
            what = "withdrawn" if withdrawn else "announced"
            state = "become invalid" if withdrawn else "are valid again"
            self._say(
                f"\nThe cache's file now says {vrp.prefix}-{vrp.max_length} AS{vrp.asn}: "
                f"{len(prefixes)} routes {state}. What arrived at the peer:"
            )
            for prefix, ms in milliseconds.items():
                self._say(f"  {what} {prefix:<21}{ms:>6.1f} ms after the file had changed")
            figures.append({"vrp": vrp._asdict(), "what": what, "ms": milliseconds})
        return figures


def _expected(route: Route, wanted: Internet) -> str | None:
    """Return the tag that the peer must see; None: no such route."""
    state = validity(route, wanted.vrps)
    return None if state == "invalid" else state


def _fault(route: Route, wanted: Internet, got: Received | None, said: str) -> str | None:
    """Return how what the peer received, or what rtrd says, differs from what it should be."""
    expected = _expected(route, wanted)
    if said != validity(route, wanted.vrps):
        return f"rtrd says {said}, RFC 6811 says {validity(route, wanted.vrps)}"
    if got is None or expected is None:
        return None if got is None and expected is None else f"expected {expected or 'no route'} at the peer"
    pairs = {
        "tag": (got.validity, expected),
        "next hop": (got.next_hop, route.next_hop),
        "as-path": (got.as_path, route.segments),
        "communities": (got.communities, route.communities),
        "large communities": (got.large_communities, route.large_communities),
        "med": (got.med, route.med),
    }
    wrong = [f"{name} {have} instead of {want}" for name, (have, want) in pairs.items() if have != want]
    return "; ".join(wrong) or None


def _described(got: Received | None) -> str:
    """Return what arrived, as the table says it."""
    if got is None:
        return "nothing"
    count = len(got.communities) + len(got.large_communities)
    return f"{got.validity or 'no tag'}{f' + {count} comm.' if count else ''}"


def _reason(chain: Chain, route: Route) -> str:
    """Return in a few words what rtrd answers about the route's VRPs."""
    request = http_client.url(f"/api/v1/validity/AS{route.origin_as or 0}/{route.prefix}")
    with http_client.ask(chain.socket, request) as answer:
        found = answer.value()["validated_route"]["validity"]
    vrps = found["VRPs"]
    if found["state"] == "valid":
        vrp = vrps["matched"][0]
        return f"{vrp['prefix']}-{vrp['max_length']}"
    if found["state"] == "not-found":
        return "no VRP covers it"
    if route.origin_as is None:
        return "path ends in an AS_SET"
    if found["reason"] == "length":
        return f"length: at most /{vrps['unmatched_length'][0]['max_length']}"
    return f"AS: it is {vrps['unmatched_as'][0]['asn']}'s"


def _version(argv: list[str], word: str) -> str:
    """Return `NAME VERSION` as the program says it."""
    said = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout
    numbers = [part for part in said.split() if part[:1].isdigit()]
    return f"{word} {numbers[0]}" if numbers else word
