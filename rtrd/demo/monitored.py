"""What `rtrd demo --bmp` shows: routers that tell their routes by BMP, the validity of each, and a VRP that changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from rtrd.base.endpoint import Endpoint
from rtrd.commands import http_client
from rtrd.demo import report
from rtrd.demo.caches import RtrdCache
from rtrd.demo.frr import FRR
from rtrd.demo.lab import Lab, LabError, Process, find_program
from rtrd.demo.ports import free_port
from rtrd.demo.routers import EXABGP_5, ExaBGP, GoBGP, Neighbor
from rtrd.demo.routes import FEEDER_ASN, Internet, Route, internet, validity

SECONDS = 30.0
STATION, FEEDER, GOBGP_ADDRESS, FRR_ADDRESS = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.5"
GOBGP_ASN, FRR_ASN = 65001, 65002
DRAWING = """\
  rtrd cache --RTR--> rtrd              {vrps} VRPs
                       ^  BMP: what is announced to them, each by itself
                       |
  ExaBGP ----BGP--> {routers}
  AS64496 announces {routes} routes to each
"""


class MonitoredShow:
    """The demo, told to `say` line by line."""

    def __init__(self, lab: Lab, say: Callable[[str], None], *, every: bool, sample: int) -> None:
        self._lab = lab
        self._say = say
        self._every = every
        self._sample = sample
        self._internet = internet()
        self._socket = lab.folder / "rtrd.sock"
        self._daemon = Process("rtrd", (), lab.folder)
        self._watch = Process("watch", (), lab.folder)

    def run(self) -> dict[str, Any]:
        """Play it; return the figures, and under `faults` what rtrd says against RFC 6811."""
        find_program("exabgp", EXABGP_5)
        station = Endpoint(STATION, free_port(STATION))
        cache = self._lab.start(RtrdCache(self._lab.folder, self._internet.vrps))
        routers, missing = self._made(station)
        drawing = DRAWING.format(
            vrps=len(self._internet.vrps), routes=len(self._internet.routes), routers=", ".join(routers)
        )
        for line in (*drawing.splitlines(), *missing):
            self._say(line)
        started = time.monotonic()
        self._start_daemon(station, cache)
        self._start_routers(list(routers.values()))
        found = self._settled(list(routers), self._internet)
        self._say(f"\nSettled {time.monotonic() - started:.1f} s after the first process was started.\n")
        faults = self._show(found)
        changes = self._change(list(routers), cache)
        return {"routers": found, "missing": missing, "changes": changes, "faults": faults}

    # -- the parts

    def _made(self, station: Endpoint) -> tuple[dict[str, GoBGP | FRR], list[str]]:
        """Make the routers that this host has, and say which it has not. LabError: it has none."""
        routers: dict[str, GoBGP | FRR] = {}
        missing = []

        def gobgp() -> GoBGP:
            made = GoBGP(self._lab.folder, address=GOBGP_ADDRESS, asn=GOBGP_ASN)
            made.station = station
            return made

        def frr() -> FRR:
            return FRR(self._lab.folder, station, address=FRR_ADDRESS, asn=FRR_ASN)

        # By the names that they give themselves.
        for name, make in (("GoBGP", gobgp), ("frr", frr)):
            try:
                routers[name] = make()
            except LabError as error:
                missing.append(f"left out: {error}")
        if not routers:
            raise LabError("; ".join(each.removeprefix("left out: ") for each in missing))
        return routers, missing

    def _start_daemon(self, station: Endpoint, cache: RtrdCache) -> None:
        server = {"host": cache.address, "port": cache.port}
        groups = [{"name": "demo", "preference": 1, "servers": [server]}]
        settings = {
            "caches": {"refresh": 60, "retry": 1, "expire": 600, "groups": groups},
            "control": str(self._socket),
            "bmp": {"listen": [str(station)]},
        }
        configuration = self._lab.folder / "rtrd.yaml"
        configuration.write_text(yaml.safe_dump(settings, sort_keys=False))
        rtrd = find_program("rtrd", "make venv")
        self._daemon = self._lab.start(Process("rtrd", [rtrd, "run", "-c", str(configuration)], self._lab.folder))
        self._daemon.wait_listening(station.port)
        self._daemon.wait_until(lambda: self._ask("/status")["ready"], SECONDS, "the VRPs", tick=0.05)
        self._watch = self._lab.start(
            Process("watch", [rtrd, "watch", "--json", "--socket", str(self._socket)], self._lab.folder)
        )

    def _start_routers(self, routers: list[GoBGP | FRR]) -> None:
        for router in routers:
            router.neighbors = [Neighbor(address=FEEDER, asn=FEEDER_ASN)]
            self._lab.start(router)
        static = [route.exabgp() for route in self._internet.routes]
        feeder = ExaBGP(self._lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)
        asns = {GOBGP_ADDRESS: GOBGP_ASN, FRR_ADDRESS: FRR_ASN}
        feeder.neighbors = [Neighbor(address=one.address, asn=asns[one.address], port=one.port) for one in routers]
        self._lab.start(feeder)

    def _ask(self, what: str) -> Any:
        with http_client.ask(self._socket, what) as answer:
            return answer.value()

    # -- what is shown

    def _told(self, routers: list[str]) -> dict[str, dict[str, str]]:
        """Give what rtrd says of the routes of each router, as its neighbor announces them: prefix to validity."""
        found: dict[str, dict[str, str]] = {name: {} for name in routers}
        for row in self._ask("/routes")["routes"]:
            if row["rib"] == "pre" and row["router"] in found:
                found[row["router"]][row["prefix"]] = row["validity"]
        return found

    def _settled(self, routers: list[str], wanted: Internet) -> dict[str, dict[str, str]]:
        """Return what rtrd says of each router once it is what RFC 6811 says; else what it says by then."""
        expected = {route.prefix: validity(route, wanted.vrps) for route in wanted.routes}
        found: dict[str, dict[str, str]] = {}

        def as_expected() -> bool:
            found.update(self._told(routers))
            return all(of_one == expected for of_one in found.values())

        try:
            self._daemon.wait_until(as_expected, SECONDS, "the routes of each router", tick=0.1)
        except LabError:
            if not any(found.values()):
                raise
        return found

    def _show(self, found: dict[str, dict[str, str]]) -> list[str]:
        heads = ("prefix", "origin AS", *found)
        rows = [_row(route, found) for route in self._internet.routes]
        chosen = rows if self._every else _sample(rows, self._sample)
        widths = (21, 10, *(11 for _ in found))
        for cells in (heads, tuple("-" * width for width in widths), *chosen):
            self._say(" ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        if len(chosen) < len(rows):
            self._say(f"... {len(rows) - len(chosen)} more: rtrd demo --bmp --all")
        self._say("")
        for name, of_one in found.items():
            counts = Counter(of_one.values())
            self._say(
                f"  {name:<6} " + ", ".join(f"{counts[each]} {each}" for each in report.VALIDITIES if counts[each])
            )
        return [
            f"{name}: {route.prefix}: rtrd says {of_one.get(route.prefix, 'nothing')}, RFC 6811 says {expected}"
            for name, of_one in found.items()
            for route in self._internet.routes
            if of_one.get(route.prefix) != (expected := validity(route, self._internet.vrps))
        ]

    def _change(self, routers: list[str], cache: RtrdCache) -> list[dict[str, Any]]:
        """Give one VRP to another AS and back; return which routes changed at which router, and how fast."""
        before = self._internet
        old, new, after, prefixes = before.stolen(least=3)
        changes = []
        for published, vrp, then in ((after, new, "invalid"), (before, old, "valid")):
            seen, start = len(self._watch.lines), time.monotonic()
            cache.serve(published.vrps)
            moments = self._watch.wait_until(
                lambda: self._arrived(seen, then, {(name, prefix) for name in routers for prefix in prefixes}),  # noqa: B023
                SECONDS,
                f"{len(prefixes)} routes to become {then}",
            )
            self._say(f"\nThe cache's file now says {vrp.prefix}-{vrp.max_length} AS{vrp.asn}. What became {then}:")
            for name in routers:
                last = max(moment for (router, _), moment in moments.items() if router == name)
                ms = (last - start) * 1000
                self._say(f"  {name:<6} {len(prefixes)} routes, the last one {ms:.1f} ms after the file had changed")
                changes.append({"router": name, "then": then, "routes": len(prefixes), "ms": ms})
        return changes

    def _arrived(self, since: int, then: str, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], float] | None:
        """Give when each of these routes was said to have changed; None: not all were."""
        found = {}
        for line in self._watch.lines[since:]:
            event = msgspec.json.decode(line.text)
            if event.get("validity") == then:
                found[event["router"], event["prefix"]] = line.time
        return {key: found[key] for key in wanted} if wanted <= found.keys() else None


def _row(route: Route, found: dict[str, dict[str, str]]) -> tuple[str, ...]:
    origin = "NONE" if route.origin_as is None else f"AS{route.origin_as}"
    return (route.prefix, origin, *(of_one.get(route.prefix, "unknown") for of_one in found.values()))


def _sample(rows: list[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """Return `count` rows, of each validity and family some."""
    kinds: dict[tuple[str, bool], list[tuple[str, ...]]] = {}
    for row in rows:
        kinds.setdefault((row[2], ":" in row[0]), []).append(row)
    share = max(1, count // len(kinds))
    return [row for of_kind in kinds.values() for row in of_kind[:share]]
