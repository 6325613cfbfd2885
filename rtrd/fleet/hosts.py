"""What the messages of many hosts make together: who is there, what is wrong, on what caches disagree. Pure.

Nothing of a message is believed beyond its type: whoever may publish can say anything. docs/events.md has the contract.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import msgspec

from rtrd.base.clock import timestamp
from rtrd.base.endpoint import Endpoint
from rtrd.base.text import counted, printable
from rtrd.events.messages import SCHEMA
from rtrlib.vrp_set import VALIDITIES

SILENT: Final = 100.0
"""Seconds without a summary, which comes every 30, after which a host is silent."""
MOST_HOSTS: Final = 10_000
MOST_OF_HOST: Final = 200
"""Routers, caches and problems of a host that are kept, of each."""
MOST_LISTED: Final = 500
"""Of a list in the answer."""
SPREAD: Final = 0.01
"""Share of the VRPs by which caches may differ without being told of: they are asked at different moments."""
MOST_OUTLIERS: Final = 5
OVERLAP: Final = 5.0
"""Seconds after the start of a run in which the one before may still have spoken: clocks are set at a start."""
REMEMBERED: Final = 3600.0
"""Seconds for which it counts that two have published under one name."""
MOST_RUNS: Final = 4
"""Of each name, those that were heard last."""
SHARED: Final = (
    "two rtrds publish under this name, and each hides the other one: give them names, by `name` in `events`"
)
_LONG: Final = 200


class _Health(msgspec.Struct):
    status: str
    summary: str = ""


class _Problem(msgspec.Struct):
    what: str
    since: str
    severity: str


class _Cache(msgspec.Struct):
    host: str
    port: int
    state: str
    vrps: int
    session_id: int | None = None
    serial: int | None = None


class _Router(msgspec.Struct, rename="kebab"):
    router: str
    valid: int
    invalid: int
    not_found: int
    unverified: int


class _Summary(msgspec.Struct):
    host: str
    time: str
    version: str
    health: _Health
    problems: list[_Problem]
    problems_in_all: int
    vrps: dict[str, int]
    caches: list[_Cache]
    routers: list[_Router]
    routes: dict[str, int]


class _Message(msgspec.Struct):
    host: str
    kind: str
    schema: int
    count: int = 0
    id: str = ""
    time: str | None = None
    started: str | None = None


class _Host(NamedTuple):
    summary: _Summary
    at: float
    """Unix time at which the server got it."""


class _Run(NamedTuple):
    """One run of an rtrd, as its messages tell; Unix times."""

    started: float | None
    """None: no summary of it was read."""
    last: float
    """The latest time of a message."""


class Fleet:
    """All hosts of which there was a message."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._lost: Counter[str] = Counter()
        self._runs: dict[str, dict[str, _Run]] = {}
        self.messages = 0
        """That were taken."""
        self.malformed = 0
        """Messages that are none of rtrd's, or of another schema; and summaries of hosts beyond MOST_HOSTS."""
        self._message = msgspec.json.Decoder(_Message).decode
        self._summary = msgspec.json.Decoder(_Summary).decode

    def take(self, payload: bytes, at: float) -> None:
        """Take a message. `at`: the Unix time at which the server got it."""
        try:
            message = self._message(payload)
            if message.schema != SCHEMA:
                self.malformed += 1
                return
            if message.kind == "summary":
                self._take_summary(self._summary(payload), at)
            elif message.kind == "lost" and (message.host in self._hosts or len(self._lost) < MOST_HOSTS):
                self._lost[message.host] += max(0, message.count)
            self._take_run(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.malformed += 1
            return
        self.messages += 1

    def _take_summary(self, summary: _Summary, at: float) -> None:
        before = self._hosts.get(summary.host)
        if before is None and len(self._hosts) >= MOST_HOSTS:
            self.malformed += 1
        elif before is None or before.at <= at:
            for each in (summary.problems, summary.caches, summary.routers):
                del each[MOST_OF_HOST:]
            self._hosts[summary.host] = _Host(summary, at)

    def _take_run(self, message: _Message) -> None:
        """Note of which run of an rtrd a message is: the first part of its id."""
        time, started = _unix(message.time), _unix(message.started)
        run = message.id.partition("-")[0]
        if time is None or not run or (message.host not in self._runs and len(self._runs) >= MOST_HOSTS):
            return
        runs = self._runs.setdefault(message.host, {})
        before = runs.pop(run, _Run(None, time))
        runs[run] = _Run(before.started if started is None else started, max(before.last, time))
        if len(runs) > MOST_RUNS:
            del runs[min(runs, key=lambda each: runs[each].last)]

    def _shared(self, now: float) -> Iterator[tuple[str, float]]:
        """Give the names under which two publish, and since when: one said something after another one's start."""
        for host, runs in self._runs.items():
            starts = [
                run.started
                for name, run in runs.items()
                for other, before in runs.items()
                if other != name and run.started is not None and now - run.last <= REMEMBERED
                if before.last > run.started + OVERLAP and now - before.last <= REMEMBERED
                if before.started is None or before.started <= run.started
            ]
            if starts:
                yield host, max(starts)

    # -- what is seen

    def view(self, now: float) -> dict[str, Any]:
        """Give how all is. `now`: Unix time."""
        hosts = sorted(self._hosts.values(), key=lambda each: each.summary.host)
        silent = [each for each in hosts if now - each.at > SILENT]
        heard = [each.summary for each in hosts if now - each.at <= SILENT]
        shared = list(self._shared(now))
        problems, invalid = list(_problems(heard, shared)), list(_invalid(heard))
        return {
            "time": timestamp(now),
            "hosts": [_host(each, now) for each in hosts],
            "silent": [_said(each.summary.host) for each in silent],
            "problems": problems[:MOST_LISTED],
            "problems_in_all": sum(max(0, each.problems_in_all) for each in heard) + len(shared),
            "routes": {name: sum(each.routes.get(name, 0) for each in heard) for name in VALIDITIES},
            "invalid": invalid[:MOST_LISTED],
            "invalid_in_all": len(invalid),
            "caches": sorted(_caches(heard), key=lambda each: (each["disagree"] is None, each["cache"]))[:MOST_LISTED],
            "lost": [
                {"host": _said(host), "count": count} for host, count in self._lost.most_common(MOST_LISTED) if count
            ],
            "messages": self.messages,
            "malformed": self.malformed,
        }


def _unix(text: str | None) -> float | None:
    try:
        return None if text is None else dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _said(text: str) -> str:
    return printable(text, _LONG)


def _host(host: _Host, now: float) -> dict[str, Any]:
    summary = host.summary
    return {
        "host": _said(summary.host),
        "version": _said(summary.version),
        "heard": timestamp(host.at),
        "silent": now - host.at > SILENT,
        "status": _said(summary.health.status),
        "text": _said(summary.health.summary),
        "problems": summary.problems_in_all,
        "vrps": sum(summary.vrps.values()),
        "routes": sum(summary.routes.values()),
        "invalid": summary.routes.get("invalid", 0),
    }


def _problems(summaries: Iterable[_Summary], shared: Iterable[tuple[str, float]]) -> Iterator[dict[str, Any]]:
    """Give the problems of all hosts, the critical ones first, then the oldest first.

    `shared`: names under which two publish, and since when.
    """
    found = [(one.severity != "critical", one.since, each.host, one) for each in summaries for one in each.problems]
    for host, since in shared:
        problem = _Problem(SHARED, timestamp(since), "warning")
        found.append((True, problem.since, host, problem))
    for _, _, host, problem in sorted(found, key=lambda each: each[:3]):
        yield {
            "host": _said(host),
            "what": _said(problem.what),
            "since": _said(problem.since),
            "severity": _said(problem.severity),
        }


def _invalid(summaries: Iterable[_Summary]) -> Iterator[dict[str, Any]]:
    """Give the routers that have invalid routes, those with the most of them first."""
    found = [(router, each.host) for each in summaries for router in each.routers if router.invalid > 0]
    for router, host in sorted(found, key=lambda each: (-each[0].invalid, each[1], each[0].router)):
        routes = router.valid + router.invalid + router.not_found + router.unverified
        yield {"host": _said(host), "router": _said(router.router), "invalid": router.invalid, "routes": routes}


class _Seen(NamedTuple):
    """A cache, as a host sees it."""

    by: str
    cache: _Cache


def _caches(summaries: Iterable[_Summary]) -> Iterator[dict[str, Any]]:
    """Give each cache with what hosts have of it; an address of the host itself is a cache of each host."""
    caches: dict[str, list[_Seen]] = {}
    for summary in summaries:
        for cache in summary.caches:
            caches.setdefault(str(Endpoint(_said(cache.host), cache.port)), []).append(_Seen(summary.host, cache))
    for name, seen in caches.items():
        synced = [each for each in seen if each.cache.session_id is not None and each.cache.vrps > 0]
        counts = [each.cache.vrps for each in synced]
        why = None if len(synced) < 2 else _disagreement(synced)
        yield {
            "cache": name,
            "hosts": len(seen),
            "synced": len(synced),
            "vrps_least": min(counts, default=None),
            "vrps_most": max(counts, default=None),
            "disagree": why,
            "outliers": _outliers(synced) if why else [],
        }


def _disagreement(synced: list[_Seen]) -> str | None:
    """Say on what the hosts disagree; None: on nothing that matters."""
    versions: dict[tuple[int | None, int | None], set[int]] = {}
    if not _is_loopback(synced[0].cache.host):
        for each in synced:
            versions.setdefault((each.cache.session_id, each.cache.serial), set()).add(each.cache.vrps)
    for (_, serial), counts in versions.items():
        if len(counts) > 1:
            return f"with serial {serial} hosts have {min(counts)} to {max(counts)} VRPs"
    counts_of_all = [each.cache.vrps for each in synced]
    usual = statistics.median(counts_of_all)
    least, most = min(counts_of_all), max(counts_of_all)
    if most - least > max(1, SPREAD * usual):
        return f"{counted(len(synced), 'host')} have {least} to {most} VRPs of it"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _outliers(synced: list[_Seen]) -> list[dict[str, Any]]:
    """Give the hosts that are furthest from what most have."""
    usual = statistics.median_low(each.cache.vrps for each in synced)
    far = sorted(synced, key=lambda each: (-abs(each.cache.vrps - usual), each.by))[:MOST_OUTLIERS]
    return [
        {"host": _said(each.by), "vrps": each.cache.vrps, "serial": each.cache.serial}
        for each in far
        if each.cache.vrps != usual
    ]


def lines(view: dict[str, Any]) -> Iterator[str]:
    """Say it for people."""
    hosts, silent = len(view["hosts"]), view["silent"]
    routes = view["routes"]
    total = ", ".join(f"{routes[name]} {name}" for name in VALIDITIES)
    problems = counted(view["problems_in_all"], "problem")
    yield f"{counted(hosts, 'host')}, {len(silent)} silent; {problems}; routes: {total}"
    if silent:
        yield f"silent: {', '.join(silent[:20])}{f' and {len(silent) - 20} more' if len(silent) > 20 else ''}"
    for title, rows in (
        ("PROBLEMS", _problem_lines(view)),
        ("INVALID", _invalid_lines(view)),
        ("CACHES", _cache_lines(view)),
    ):
        first = next(rows, None)
        if first is not None:
            yield ""
            yield title
            yield first
            yield from rows
    for each in view["lost"]:
        yield f"{each['host']}: {counted(each['count'], 'event', 'was', 'were')} lost"
    if view["malformed"]:
        yield f"{counted(view['malformed'], 'message')} left out: none of rtrd's, or of another schema"


def _problem_lines(view: dict[str, Any]) -> Iterator[str]:
    for each in view["problems"]:
        yield f"{each['severity']:<9} {each['since']:<21} {each['host']}: {each['what']}"


def _invalid_lines(view: dict[str, Any]) -> Iterator[str]:
    for each in view["invalid"]:
        yield f"{each['invalid']:>9} of {counted(each['routes'], 'route')}: {each['host']} {each['router']}"
    if view["invalid_in_all"] > len(view["invalid"]):
        yield f"and {view['invalid_in_all'] - len(view['invalid'])} more routers"


def _cache_lines(view: dict[str, Any]) -> Iterator[str]:
    for each in view["caches"]:
        how = f"in sync at {each['synced']} of {counted(each['hosts'], 'host')}"
        least, most = each["vrps_least"], each["vrps_most"]
        count = "" if most is None else f", {'' if least == most else f'{least} to '}{most} VRPs"
        yield f"{each['cache']}: {each['disagree'] or f'{how}{count}'}"
        for one in each["outliers"]:
            yield f"    {one['host']}: {one['vrps']} VRPs, serial {one['serial']}"
