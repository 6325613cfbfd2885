"""`rtrd status`: caches, VRPs, routers and routes as text."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Iterator
from typing import Any

from rtrd.base import socket_paths
from rtrd.base.text import counted, printable
from rtrd.cli import DONE, FAILED
from rtrd.commands import common, http_client, terminal
from rtrd.commands.status_lines import (
    age,
    attached,
    cache,
    door,
    exempts,
    faults,
    gone,
    left_out,
    local_routes,
    never_asked,
    not_needed,
    paths,
    published,
    waits_for,
)
from rtrd.tags import VALIDITIES


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd status`."""
    common.add_wide(parser)
    common.add_options(parser)
    parser.add_argument(
        "--check", action="store_true", help="print only the problems; exit with 1 if one of them is critical"
    )


def run(args: argparse.Namespace) -> int:
    """Ask for the status and print it, or what monitoring wants to know of it."""
    if args.check:
        return _check(args)
    if not sys.stdout.isatty():
        return common.ask(args, http_client.url("/status"), lambda answer: lines(answer.value()))
    width = terminal.width(wide=args.wide)
    return common.ask(args, http_client.url("/status"), lambda answer: shown(answer.value(), width))


def _check(args: argparse.Namespace) -> int:
    with http_client.ask(socket_paths.socket_path(args.socket), http_client.url("/status")) as answer:
        status = answer.value()
    common.show(args, {**status["health"], "problems": status["problems"]}, _head(status))
    critical = any(problem["severity"] == "critical" for problem in status["problems"])
    return FAILED if critical else DONE


def shown(status: dict[str, Any], width: int) -> Iterator[str]:
    """Return the lines for a terminal of so many columns: the same, with tables for caches and neighbors."""
    from rtrd.commands import tables

    plain = list(lines({**status, "groups": [], "routers": []}))
    mood = {"ok": "good", "degraded": "fair", "failed": "bad"}[status["health"]["status"]]
    yield from (terminal.paint(line, mood) for line in terminal.wrapped(plain[0], width))
    for line in plain[1:]:
        yield from terminal.wrapped(line, width)
    yield ""
    yield from terminal.rendered(*tables.status(status, time.time()), columns=width)


def lines(status: dict[str, Any]) -> Iterator[str]:
    """Return the lines for an answer of /status."""
    yield from _head(status)
    yield from _vrps(status)
    for group in status["groups"]:
        yield from _group(group, active=group["name"] == status["active_group"])
    for file in status.get("slurm", ()):
        yield from _slurm(file)
    yield from exempts(status)
    if status.get("rtr_server") is not None:
        yield _rtr_server(status["rtr_server"])
    if status.get("bird") is not None:
        yield _bird(status["bird"])
    if status.get("events") is not None:
        yield published(status["events"])
    for router in status["routers"]:
        yield from _router(router)


def _vrps(status: dict[str, Any]) -> Iterator[str]:
    if status.get("started") is not None:
        seconds = time.time() - dt.datetime.fromisoformat(status["started"]).timestamp()
        yield f"on {printable(status['host'])}, up for {age(max(0.0, seconds))}, since {printable(status['started'])}"
    vrps = status["vrps"]
    yield f"VRPs: {vrps['ipv4']} IPv4, {vrps['ipv6']} IPv6{_aspas(status)}"
    if status.get("snapshot") is not None:
        yield _snapshot(status["snapshot"])
    held = (status.get("guard") or {}).get("held")
    if held is not None:
        yield from _held(status["guard"]["state"], held)
    if status.get("last_change") is not None:
        yield f"last change of routes or VRPs: {printable(status['last_change'])}"


def _aspas(status: dict[str, Any]) -> str:
    return f"; ASPAs: {status['aspas']}" if status.get("aspas") else ""


def _head(status: dict[str, Any]) -> Iterator[str]:
    """Say in a line how it is, then every problem."""
    yield f"rtrd {status['version']}, {printable(status['health']['summary'])}"
    for problem in status["problems"]:
        yield f"{problem['severity']}: {printable(problem['what'])} (since {printable(problem['since'])})"


def _group(group: dict[str, Any], *, active: bool) -> Iterator[str]:
    how = f"preference {group['preference']}{', active' if active else ''}"
    yield f"group {printable(group['name'])} ({how}): {group['status']}"
    for server in group["servers"]:
        yield "  " + _server(server)
        yield from (f"    {line}" for line in faults(server))


def _slurm(file: dict[str, Any]) -> Iterator[str]:
    has = f"{counted(file['filters'], 'filter')}, {counted(file['assertions'], 'assertion')}"
    yield f"SLURM {printable(file['path'])}: {has}"
    if file["fault"] is not None:
        yield f"  the file as it is now is not in force: {printable(file['fault'])}"


def _rtr_server(relay: dict[str, Any]) -> str:
    serial = "no data yet" if relay["serial"] is None else f"serial {relay['serial']}"
    addresses = [*relay["listen"], *(f"{one} by TLS" for one in relay.get("listen_tls", ()))]
    where = ", ".join(map(printable, addresses)) or "nowhere: its log says why"
    return f"RTR server: {where}; {counted(relay['clients'], 'router')}, {serial}"


def _router(router: dict[str, Any]) -> Iterator[str]:
    name = printable(str(router["name"]))
    if not attached(router):
        yield f"router {name}: {gone(router)}"
        return
    yield f"router {name} ({door(router)})"
    neighbors = router["neighbors"]
    count = neighbors if isinstance(neighbors, int) else len(neighbors)
    routes = ", ".join(f"{router['routes'][validity]} {validity}" for validity in VALIDITIES)
    waiting = counted(router["outbox"], "command", "is waiting", "are waiting")
    waiting = "only observed" if router.get("bmp") else waiting
    yield f"  {counted(count, 'neighbor')}; routes: {routes}; {waiting}"
    yield from (f"  {line}" for line in (*paths(router), *waits_for(router), *local_routes(router), *left_out(router)))


def _bird(bird: dict[str, Any]) -> str:
    found = bird["found"]
    parts = [f"BIRD {printable(bird['socket'])}: {'not audited yet' if found is None else bird['last_audit']}"]
    if found is not None:
        routes = ", ".join(f"{count} {printable(validity)}" for validity, count in found["routes"].items())
        parts.append(
            f"routes: {routes}; {counted(found['vrps'], 'VRP')}, {found['missing']} missing, {found['extra']} too many"
        )
    if bird["fault"] is not None:
        parts.append(printable(bird["fault"]))
    return "; ".join(parts)


def _held(state: str, held: dict[str, Any]) -> Iterator[str]:
    until = "" if held["until"] is None else f" until {printable(held['until'])} ({held['seconds_left']} s)"
    by, routes = printable(", ".join(held["cause"])), counted(held["routes"], "route")
    paths, aspas, then = (held.get(key, 0) for key in ("paths_newly_invalid", "aspas", "aspas_then"))
    of_aspas = aspas != then or paths
    of_vrps = not of_aspas or held["vrps"] != held["vrps_then"] or held["newly_invalid"]
    of = " AND ".join(["VRPS"] * bool(of_vrps) + ["ASPAS"] * bool(of_aspas))
    yield f"A CHANGE OF THE {of} IS {'REJECTED' if state == 'rejected' else 'HELD'}{until}: rtrd accept, rtrd reject"
    if of_vrps:
        yield f"  by {by}: {counted(held['vrps'], 'VRP')} would become {held['vrps_then']}"
        yield f"  {held['newly_invalid']} of {routes} would become invalid"
    if of_aspas:
        yield f"  by {by}: {counted(aspas, 'ASPA')} would become {then}"
        yield f"  {paths} of {routes} would have an invalid path"
    if held.get("judged") is not None:
        yield f"  judged by the routes of {printable(held['judged'])}"


def _snapshot(snapshot: dict[str, Any]) -> str:
    age = "none" if snapshot["age"] is None else f"{snapshot['age']} s old"
    return f"snapshot: {'in use, ' if snapshot['used'] else ''}{age}"


def _server(server: dict[str, Any]) -> str:
    parts = [f"{server['transport']} {cache(server)}: {server['state']}"]
    if server.get("authentication"):
        parts.append(f"signed by TCP-{server['authentication'].upper()}")
    if why := not_needed(server):
        parts.append(why)
    if never_asked(server):
        return ", ".join(parts)
    has_been_in_sync = server["vrps"] or server.get("last_update") is not None
    for key, label in (("version", "version"), ("serial", "serial"), *([("vrps", "VRPs")] if has_been_in_sync else [])):
        if server.get(key) is not None:
            parts.append(f"{label} {server[key]}")
    if server.get("coming"):
        parts.append(f"{server['coming']} coming")
    if server.get("last_update") is not None:
        parts.append(f"last update {printable(str(server['last_update']))}")
    return ", ".join(parts)
