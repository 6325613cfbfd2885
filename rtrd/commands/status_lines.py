"""Lines of `rtrd status` that are the same in a pipe and on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rtrd.base.endpoint import Endpoint
from rtrd.base.text import counted, printable
from rtrd.tags import VALIDITIES

_WHEN: Final = (
    ("since", "not in sync since"),
    ("next_attempt", "next attempt at"),
    ("expires", "its VRPs expire at"),
)


def cache(server: dict[str, Any]) -> str:
    """Say where a cache is."""
    return printable(str(Endpoint(server["host"], server["port"])))


def never_asked(server: dict[str, Any]) -> bool:
    """Tell whether rtrd never tried to connect to a cache."""
    return bool(server["state"] == "CLOSED" and server.get("last_update") is None and not server.get("last_fault"))


def not_needed(server: dict[str, Any]) -> str:
    """Say why a cache has no session, if that is as it should be: a preferred group is in use."""
    if server["state"] != "CLOSED":
        return ""
    return "not needed now, never connected" if never_asked(server) else "not needed now"


def faults(server: dict[str, Any]) -> Iterator[str]:
    """Say what is wrong with a cache; when nothing is, what was. One that is not needed now need not be well again."""
    last = server.get("last_fault")
    if server.get("error") is not None:
        yield printable(server["error"])
        for name, label in _WHEN:
            if server.get(name) is not None:
                yield f"{label} {printable(server[name])}"
    elif last is not None:
        over = "recovered; at" if server["state"] == "ESTABLISHED" else "not asked again; at"
        yield f"{over} {printable(last['time'])}: {printable(last['why'])}"
    if server.get("faults"):
        counts = ", ".join(f"{printable(name)} {count}" for name, count in sorted(server["faults"].items()))
        yield f"faults: {counts}"


def attached(router: dict[str, Any]) -> bool:
    """Tell whether an ExaBGP is there; older daemons only list those that are."""
    return bool(router.get("attached", True))


def door(router: dict[str, Any]) -> str:
    """Say how a router is told of."""
    return "BMP" if router.get("bmp") else f"ExaBGP {printable(str(router['exabgp']))}"


def gone(router: dict[str, Any]) -> str:
    """Say that a router should be there and is not."""
    return f"not attached since {printable(str(router['since']))}"


def waits_for(router: dict[str, Any]) -> Iterator[str]:
    """Say why nothing is announced or withdrawn now, if so."""
    if router.get("waits_for") is not None:
        yield f"waiting for: {printable(router['waits_for'])} (for {router['waits_seconds']} s)"


def local_routes(router: dict[str, Any]) -> Iterator[str]:
    """Say how many local routes the router has, if any."""
    routes = router.get("local_routes", {})
    if any(routes.values()):
        counts = ", ".join(f"{routes[validity]} {validity}" for validity in VALIDITIES)
        withdrawn = router.get("local_routes_withdrawn", 0)
        yield f"local routes: {counts}" + (f"; {withdrawn} withdrawn" if withdrawn else "")


def paths(router: dict[str, Any]) -> Iterator[str]:
    """Say what the paths of the router's routes are, where any are judged."""
    neighbors = router["neighbors"]
    counts: Counter[str] = Counter()
    for neighbor in neighbors if isinstance(neighbors, list) else ():
        counts.update(neighbor.get("paths") or {})
    if any(counts.values()):
        judged = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("valid", "unknown", "invalid"))
        kept = f"; {counted(counts['kept_back'], 'route')} kept back" if counts["kept_back"] else ""
        yield f"paths: {judged}; {counted(counts['leak'], 'leak')}{kept}"


def left_out(router: dict[str, Any]) -> Iterator[str]:
    """Say of which neighbors routes are left out, and why."""
    neighbors = router["neighbors"]
    for neighbor in neighbors if isinstance(neighbors, list) else ():
        if counts := neighbor.get("left_out"):
            why = ", ".join(f"{count} {printable(reason)}" for reason, count in sorted(counts.items()))
            yield f"routes left out of {printable(neighbor['address'])}: {why}"


def exempts(status: dict[str, Any]) -> Iterator[str]:
    """Return lines for what an operator exempted, the latest of it."""
    found = status.get("exempts") or {"count": 0, "fault": None}
    if found["count"]:
        yield f"exempts: {found['count']} (rtrd exempt --list)"
        for one in found["latest"]:
            until = "" if one["until"] is None else f", until {printable(one['until'])}"
            comment = f": {printable(one['comment'])}" if one["comment"] else ""
            yield f"  {one['prefix']} {one['asn']}{until}{comment}"


def age(seconds: float) -> str:
    """Say how long something is ago, in the unit that fits."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def published(events: dict[str, Any]) -> str:
    """Say how publishing events goes."""
    if not events["connected"]:
        why = events["why"]
        how = "has not answered yet" if why is None else f"takes no events: {printable(why)}"
    elif not events["acknowledged"]:
        how = "connected, no stream keeps the events"
    elif events["stream"] is None:
        how = "connected"
    else:
        how = f"connected, stream {printable(events['stream'])}"
    at = events["last_acknowledged"]
    took = "nothing taken yet" if at is None else f"the last taken at {printable(at)}"
    waiting = counted(events["waiting"], "event", "waits", "wait")
    lost = f", {events['lost']} lost" if events["lost"] else ""
    return f"NATS {printable(events['nats'])}: {how}; {took}; {waiting}{lost}"
