"""Failover between groups of caches, as stories: what happens on the left, what follows on the right."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtrlib.failover import Action, Activate, Drop, Failover, Release, Start, Stop
from rtrlib.manager_group import ManagerGroupStatus as Status

A, B, C = 0, 1, 2
PRIMARY, BACKUP, LAST = 0, 1, 2


def groups_of(*caches: set[int]) -> Failover:
    return Failover([frozenset(group) for group in caches], start_timeout=30)


def use(group: int, *caches: int) -> Activate:
    return Activate(group, frozenset(caches))


def running(*caches: set[int], in_sync: int | None = None) -> Failover:
    """Started at 0, with this cache in sync at 1."""
    story = groups_of(*caches)
    story.start(now=0)
    if in_sync is not None:
        story.in_sync(in_sync, now=1)
    return story


def test_the_preferred_group_alone_is_started_and_used() -> None:
    story = groups_of({A}, {B})
    assert story.start(now=0) == [Start(PRIMARY)]
    assert story.status(PRIMARY) is Status.CONNECTING
    assert story.in_sync(A, now=1) == [use(PRIMARY, A)]
    assert story.status(PRIMARY) is Status.ESTABLISHED
    assert story.status(BACKUP) is Status.CLOSED
    assert story.tick(now=1000) == []
    assert story.deadline() is None


def test_the_first_cache_dies_returns_and_dies_again() -> None:
    story = running({A}, {B}, in_sync=A)
    for death in (100, 200, 300):
        # The backup is started in the same instant; until it has data, what the primary said stays in force.
        assert story.failed(A, now=death) == [Start(BACKUP)]
        assert story.active == PRIMARY
        assert story.status(PRIMARY) is Status.ERROR
        assert story.in_sync(B, now=death + 1) == [use(BACKUP, B)]
        # The primary is tried all the while. It is used as soon as it is whole; then the backup is stopped.
        assert story.failed(A, now=death + 2) == []
        assert story.in_sync(A, now=death + 50) == [use(PRIMARY, A), Stop(BACKUP)]
        assert story.status(BACKUP) is Status.CLOSED


def test_both_die_and_the_last_good_set_stays_in_force() -> None:
    story = running({A}, {B}, in_sync=A)
    story.failed(A, now=10)
    story.in_sync(B, now=11)
    assert story.failed(B, now=20) == []
    assert story.active == BACKUP
    assert (story.status(PRIMARY), story.status(BACKUP)) == (Status.ERROR, Status.ERROR)
    # Whoever comes first is used; the preferred one replaces it.
    assert story.in_sync(B, now=30) == []
    assert story.in_sync(A, now=40) == [use(PRIMARY, A), Stop(BACKUP)]


def test_both_die_and_the_preferred_one_returns_first() -> None:
    story = running({A}, {B})
    story.failed(A, now=1)
    story.in_sync(B, now=2)
    story.failed(B, now=3)
    assert story.in_sync(A, now=4) == [use(PRIMARY, A), Stop(BACKUP)]


def test_of_a_group_of_two_one_is_late() -> None:
    story = running({A, B}, {C})
    # One whole cache is enough, and both count: the other's VRPs join when they come.
    assert story.in_sync(A, now=1) == [use(PRIMARY, A, B)]
    assert story.tick(now=31) == []
    assert story.in_sync(B, now=45) == []
    assert story.status(PRIMARY) is Status.ESTABLISHED


def test_of_a_group_of_two_one_dies_and_the_group_goes_on() -> None:
    story = running({A, B}, {C}, in_sync=A)
    story.in_sync(B, now=1)
    assert story.failed(A, now=10) == []
    assert story.status(PRIMARY) is Status.ESTABLISHED
    assert story.failed(B, now=20) == [Start(BACKUP)]
    assert story.status(PRIMARY) is Status.ERROR


def test_one_failure_in_a_starting_group_of_two_does_not_give_it_up() -> None:
    story = running({A, B}, {C})
    assert story.failed(A, now=1) == []
    assert story.status(PRIMARY) is Status.ERROR
    assert story.in_sync(B, now=2) == [use(PRIMARY, A, B)]


def test_when_all_of_a_starting_group_failed_nobody_waits_for_the_time_out() -> None:
    story = running({A, B}, {C})
    story.failed(A, now=1)
    assert story.failed(B, now=2) == [Start(BACKUP)]


def test_a_cache_that_hangs_in_its_first_sync_is_given_its_time_and_no_more() -> None:
    story = running({A}, {B}, {C})
    assert story.deadline() == 30
    assert story.tick(now=29) == []
    assert story.tick(now=30) == [Start(BACKUP)]
    assert story.deadline() == 60
    assert story.tick(now=60) == [Start(LAST)]
    assert story.deadline() is None
    assert story.in_sync(C, now=61) == [use(LAST, C)]
    # A better one that comes late is better all the same.
    assert story.in_sync(B, now=70) == [use(BACKUP, B), Stop(LAST)]
    assert story.in_sync(A, now=80) == [use(PRIMARY, A), Stop(BACKUP)]


def test_the_third_group_is_used_only_while_it_must_be() -> None:
    story = running({A}, {B}, {C})
    story.failed(A, now=1)
    assert story.failed(B, now=2) == [Start(LAST)]
    assert story.in_sync(C, now=3) == [use(LAST, C)]
    assert story.in_sync(B, now=4) == [use(BACKUP, B), Stop(LAST)]
    assert story.failed(B, now=5) == [Start(LAST)]
    assert story.active == BACKUP


def test_a_stopped_group_has_its_full_time_when_it_is_started_again() -> None:
    story = running({A}, {B}, {C})
    story.failed(A, now=1)
    story.in_sync(A, now=2)
    story.failed(A, now=100)
    assert story.deadline() == 130
    assert story.tick(now=129) == []
    assert story.tick(now=130) == [Start(LAST)]


def test_a_late_word_from_a_stopped_group_changes_nothing() -> None:
    story = running({A}, {B})
    assert story.in_sync(B, now=1) == []
    assert story.failed(B, now=1) == []
    assert story.status(BACKUP) is Status.CLOSED


def test_stop_and_start_again() -> None:
    story = running({A}, {B})
    story.failed(A, now=1)
    story.in_sync(B, now=2)
    assert story.stop() == [Stop(PRIMARY), Stop(BACKUP)]
    assert story.active is None
    assert story.start(now=10) == [Start(PRIMARY)]
    assert story.in_sync(A, now=11) == [use(PRIMARY, A)]


def unsteady() -> Failover:
    """The primary has closed after its first answer, at 1, and the backup has taken over."""
    story = Failover([frozenset({A}), frozenset({B})], start_timeout=30, steady=600)
    story.start(now=0)
    story.in_sync(A, now=1)
    assert story.failed(A, now=1) == [Start(BACKUP)]
    assert story.in_sync(B, now=2) == [use(BACKUP, B)]
    return story


def test_a_cache_that_closes_after_each_answer_moves_the_set_once() -> None:
    story = unsteady()
    for second in range(3, 3000):
        assert story.in_sync(A, now=second) == []
        assert story.status(PRIMARY) is Status.CONNECTING
        assert story.failed(A, now=second + 0.5) == []
        assert story.status(PRIMARY) is Status.ERROR
    assert story.active == BACKUP


def test_one_that_stays_is_used_after_a_while_that_doubles_with_each_short_session() -> None:
    story = unsteady()
    story.in_sync(A, now=10)
    assert story.deadline() == 12
    assert story.tick(now=11.9) == []
    assert story.in_sync(A, now=11.9) == [], "further answers change nothing"
    assert story.tick(now=12) == [use(PRIMARY, A), Stop(BACKUP)]
    assert story.status(PRIMARY) is Status.ESTABLISHED
    assert story.failed(A, now=13) == [Start(BACKUP)]
    story.in_sync(B, now=14)
    story.in_sync(A, now=20)
    assert story.deadline() == 24
    assert story.tick(now=24) == [use(PRIMARY, A), Stop(BACKUP)]
    # A session that lasts makes good for all.
    story.failed(A, now=624)
    story.in_sync(B, now=625)
    assert story.in_sync(A, now=626) == [use(PRIMARY, A), Stop(BACKUP)]


def test_it_does_not_wait_when_nothing_better_is_there_or_an_operator_asks() -> None:
    story = unsteady()
    story.failed(B, now=5)
    assert story.in_sync(A, now=6) == [use(PRIMARY, A)], "and the backup is not stopped meanwhile"
    assert story.in_sync(B, now=7) == [], "nor does it replace what counts"
    assert story.tick(now=8) == [Stop(BACKUP)]
    story = unsteady()
    story.forgive(A)
    assert story.in_sync(A, now=6) == [use(PRIMARY, A), Stop(BACKUP)]


CACHES = {0: PRIMARY, 1: PRIMARY, 2: BACKUP, 3: LAST, 4: LAST}


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order: the rules at the top of rtrlib.failover hold."""

    def __init__(self) -> None:
        super().__init__()
        self.failover = groups_of({0, 1}, {2}, {3, 4})
        self.now = 0.0
        self.started: set[int] = set()
        self.in_sync: set[int] = set()
        self.active: int | None = None
        self.carry_out(self.failover.start(self.now))

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Activate):
                assert self.usable(action.group), "only a usable group is put into force"
                assert action.caches == {cache for cache, group in CACHES.items() if group == action.group}
                self.active = action.group
            elif isinstance(action, Start):
                assert action.group not in self.started
                self.started.add(action.group)
            else:
                assert isinstance(action, Stop), "the groups stay as they are"
                assert action.group in self.started
                assert action.group != self.active, "what is in force is never stopped"
                self.started.discard(action.group)
                self.in_sync -= {cache for cache, group in CACHES.items() if group == action.group}

    def usable(self, group: int) -> bool:
        return any(CACHES[cache] == group for cache in self.in_sync)

    @rule(cache=st.sampled_from(sorted(CACHES)))
    def comes_into_sync(self, cache: int) -> None:
        if CACHES[cache] in self.started:
            self.in_sync.add(cache)
        self.carry_out(self.failover.in_sync(cache, self.now))

    @rule(cache=st.sampled_from(sorted(CACHES)))
    def fails(self, cache: int) -> None:
        self.in_sync.discard(cache)
        self.carry_out(self.failover.failed(cache, self.now))

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.carry_out(self.failover.tick(self.now))

    @precondition(lambda self: self.failover.deadline() is not None)
    @rule()
    def the_time_is_up(self) -> None:
        self.now = max(self.now, self.failover.deadline() or 0)
        self.carry_out(self.failover.tick(self.now))
        again = self.failover.deadline()
        assert again is None or again > self.now, "a deadline that passed is not asked for again"

    @invariant()
    def the_best_usable_group_is_in_force_and_nothing_below_it_runs(self) -> None:
        usable = [group for group in (PRIMARY, BACKUP, LAST) if self.usable(group)]
        if usable:
            assert self.failover.active == self.active == usable[0]
            assert max(self.started) == usable[0]
        assert self.started == set(range(len(self.started))), "every group above a started one is tried"

    @invariant()
    def status_says_so(self) -> None:
        for group in (PRIMARY, BACKUP, LAST):
            status = self.failover.status(group)
            assert (status is Status.ESTABLISHED) == self.usable(group)
            assert (status is Status.CLOSED) == (group not in self.started)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


# -- groups that are changed while they run


def regroup(story: Failover, now: float, *caches: set[int]) -> list[object]:
    return list(story.regroup([frozenset(group) for group in caches], now))


def test_the_same_groups_again_change_nothing() -> None:
    story = running({A}, {B}, in_sync=A)
    assert regroup(story, 10, {A}, {B}) == []
    assert story.active == PRIMARY
    assert story.failed(A, now=20) == [Start(BACKUP)]


def test_a_cache_that_joins_the_group_in_use_is_connected_to_and_counts_with_it() -> None:
    story = running({A}, in_sync=A)
    assert regroup(story, 10, {A, B}) == [Start(PRIMARY), use(PRIMARY, A, B)]
    assert story.in_sync(B, now=11) == []
    assert story.failed(A, now=12) == []


def test_a_cache_that_leaves_takes_its_vrps_along_once_the_others_count_without_it() -> None:
    story = running({A, B}, in_sync=A)
    story.in_sync(B, now=2)
    assert regroup(story, 10, {A}) == [Release(frozenset({B})), use(PRIMARY, A), Drop(frozenset({B}))]


def test_the_only_cache_is_replaced_and_its_vrps_count_until_the_new_one_has_its_own() -> None:
    story = running({A}, in_sync=A)
    assert regroup(story, 10, {B}) == [Release(frozenset({A})), Start(PRIMARY)]
    assert story.active is None
    assert story.counting == {A}
    assert story.failed(B, now=20) == []
    assert story.failed(A, now=21) == []  # what is still heard of it is of no meaning
    assert story.counting == {A}
    assert story.in_sync(B, now=30) == [use(PRIMARY, B), Drop(frozenset({A}))]


def test_groups_that_change_places() -> None:
    """The new first one is started; the old one is in use until it is whole, and stopped then."""
    story = running({A}, {B}, in_sync=A)
    assert regroup(story, 10, {B}, {A}) == [Start(PRIMARY)]
    assert story.active == BACKUP
    assert story.in_sync(B, now=11) == [use(PRIMARY, B), Stop(BACKUP)]


def test_a_new_first_group_that_never_answers_costs_nothing() -> None:
    story = running({A}, in_sync=A)
    assert regroup(story, 10, {B}, {A}) == [Start(PRIMARY)]
    assert story.failed(B, now=11) == []
    assert story.tick(now=1000) == []
    assert story.active == BACKUP


def test_a_group_below_the_one_in_use_is_only_taken_note_of() -> None:
    story = running({A}, in_sync=A)
    assert regroup(story, 10, {A}, {B}) == []
    assert story.failed(A, now=11) == [Start(BACKUP)]


def test_a_group_below_that_goes_was_never_connected_to() -> None:
    assert regroup(running({A}, {B}, in_sync=A), 10, {A}) == [Drop(frozenset({B}))]


def test_while_nothing_is_usable_the_first_groups_are_tried_and_the_next_one_gets_its_turn() -> None:
    story = running({A})
    story.failed(A, now=1)
    assert regroup(story, 10, {B}, {A}, {C}) == [Start(PRIMARY)]
    assert story.deadline() == 40
    assert story.failed(B, now=11) == [Start(LAST)]


def test_before_the_start_groups_are_only_replaced() -> None:
    story = groups_of({A})
    assert regroup(story, 0, {B}) == [Drop(frozenset({A}))]
    assert story.start(now=1) == [Start(PRIMARY)]


def test_the_end_drops_also_what_was_released() -> None:
    story = running({A}, in_sync=A)
    regroup(story, 10, {B})
    assert story.stop() == [Stop(PRIMARY), Drop(frozenset({A}))]
