"""What the status says of a router, made in small steps: a router may have thousands of neighbors.

Between two steps the loop may turn, and neighbors may come and go: each is as of the moment in which it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from rtrd.base.clock import timestamp
from rtrd.base.text import printable
from rtrd.bmp.router import BMPRouter
from rtrd.door import Router
from rtrd.exabgp.session import ExaBGP
from rtrd.rib.terms import PATH_OUTCOMES
from rtrd.tags import VALIDITIES

NOTHING: Final[Mapping[str, Any]] = {
    "name": "",
    "attached": False,
    "exabgp": None,
    "bmp": None,
    "acks": "unknown",
    "neighbors": [],
    "routes": dict.fromkeys(VALIDITIES, 0),
    "local_routes": dict.fromkeys(VALIDITIES, 0),
    **dict.fromkeys(("waits_for", "waits_seconds"), None),
    **dict.fromkeys(("local_routes_withdrawn", "outbox", "unanswered", "refused", "never_answered"), 0),
    **dict.fromkeys(("lines", "lines_left_out", "prefixes_left_out", "other_families"), 0),
}
"""What the status has of a router that is not attached."""


def iso(time: float | None) -> str | None:
    """Write a Unix time, if there is one."""
    return None if time is None else timestamp(time)


def up_since(router: Router, address: str) -> float | None:
    """Give since when the sessions with a neighbor are up; None: they are not."""
    return router.neighbors.since(address) if router.neighbors.up(address) else None


# -- how many routes


def counted_by_address(router: Router) -> dict[str, list[str]]:
    """Give the names of the sessions whose routes count, by the neighbor's address."""
    found: dict[str, list[str]] = {}
    for name in router.counted():
        found.setdefault(name.partition(" ")[0], []).append(name)
    return found


def counts_of(router: Router, names: Iterable[str]) -> dict[str, int]:
    """How many routes of sessions have which validity; those that are over have none."""
    return _sum(router, names, VALIDITIES, router.engine.table.counts)


def path_counts_of(router: Router, names: Iterable[str]) -> dict[str, int]:
    """How many of them have a path of which outcome, have leaked, or are kept back (RouteTable.path_counts)."""
    return _sum(router, names, (*map(str, PATH_OUTCOMES[1:]), "leak", "kept_back"), router.engine.table.path_counts)


def _sum(
    router: Router, names: Iterable[str], kinds: Iterable[str], read: Callable[[int], Mapping[str, int]]
) -> dict[str, int]:
    total = dict.fromkeys(kinds, 0)
    by_name = router.engine.sessions.by_name
    for name in names:
        if (session := by_name.get(name)) is not None:
            for kind, count in read(session.number).items():
                total[kind] += count
    return total


def counts(router: Router) -> dict[str, int]:
    """How many routes have which validity, each counted once."""
    return counts_of(router, router.counted())


# -- the whole of a router


def status_of(router: ExaBGP | BMPRouter) -> Iterator[dict[str, Any] | None]:
    """Give what the status has of a router at the end; before it None, where the loop may turn."""
    by_address = counted_by_address(router)
    engine = router.engine
    receivers = engine.receivers if isinstance(router, ExaBGP) else ()
    total: dict[str, int] = dict.fromkeys(VALIDITIES, 0)
    neighbors = []
    for address in sorted({*receivers, *by_address, *router.neighbors.addresses()}):
        yield None
        names = by_address.get(address, [])
        routes = counts_of(router, names) if names else {}
        for validity, count in routes.items():
            total[validity] += count
        neighbors.append(
            {
                "address": address,
                "up": router.neighbors.up(address),
                "up_since": iso(up_since(router, address)),
                "name": engine.sessions.kind(address).name,
                "relation": engine.sessions.relation(address),
                "local_role": router.local_role(address),
                "paths": path_counts_of(router, names) if names else {},
                "paths_unjudged": engine.sessions.why_unjudged(names[-1] if names else address),
                "routes": routes,
                "left_out": dict(engine.left_out.get(address, {})),
                **(_several(router, address) if isinstance(router, ExaBGP) else _statistics(router, address)),
            }
        )
    more = _of_exabgp(router) if isinstance(router, ExaBGP) else {"bmp": router.numbers()}
    table = engine.table
    yield {
        **NOTHING,
        "name": engine.name,
        "attached": True,
        "neighbors": neighbors,
        "routes": total,
        "prefixes_left_out": table.malformed + table.crowded,
        "other_families": engine.others,
        **more,
    }


def _statistics(router: BMPRouter, address: str) -> dict[str, Any]:
    return {"statistics": router.statistics_of(address)}


def _several(router: ExaBGP, address: str) -> dict[str, Any]:
    """Give the sessions with one address, if there are several: each is with another address of the router's own."""
    sessions = router.neighbors.sessions(address)
    if len(sessions) < 2:
        return {}
    return {
        "sessions": [
            {"local_address": printable(local), "up": told.up, "up_since": iso(told.since) if told.up else None}
            for local, told in sorted(sessions.items())
        ]
    }


def _of_exabgp(router: ExaBGP) -> dict[str, Any]:
    engine, gate = router.engine, router.gate
    window = gate.window
    return {
        "exabgp": window.version,
        "acks": window.acks.value,
        "local_routes": engine.local_routes.total(),
        "local_routes_withdrawn": len(engine.local_routes.withdrawn),
        "outbox": engine.table.state.waiting,
        "waits_for": None if gate.waits_for is None else gate.waits_for.value,
        "waits_seconds": None if gate.waits_for is None else round(router.clock() - gate.since, 1),
        "unanswered": len(window.written),
        "refused": window.errors,
        "never_answered": window.unanswered,
        "lines": router.lines,
        "lines_left_out": router.undecodable,
    }
