"""Changes of the VRP set and the time, as stories: what is taken, what is held, and how a hold ends."""

import pytest

from rtrd.vrps.guard import Figures, Guard, GuardAction, GuardLimits, NothingHeldError

JUDGE, TAKE, NOTHING = GuardAction.JUDGE, GuardAction.TAKE, GuardAction.NOTHING
HARMLESS = Figures(routes=1000, newly_invalid=50, vrps=100, vrps_then=80)
"""Exactly the limits."""
INVALID = HARMLESS._replace(newly_invalid=51)
SHRUNK = HARMLESS._replace(vrps_then=79)


@pytest.fixture
def guard() -> Guard:
    return Guard(GuardLimits(newly_invalid=0.05, shrink=0.2, hold=300))


def change(guard: Guard, now: float, figures: Figures, expires: float = 7200) -> GuardAction:
    """What is done about a change with these figures."""
    assert guard.changed(now, pending=True, keep=True, expires=expires) is JUDGE
    return guard.judged(figures)


def hold(guard: Guard, now: float = 0, figures: Figures = INVALID, expires: float = 7200) -> None:
    assert change(guard, now, figures, expires) is NOTHING
    assert guard.state == "held"


def test_a_change_within_the_limits_is_taken_once_it_is_judged(guard: Guard) -> None:
    assert guard.changed(0, pending=True, keep=True) is JUDGE
    assert guard.state == "judging"
    assert guard.judged(HARMLESS) is TAKE
    assert (guard.state, guard.until) == ("following", None)


@pytest.mark.parametrize("figures", [INVALID, SHRUNK])
def test_one_beyond_a_limit_is_held_until_the_time_is_over(guard: Guard, figures: Figures) -> None:
    hold(guard, 10, figures)
    assert (guard.until, guard.figures) == (310, figures)
    assert guard.tick(309.9) is NOTHING
    assert guard.tick(310) is TAKE
    assert (guard.state, guard.figures, guard.until) == ("following", None, None)
    assert guard.tick(311) is NOTHING


@pytest.mark.parametrize(
    ("limits", "figures", "action"),
    [
        pytest.param((0.05, 0.2), (0, 0, 100, 100000), TAKE, id="a set that grows never shrinks too much"),
        pytest.param((0.05, 0.2), (0, 0, 100, 80), TAKE, id="without a route only the set counts"),
        pytest.param((0.05, 0.2), (0, 0, 100, 0), NOTHING, id="without a route the set counts still"),
        pytest.param((1, 1), (1000, 1000, 100, 0), TAKE, id="limits of all hold nothing"),
        pytest.param((0, 0), (1000, 0, 100, 100), TAKE, id="limits of nothing hold no change without an effect"),
        pytest.param((0, 0), (1000, 1, 100, 100), NOTHING, id="limits of nothing hold the first route"),
    ],
)
def test_what_the_limits_hold(
    limits: tuple[float, float], figures: tuple[int, int, int, int], action: GuardAction
) -> None:
    guard = Guard(GuardLimits(*limits, hold=300))
    assert change(guard, 0, Figures(*figures)) is action
    assert guard.state == ("following" if action is TAKE else "held")


def test_what_is_not_worth_keeping_holds_nothing(guard: Guard) -> None:
    """The first VRPs after a start, or after all expired."""
    assert guard.changed(0, pending=True, keep=False) is TAKE
    assert guard.state == "following"


def test_what_changes_nothing_is_nothing(guard: Guard) -> None:
    assert guard.changed(0, pending=False, keep=True) is NOTHING
    assert guard.state == "following"


class TestMeanwhile:
    """What happens while a change is held."""

    def test_a_further_change_joins_it_and_prolongs_nothing(self, guard: Guard) -> None:
        hold(guard, 0)
        assert guard.changed(200, pending=True, keep=True) is JUDGE
        assert guard.state == "held"
        assert guard.judged(SHRUNK) is NOTHING
        assert (guard.figures, guard.until) == (SHRUNK, 300)
        assert guard.tick(300) is TAKE

    def test_one_that_makes_it_harmless_ends_the_hold(self, guard: Guard) -> None:
        hold(guard, 0)
        assert guard.changed(100, pending=True, keep=True) is JUDGE
        assert guard.judged(HARMLESS) is TAKE
        assert guard.state == "following"

    def test_one_that_takes_it_back_ends_it_too(self, guard: Guard) -> None:
        hold(guard, 0)
        assert guard.changed(100, pending=False, keep=True) is NOTHING
        assert (guard.state, guard.until) == ("following", None)
        hold(guard, 1000)
        assert guard.until == 1300, "the next one has a time of its own"

    def test_a_long_judgment_is_no_longer_than_the_hold(self, guard: Guard) -> None:
        for now in (0, 100, 200):  # changes come faster than one can be judged
            assert guard.changed(now, pending=True, keep=True) is JUDGE
        assert guard.tick(300) is TAKE
        assert guard.judged(INVALID) is NOTHING, "of before"
        assert guard.state == "following"

    def test_vrps_that_expire_make_it_another_change(self, guard: Guard) -> None:
        hold(guard, 0)
        assert guard.shrunk(pending=True) is JUDGE
        assert guard.judged(HARMLESS) is TAKE
        hold(guard, 0)
        assert guard.shrunk(pending=False) is NOTHING
        assert guard.state == "following"

    def test_nothing_is_kept_past_its_expiry(self, guard: Guard) -> None:
        hold(guard, 0, expires=200)
        assert guard.tick(199) is NOTHING
        assert guard.tick(200) is TAKE

    def test_the_first_expiry_counts(self, guard: Guard) -> None:
        hold(guard, 0, expires=7200)
        guard.changed(10, pending=True, keep=True, expires=250)
        guard.changed(20, pending=True, keep=True, expires=7000)
        assert guard.until == 250
        assert guard.changed(260, pending=True, keep=True) is TAKE, "already past it"

    def test_all_expired_is_the_end_of_it(self, guard: Guard) -> None:
        hold(guard)
        assert guard.expired() is TAKE
        assert guard.expired() is NOTHING


class TestOperator:
    """What `rtrd accept` and `rtrd reject` do."""

    def test_accepted(self, guard: Guard) -> None:
        hold(guard)
        assert guard.accept() is TAKE
        assert guard.state == "following"

    def test_rejected_it_stays_out_beyond_the_time(self, guard: Guard) -> None:
        hold(guard, 0, expires=7200)
        guard.reject()
        assert (guard.state, guard.figures) == ("rejected", INVALID)
        assert guard.tick(301) is NOTHING
        assert guard.until == 7200
        assert guard.tick(7200) is TAKE, "what was in force is too old"

    def test_the_next_change_is_judged_anew_with_it(self, guard: Guard) -> None:
        hold(guard, 0)
        guard.reject()
        assert guard.changed(1000, pending=True, keep=True) is JUDGE
        assert guard.judged(INVALID) is NOTHING
        assert (guard.state, guard.until) == ("held", 1300)
        guard.reject()
        guard.changed(2000, pending=True, keep=True)
        assert guard.judged(HARMLESS) is TAKE, "the caches came to their senses"

    def test_rejected_in_the_middle_of_a_judgment(self, guard: Guard) -> None:
        hold(guard, 0)
        guard.changed(10, pending=True, keep=True)
        guard.reject()
        assert guard.judged(HARMLESS) is NOTHING
        assert guard.shrunk(pending=True) is NOTHING
        assert guard.state == "rejected"

    def test_an_operator_may_change_their_mind(self, guard: Guard) -> None:
        hold(guard, 0)
        guard.reject()
        with pytest.raises(NothingHeldError, match="already rejected"):
            guard.reject()
        assert guard.accept() is TAKE

    @pytest.mark.parametrize("judging", [False, True])
    def test_there_must_be_something(self, guard: Guard, judging: bool) -> None:
        if judging:
            guard.changed(0, pending=True, keep=True)
        for decide in (guard.accept, guard.reject):
            with pytest.raises(NothingHeldError, match="no change is held"):
                decide()
