"""Effective VRPs as stories: caches that sync, die and expire, and what is told of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPChanges, VRPSet
from tests.lab.vrp_sets import packed

NOON = 1_767_268_800
"""Of 2026-01-01, UTC."""
OnExpire = Literal["not-found", "keep", "exit"]


@dataclass(eq=False)
class Cache:
    """What EffectiveVRPs looks at in a cache."""

    index: int
    last_update: int = NOON
    in_sync: bool = True
    expire_interval: int = 7200
    aspas_expire: int | None = None
    flushed: bool = False

    @property
    def name(self) -> str:
        """Give what a cache is called."""
        return f"cache{self.index}"

    def __str__(self) -> str:
        return self.name


class EffectiveStory:
    """The VRPs, and what was told of them: `usable`, `ended`, and the AS of each VRP that came or went."""

    def __init__(self, on_expire: OnExpire = "not-found") -> None:
        self.told: list[str] = []
        self.vrp_set = VRPSet()
        self.effective: Any = EffectiveVRPs(self.vrp_set, on_expire, self._changed, self._usable, self._ended)

    def _changed(self, changes: VRPChanges) -> None:
        self.told += sorted(f"{'+' if announce else '-'}{vrp.asn}" for vrp, announce in changes)

    def _usable(self) -> None:
        self.told.append("usable")

    def _ended(self) -> None:
        self.told.append("ended")

    def sync(self, cache: Cache, vrps: Iterable[VRP]) -> None:
        """A new connection: all that the cache has."""
        self.effective.staged(cache, packed(vrps))
        self.effective.committed(cache, True)

    def delta(self, cache: Cache, come: Iterable[VRP] = (), go: Iterable[VRP] = ()) -> None:
        self.effective.staged(cache, packed(come) + b"".join(pack(vrp, announce=False) for vrp in go))
        self.effective.committed(cache, False)

    def follow(self, *caches: Cache) -> None:
        self.effective.active(frozenset(caches))

    def group(self, *sets: Iterable[VRP]) -> list[Cache]:
        """Caches that are in use, each with its VRPs."""
        caches = [Cache(index) for index in range(len(sets))]
        for cache, vrps in zip(caches, sets, strict=True):
            self.sync(cache, vrps)
        self.follow(*caches)
        return caches

    def begun(self, *vrps: VRP) -> Cache:
        """A first cache that is in use."""
        (cache,) = self.group(vrps)
        self.heard()
        return cache

    def heard(self) -> list[str]:
        """What was told since the last look."""
        told, self.told = self.told, []
        return told

    @property
    def in_force(self) -> set[VRP]:
        return {entry.vrp for entry in self.vrp_set.vrps()}
