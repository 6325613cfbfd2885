"""The snapshot's part in the effective VRPs: in force until caches are, and never longer than VRPs live."""

import pytest

from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SNAPSHOT
from tests.lab.effective_story import NOON, Cache, EffectiveStory, OnExpire

OLD, NEW = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)


def with_snapshot(on_expire: OnExpire = "not-found") -> EffectiveStory:
    """One that has a snapshot of OLD in force."""
    story = EffectiveStory(on_expire)
    story.vrp_set.stage(SNAPSHOT, pack(OLD))
    story.effective.use_snapshot()
    return story


def test_it_makes_the_set_usable_at_once() -> None:
    one = with_snapshot()
    assert one.told == ["usable", "+64500"]
    assert one.effective.snapshot_used
    assert one.vrp_set.validate("192.0.2.0/24", 64500) == "valid"


def test_it_counts_until_a_group_is_usable_and_then_only_the_difference_is_told() -> None:
    one = with_snapshot()
    cache = Cache(0)
    one.sync(cache, [OLD, NEW])
    assert one.in_force == {OLD}, "the group is not active yet"
    one.follow(cache)
    assert one.in_force == {OLD, NEW}
    assert one.told[2:] == ["+64501"]
    assert not one.effective.snapshot_used


@pytest.mark.parametrize(
    ("on_expire", "told", "left", "used"),
    [("not-found", ["-64500"], set(), False), ("keep", [], {OLD}, True), ("exit", ["ended"], {OLD}, True)],
)
def test_too_old(on_expire: OnExpire, told: list[str], left: set[VRP], used: bool) -> None:
    one = with_snapshot(on_expire)
    one.effective.snapshot_expired()
    one.effective.snapshot_expired()  # the snapshot_keeper says so every second
    assert one.told[2:] == told
    assert (one.in_force, one.effective.snapshot_used) == (left, used)
    assert one.effective.expired_at_all
    one.begun(NEW)
    assert one.in_force == {NEW}
    assert not one.effective.expired_at_all


def test_its_aspas_count_as_its_vrps_do_and_may_be_too_old_before_them() -> None:
    held = aspas.union_of(aspas.numbers([(1, (2,))]))
    one = EffectiveStory()
    one.vrp_set.stage(SNAPSHOT, pack(OLD))
    one.effective.aspa_set.sources.stage(SNAPSHOT, held)
    one.effective.use_snapshot()
    assert one.effective.aspa_set.effective == held
    one.effective.snapshot_aspas_expired()
    assert one.effective.aspa_set.effective == b""
    assert one.in_force == {OLD}


def test_aspas_that_a_cache_says_no_more_keep_their_date() -> None:
    held = aspas.union_of(aspas.numbers([(1, (2,))]))
    one, cache = EffectiveStory(), Cache(0, aspas_expire=NOON - 100 + 7200)
    one.effective.aspas(cache, held)
    one.sync(cache, [NEW])
    one.follow(cache)
    assert one.effective.aspas_to_keep([0], NOON) == (held, NOON - 100)


class TestWhatIsKept:
    """Of which caches the next snapshot is made, and of what date."""

    def test_nothing_before_a_cache_counts_so_that_the_old_one_stays(self) -> None:
        one = with_snapshot()
        assert one.effective.to_keep() is None
        one.sync(Cache(0), [NEW])
        assert one.effective.to_keep() is None

    def test_the_caches_in_sync_dated_by_the_oldest_word(self) -> None:
        one, caches = EffectiveStory(), [Cache(0), Cache(1, NOON - 300), Cache(2, in_sync=False)]
        for cache in caches:
            one.sync(cache, [NEW])
        one.follow(*caches)
        sources, date = one.effective.to_keep()
        assert (sorted(sources), date) == ([0, 1], NOON - 300)

    def test_with_none_in_sync_those_that_still_count(self) -> None:
        one, caches = EffectiveStory(), [Cache(0, in_sync=False), Cache(1, in_sync=False)]
        for cache in caches:
            one.sync(cache, [NEW])
        one.follow(*caches)
        one.effective.expired(caches[0])
        assert one.effective.to_keep() == ([1], NOON)
        one.effective.expired(caches[1])
        assert one.effective.to_keep() is None

    def test_an_empty_set_too_for_that_is_what_is_in_force(self) -> None:
        one = EffectiveStory()
        cache = one.begun(OLD)
        one.delta(cache, go=[OLD])
        assert one.in_force == set()
        assert one.effective.to_keep() == ([0], NOON)


def test_an_empty_one_is_an_answer_as_that_of_a_cache_is() -> None:
    one = EffectiveStory()
    one.effective.use_snapshot()
    assert one.told == ["usable"]
    assert one.effective.snapshot_used
    assert one.vrp_set.validate("192.0.2.0/24", 64500) == "not-found"
    one.begun(NEW)
    assert one.in_force == {NEW}


def test_one_that_comes_late_changes_nothing_once_a_cache_counts() -> None:
    """It was refused at the start, for the clock was wrong."""
    one = EffectiveStory()
    one.begun(NEW)
    assert one.effective.has_begun
    one.vrp_set.stage(SNAPSHOT, pack(OLD))
    one.effective.use_snapshot()
    assert one.in_force == {NEW}
    assert not one.effective.snapshot_used
