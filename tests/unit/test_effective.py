"""Caches that sync, die and expire, as stories: which VRPs are in force, and what the routers hear of it."""

import pytest

from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.slurm import KeyFilter
from rtrlib import aspas
from rtrlib.vrp import PACKED, VRP, pack
from rtrlib.vrp_entries import RouterKey
from tests.lab.effective_story import Cache, EffectiveStory, OnExpire
from tests.lab.vrp_sets import packed

A, B, C = (VRP("192.0.2.0/24", 24, asn) for asn in (64500, 64501, 64502))


@pytest.fixture
def story() -> EffectiveStory:
    return EffectiveStory()


def test_nothing_counts_before_end_of_data(story: EffectiveStory) -> None:
    cache = Cache(0)
    story.follow(cache)
    story.effective.staged(cache, pack(A))
    assert story.heard() == []
    story.effective.committed(cache, True)
    assert story.heard() == ["usable", "+64500"]


def test_a_delta_changes_what_it_names(story: EffectiveStory) -> None:
    cache = story.begun(A, B)
    story.delta(cache, [C], [A])
    assert story.heard() == ["+64502", "-64500"]


def test_a_connection_that_dies_in_the_middle_leaves_what_was_in_force(story: EffectiveStory) -> None:
    cache = story.begun(A, B)
    story.effective.staged(cache, pack(A, announce=False))
    story.effective.discarded(cache)
    assert story.heard() == []
    story.sync(cache, [B])  # the next connection sends all it has; A is not among it
    assert story.heard() == ["-64500"]


def test_a_full_set_may_be_empty(story: EffectiveStory) -> None:
    cache = story.begun(A)
    story.effective.discarded(cache)
    story.effective.committed(cache, True)
    assert story.heard() == ["-64500"]


def test_a_cache_in_sync_with_no_vrps_is_usable_and_warned_of(story: EffectiveStory) -> None:
    empty, other = Cache(0), Cache(1)
    story.follow(empty)
    assert story.heard() == []
    story.sync(empty, [])
    assert story.heard() == ["usable"]
    (problem,) = story.effective.problems()
    assert (problem.what, problem.severity) == ("cache cache0 is in sync, but has no VRPs", "warning")
    # Beside one that has some it changes nothing, but is still to be mended.
    story.follow(empty, other)
    story.sync(other, [A])
    assert list(story.effective.problems()) == [problem]
    empty.in_sync = False
    assert list(story.effective.problems()) == []
    empty.in_sync = True
    story.effective.staged(empty, pack(B))
    story.effective.committed(empty, False)
    assert list(story.effective.problems()) == []


def test_failover_to_the_same_vrps_is_silence_and_to_others_the_difference(story: EffectiveStory) -> None:
    same, other = Cache(1), Cache(2)
    story.begun(A, B)
    story.sync(same, [A, B])
    story.sync(other, [B, C])
    story.follow(same)
    assert story.heard() == []
    story.follow(other)
    assert story.heard() == ["+64502", "-64500"]


def test_a_switch_names_the_caches_that_are_in_sync(story: EffectiveStory) -> None:
    caches = Cache(0), Cache(1, in_sync=False), Cache(2)
    story.sync(caches[0], [A])
    story.follow(*caches)
    assert story.effective.cause == "switch to cache0 cache2"


def test_a_lost_cache_of_a_group_counts_until_it_expires(story: EffectiveStory) -> None:
    one, _ = story.group([A], [B])
    story.heard()
    story.effective.discarded(one)
    assert story.heard() == []
    story.effective.expired(one)
    assert story.heard() == ["-64500"]
    assert not story.effective.expired_at_all


@pytest.mark.parametrize(("on_expire", "told"), [("not-found", ["-64500"]), ("keep", []), ("exit", ["ended"])])
def test_when_the_last_vrps_expire(on_expire: OnExpire, told: list[str]) -> None:
    story = EffectiveStory(on_expire)
    cache = story.begun(A)
    story.effective.expired(cache)
    assert story.heard() == told
    assert story.effective.expired_at_all
    story.effective.discarded(cache)
    story.sync(cache, [A, B])
    assert "+64501" in story.heard()
    assert not story.effective.expired_at_all


def test_a_stopped_group_is_forgotten_without_a_word(story: EffectiveStory) -> None:
    primary, backup = Cache(0), Cache(1)
    story.sync(backup, [A])
    story.follow(backup)
    story.sync(primary, [A])
    story.follow(primary)
    story.heard()
    story.effective.expired(backup)
    assert story.heard() == []
    assert not story.effective.expired_at_all
    assert story.vrp_set.count_source(1) == 0


def test_malformed_vrps_are_left_out_and_said(story: EffectiveStory, capfd: pytest.CaptureFixture[str]) -> None:
    cache = Cache(0)
    story.follow(cache)
    story.effective.staged(cache, PACKED.pack(bytes(16), 64500, 99, 99, 4, 1) + pack(A))
    story.effective.committed(cache, True)
    assert story.heard() == ["usable", "+64500"]
    written = capfd.readouterr()
    assert "VRPs of a cache were left out" in written.out + written.err


KEY, OTHER = (RouterKey(asn, bytes([asn % 256]) * 20, bytes(91)) for asn in (64500, 64501))


def test_router_keys_live_and_die_with_the_vrps_of_their_cache(story: EffectiveStory) -> None:
    cache, spare = Cache(0), Cache(1)
    story.effective.router_key(cache, *KEY, announce=True)
    story.sync(cache, [A])
    assert story.effective.keys.effective == frozenset(), "the cache is not in use"
    story.follow(cache)
    assert story.effective.keys.effective == {KEY}
    story.effective.router_key(cache, *KEY, announce=False)
    story.effective.router_key(cache, *OTHER, announce=True)
    assert story.effective.keys.effective == {KEY}, "no End of Data yet"
    story.effective.discarded(cache)
    story.effective.committed(cache, False)
    assert story.effective.keys.effective == {KEY}, "the link was lost before End of Data"
    story.sync(spare, [A])
    story.follow(spare)
    assert story.effective.keys.effective == frozenset()
    story.follow(cache)
    story.effective.expired(cache)
    assert story.effective.keys.effective == frozenset()


def test_with_on_expire_keep_the_last_keys_stay() -> None:
    story, cache = EffectiveStory("keep"), Cache(0)
    story.effective.router_key(cache, *KEY, announce=True)
    story.sync(cache, [A])
    story.follow(cache)
    story.effective.expired(cache)
    assert story.effective.keys.effective == {KEY}


@pytest.mark.parametrize(
    ("one", "left"),
    [(KeyFilter(64500, None), {OTHER}), (KeyFilter(None, OTHER.ski), {KEY}), (KeyFilter(64501, KEY.ski), {KEY, OTHER})],
)
def test_slurm_filters_keys_before_it_asserts_some(story: EffectiveStory, one: KeyFilter, left: set[RouterKey]) -> None:
    cache = Cache(0)
    for key in (KEY, OTHER):
        story.effective.router_key(cache, *key, announce=True)
    story.sync(cache, [A])
    story.follow(cache)
    story.effective.keys.slurm([one], [])
    assert story.effective.keys.effective == left
    story.effective.keys.slurm([one], [KEY])
    assert story.effective.keys.effective == left | {KEY}, "no filter touches an assertion"
    story.effective.keys.slurm([], [])
    assert story.effective.keys.effective == {KEY, OTHER}


def test_how_far_a_sync_is_can_be_seen_while_it_lasts(story: EffectiveStory, capfd: pytest.CaptureFixture[str]) -> None:
    cache = Cache(0)
    assert story.effective.coming(cache) == 0
    story.effective.staged(cache, pack(A) * 99_999)
    assert story.effective.coming(cache) == 99_999
    assert "sync in progress" not in "".join(capfd.readouterr())
    story.effective.staged(cache, pack(B) + pack(C))
    assert "vrps=100001" in "".join(capfd.readouterr())
    story.effective.committed(cache, full=True)
    assert story.effective.coming(cache) == 0
    story.effective.staged(cache, pack(A, announce=False))
    story.effective.discarded(cache)
    assert story.effective.coming(cache) == 0


def kept(*vrps: VRP) -> tuple[EffectiveStory, Cache, Cache]:
    """One of two caches has had these."""
    story, one, two = EffectiveStory("keep"), Cache(0), Cache(1)
    story.sync(one, vrps)
    story.follow(one, two)
    return story, one, two


class TestKeep:
    """`on-expire: keep`: the last VRPs go on counting, as long as there are no better ones."""

    def test_a_second_cache_that_never_answered_does_not_make_the_first_one_less_than_the_last(self) -> None:
        for on_expire, told in (("keep", []), ("exit", ["ended"]), ("not-found", ["-64500"])):
            story, one, mute = EffectiveStory(on_expire), Cache(0), Cache(1)  # type: ignore[arg-type]
            story.sync(one, [A])
            story.follow(one, mute)
            story.heard()
            story.effective.expired(one)
            assert story.heard() == told
            assert story.effective.expired_at_all

    def test_what_was_kept_goes_when_another_cache_of_the_group_is_in_sync(self) -> None:
        story, one, two = kept(A, B)
        story.effective.discarded(one)
        story.effective.expired(one)
        story.heard()
        story.sync(two, [B, C])
        assert story.heard() == ["+64502", "-64500"]
        assert not story.effective.expired_at_all

    def test_what_was_kept_goes_when_another_group_is_in_use_and_does_not_come_back(self) -> None:
        story, one, two = kept(A)
        backup = Cache(2)
        story.effective.discarded(one)
        story.effective.expired(one)
        story.heard()
        story.sync(backup, [B])
        story.follow(backup)
        assert story.heard() == ["+64501", "-64500"]
        story.sync(two, [B])
        story.follow(one, two)
        assert story.heard() == []

    def test_what_arrives_from_the_kept_cache_meanwhile_is_not_lost(self) -> None:
        story, one, two = kept(A)
        story.effective.expired(one)
        story.effective.discarded(one)
        story.effective.staged(one, pack(A))
        story.sync(two, [B])
        story.effective.staged(one, pack(C))
        story.heard()
        story.effective.committed(one, True)
        assert story.in_force == {A, B, C}


# -- ASPAs


def a_set(*entries: tuple[int, tuple[int, ...]]) -> bytes:
    return aspas.union_of(aspas.numbers(entries))


def lists(story: EffectiveStory) -> dict[int, tuple[int, ...]]:
    return dict(aspas.records(story.effective.aspa_set.effective))


def sync_aspas(story: EffectiveStory, cache: Cache, held: bytes) -> None:
    story.effective.aspas(cache, held)
    story.effective.committed(cache, False)


def test_aspas_are_in_force_with_the_vrps_of_their_end_of_data() -> None:
    story = EffectiveStory()
    story.effective.aspa_set = ASPASet(lambda _: story.told.append("ASPAs"))
    cache = story.begun(A)
    story.effective.staged(cache, packed([B]))
    story.effective.aspas(cache, a_set((1, (2,))))
    assert (story.heard(), lists(story)) == ([], {})
    story.effective.committed(cache, False)
    assert story.heard()[0] == "ASPAs", "who hears of VRPs judges by both"
    assert lists(story) == {1: (2,)}


def test_aspas_go_with_what_their_cache_said() -> None:
    story = EffectiveStory()
    one, other = story.group([A], [A])
    sync_aspas(story, one, a_set((1, (2,)), (3, (0,))))
    sync_aspas(story, other, a_set((1, (4,)), (3, (5,))))
    assert lists(story) == {1: (2, 4), 3: (5,)}
    story.effective.expired(other)
    assert lists(story) == {1: (2,), 3: (0,)}
    story.effective.aspas_expired(one)
    assert lists(story) == {}
    assert story.in_force == {A}


def test_what_was_staged_in_vain_is_forgotten_and_another_group_brings_its_own() -> None:
    story = EffectiveStory()
    cache = story.begun(A)
    story.effective.aspas(cache, a_set((1, (2,))))
    story.effective.discarded(cache)
    story.sync(cache, [A])
    assert lists(story) == {}
    sync_aspas(story, cache, a_set((1, (2,))))
    backup = Cache(5)
    story.sync(backup, [A])
    sync_aspas(story, backup, a_set((7, (8,))))
    assert lists(story) == {1: (2,)}
    story.follow(backup)
    assert lists(story) == {7: (8,)}


def test_old_aspas_are_kept_with_the_vrps_when_the_operator_wants_that() -> None:
    story = EffectiveStory("keep")
    cache = story.begun(A)
    sync_aspas(story, cache, a_set((1, (2,))))
    story.effective.expired(cache)
    assert lists(story) == {1: (2,)}
    backup = Cache(5)
    story.sync(backup, [A])
    story.follow(backup)
    assert lists(story) == {}
