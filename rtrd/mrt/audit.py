"""What a table dump is under one set of VRPs, or what would change with another one: for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from rtrd.base.notation import parse_prefix
from rtrd.mrt.files import DumpError
from rtrd.mrt.records import DumpRoute
from rtrd.mrt.table_dump import TableDump
from rtrd.rib import validity
from rtrd.rib.whatif import COVERS
from rtrlib.vrp_set import VALIDITIES, VRPSet

TOP: Final = 10
"""Origin ASes that are named as those with the most invalid routes."""


class Reading(NamedTuple):
    """What came of reading a dump."""

    routes: list[DumpRoute]
    """Those that were asked for, the first ones."""
    invalid: Counter[str]
    """How many of all that were asked for are invalid by the second set, by prefix."""
    origins: Counter[int | None]
    """The same by origin AS."""
    of_paths: list[DumpRoute]
    """Those that are here for their paths alone or, too, the first ones."""


def read(
    dump: TableDump, *, partial: bool, most: int | None = None, wanted: Callable[[DumpRoute], bool] = lambda _: True
) -> Reading:
    """Read a dump; `most`: routes that are kept. `wanted`: those that count.

    Raises DumpError when it can't be read to its end; with `partial` what was read counts all the same.
    """
    found: list[DumpRoute] = []
    of_paths: list[DumpRoute] = []
    invalid, origins = Counter[str](), Counter[int | None]()
    try:
        for route in filter(wanted, dump.routes()):
            if (route.now, route.then) in dump.wanted and (most is None or len(found) < most):
                found.append(route)
            if route.aspa == "invalid" and (most is None or len(of_paths) < most):
                of_paths.append(route)
            if route.then == "invalid":
                invalid[route.prefix] += 1
                origins[route.origin] += 1
    except DumpError as error:
        if not partial or not dump.moved:
            raise
        dump.fault = str(error)
    dump.settle()
    return Reading(found, invalid, origins, of_paths)


def audited(dump: TableDump, reading: Reading, vrps: VRPSet) -> dict[str, Any]:
    """Give the routes by validity, and the invalid ones with the reason and how their prefix is still reached."""
    counts = Counter[str]()
    for (now, _), routes in dump.moved.items():
        counts[now] += routes
    invalid = [_invalid(dump, route, vrps) for route in reading.routes]
    of_paths = [{**_row(route), "validity": route.now} for route in reading.of_paths]
    return {
        "routes": {name: counts[name] for name in VALIDITIES if name != "unverified"},
        "covers": _covers(dump, reading),
        "origins": [{"origin_as": origin, "routes": routes} for origin, routes in reading.origins.most_common(TOP)],
        "invalid": invalid,
        "paths": dump.paths,
        "invalid_paths": of_paths,
        **left_out(dump),
    }


def changed(dump: TableDump, reading: Reading, without_effect: list[str]) -> dict[str, Any]:
    """Give the routes that would change, as `rtrd whatif` does: a peer is a neighbor, and the file a router."""
    moved = {key: routes for key, routes in sorted(dump.moved.items()) if key[0] != key[1]}
    return {
        "routes": sum(dump.moved.values()),
        "newly_invalid": _covers(dump, reading),
        "changes": [{"now": now, "then": then, "routes": routes} for (now, then), routes in moved.items()],
        "changed": [
            {
                "router": dump.path.name,
                "neighbor": route.peer,
                "prefix": route.prefix,
                "path_id": route.path_id,
                "origin_as": route.origin,
                "now": route.now,
                "then": route.then,
                "cover": dump.cover(route.prefix) if route.then == "invalid" else None,
            }
            for route in reading.routes
        ],
        "left_out": sum(moved.values()) - len(reading.routes),
        "without_effect": without_effect,
        **left_out(dump),
    }


def rows(
    dump: TableDump, vrps: VRPSet, wanted: Callable[[DumpRoute], bool], *, partial: bool
) -> Iterator[dict[str, Any]]:
    """Give the routes themselves, with validity and reason, as they are read; `partial`: also of a dump that is cut."""
    try:
        for route in filter(wanted, dump.routes()):
            reason = _reason(route, vrps) if route.now == "invalid" else None
            yield {"neighbor": route.peer, **_row(route), "validity": route.now, "reason": reason}
    except DumpError as error:
        if not partial:
            raise
        dump.fault = str(error)


def _covers(dump: TableDump, reading: Reading) -> dict[str, int]:
    covers = dict.fromkeys(COVERS, 0)
    for prefix, routes in reading.invalid.items():
        covers[dump.cover(prefix)] += routes
    return covers


def left_out(dump: TableDump) -> dict[str, Any]:
    """Give how much of a dump did not count, and why reading ended early."""
    return {
        "malformed": dump.malformed,
        "peerless": dump.peerless,
        "malformed_messages": dump.broken_messages,
        "other_records": dump.records,
        "fault": dump.fault,
    }


def _row(route: DumpRoute) -> dict[str, Any]:
    return {
        "prefix": route.prefix,
        "peer": route.peer,
        "peer_as": route.peer_as,
        "path_id": route.path_id,
        "origin_as": route.origin,
    }


def _invalid(dump: TableDump, route: DumpRoute, vrps: VRPSet) -> dict[str, Any]:
    return {**_row(route), "reason": _reason(route, vrps), "cover": dump.cover(route.prefix), "aspa": route.aspa}


def _reason(route: DumpRoute, vrps: VRPSet) -> str | None:
    covering = [found.vrp for found in vrps.covering(route.prefix)]
    found = validity.explain(parse_prefix(route.prefix), route.origin, covering)["validated_route"]["validity"]
    return str(found["reason"]) if "reason" in found else None


def lines(answer: dict[str, Any], most: int) -> Iterator[str]:
    """Return the lines for an audit; `most`: invalid routes that are named."""
    routes = answer["routes"]
    yield ", ".join(f"{name} {routes[name]}" for name in routes) + f", of {sum(routes.values())} routes"
    if routes["invalid"]:
        covers = answer["covers"]
        yield (
            f"without the invalid ones: {covers['unreachable']} unreachable, {covers['covered-by-valid']} covered by a"
            f" valid route, {covers['covered-by-not-found']} covered by a not-found route"
        )
        yield "most invalid routes: " + ", ".join(
            f"{_as(one['origin_as'])} {one['routes']}" for one in answer["origins"]
        )
        yield f"{'PREFIX':<43} {'PEER':<39} {'PATH-ID':<10} {'ORIGIN':<12} {'REASON':<7} COVER"
    for row in answer["invalid"][:most]:
        path_id = "-" if row["path_id"] is None else row["path_id"]
        yield (
            f"{row['prefix']:<43} {row['peer']:<39} {path_id:<10} {_as(row['origin_as']):<12} {row['reason']:<7}"
            f" {row['cover']}"
        )
    if routes["invalid"] > most:
        yield f"and {routes['invalid'] - most} more (--rows, --json)"
    yield from _path_lines(answer, most)
    yield from notes(answer)


def _path_lines(answer: dict[str, Any], most: int) -> Iterator[str]:
    paths, rows = answer["paths"], answer["invalid_paths"]
    if paths is None:
        return
    judged = sum(paths.values())
    yield (
        "paths: " + ", ".join(f"{name} {paths[name]}" for name in paths) + f", of {judged} routes whose peer has a role"
    )
    if rows:
        yield f"{'PREFIX':<43} {'PEER':<39} {'PEER AS':<12} {'ORIGIN':<12} VALIDITY"
    for row in rows[:most]:
        asns = f"{_as(row['peer_as']):<12} {_as(row['origin_as']):<12}"
        yield f"{row['prefix']:<43} {row['peer']:<39} {asns} {row['validity']}"
    if paths["invalid"] > most:
        yield f"and {paths['invalid'] - most} more (--rows, --json)"


def notes(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines about what is left out, and why reading ended early."""
    for name, what in (
        ("malformed", "entries left out, whose path attributes can't be read"),
        ("peerless", "entries left out, of a peer that the dump does not list, as GoBGP 3 writes its local routes"),
        ("malformed_messages", "BGP messages left out, which are malformed"),
        ("other_records", "records left out, which hold no unicast routes"),
    ):
        if answer[name]:
            yield f"{answer[name]} {what}"
    if answer["fault"]:
        yield f"not read to its end: {answer['fault']}"


def _as(asn: int | None) -> str:
    return "none" if asn is None else f"AS{asn}"
