"""The running daemon in, the JSON of `rtrd status` (DESIGN's contract) out."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from rtrd.base.loop import turns
from rtrd.version import __version__

if TYPE_CHECKING:
    from rtrd.daemon import Daemon
    from rtrd.exabgp.session import ExaBGP
    from rtrlib.manager_group import ManagerGroup
    from rtrlib.rtr_socket import RTRSocket


def status_of(daemon: Daemon) -> dict[str, Any]:
    """Give the whole status; numbers and words only, nothing of BGP's text."""
    active = daemon.manager.active_group
    return {
        "version": __version__,
        "ready": daemon.ready,
        "vrps": {"ipv4": daemon.vrp_set.count(4), "ipv6": daemon.vrp_set.count(6)},
        "router_keys": len(daemon.keys.effective),
        "active_group": None if active is None else active.name,
        "groups": [_group(daemon, group) for group in daemon.manager.groups()],
        "routers": [_router(router) for router in daemon.routers],
        "rtr_server": None if daemon.relay is None else daemon.relay.status(),
        "bird": None if daemon.bird is None else daemon.bird.status(),
        "slurm": daemon.slurm.status(),
        "guard": None if daemon.guarding is None else daemon.guarding.status(),
        "snapshot": None if daemon.snapshot_keeper is None else daemon.snapshot_keeper.status(),
        "vrps_left_out": daemon.vrp_set.faults,
        "last_change": daemon.event_log.last_change,
        "loop": turns()._asdict(),
    }


def _group(daemon: Daemon, group: ManagerGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "preference": group.preference,
        "status": group.status.name,
        "servers": [_server(daemon, cache) for cache in group.sockets],
    }


def _server(daemon: Daemon, cache: RTRSocket) -> dict[str, Any]:
    return {
        "host": cache.host,
        "port": cache.port,
        "transport": cache.transport,
        "state": cache.state.name,
        "error": cache.error,
        "fault": cache.fault,
        "faults": dict(cache.faults),
        "last_fault": _last_fault(cache),
        "version": cache.version,
        "session_id": cache.session_id,
        "serial": cache.serial_number,
        "last_update": _iso(cache.last_update) if cache.last_update else None,
        "vrps": daemon.vrp_set.count_source(cache.index),
        "coming": daemon.effective.coming(cache),
        "restarts": cache.restarts,
        "pid": cache.pid,
    }


def _last_fault(cache: RTRSocket) -> dict[str, Any] | None:
    last = cache.last_fault
    return None if last is None else {"fault": last.kind, "why": last.why, "time": _iso(last.time)}


def _iso(time: int) -> str:
    return dt.datetime.fromtimestamp(time, dt.UTC).isoformat()


def _router(router: ExaBGP) -> dict[str, Any]:
    engine, window = router.engine, router.window
    return {
        "name": engine.name,
        "exabgp": window.version,
        "acks": window.acks.value,
        "neighbors": [
            {"address": address, "up": address in engine.sessions, "routes": _counts(router, address)}
            for address in sorted({*engine.receivers, *engine.sessions})
        ],
        "routes": engine.counts(),
        "local_routes": engine.local_routes.total(),
        "local_routes_withdrawn": len(engine.local_routes.withdrawn),
        "outbox": engine.table.waiting,
        "unanswered": window.waiting,
        "refused": window.errors,
        "never_answered": window.unanswered,
        "lines": router.lines,
        "lines_left_out": router.undecodable,
        "prefixes_left_out": engine.table.malformed + engine.table.crowded,
        "other_families": engine.others,
    }


def _counts(router: ExaBGP, address: str) -> dict[str, int]:
    session = router.engine.sessions.get(address)
    return {} if session is None else router.engine.table.counts(session.number)
