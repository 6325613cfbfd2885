"""Which group of caches is in use: failover by preference (RFC 8210 section 10).

Pure: no socket, no thread, no clock. Groups are numbered 0, 1, .. from the most preferred, caches by index.

The rules:
- A group is usable while at least one of its caches is in sync: complete data from a session that is alive.
- The most preferred group is started. When the last started group is not usable within `start_timeout`, or
  all of its caches failed, or it was usable and stops being so, the next one is started, in the same call.
- The best usable group is active: its caches' VRPs count. A switch is made when the new group is usable,
  never before, so what the old group said stays in force until then.
- The groups below the active one are stopped; those above it, which failed, keep trying.
- A cache whose session ended before it lasted `steady` seconds is on probation when it is back: it must be in sync
  for 2, 4, 8, .. seconds, up to `steady`, before its group replaces another. What counts already goes on counting, and
  nothing below is stopped meanwhile. So a cache that closes after each answer moves the set once, and not each time.
- When the groups are changed (`regroup`), a cache that is in both stays as it is, and what counts still counts
  until a group of the new ones is usable, also when it comes from caches that are in none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from rtrlib.manager_group import ManagerGroupStatus

__all__ = ["START_TIMEOUT", "Action", "Activate", "Drop", "Failover", "Release", "Start", "Stop"]

START_TIMEOUT: Final = 30.0
"""Seconds that a group has to become usable before the next one is started beside it."""
PROBATION: Final = 2.0
"""Seconds for which a cache must be in sync after its first short session; doubled after each further one."""


@dataclass(frozen=True)
class Start:
    """Connect to every cache of the group that is not connected to."""

    group: int


@dataclass(frozen=True)
class Stop:
    """Disconnect from every cache of the group; what they said is no longer needed."""

    group: int


@dataclass(frozen=True)
class Activate:
    """From now on these caches' VRPs count, and no others'."""

    group: int
    caches: frozenset[int]


@dataclass(frozen=True)
class Release:
    """Disconnect from these caches, which are no longer in a group; what they said still counts."""

    caches: frozenset[int]


@dataclass(frozen=True)
class Drop:
    """Disconnect from these caches, which are no longer in a group; what they said is no longer needed."""

    caches: frozenset[int]


Action = Start | Stop | Activate | Release | Drop


@dataclass
class _Group:
    caches: frozenset[int]
    started: bool = False
    late_at: float | None = None
    """When it will have had its time to become usable."""
    in_sync: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    @property
    def usable(self) -> bool:
        return self.started and bool(self.in_sync)


class Failover:
    """The state of all groups. Every event returns the actions that it causes, in their order."""

    def __init__(
        self, groups: Sequence[frozenset[int]], start_timeout: float = START_TIMEOUT, steady: float = 0.0
    ) -> None:
        """Take the caches of each group, most preferred first. `start_timeout` and `steady` in seconds."""
        self._groups = [_Group(caches) for caches in groups]
        self._start_timeout = start_timeout
        self.steady = steady
        """How long a session lasts that is not short; 0: none is."""
        self._since: dict[int, float] = {}
        """When the session began of a cache that is in sync."""
        self._short: dict[int, int] = {}
        """How many sessions of a cache in a row were short."""
        self._on_probation: set[int] = set()
        """Caches that are in sync, and not for long enough."""
        self._active: int | None = None
        self._counting: frozenset[int] = frozenset()
        self._released: frozenset[int] = frozenset()

    @property
    def active(self) -> int | None:
        """The group whose caches' VRPs count; None before any was usable, and for one that is no longer a group."""
        return self._active

    @property
    def counting(self) -> frozenset[int]:
        """The caches whose VRPs count."""
        return self._counting

    def status(self, group: int) -> ManagerGroupStatus:
        """Give the status of this group."""
        one = self._groups[group]
        if not one.started:
            return ManagerGroupStatus.CLOSED
        if one.in_sync:
            proven = one.caches == self._counting or not one.in_sync <= self._on_probation
            return ManagerGroupStatus.ESTABLISHED if proven else ManagerGroupStatus.CONNECTING
        return ManagerGroupStatus.ERROR if one.failed else ManagerGroupStatus.CONNECTING

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest; None: only an event changes anything."""
        late = [group.late_at for group in self._groups if group.late_at is not None]
        return min([*late, *(self.probation_ends(cache) for cache in self._on_probation)], default=None)

    def probation_ends(self, cache: int) -> float:
        """When a cache that is in sync will have been so for long enough."""
        seconds = PROBATION * 2.0 ** (min(self._short[cache], 20) - 1) if cache in self._short else 0.0
        return self._since.get(cache, -inf) + min(seconds, self.steady)

    def forgive(self, cache: int) -> None:
        """Forget that sessions of the cache were short."""
        self._short.pop(cache, None)

    def start(self, now: float) -> list[Action]:
        """Begin, or begin again after `stop`."""
        return self._start_next(now)

    def stop(self) -> list[Action]:
        """Stop every group that is started. Nothing is active afterwards."""
        actions: list[Action] = [Stop(i) for i, group in enumerate(self._groups) if group.started]
        self._groups = [_Group(group.caches) for group in self._groups]
        self._active = None
        self._counting = frozenset()
        self._on_probation = set()
        self._since.clear()
        self._short.clear()
        return actions + self._drop_released()

    def regroup(self, groups: Sequence[frozenset[int]], now: float) -> list[Action]:
        """Use these groups from now on, most preferred first. A cache that is in both stays as it is."""
        old = [group for group in self._groups if group.started]
        running = frozenset[int]().union(*(group.caches for group in old))
        in_sync = set[int]().union(*(group.in_sync for group in old))
        failed = set[int]().union(*(group.failed for group in old))
        gone = frozenset[int]().union(*(group.caches for group in self._groups)).difference(*groups)
        self._groups = [
            _Group(caches, bool(caches & running), None, in_sync & caches, failed & caches) for caches in groups
        ]
        self._forget(gone)
        self._active = next((i for i, caches in enumerate(groups) if caches & self._counting), None)
        actions: list[Action] = []
        if gone - self._counting:
            actions.append(Drop(gone - self._counting))
        if gone & self._counting:
            actions.append(Release(gone & self._counting))
            self._released |= gone & self._counting
        usable = (i for i, group in enumerate(self._groups) if group.usable)
        last_started = max((i for i, group in enumerate(self._groups) if group.started), default=0)
        for i in range(next(usable, last_started) + 1 if running else 0):
            if not groups[i] <= running:
                actions.append(Start(i))
            self._begin(i, now)
        return actions + (self._settle(now) if running else [])

    def drop(self, caches: frozenset[int]) -> list[Action]:
        """Forget caches that don't count; a `regroup` must follow, which may give their numbers to others."""
        for group in self._groups:
            group.caches -= caches
            group.in_sync -= caches
            group.failed -= caches
        self._forget(caches)
        return [Drop(caches)] if caches else []

    def _forget(self, caches: frozenset[int]) -> None:
        """Forget the sessions of caches whose numbers others may get."""
        self._on_probation -= caches
        for cache in caches:
            self._since.pop(cache, None)
            self.forgive(cache)

    def _begin(self, number: int, now: float) -> None:
        """Count a group as started; it has its time to become usable, unless there is none after it to wait for."""
        group = self._groups[number]
        group.started = True
        wait = not group.usable and number + 1 < len(self._groups)
        group.late_at = now + self._start_timeout if wait else None

    def _drop_released(self) -> list[Action]:
        released, self._released = self._released, frozenset()
        return [Drop(released)] if released else []

    def in_sync(self, cache: int, now: float) -> list[Action]:
        """Note that the cache has delivered complete data and its session is alive."""
        group = self._group_of(cache)
        if group is None or not group.started:
            return []
        if cache not in group.in_sync:
            self._since[cache] = now
        group.in_sync.add(cache)
        group.failed.discard(cache)
        return self._settle(now)

    def failed(self, cache: int, now: float) -> list[Action]:
        """Note that the cache cannot be reached, or that its session, its process or its data ended."""
        group = self._group_of(cache)
        if group is None or not group.started:
            return []
        if cache in group.in_sync:
            group.in_sync.discard(cache)
            if now - self._since.pop(cache) < self.steady:
                self._short[cache] = self._short.get(cache, 0) + 1
            else:
                self.forgive(cache)
        group.failed.add(cache)
        return self._settle(now)

    def tick(self, now: float) -> list[Action]:
        """Note that time has passed."""
        return self._settle(now)

    def _group_of(self, cache: int) -> _Group | None:
        return next((group for group in self._groups if cache in group.caches), None)

    def _settle(self, now: float) -> list[Action]:
        usable = [i for i, group in enumerate(self._groups) if group.usable]
        self._on_probation = {
            cache for i in usable for cache in self._groups[i].in_sync if now < self.probation_ends(cache)
        }
        proven = [i for i in usable if not self._groups[i].in_sync <= self._on_probation]
        fit = [i for i in usable if i in proven or self._groups[i].caches == self._counting]
        best = next(iter(fit or usable), None)
        if best is None:
            return self._start_next(now) if self._wants_next(now) else []
        actions: list[Action] = []
        self._groups[best].late_at = None
        self._active = best
        if self._counting != self._groups[best].caches:
            self._counting = self._groups[best].caches
            actions.append(Activate(best, self._counting))
            actions += self._drop_released()
        for i in range(best + 1, len(self._groups)):
            if self._groups[i].started and best in proven:
                actions.append(Stop(i))
                self._groups[i] = _Group(self._groups[i].caches)
        return actions

    def _wants_next(self, now: float) -> bool:
        """Whether every started group had its chance."""
        for group in self._groups:
            if group.started and group.late_at is not None:
                if now < group.late_at and group.failed != group.caches:
                    return False
                group.late_at = None
        return True

    def _start_next(self, now: float) -> list[Action]:
        for i, group in enumerate(self._groups):
            if not group.started:
                self._begin(i, now)
                return [Start(i)]
        return []
