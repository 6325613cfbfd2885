"""The snapshot's part in the effective VRPs: in force until caches are, and never longer than VRPs live."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SNAPSHOT, VRPChanges, VRPSet

OLD, NEW = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)
NOON = int(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp())


@dataclass(eq=False)
class Cache:
    """What EffectiveVRPs looks at in a cache."""

    index: int
    last_update: int = NOON
    in_sync: bool = True
    name: str = "a cache"


class Story:
    """Effective VRPs with a snapshot of OLD in force, and what was said of it."""

    def __init__(self, on_expire: Literal["not-found", "keep", "exit"] = "not-found") -> None:
        self.told: list[str] = []
        self.vrp_set = VRPSet()
        self.effective: Any = EffectiveVRPs(
            self.vrp_set,
            on_expire,
            self._changed,
            lambda: self.told.append("usable"),
            lambda: self.told.append("ended"),
        )

    def _changed(self, changes: VRPChanges) -> None:
        self.told += [f"{'+' if announce else '-'}{vrp.asn}" for vrp, announce in changes]

    def with_snapshot(self) -> Story:
        self.vrp_set.stage(SNAPSHOT, pack(OLD))
        self.effective.use_snapshot()
        return self

    def sync(self, cache: Cache, *vrps: VRP) -> None:
        self.effective.staged(cache, b"".join(map(pack, vrps)))
        self.effective.committed(cache, True)

    @property
    def now(self) -> set[VRP]:
        return {entry.vrp for entry in self.vrp_set.vrps()}


def test_it_makes_the_set_usable_at_once() -> None:
    one = Story().with_snapshot()
    assert one.told == ["usable", "+64500"]
    assert one.effective.snapshot_used
    assert one.vrp_set.validate("192.0.2.0/24", 64500) == "valid"


def test_it_counts_until_a_group_is_usable_and_then_only_the_difference_is_told() -> None:
    one = Story().with_snapshot()
    cache = Cache(0)
    one.sync(cache, OLD, NEW)
    assert one.now == {OLD}, "the group is not active yet"
    one.effective.active(frozenset([cache]))
    assert one.now == {OLD, NEW}
    assert one.told[2:] == ["+64501"]
    assert not one.effective.snapshot_used


@pytest.mark.parametrize(
    ("on_expire", "told", "left", "used"),
    [("not-found", ["-64500"], set(), False), ("keep", [], {OLD}, True), ("exit", ["ended"], {OLD}, True)],
)
def test_too_old(on_expire: Literal["not-found", "keep", "exit"], told: list[str], left: set[VRP], used: bool) -> None:
    one = Story(on_expire).with_snapshot()
    one.effective.snapshot_expired()
    one.effective.snapshot_expired()  # the snapshot_keeper says so every second
    assert one.told[2:] == told
    assert (one.now, one.effective.snapshot_used) == (left, used)
    assert one.effective.expired_at_all
    cache = Cache(0)
    one.sync(cache, NEW)
    one.effective.active(frozenset([cache]))
    assert one.now == {NEW}
    assert not one.effective.expired_at_all


class TestWhatIsKept:
    """Of which caches the next snapshot is made, and of what date."""

    def test_nothing_before_a_cache_counts_so_that_the_old_one_stays(self) -> None:
        one = Story().with_snapshot()
        assert one.effective.to_keep() is None
        one.sync(Cache(0), NEW)
        assert one.effective.to_keep() is None

    def test_the_caches_in_sync_dated_by_the_oldest_word(self) -> None:
        one, caches = Story(), [Cache(0), Cache(1, NOON - 300), Cache(2, in_sync=False)]
        for cache in caches:
            one.sync(cache, NEW)
        one.effective.active(frozenset(caches))
        sources, date = one.effective.to_keep()
        assert (sorted(sources), date) == ([0, 1], NOON - 300)

    def test_with_none_in_sync_those_that_still_count(self) -> None:
        one, caches = Story(), [Cache(0, in_sync=False), Cache(1, in_sync=False)]
        for cache in caches:
            one.sync(cache, NEW)
        one.effective.active(frozenset(caches))
        one.effective.expired(caches[0])
        assert one.effective.to_keep() == ([1], NOON)
        one.effective.expired(caches[1])
        assert one.effective.to_keep() is None

    def test_no_empty_set(self) -> None:
        one, cache = Story(), Cache(0)
        one.sync(cache)
        one.effective.active(frozenset([cache]))
        assert one.effective.to_keep() is None
