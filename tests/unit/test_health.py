"""Problems, as parts register them, and what the daemon says of them: in one reading, in the log, since when."""

from functools import partial
from typing import Literal

import pytest
from structlog.testing import capture_logs

from rtrd.base.registry import MOST_PROBLEMS, Problem, Registry
from rtrd.cache_problems import GRACE, problems
from rtrd.health import Health, judge
from rtrlib import ManagerGroup, RTRSocket, RTRSocketState, TCPServer

CRITICAL = Problem("ExaBGP edge is gone", 5, "critical")
WARNING = Problem("a cache is down", 3, "warning")
NONE = "no VRP set is usable yet"


@pytest.mark.parametrize(
    ("found", "why", "status", "summary"),
    [
        ([], None, "ok", "ready"),
        ([WARNING], None, "ok", "ready, 1 warning"),
        ([WARNING, WARNING], None, "ok", "ready, 2 warnings"),
        ([CRITICAL], None, "degraded", "degraded: ExaBGP edge is gone"),
        ([CRITICAL, WARNING], None, "degraded", "degraded: ExaBGP edge is gone; 1 more problem"),
        ([CRITICAL, Problem(NONE, 6, "critical"), WARNING], NONE, "failed", f"not healthy: {NONE}; 2 more problems"),
    ],
)
def test_one_reading_in_a_word_and_in_a_line(found: list[Problem], why: str | None, status: str, summary: str) -> None:
    assert judge(found, why)[:2] == (status, summary)


class Told:
    """A registry with parts whose problems and time are as they are set."""

    def __init__(self, parts: int = 1) -> None:
        self.now = 1000.0
        self.found: list[list[Problem]] = [[] for _ in range(parts)]
        self.registry = Registry(lambda: self.now)
        for found in self.found:
            self.registry.problems_of(partial(iter, found))


def test_the_critical_ones_come_first_then_the_oldest() -> None:
    told = Told(2)
    told.found[0][:] = [WARNING, Problem("b", 9, "critical")]
    told.found[1][:] = [CRITICAL]
    assert [one.what for one in told.registry.problems()] == ["ExaBGP edge is gone", "b", "a cache is down"]


def test_since_is_when_it_was_seen_first_also_when_its_words_change_until_it_is_gone() -> None:
    told = Told(2)
    told.found[1][:] = [Problem("same words", None, "warning")]

    def seen(*words: str) -> list[float | None]:
        told.found[0][:] = [Problem(what, None, "warning", "held") for what in words]
        told.now += 1
        return [one.since for one in told.registry.problems() if one.key == "held"]

    assert [seen("60 s"), seen("59 s"), seen(), seen("60 s")] == [[1001], [1001], [], [1004]]
    assert [one.since for one in told.registry.problems() if not one.key] == [1001]


def test_a_thousand_of_one_part_are_counted_and_hide_no_other() -> None:
    told = Told(2)
    told.found[0][:] = [Problem(f"session {i:04}", i, "warning") for i in range(1000)]
    told.found[1][:] = [Problem("another", 5000, "warning")]
    found = told.registry.problems()
    assert len(found) == MOST_PROBLEMS + 2
    assert found[-2].what == f"{1000 - MOST_PROBLEMS} more problems like this one: session {MOST_PROBLEMS:04}"
    assert found[-1].what == "another"


def test_the_log_has_a_line_when_a_problem_comes_and_one_when_it_is_over() -> None:
    told = Told()
    health = Health(told.registry, lambda: None)

    def logged(*found: Problem) -> list[tuple[str, str, str]]:
        told.found[0][:] = found
        with capture_logs() as lines:
            health.look()
        return [(line["log_level"], line["event"], line["what"]) for line in lines]

    assert logged() == []
    came = [("error", "problem", CRITICAL.what), ("warning", "problem", WARNING.what)]
    assert logged(CRITICAL, WARNING) == came
    assert logged(CRITICAL, WARNING) == []
    assert logged(WARNING) == [("info", "problem is over", CRITICAL.what)]
    assert logged(WARNING, CRITICAL._replace(logged=True)) == [], "its part says it"
    assert logged(WARNING) == []


# -- caches

NOW = 10_000
Kind = Literal["synced", "lost", "never", "connecting", "slow", "closed"]


def cache(index: int, kind: Kind) -> RTRSocket:
    one = RTRSocket(index, TCPServer(f"192.0.2.{index}", 323))
    state = RTRSocketState.CLOSED if kind == "closed" else RTRSocketState.CONNECTING
    since = {"closed": 0, "connecting": NOW - 1}.get(kind, NOW - 100 - index)
    one.write(state=state, since=since, in_sync=kind == "synced")
    if kind in ("synced", "lost"):
        one.write(last_sync=NOW - 50, expires=NOW + 550)
    if kind in ("lost", "never"):
        one.write(error="connection refused")
    return one


def groups(*kinds: list[Kind], active: int | None = 0) -> list[ManagerGroup]:
    made, index = [], 0
    for number, of_group in enumerate(kinds):
        sockets = [cache(index + i, kind) for i, kind in enumerate(of_group)]
        index += len(of_group)
        made.append(ManagerGroup(f"g{number}", number, sockets))
        made[-1].write(active=number == active)
    return made


def found(made: list[ManagerGroup], previous: int | None = None, now: int = NOW) -> list[tuple[str, float | None, str]]:
    return [one[:3] for one in problems(made, now, previous)]


def test_caches_in_sync_or_just_connected_to_are_no_problem() -> None:
    assert found(groups(["synced", "connecting"], ["closed"])) == []
    assert found(groups(["connecting"], active=None)) == []
    assert found(groups(["connecting"], active=None), previous=NOW) == []


def test_a_single_cache_down_or_never_in_sync_is_a_warning() -> None:
    assert found(groups(["synced", "lost", "never"], ["closed"])) == [
        ("cache 192.0.2.1:323 is not in sync: connection refused", NOW - 101, "warning"),
        ("cache 192.0.2.2:323 has never been in sync: connection refused", NOW - 102, "warning"),
    ]


def test_a_cache_that_does_not_fail_has_its_time() -> None:
    made = groups(["synced", "connecting"])
    assert found(made, now=NOW + GRACE - 1) == []
    what = "cache 192.0.2.1:323 has never been in sync"
    assert found(made, now=NOW + GRACE) == [(f"{what}: no connection has been made yet", NOW - 1, "warning")]
    made[0].sockets[1].write(state=RTRSocketState.SYNC)
    says_nothing = "it is connected, but has sent no complete set of VRPs yet"
    assert found(made, now=NOW + GRACE) == [(f"{what}: {says_nothing}", NOW - 1, "warning")]


def test_all_caches_down_is_critical_since_the_last_one_went() -> None:
    first = found(groups(["lost", "never"], ["never"]))[0]
    left = "; the VRPs of group g0 are in force until they expire, at 1970-01-01T02:55:50Z"
    assert first == (f"no cache is in sync{left}", NOW - 100, "critical")


def test_all_caches_down_after_a_restart_leaves_the_previous_run() -> None:
    first = found(groups(["never"], ["never"], active=None), previous=0)[0]
    left = "; the VRPs of the previous run are in force until they expire, at 1970-01-01T00:00:00Z"
    assert first == (f"no cache is in sync{left}", NOW - 100, "critical")
    assert found(groups(["never"], active=None))[0][0] == "no cache is in sync"


def test_a_group_that_serves_for_a_dead_one_is_a_warning() -> None:
    made = groups(["never", "lost"], ["synced"], ["closed"], active=1)
    what = "group g1 is in use: no cache of group g0, which is preferred, is in sync"
    assert found(made)[0] == (what, NOW - 100, "warning")
    assert [severity for _, _, severity in found(made)] == ["warning"] * 3
