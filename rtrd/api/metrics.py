"""The running daemon in, its metrics as families of prometheus_client out, read at the moment of a scrape.

Nothing is counted here and nothing kept: every number exists already where it belongs. To add one, add a `Metric` to
the part of METRICS that it belongs to, and its row to docs/metrics.md. Prometheus' rules: base units in the name,
`_total` for counters and nothing else, timestamps instead of ages, no label whose values have no bound.
"""

from __future__ import annotations

import platform
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from rtrd.base.loop import turns
from rtrd.base.text import printable
from rtrd.version import __version__
from rtrd.vrps.guard import State
from rtrlib import Fault, ManagerGroupStatus, RTRSocketState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric as Family

    from rtrd.base.durations import Durations
    from rtrd.bird.watch import Watch
    from rtrd.daemon import Daemon
    from rtrd.exabgp.session import ExaBGP
    from rtrd.vrps.guarding import Guarding
    from rtrlib import ManagerGroup, RTRSocket

    Sample = tuple[tuple[object, ...], float | Durations | None]
    """Values of the labels, and the number; None: there is none now."""

Kind = Literal["gauge", "counter", "histogram"]

MOST_NEIGHBORS: Final = 1000
"""Of a router; the others have no series of their own, so that a scrape stays bounded."""


class Metric(NamedTuple):
    """A metric: all of it in one place."""

    name: str
    """As it is scraped."""
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Daemon], Iterable[Sample]]
    """Gives the samples: microseconds, on the event loop."""


def collect(daemon: Daemon) -> Iterator[Family]:
    """Read one metric after the other; between two of them the loop may turn."""
    for metric in METRICS:
        family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
        for labels, value in metric.read(daemon):
            texts = [printable(str(label)) for label in labels]
            if metric.kind == "histogram":
                if value is not None:
                    family.add_metric(texts, value.buckets(), value.total)  # type: ignore[union-attr]
            elif value is not None:
                family.add_metric(texts, value)
        yield family


_FAMILIES: dict[Kind, Any] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _one(read: Callable[[Daemon], float | None]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [((), read(daemon))]


def _groups(read: Callable[[ManagerGroup], float | None]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [((group.name,), read(group)) for group in daemon.manager.groups()]


def _caches(read: Callable[[Daemon, RTRSocket], float | None]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [
        ((group.name, cache), read(daemon, cache)) for group in daemon.manager.groups() for cache in group.sockets
    ]


def _routers(read: Callable[[ExaBGP], float | Durations]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [((router.engine.name,), read(router)) for router in daemon.routers]


def _group_status(daemon: Daemon) -> Iterable[Sample]:
    for group in daemon.manager.groups():
        for status in ManagerGroupStatus:
            yield (group.name, status.name), group.status is status


def _cache_state(daemon: Daemon) -> Iterable[Sample]:
    for group in daemon.manager.groups():
        for cache in group.sockets:
            for state in RTRSocketState:
                yield (group.name, cache, state.name), cache.state is state


def _cache_faults(daemon: Daemon) -> Iterable[Sample]:
    for group in daemon.manager.groups():
        for cache in group.sockets:
            for fault in Fault:
                yield (group.name, cache, fault), cache.faults[fault]


def _vrps(daemon: Daemon) -> Iterable[Sample]:
    return [(("ipv4",), daemon.vrp_set.count(4)), (("ipv6",), daemon.vrp_set.count(6))]


def _events(daemon: Daemon) -> Iterable[Sample]:
    return [((kind,), count) for kind, count in sorted(daemon.event_log.counts.items())]


def _events_lost(daemon: Daemon) -> Iterable[Sample]:
    return [((), daemon.event_log.lost)]


def _vrps_left_out(daemon: Daemon) -> Iterable[Sample]:
    return [((reason,), count) for reason, count in daemon.vrp_set.faults.items()]


def _cache_vrps(daemon: Daemon, cache: RTRSocket) -> int:
    return daemon.vrp_set.count_source(cache.index)


def _healthy(daemon: Daemon) -> Iterable[Sample]:
    return [((), daemon.ready and not daemon.effective.expired_at_all)]


def _expired(daemon: Daemon) -> Iterable[Sample]:
    return [((), daemon.effective.expired_at_all)]


def _snapshot_used(daemon: Daemon) -> Iterable[Sample]:
    return [((), daemon.effective.snapshot_used)]


def _snapshot_date(daemon: Daemon) -> Iterable[Sample]:
    return [((), None if daemon.snapshot_keeper is None else daemon.snapshot_keeper.date)]


def _slurm_refused(daemon: Daemon) -> Iterable[Sample]:
    return [((file["path"],), file["fault"] is not None) for file in daemon.slurm.status()]


def _slurm(what: str) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [((file["path"],), file[what]) for file in daemon.slurm.status()]


def _guard_state(daemon: Daemon) -> Iterable[Sample]:
    if daemon.guarding is not None:
        for state in get_args(State):
            yield (state,), daemon.guarding.guard.state == state


def _guard(read: Callable[[Guarding], float | None]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [] if daemon.guarding is None else [((), read(daemon.guarding))]


def _held(what: Literal["newly_invalid", "vrps_then"]) -> Callable[[Daemon], Iterable[Sample]]:
    return _guard(lambda guarding: getattr(guarding.guard.figures, what, None))


def _neighbor_up(daemon: Daemon) -> Iterable[Sample]:
    for router in daemon.routers:
        engine = router.engine
        for address in sorted({*engine.receivers, *engine.sessions})[:MOST_NEIGHBORS]:
            yield (engine.name, address), address in engine.sessions


def _routes(daemon: Daemon) -> Iterable[Sample]:
    for router in daemon.routers:
        engine = router.engine
        for address in sorted(engine.sessions)[:MOST_NEIGHBORS]:
            for validity, count in engine.table.counts(engine.sessions[address].number).items():
                yield (engine.name, address, validity), count


def _own_routes(daemon: Daemon) -> Iterable[Sample]:
    for router in daemon.routers:
        for address, counts in sorted(router.engine.local_routes.counts().items())[:MOST_NEIGHBORS]:
            for validity, count in counts.items():
                yield (router.engine.name, address, validity), count


def _own_routes_withdrawn(daemon: Daemon) -> Iterable[Sample]:
    for router in daemon.routers:
        local_routes = router.engine.local_routes
        counts = Counter(own.neighbor for own in local_routes.withdrawn)
        for address in sorted(local_routes.counts())[:MOST_NEIGHBORS]:
            yield (router.engine.name, address), counts[address]


def _changes(daemon: Daemon) -> Iterable[Sample]:
    for router in daemon.routers:
        for (was, became), count in router.engine.table.changes().items():
            yield (router.engine.name, was, became), count


def _written(what: Literal["commands", "prefixes"]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [
        ((router.engine.name, command), getattr(router, what)[command])
        for router in daemon.routers
        for command in ("announce", "withdraw")
    ]


def _memory(daemon: Daemon) -> Iterable[Sample]:
    tables = [router.engine.table for router in daemon.routers]
    yield ("vrps",), daemon.vrp_set.memory
    yield ("routes",), sum(table.memory for table in tables)
    yield ("attributes",), sum(table.attributes_memory for table in tables)


def _relay(what: str) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [] if daemon.relay is None else [((), daemon.relay.status()[what])]


def _bird(read: Callable[[Watch], Iterable[Sample]]) -> Callable[[Daemon], Iterable[Sample]]:
    return lambda daemon: [] if daemon.bird is None else read(daemon.bird)


def _by_word(watch: Watch, what: Literal["routes", "covers"]) -> Iterable[Sample]:
    counts: dict[str, int] = {} if watch.found is None else getattr(watch.found, what)
    return [((word,), count) for word, count in counts.items()]


def _wrong(watch: Watch) -> Iterable[Sample]:
    found = watch.found
    return [] if found is None else [(("missing",), found.missing), (("extra",), found.extra)]


_CACHE = ("group", "cache")

_DAEMON = (
    Metric(
        "rtrd_build_info", "gauge", "Always 1.", ("version", "python"),
        lambda _: [((__version__, platform.python_version()), 1)],
    ),
    Metric("rtrd_ready", "gauge", "1 while a VRP set is usable.", (), _one(lambda daemon: daemon.ready)),
    Metric(
        "rtrd_healthy", "gauge", "1 while /healthz answers 200: ready, and not all VRPs past their expiry.", (),
        _healthy,
    ),
    Metric("rtrd_loop_longest_turn_seconds", "gauge", "Longest time for which the routers' pipes were not looked at.",
           (), lambda _: [((), turns().longest)]),
    Metric("rtrd_loop_long_turns_total", "counter", "How often that was more than 50 ms.", (),
           lambda _: [((), turns().long)]),
    Metric("rtrd_memory_bytes", "gauge", "Memory of the native tables.", ("table",), _memory),
)  # fmt: skip

_EVENTS = (
    Metric("rtrd_events_total", "counter", "Events told, by kind.", ("kind",), _events),
    Metric("rtrd_events_lost_total", "counter", "Events that came faster than they are taken or read.", (),
           _events_lost),
)  # fmt: skip

_VRPS = (
    Metric("rtrd_vrps", "gauge", "VRPs in force.", ("family",), _vrps),
    Metric(
        "rtrd_vrps_left_out_total", "counter", "VRPs of caches left out: malformed, or too many of one prefix.",
        ("reason",), _vrps_left_out,
    ),
    Metric(
        "rtrd_vrps_expired", "gauge", "1 while all VRPs are past the expire interval.", (),
        _expired,
    ),
    Metric(
        "rtrd_snapshot_used", "gauge", "1 while the VRPs in force are those of the last run.", (),
        _snapshot_used,
    ),
    Metric(
        "rtrd_snapshot_timestamp_seconds", "gauge", "Date of the VRPs in the snapshot on the disk.", (),
        _snapshot_date,
    ),
    Metric("rtrd_slurm_filters", "gauge", "Filters of a SLURM file in force.", ("path",), _slurm("filters")),
    Metric("rtrd_slurm_assertions", "gauge", "Assertions of a SLURM file in force.", ("path",), _slurm("assertions")),
    Metric(
        "rtrd_slurm_refused", "gauge", "1 while a SLURM file is not in force as it stands.", ("path",),
        _slurm_refused,
    ),
)  # fmt: skip

_GUARD = (
    Metric("rtrd_guard_state", "gauge", "1 for the state that the guard is in.", ("state",), _guard_state),
    Metric("rtrd_guard_holds_total", "counter", "Changes of the VRPs that were held.", (),
           _guard(lambda guarding: guarding.guard.holds)),
    Metric("rtrd_guard_newly_invalid_routes", "gauge", "Routes that the held change would turn invalid.", (),
           _held("newly_invalid")),
    Metric("rtrd_guard_due_vrps", "gauge", "VRPs in force once the held change is taken.", (), _held("vrps_then")),
    Metric("rtrd_guard_until_timestamp_seconds", "gauge", "When the held change is taken at the latest.", (),
           _guard(lambda guarding: guarding.until)),
)  # fmt: skip

_CACHES = (
    Metric("rtrd_group_active", "gauge", "1 for the group whose VRPs are in force.", ("group",),
           _groups(lambda group: group.active)),
    Metric("rtrd_group_preference", "gauge", "As configured; a lower one is used first.", ("group",),
           _groups(lambda group: group.preference)),
    Metric("rtrd_group_status", "gauge", "1 for the status that the group has.", ("group", "status"), _group_status),
    Metric("rtrd_cache_state", "gauge", "1 for the state of the cache's RTR session.", (*_CACHE, "state"),
           _cache_state),
    Metric("rtrd_cache_in_sync", "gauge", "1 while the cache's data is complete and its session alive.", _CACHE,
           _caches(lambda _, cache: cache.in_sync)),
    Metric("rtrd_cache_vrps", "gauge", "VRPs of the cache, whether its group is active or not.", _CACHE,
           _caches(_cache_vrps)),
    Metric("rtrd_cache_serial", "gauge", "Serial number of the last complete sync.", _CACHE,
           _caches(lambda _, cache: cache.serial_number)),
    Metric("rtrd_cache_session_id", "gauge", "Session id of the last complete sync.", _CACHE,
           _caches(lambda _, cache: cache.session_id)),
    Metric("rtrd_cache_protocol_version", "gauge", "RTR version in use.", _CACHE,
           _caches(lambda _, cache: cache.version if cache.session_id is not None else None)),
    Metric("rtrd_cache_last_update_timestamp_seconds", "gauge", "When the last sync was complete.", _CACHE,
           _caches(lambda _, cache: cache.last_update or None)),
    Metric("rtrd_cache_expire_seconds", "gauge", "Seconds without a sync after which its VRPs expire.", _CACHE,
           _caches(lambda _, cache: cache.expire_interval or None)),
    Metric("rtrd_cache_restarts_total", "counter", "How often the cache's process had to be replaced.", _CACHE,
           _caches(lambda _, cache: cache.restarts)),
    Metric("rtrd_cache_faults_total", "counter", "How often each kind of fault occurred.", (*_CACHE, "fault"),
           _cache_faults),
)  # fmt: skip

_ROUTERS = (
    Metric("rtrd_neighbor_up", "gauge", "1 while the BGP session is up.", ("router", "neighbor"), _neighbor_up),
    Metric("rtrd_routes", "gauge", "Routes that a neighbor announces.", ("router", "neighbor", "validity"), _routes),
    Metric("rtrd_own_routes", "gauge", "Routes that the router announces by itself to a neighbor.",
           ("router", "neighbor", "validity"), _own_routes),
    Metric("rtrd_own_routes_withdrawn", "gauge", "Of these: withdrawn there, as a rule of the policy says.",
           ("router", "neighbor"), _own_routes_withdrawn),
    Metric("rtrd_routes_changed_total", "counter", "Changes of a route's validity.", ("router", "from", "to"),
           _changes),
    Metric("rtrd_work_seconds", "histogram", "From a change of VRPs, policy or sessions to the last route it touches.",
           ("router",), _routers(lambda router: router.work)),
    Metric("rtrd_outbox_routes", "gauge", "Routes for which something is still to be written.", ("router",),
           _routers(lambda router: router.engine.table.waiting)),
    Metric("rtrd_commands_total", "counter", "Commands written to the router.", ("router", "command"),
           _written("commands")),
    Metric("rtrd_command_prefixes_total", "counter", "Prefixes in the commands written.", ("router", "command"),
           _written("prefixes")),
    Metric("rtrd_commands_unanswered", "gauge", "Commands that the router has and did not answer yet.", ("router",),
           _routers(lambda router: router.window.waiting)),
    Metric("rtrd_commands_refused_total", "counter", "Commands that the router answered with an error.", ("router",),
           _routers(lambda router: router.window.errors)),
    Metric("rtrd_commands_never_answered_total", "counter", "Commands whose answer never came.", ("router",),
           _routers(lambda router: router.window.unanswered)),
    Metric("rtrd_router_unwritten_bytes", "gauge", "Bytes for which the router's pipe has no room yet.", ("router",),
           _routers(lambda router: router.unwritten)),
    Metric("rtrd_router_lines_total", "counter", "Lines read from the router.", ("router",),
           _routers(lambda router: router.lines)),
    Metric("rtrd_router_lines_left_out_total", "counter", "Lines of the router that made no sense.", ("router",),
           _routers(lambda router: router.undecodable)),
    Metric("rtrd_router_prefixes_left_out_total", "counter",
           "Prefixes that are none or have host bits, and paths of one prefix beyond 1024.", ("router",),
           _routers(lambda router: router.engine.table.malformed + router.engine.table.crowded)),
    Metric("rtrd_router_other_families_total", "counter", "Routes of families that are left alone.", ("router",),
           _routers(lambda router: router.engine.others)),
)  # fmt: skip

_RTR_SERVER = (
    Metric("rtrd_rtr_router_keys", "gauge", "Router keys served.", (), _relay("router_keys")),
    Metric("rtrd_rtr_clients", "gauge", "Routers connected to the RTR server.", (), _relay("clients")),
    Metric("rtrd_rtr_serial", "gauge", "Serial number served (protocol version 1).", (), _relay("serial")),
    Metric("rtrd_rtr_vrps", "gauge", "VRPs served.", (), _relay("vrps")),
)

_BIRD = (
    Metric("rtrd_bird_up", "gauge", "1 if the last audit of BIRD succeeded.", (),
           _bird(lambda watch: [((), watch.found is not None and watch.fault is None)])),
    Metric("rtrd_bird_audit_timestamp_seconds", "gauge", "When the last audit of BIRD that succeeded ended.", (),
           _bird(lambda watch: [((), watch.date)])),
    Metric("rtrd_bird_audit_seconds", "gauge", "How long it took.", (), _bird(lambda watch: [((), watch.seconds)])),
    Metric("rtrd_bird_routes", "gauge", "Accepted routes in BIRD's tables.", ("validity",),
           _bird(lambda watch: _by_word(watch, "routes"))),
    Metric("rtrd_bird_invalid_routes", "gauge", "Invalid ones, by what else leads to their prefixes.", ("cover",),
           _bird(lambda watch: _by_word(watch, "covers"))),
    Metric("rtrd_bird_vrps", "gauge", "VRPs in BIRD's ROA tables.", (),
           _bird(lambda watch: [] if watch.found is None else [((), watch.found.vrps)])),
    Metric("rtrd_bird_vrps_wrong", "gauge", "VRPs in which BIRD's ROA tables differ from ours.", ("difference",),
           _bird(_wrong)),
)  # fmt: skip

METRICS: Final = (*_DAEMON, *_EVENTS, *_VRPS, *_GUARD, *_CACHES, *_ROUTERS, *_RTR_SERVER, *_BIRD)
"""All of them; docs/metrics.md has a row for each."""
