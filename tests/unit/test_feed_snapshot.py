"""The snapshot's part in the feed: in force until caches are, and never longer than VRPs live."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from rtrd.vrps.feed import Feed
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SNAPSHOT, VRPSet

if TYPE_CHECKING:
    from rtrlib.vrp_set import Changes

OLD, NEW = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)
NOON = int(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp())


@dataclass(eq=False)
class Cache:
    """What the feed looks at in a cache."""

    index: int
    last_update: int = NOON
    in_sync: bool = True


class Story:
    """A feed with a snapshot of OLD in force, and what was said of it."""

    def __init__(self, on_expire: Literal["not-found", "keep", "exit"] = "not-found") -> None:
        self.told: list[str] = []
        self.vrp_set = VRPSet()
        self.feed: Any = Feed(
            self.vrp_set,
            on_expire,
            self._changed,
            lambda: self.told.append("usable"),
            lambda: self.told.append("ended"),
        )

    def _changed(self, changes: Changes) -> None:
        self.told += [f"{'+' if announce else '-'}{vrp.asn}" for vrp, announce in changes]

    def with_snapshot(self) -> Story:
        self.vrp_set.stage(SNAPSHOT, pack(OLD))
        self.feed.use_snapshot()
        return self

    def sync(self, cache: Cache, *vrps: VRP) -> None:
        self.feed.staged(cache, b"".join(map(pack, vrps)))
        self.feed.committed(cache, True)

    @property
    def now(self) -> set[VRP]:
        return {entry.vrp for entry in self.vrp_set.vrps()}


def test_it_makes_the_set_usable_at_once() -> None:
    one = Story().with_snapshot()
    assert one.told == ["usable", "+64500"]
    assert one.feed.snapshot_used
    assert one.vrp_set.validate("192.0.2.0/24", 64500) == "valid"


def test_it_counts_until_a_group_is_usable_and_then_only_the_difference_is_told() -> None:
    one = Story().with_snapshot()
    cache = Cache(0)
    one.sync(cache, OLD, NEW)
    assert one.now == {OLD}, "the group is not active yet"
    one.feed.active(frozenset([cache]))
    assert one.now == {OLD, NEW}
    assert one.told[2:] == ["+64501"]
    assert not one.feed.snapshot_used


@pytest.mark.parametrize(
    ("on_expire", "told", "left", "used"),
    [("not-found", ["-64500"], set(), False), ("keep", [], {OLD}, True), ("exit", ["ended"], {OLD}, True)],
)
def test_too_old_it_goes_as_the_operator_wants(
    on_expire: Literal["not-found", "keep", "exit"], told: list[str], left: set[VRP], used: bool
) -> None:
    one = Story(on_expire).with_snapshot()
    one.feed.snapshot_expired()
    one.feed.snapshot_expired()  # the snapshot_keeper says so every second
    assert one.told[2:] == told
    assert (one.now, one.feed.snapshot_used) == (left, used)
    assert one.feed.expired_at_all
    cache = Cache(0)
    one.sync(cache, NEW)
    one.feed.active(frozenset([cache]))
    assert one.now == {NEW}
    assert not one.feed.expired_at_all


class TestWhatIsKept:
    """Of which caches the next snapshot is made, and of what date."""

    def test_nothing_before_a_cache_counts_so_that_the_old_one_stays(self) -> None:
        one = Story().with_snapshot()
        assert one.feed.to_keep() is None
        one.sync(Cache(0), NEW)
        assert one.feed.to_keep() is None

    def test_the_caches_in_sync_dated_by_the_oldest_word(self) -> None:
        one, caches = Story(), [Cache(0), Cache(1, NOON - 300), Cache(2, in_sync=False)]
        for cache in caches:
            one.sync(cache, NEW)
        one.feed.active(frozenset(caches))
        sources, date = one.feed.to_keep()
        assert (sorted(sources), date) == ([0, 1], NOON - 300)

    def test_with_none_in_sync_those_that_still_count(self) -> None:
        one, caches = Story(), [Cache(0, in_sync=False), Cache(1, in_sync=False)]
        for cache in caches:
            one.sync(cache, NEW)
        one.feed.active(frozenset(caches))
        one.feed.expired(caches[0])
        assert one.feed.to_keep() == ([1], NOON)
        one.feed.expired(caches[1])
        assert one.feed.to_keep() is None

    def test_no_empty_set(self) -> None:
        one, cache = Story(), Cache(0)
        one.sync(cache)
        one.feed.active(frozenset([cache]))
        assert one.feed.to_keep() is None
