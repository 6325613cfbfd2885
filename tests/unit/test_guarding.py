"""Caches that change much, under a guard: which VRPs are in force, and what the routers hear of it."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from rtrd.base.clock import Clock
from rtrd.rib.whatif import vrp_impact
from rtrd.vrps import guarding
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.guard import GuardLimits, NothingHeldError
from rtrd.vrps.guarding import Guarding
from rtrd.vrps.slurm_files import SlurmFiles
from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SLURM, SNAPSHOT, VRPChanges
from tests.lab import promised
from tests.lab.effective_story import NOON, Cache, EffectiveStory, OnExpire
from tests.lab.observed import Observed
from tests.lab.slurm_text import slurm_text
from tests.lab.vrp_sets import packed

ORIGIN = 64500
GOOD = [VRP(f"10.0.{i}.0/24", 24, ORIGIN) for i in range(20)]
BAD = [VRP(f"10.0.{i}.0/24", 24, 64666) for i in range(20)]
"""As many, but each makes a route invalid."""
OTHER = [VRP(f"172.16.{i}.0/24", 24, ORIGIN) for i in range(20)]


class Story(EffectiveStory):
    """Effective VRPs under a guard, a table of routes, a clock that is turned, and what is in force."""

    def __init__(self, on_expire: OnExpire = "not-found") -> None:
        super().__init__(on_expire)
        self.now = 1000.0
        self.observed = Observed(self.vrp_set)
        self.table = self.observed.table
        self.guarding = Guarding(
            GuardLimits(0.05, 0.2, 300),
            self.vrp_set,
            self.effective.task_queue,
            lambda pending: vrp_impact(self.vrp_set, [self.table], pending),
            self.effective.taken,
            aspa_set=self.effective.aspa_set,
            clock=Clock(lambda: self.now),
        )
        self.effective.guard = self.guarding
        self.aspa_set: ASPASet = self.effective.aspa_set
        self.announce(20)

    def _changed(self, changes: VRPChanges) -> None:
        self.table.vrps_changed(changes)
        self.told += [f"{'+' if announce else '-'}{vrp}" for vrp, announce in changes]

    def _usable(self) -> None:
        self.table.revalidate()

    def announce(self, count: int) -> None:
        self.observed.announce(f"10.{i >> 8}.{i & 255}.0/24" for i in range(count))

    def sync(self, cache: Cache, vrps: Iterable[VRP]) -> None:
        self.effective.discarded(cache)
        super().sync(cache, vrps)

    def begin(self, vrps: Iterable[VRP] = GOOD, cache: Cache | None = None) -> Cache:
        """A first cache, taken as it is."""
        cache = cache or Cache(0)
        self.sync(cache, vrps)
        self.follow(cache)
        assert self.state == "following"
        self.told.clear()
        return cache

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.guarding.tick()

    @property
    def state(self) -> str:
        return self.guarding.guard.state

    def validities(self) -> set[str]:
        while self.table.work(100):
            pass
        return {route.validity for route in self.table.routes()}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(loop)
    yield loop
    asyncio._set_running_loop(None)
    loop.close()


@pytest.fixture
def story(loop: asyncio.AbstractEventLoop) -> Story:
    del loop  # timers and slices are its; these stories turn the clock themselves
    return Story()


def test_the_first_vrps_are_taken_as_they_are(story: Story) -> None:
    story.begin(BAD)
    assert story.in_force == set(BAD)
    assert story.validities() == {"invalid"}


def test_so_they_are_after_local_assertions(story: Story) -> None:
    story.vrp_set.stage(SLURM, pack(OTHER[0]))
    story.effective.task_queue.do(story.effective.slurm_changed(story.vrp_set.commit(SLURM)))
    assert story.in_force == {OTHER[0]}
    story.begin(BAD)
    assert story.in_force == {OTHER[0], *BAD}


def test_a_small_change_is_in_force_in_the_same_call(story: Story) -> None:
    story.delta(story.begin(), [BAD[0]], [GOOD[0]])  # one route of 20 is 5 %
    assert sorted(story.told) == [f"+{BAD[0]}", f"-{GOOD[0]}"]
    assert story.validities() == {"valid", "invalid"}


def test_a_change_that_turns_many_routes_invalid_is_held(story: Story) -> None:
    story.sync(story.begin(), BAD)
    assert story.told == []
    assert story.in_force == set(GOOD)
    assert story.validities() == {"valid"}
    promised.check("Guard", story.guarding.status())
    held = story.guarding.status()["held"]
    assert held == {
        "cause": ["cache0"],
        "routes": 20,
        "newly_invalid": 20,
        "vrps": 20,
        "vrps_then": 20,
        "aspas": 0,
        "aspas_then": 0,
        "paths_newly_invalid": 0,
        "judged": held["judged"],
        "seconds_left": 300,
        "until": held["until"],
    }
    story.tick(299)
    assert story.in_force == set(GOOD)
    story.tick(1)
    assert story.in_force == set(BAD)
    assert len(story.told) == 40
    assert story.validities() == {"invalid"}
    promised.check("Guard", {"state": "following", "held": None})
    assert story.guarding.status() == {"state": "following", "held": None}


def test_it_is_said_when_it_was_judged_for_routes_that_come_later_are_not_looked_at(story: Story) -> None:
    story.guarding._clock = Clock(lambda: story.now, lambda: story.now)
    cache = story.begin()
    story.sync(cache, BAD)
    story.tick(100)
    story.announce(40)
    held = story.guarding.status()["held"]
    assert (held["newly_invalid"], held["routes"], held["judged"]) == (20, 20, "1970-01-01T00:16:40Z")
    assert next(story.guarding._problems()).what.endswith(" (judged at 1970-01-01T00:16:40Z)")
    story.delta(cache, [OTHER[0]])
    assert story.guarding.status()["held"]["judged"] == "1970-01-01T00:18:20Z"


def test_one_that_shrinks_the_set_too(story: Story) -> None:
    story.delta(story.begin(), go=GOOD[:5])
    assert (story.state, story.in_force) == ("held", set(GOOD))
    before = story.guarding.cause
    story.guarding.accept("user root")
    assert story.in_force == set(GOOD[5:])
    assert story.validities() == {"valid", "not-found"}
    assert story.effective.cause == f"{before}; user root accepted it"
    assert story.guarding.cause == before


def test_rejected_it_stays_out_until_the_next_change(story: Story) -> None:
    cache = story.begin()
    story.sync(cache, BAD)
    story.guarding.reject()
    story.tick(1000)
    assert (story.state, story.in_force) == ("rejected", set(GOOD))
    story.delta(cache)  # an End of Data with no change in it is none
    assert story.state == "rejected"
    story.delta(cache, [OTHER[0]])
    assert (story.state, story.in_force) == ("held", set(GOOD)), "judged with what was rejected"
    story.guarding.reject()
    story.sync(cache, [*GOOD, OTHER[1]])
    assert (story.state, story.in_force) == ("following", {*GOOD, OTHER[1]})


def test_it_is_not_kept_past_its_own_expiry(story: Story) -> None:
    cache = story.begin()
    story.tick(7000)
    story.sync(cache, BAD)
    assert story.guarding.status()["held"]["seconds_left"] == 200
    story.guarding.reject()
    story.tick(200)
    assert story.in_force == set(BAD)


def test_what_the_cache_takes_back_is_held_no_more(story: Story) -> None:
    cache = story.begin()
    story.sync(cache, BAD)
    story.sync(cache, GOOD)
    assert (story.state, story.told) == ("following", [])
    with pytest.raises(NothingHeldError):
        story.guarding.accept()


def test_what_joins_is_judged_together(story: Story) -> None:
    cache = story.begin()
    story.delta(cache, BAD[:2], GOOD[:2])
    assert story.state == "held"
    story.delta(cache, [GOOD[0], OTHER[0]])
    assert (story.state, story.in_force) == ("following", {*GOOD[2:], *BAD[:2], GOOD[0], OTHER[0]})


class TestOtherLimits:
    """A reload changes the guard while something is held, or removes it."""

    def test_what_is_within_them_is_in_force(self, story: Story) -> None:
        story.sync(story.begin(), BAD)
        story.guarding.change(GuardLimits(0.99, 0.2, 300))
        assert (story.state, story.in_force) == ("held", set(GOOD))
        story.guarding.change(GuardLimits(1, 0.2, 300))
        assert (story.state, story.in_force) == ("following", set(BAD))

    def test_its_time_runs_from_when_it_began(self, story: Story) -> None:
        story.sync(story.begin(), BAD)
        story.tick(200)
        story.guarding.change(GuardLimits(0.05, 0.2, 400))
        assert story.guarding.status()["held"]["seconds_left"] == 200
        story.guarding.change(GuardLimits(0.05, 0.2, 200))
        assert (story.state, story.in_force) == ("following", set(BAD))

    def test_what_was_rejected_stays_out_until_the_next_change(self, story: Story) -> None:
        cache = story.begin()
        story.sync(cache, BAD)
        story.guarding.reject()
        story.guarding.change(GuardLimits(1, 1, 1))
        assert (story.state, story.in_force) == ("rejected", set(GOOD))
        story.delta(cache, [OTHER[0]])
        assert (story.state, story.in_force) == ("following", {*BAD, OTHER[0]})

    def test_without_a_guard_all_is_in_force_at_once_and_with_one_again_it_is_not(self, story: Story) -> None:
        cache = story.begin()
        story.sync(cache, BAD)
        story.guarding.change(None)
        assert (story.state, story.in_force, len(story.told)) == ("following", set(BAD), 40)
        story.sync(cache, OTHER)
        assert story.in_force == set(OTHER)
        story.guarding.change(GuardLimits(0.05, 0.2, 300))
        story.sync(cache, BAD)
        assert (story.state, story.in_force) == ("held", set(OTHER))


class TestFailover:
    """Groups that disagree."""

    def test_a_switch_to_other_vrps_is_held_and_return_ends_it(self, story: Story) -> None:
        primary, backup = story.begin(), Cache(1)
        story.sync(backup, BAD)
        assert story.state == "following", "it does not count yet"
        story.follow(backup)
        assert (story.state, story.in_force) == ("held", set(GOOD))
        story.effective.expired(primary)  # a dead cache, whose VRPs are still in force
        assert story.in_force == set(GOOD)
        story.sync(primary, GOOD)
        story.follow(primary)
        assert (story.state, story.told) == ("following", [])

    def test_back_at_the_preferred_group_what_the_backup_said_is_kept_though_it_is_stopped(self, story: Story) -> None:
        backup, primary = story.begin(cache=Cache(1)), Cache(0)
        story.sync(primary, BAD)
        story.follow(primary)
        story.effective.expired(backup)
        assert (story.state, story.in_force, story.vrp_set.count_source(1)) == ("held", set(GOOD), 0)
        story.guarding.accept()
        assert story.in_force == set(BAD)

    def test_what_the_old_group_said_is_kept_for_as_long_as_it_would_have_counted(self, story: Story) -> None:
        story.begin()
        backup = Cache(1)
        story.tick(7100)
        story.sync(backup, BAD)
        story.follow(backup)
        assert story.guarding.status()["held"]["seconds_left"] == 100


class TestExpiry:
    """`on-expire` is the operator's word, and the guard does not hold it up."""

    def test_vrps_that_expire_go_at_once(self, story: Story) -> None:
        one, _ = story.group(GOOD, OTHER)
        story.effective.expired(one)
        assert (story.state, story.in_force) == ("following", set(OTHER))

    def test_so_they_do_while_the_change_of_another_cache_is_held(self, story: Story) -> None:
        one, two = story.group(OTHER, GOOD)
        story.sync(two, BAD)
        story.effective.expired(one)
        assert (story.state, story.in_force) == ("held", set(GOOD))

    def test_what_is_held_is_better_than_nothing(self, story: Story) -> None:
        one, two = Cache(0), Cache(1)
        wide = VRP("10.0.0.0/8", 8, 64666)
        story.announce(40)
        story.sync(one, GOOD)
        story.follow(one, two)
        story.sync(two, [wide])
        assert (story.state, story.in_force) == ("held", set(GOOD))
        story.effective.expired(one)
        assert (story.state, story.in_force) == ("following", {wide})

    def test_assertions_that_are_held_too_are_not_in_force_yet(self, story: Story) -> None:
        """However many they are, what another cache says is not all that is left."""
        one, two = story.group(OTHER, GOOD)
        story.sync(two, BAD)
        story.vrp_set.stage(SLURM, packed(VRP(f"192.0.2.{i}/32", 32, ORIGIN) for i in range(30)))
        story.effective.task_queue.do(story.effective.slurm_changed(story.vrp_set.commit(SLURM)))
        story.effective.expired(one)
        assert (story.state, story.in_force) == ("held", set(GOOD))

    def test_assertions_and_exempts_alone_are_nothing(self, story: Story) -> None:
        wide = VRP("10.0.0.0/8", 8, 64666)
        story.announce(40)
        story.vrp_set.stage(SLURM, pack(OTHER[0]))
        story.effective.task_queue.do(story.effective.slurm_changed(story.vrp_set.commit(SLURM)))
        story.vrp_set.exempt(packed(OTHER[1:]))
        one, two = story.group(GOOD, [])
        story.sync(two, [wide])
        assert story.state == "held"
        story.effective.expired(one)
        assert (story.state, story.in_force) == ("following", {wide, *OTHER})

    def test_a_cache_that_comes_back_after_its_own_is_judged_as_any_other(self, story: Story) -> None:
        wide = VRP("10.0.0.0/8", 8, 64666)
        story.announce(40)
        one, two = story.group(GOOD, GOOD)
        story.tick(7000)
        story.delta(two)
        story.tick(201)
        story.effective.expired(one)
        assert story.in_force == set(GOOD)
        story.sync(one, [wide])
        assert (story.state, story.in_force) == ("held", set(GOOD))

    def test_the_last_one_takes_all_along(self, story: Story) -> None:
        cache = story.begin()
        story.sync(cache, BAD)
        story.effective.expired(cache)
        assert (story.state, story.in_force) == ("following", set())
        story.sync(cache, BAD)
        assert story.in_force == set(BAD), "and what comes after it is a first set"

    def test_kept_vrps_stay_and_so_does_the_hold(self, loop: asyncio.AbstractEventLoop) -> None:
        del loop
        story = Story("keep")
        cache = story.begin()
        story.sync(cache, BAD)
        story.effective.expired(cache)
        assert (story.state, story.in_force) == ("held", set(GOOD))


class TestSnapshot:
    """From the VRPs of the last run to those of the first caches."""

    @pytest.fixture
    def begun(self, story: Story) -> Story:
        story.vrp_set.stage(SNAPSHOT, packed(GOOD))
        story.effective.use_snapshot()
        assert (story.state, story.in_force) == ("following", set(GOOD))
        story.sync(Cache(0), BAD)
        story.follow(Cache(0))
        assert (story.state, story.in_force) == ("held", set(GOOD))
        return story

    def test_the_caches_are_judged_against_it(self, begun: Story) -> None:
        assert begun.effective.snapshot_used
        assert begun.effective.to_keep() is None, "a restart would be a way around"
        begun.guarding.accept()
        assert not begun.effective.snapshot_used
        assert begun.in_force == set(BAD)
        assert begun.effective.to_keep() == ([0], NOON)

    def test_when_it_is_too_old_they_are_taken(self, begun: Story) -> None:
        begun.effective.snapshot_expired()
        assert (begun.state, begun.in_force) == ("following", set(BAD))
        assert not begun.effective.snapshot_used
        assert not begun.effective.expired_at_all


def test_slurm_files_are_one_change(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "slurm.json"

    async def load() -> None:
        await SlurmFiles([path], story.vrp_set, story.effective.task_queue, story.effective.slurm_changed).load()

    story.begin()
    path.write_text(slurm_text([{"prefix": "10.0.0.0/16"}], [VRP("10.0.0.0/16", 24, 64500)]))
    asyncio._set_running_loop(None)
    asyncio.run(load())
    assert (story.state, story.guarding.status()["held"]["cause"]) == ("held", ["SLURM files"])
    held = story.guarding.status()["held"]
    assert (held["newly_invalid"], held["vrps_then"]) == (0, 1), "by the filter alone no route would be valid"


def test_a_long_judgment_leaves_the_loop_to_others(loop: asyncio.AbstractEventLoop) -> None:
    asyncio._set_running_loop(None)

    async def tell() -> None:
        story = Story()
        story.announce(3 * guarding.BUDGET)
        cache = story.begin()
        story.delta(cache, [VRP("10.0.0.0/8", 24, 64666)])
        seen = []
        while story.state == "judging":
            seen.append(story.in_force)
            story.delta(cache)
            await asyncio.sleep(0)
        assert 2 <= len(seen) <= 8, "the loop had its turns: a slice is of so many routes and VRPs"
        assert all(one == set(GOOD) for one in seen)
        assert story.state == "held"
        assert story.guarding.status()["held"]["newly_invalid"] == 3 * guarding.BUDGET - 20
        story.delta(cache, [OTHER[0]], [VRP("10.0.0.0/8", 24, 64666)])
        assert story.state == "held", "judged anew, with what stays of it"
        for _ in seen:
            await asyncio.sleep(0)
        assert story.in_force == {*GOOD, OTHER[0]}
        story.guarding.close()

    loop.run_until_complete(tell())


def test_more_than_can_be_listed_is_judged_over_all_routes(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "MOST_LISTED", 10)
    story.sync(story.begin(), BAD)
    assert story.guarding.status()["held"]["newly_invalid"] == 20
    story.guarding.accept()
    assert story.in_force == set(BAD)


# -- ASPAs


def a_set(*customers: int) -> bytes:
    return aspas.union_of(aspas.numbers((customer, (1,)) for customer in customers))


def sync_aspas(story: Story, cache: Cache, held: bytes) -> None:
    story.effective.aspas(cache, held)
    story.effective.committed(cache, False)


def customers(story: Story) -> list[int]:
    return [one.customer for one in aspas.records(story.aspa_set.effective)]


def test_aspas_that_shrink_too_much_are_held_with_the_vrps_of_their_end_of_data(story: Story) -> None:
    cache = story.begin()
    sync_aspas(story, cache, a_set(*range(10, 20)))
    assert customers(story) == [*range(10, 20)]
    story.effective.staged(cache, packed(OTHER))
    sync_aspas(story, cache, a_set(10))
    assert (story.state, story.in_force, customers(story)) == ("held", set(GOOD), [*range(10, 20)])
    held = story.guarding.status()["held"]
    assert (held["aspas"], held["aspas_then"]) == (10, 1)
    assert "1 ASPA instead of 10" in next(story.guarding._problems()).what
    story.guarding.accept()
    assert (story.state, story.in_force, customers(story)) == ("following", {*GOOD, *OTHER}, [10])


def test_aspas_alone_are_held_rejected_and_let_go(story: Story) -> None:
    cache = story.begin()
    sync_aspas(story, cache, a_set(*range(10, 20)))
    sync_aspas(story, cache, a_set(10))
    story.guarding.reject()
    story.effective.committed(cache, False)
    assert story.state == "rejected", "nothing new came"
    sync_aspas(story, cache, a_set(*range(10, 19)))
    assert (story.state, customers(story)) == ("following", [*range(10, 19)])
    sync_aspas(story, cache, a_set(10))
    assert story.state == "held"
    story.tick(300)
    assert (story.state, customers(story)) == ("following", [10])


def test_paths_that_would_be_invalid_are_counted_where_somebody_can(story: Story) -> None:
    class Paths:
        routes, newly_invalid = 20, 19

        def work(self, _budget: int) -> bool:
            return False

    asked: list[bytes] = []
    story.guarding._path_impact = lambda change: asked.append(change) or Paths()  # type: ignore[func-returns-value]
    story.guarding.change(GuardLimits(0.05, 0.2, 300, path_invalid=0.5))
    cache = story.begin()
    sync_aspas(story, cache, a_set(10))
    assert (story.state, asked, customers(story)) == ("held", [a_set(10)], [])
    assert story.guarding.status()["held"]["paths_newly_invalid"] == 19
    assert (
        next(story.guarding._problems()).what.partition(": ")[2].partition(" (judged at ")[0]
        == "it would turn the paths of 19 of 20 routes invalid, with 1 ASPA instead of 0"
    )
    assert "a change of the ASPAs by cache0 is held" in next(story.guarding._problems()).what
