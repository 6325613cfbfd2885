"""The groups of caches of the configuration, driven by the event loop (RFC 8210)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Literal

from rtrd.base import log
from rtrd.base.clock import Clock, timestamp
from rtrd.base.errors import ConflictError
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.notation import said
from rtrd.base.registry import Problem, Registry, Samples
from rtrd.base.text import meant
from rtrd.cache_keys import changed
from rtrd.cache_problems import problems
from rtrd.config import Caches as Settings
from rtrd.config import Group
from rtrd.config.cache_servers import Common, cache_group
from rtrd.kept_versions import KeptVersions
from rtrd.vrps.effective import EffectiveVRPs
from rtrlib import Fault, ManagerGroup, ManagerGroupStatus, RTRManager, RTRSocket, RTRSocketState
from rtrlib.aspa_answer import LEFT_OUT

MIB: Final = 1 << 20
PAUSE: Final = 0.005
"""Seconds between two looks whether what was heard is done with, before more is read."""
CLOCK: Final = 1.0
"""Seconds between two looks of the manager at most: it sees then that the wall clock was set."""
AFTER_FAULT: Final = 1.0
"""Seconds after which the manager is driven on though it raised: something may be due, with nothing to read."""

Intervals = Literal["configured", "cache"]

_CACHE: Final = ("group", "cache")

logger = log.get("caches")


class Caches:
    """Every cache of the configuration, each with a connection of its own, from `open` to `close`."""

    def __init__(
        self, settings: Settings, effective: EffectiveVRPs, clock: Clock, kept: KeptVersions | None = None
    ) -> None:
        """Connect to none yet; what the caches say goes to `effective`. `kept`: what earlier runs knew of them."""
        self.kept = kept or KeptVersions()
        self._common = Common(settings.keepalive, settings.max_version)
        self.manager = RTRManager(
            groups=[cache_group(group, self._common) for group in settings.groups],
            refresh_interval=settings.refresh,
            retry_interval=settings.retry,
            expire_interval=settings.expire,
            intervals=settings.intervals,
            engine="native",
            memory_limit=settings.memory_limit * MIB,
            clock=clock.steady,
            wall=clock.wall,
        )
        self._effective = effective
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._open = self._watched = False
        self._unusable: dict[RTRSocket, str] = {}
        """Why the changed files of these caches can't be used."""

    def open(self) -> None:
        """Connect."""
        self.manager.open(self._effective)
        self._open = True
        self.look()

    def change(  # noqa: PLR0917 - the settings, in their order
        self, groups: Sequence[Group], refresh: int, expire: int, retry: int, intervals: Intervals, max_version: int
    ) -> None:
        """Use other groups and intervals from now on. RTRInitError: it can't, and nothing has changed."""
        common = self._common._replace(max_version=max_version)
        made = [cache_group(group, common) for group in groups]
        self.manager.regroup(made, refresh, expire, retry, intervals=intervals)
        self._common = common
        self.kept.restore(self.manager)
        self.look()

    def reconnect(self, names: Sequence[str] = ()) -> list[RTRSocket]:
        """Ask the caches of these names (`HOST` or `HOST:PORT`) now; give them, or all of which that is possible.

        Without a name: those that failed; if none did, all that are in use. ValueError for a name of no cache,
        ConflictError for one that is not in use.
        """
        found = [cache for name in names for cache in self._named(name)]
        if not names:
            in_use = [cache for cache in self.all() if cache.state is not RTRSocketState.CLOSED]
            found = [cache for cache in in_use if cache.error is not None] or in_use
        return self._ask(found, "an operator wants it")

    def retry_failed(self) -> list[RTRSocket]:
        """Ask the caches that failed now; give them."""
        return self._ask([cache for cache in self.all() if cache.error is not None], "the configuration was read again")

    async def reread_keys(self) -> list[RTRSocket]:
        """Connect anew to the caches whose files of keys have changed; give them.

        Where they can't be used the session stays as it is, and that is a problem until the next look.
        """
        self._unusable = {}
        try:
            found = await in_thread(PATIENCE, changed, [cache.picture() for cache in self.all()])
        except OSError as error:
            logger.warning("the keys of caches were not looked at again", why=error.strerror)
            return []
        self._unusable = {each.cache: each.fault for each in found if each.fault is not None}
        good = {each.cache for each in found if each.fault is None}
        return self._ask([cache for cache in self.all() if cache in good], "their keys were renewed")

    def _ask(self, caches: list[RTRSocket], why: str) -> list[RTRSocket]:
        if caches:
            logger.info("asking caches now", why=why, caches=" ".join(map(str, caches)))
            self.manager.reconnect(caches)
            self.look()
        return caches

    def _named(self, name: str) -> list[RTRSocket]:
        found = [cache for cache in self.all() if name.lower() in (str(cache).lower(), cache.host.lower())]
        if not found:
            names = [str(cache) for cache in self.all()]
            near = meant(name, names)
            what = f"did you mean {near}?" if near else f"expected one of {', '.join(names)}"
            raise ValueError(f"{said(name)} is not a cache of the configuration: {what}")
        in_use = [cache for cache in found if cache.state is not RTRSocketState.CLOSED]
        if not in_use:
            raise ConflictError(f"cache {found[0]} is not in use: its group is only asked when those before it fail")
        return in_use

    def close(self) -> None:
        """Disconnect."""
        self._stop_timer()
        self._watch(on=False)
        self._open = False
        self.manager.close()

    def look(self) -> None:
        """Do what is due: to be called when the time jumped, and by nobody else than the loop otherwise."""
        self._stop_timer()
        seconds: float | None = AFTER_FAULT
        try:
            seconds = PAUSE if self._effective.task_queue.tasks else self.manager.dispatch()
            if self._open:
                seconds = CLOCK if seconds is None else min(seconds, CLOCK)
            self.kept.look(self.manager)
            self._watch(on=True)
        except MemoryError:
            self._watch(on=False)
            self._effective.task_queue.lost()  # what the caches said, too, may be lost by half
        except BaseException:
            self._watch(on=False)  # what is not read would be readable again at once, and so on
            raise
        finally:
            if seconds is not None:
                self._timer = self._loop.call_later(seconds, self.look)

    def _watch(self, *, on: bool) -> None:
        if on and self._open and not self._watched:
            self._loop.add_reader(self.manager.fileno(), self.look)
        elif self._watched and not on:
            self._loop.remove_reader(self.manager.fileno())
        self._watched = on and self._open

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what is known of them

    def groups(self) -> Sequence[ManagerGroup]:
        """Give the groups, the most preferred first."""
        return self.manager.groups()

    @property
    def active_group(self) -> str | None:
        """The name of the group in use, whose VRPs are in force unless the guard holds them."""
        active = self.manager.active_group
        return None if active is None else active.name

    def all(self) -> list[RTRSocket]:
        """Give the caches of all groups."""
        return [cache for group in self.groups() for cache in group.sockets]

    def register(self, registry: Registry) -> None:
        """Offer what is known of groups and caches, and their settings."""
        registry.on_reload(
            self.change,
            *(f"caches.{key}" for key in ("groups", "refresh", "expire", "retry", "intervals", "max_version")),
        )
        registry.problems_of(self.problems)
        self.kept.register(registry)
        registry.status_of(active_group=lambda: self.active_group, groups=self.status)
        registry.metric(
            "rtrd_group_active", "1 for the group in use.",
            lambda: [((group.name,), group.active) for group in self.groups()], ("group",),
        )  # fmt: skip
        registry.metric(
            "rtrd_group_preference", "As configured; a lower one is used first.",
            lambda: [((group.name,), group.preference) for group in self.groups()], ("group",),
        )  # fmt: skip
        registry.metric(
            "rtrd_group_status", "1 for the status that the group has.",
            lambda: [
                ((group.name, status.name), group.status is status)
                for group in self.groups() for status in ManagerGroupStatus
            ],
            ("group", "status"),
        )  # fmt: skip
        registry.metric(
            "rtrd_cache_state", "1 for the state of the cache's RTR session.",
            lambda: self._kinds(RTRSocketState, lambda cache, state: (state.name, cache.state is state)),
            (*_CACHE, "state"),
        )  # fmt: skip
        for name, text, read in _EACH:
            registry.metric(name, text, partial(self._each, read), _CACHE)
        registry.metric(
            "rtrd_cache_aspas", "Customer ASes of which the cache has an ASPA, whether its group is active or not.",
            lambda: self._each(lambda cache: cache.aspas), _CACHE,
        )  # fmt: skip
        registry.metric(
            "rtrd_cache_aspas_left_out_total", "How often something of the cache's ASPAs was not used.",
            lambda: self._kinds(LEFT_OUT, lambda cache, reason: (reason, cache.aspas_left_out[reason])),
            (*_CACHE, "reason"),
        )  # fmt: skip
        registry.metric(
            "rtrd_cache_vrps", "VRPs of the cache, whether its group is active or not.",
            lambda: self._each(lambda cache: self._effective.vrp_set.count_source(cache.index)), _CACHE,
        )  # fmt: skip
        registry.metric(
            "rtrd_cache_faults_total", "How often each kind of fault occurred.",
            lambda: self._kinds(Fault, lambda cache, fault: (fault, cache.faults[fault])), (*_CACHE, "fault"),
        )  # fmt: skip

    def _each(self, read: Callable[[RTRSocket], float | None]) -> Samples:
        return [((group.name, cache), read(cache)) for group in self.groups() for cache in group.sockets]

    def _kinds(self, kinds: Any, read: Callable[[RTRSocket, Any], tuple[str, float]]) -> Iterator[Any]:
        for group in self.groups():
            for cache in group.sockets:
                for kind in kinds:
                    label, value = read(cache, kind)
                    yield (group.name, cache, label), value

    def problems(self) -> Iterator[Problem]:
        """Give what is wrong with them."""
        previous = self._effective.snapshot_expires if self._effective.snapshot_used else None
        yield from problems(self.groups(), self._clock.wall(), previous)
        for cache, fault in self._unusable.items():
            what = f"the next connection to cache {cache} will fail: {fault}"
            yield Problem(what, None, "warning", f"keys {cache.index}")

    def providers(self, customer: int) -> dict[str, tuple[int, ...]]:
        """Give the providers that each cache, by its name, has in the ASPA of a customer, if it has one."""
        names = {cache.index: cache.name for cache in self.all()}
        found = self._effective.aspa_set.of(customer)
        return {names[index]: providers for index, providers in found.items() if index in names}

    def status(self) -> list[dict[str, Any]]:
        """Give the groups and their caches, as `rtrd status --json` has them."""
        return [
            {
                "name": group.name,
                "preference": group.preference,
                "status": group.status.name,
                "servers": [self._server(cache) for cache in group.sockets],
            }
            for group in self.groups()
        ]

    def _server(self, cache: RTRSocket) -> dict[str, Any]:
        last = cache.last_fault
        return {
            "host": cache.host,
            "port": cache.port,
            "transport": cache.transport,
            "authentication": cache.server.authentication,
            "state": cache.state.name,
            "error": cache.error,
            "fault": cache.fault,
            "faults": dict(cache.faults),
            "last_fault": None if last is None else {"fault": last.kind, "why": last.why, "time": _iso(last.time)},
            "version": None if cache.session_id is None else cache.version,
            "session_id": cache.session_id,
            "serial": cache.serial_number,
            "last_update": _iso(cache.last_sync),
            "since": _iso(cache.since),
            "next_attempt": _iso(cache.next_attempt),
            "expires": _iso(cache.expires),
            "vrps": self._effective.vrp_set.count_source(cache.index),
            "aspas": cache.aspas,
            "aspas_expire": _iso(cache.aspas_expire),
            "aspas_left_out": dict(cache.aspas_left_out),
            "lower_version_until": _iso(cache.lower_version_until),
            "coming": self._effective.coming(cache),
            "restarts": cache.restarts,
            "pid": cache.pid,
        }


_EACH: Final[Sequence[tuple[str, str, Callable[[RTRSocket], float | None]]]] = (
    ("rtrd_cache_in_sync", "1 while the cache's data is complete and its session alive.", lambda cache: cache.in_sync),
    ("rtrd_cache_restarts_total", "How often the connection to the cache was replaced.", lambda cache: cache.restarts),
    ("rtrd_cache_serial", "Serial number of the last complete sync.", lambda cache: cache.serial_number),
    ("rtrd_cache_session_id", "Session id of the last complete sync.", lambda cache: cache.session_id),
    (
        "rtrd_cache_protocol_version", "RTR version in use.",
        lambda cache: cache.version if cache.session_id is not None else None,
    ),
    (
        "rtrd_cache_last_update_timestamp_seconds", "When the last sync was complete.",
        lambda cache: cache.last_sync or None,
    ),
    (
        "rtrd_cache_since_timestamp_seconds", "When it came into sync, or left it or was connected to.",
        lambda cache: cache.since or None,
    ),
    (
        "rtrd_cache_expires_timestamp_seconds", "When its VRPs expire unless it says something before.",
        lambda cache: cache.expires,
    ),
    (
        "rtrd_cache_next_attempt_timestamp_seconds", "When it is tried again.",
        lambda cache: cache.next_attempt,
    ),
    (
        "rtrd_cache_wanted", "1 while rtrd wants to be in sync with it; 0 while a preferred group is.",
        lambda cache: cache.state is not RTRSocketState.CLOSED,
    ),
    (
        "rtrd_cache_expire_seconds", "Seconds without a sync after which its VRPs expire.",
        lambda cache: cache.expire_interval or None,
    ),
)  # fmt: skip
"""One number of each cache."""


def _iso(time: int | None) -> str | None:
    return timestamp(time) if time else None
