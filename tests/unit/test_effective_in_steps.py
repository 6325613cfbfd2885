"""Whole sets that change while the loop turns: what is decided meanwhile is right by the one set or by the other."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from rtrd.vrps.guard import NothingHeldError
from rtrd.vrps.task_queue import TaskQueue
from rtrlib import vrp_set as vrp_sets
from rtrlib.vrp import VRP
from rtrlib.vrp_set import VRPChanges
from tests.lab.effective_story import Cache
from tests.unit.test_guarding import BAD, GOOD, OTHER, Story


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vrp_sets, "_SLICE", 1)


class Steady(Story):
    """One without a guard, that looks between all turns of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.vrp_set.defer(defer=False)
        self.effective.guard = None
        self.seen: list[frozenset[VRP]] = []

    def _changed(self, changes: VRPChanges) -> None:
        super()._changed(changes)
        self.table.work(0)

    async def settle(self) -> None:
        """Until nothing is left to do; a route comes in every turn."""
        while self.effective.task_queue.tasks:
            in_force = frozenset(self.in_force)
            if not self.seen or self.seen[-1] != in_force:
                self.seen.append(in_force)
            self.observed.announce(["10.0.19.0/24"])
            validity = next(route.validity for route in self.table.routes("10.0.19.0/24"))
            assert validity == self.vrp_set.validate("10.0.19.0/24", 64500)
            await asyncio.sleep(0)
        self.seen.append(frozenset(self.in_force))


async def test_a_reload_shows_the_old_set_and_then_the_new_one() -> None:
    story = Steady()
    (cache,) = story.group(GOOD)
    await story.settle()
    assert story.in_force == set(GOOD)
    story.seen.clear()
    story.sync(cache, BAD)
    story.delta(cache, OTHER[:1])
    assert story.effective.task_queue.tasks
    assert story.effective.to_keep() is None, "no snapshot of what is half committed"
    await story.settle()
    assert story.seen == [frozenset(GOOD), frozenset([*BAD, OTHER[0]])]
    assert story.validities() == {"invalid"}


async def test_a_failover_shows_the_one_cache_and_then_the_other() -> None:
    story, one, two = Steady(), Cache(0), Cache(1)
    story.sync(one, GOOD)
    story.follow(one)
    story.sync(two, [*BAD, *OTHER])
    await story.settle()
    story.seen.clear()
    story.follow(two)
    story.effective.expired(one)
    story.delta(two, go=OTHER)
    await story.settle()
    assert story.seen == [frozenset(GOOD), frozenset([*BAD, *OTHER]), frozenset(BAD)]
    assert story.vrp_set.count_source(0) == 0


async def test_a_held_change_is_taken_at_once() -> None:
    story = Story()
    (cache,) = story.group(GOOD)
    await story.effective.task_queue.done()
    story.sync(cache, BAD)
    await story.effective.task_queue.done()
    assert story.state == "held"
    story.guarding.accept()
    seen = {frozenset(story.in_force)}
    with pytest.raises(NothingHeldError):
        story.guarding.accept()
    while story.effective.task_queue.tasks:
        seen.add(frozenset(story.in_force))
        await asyncio.sleep(0)
    assert seen <= {frozenset(GOOD), frozenset(BAD)}
    assert story.in_force == set(BAD)
    story.guarding.close()


async def test_a_word_that_comes_too_late_is_not_heard() -> None:
    """What is held changes back in the task before."""
    story = Story()
    (cache,) = story.group(GOOD)
    story.sync(cache, BAD)
    await story.effective.task_queue.done()
    story.sync(cache, GOOD)
    story.guarding.accept()
    await story.effective.task_queue.done()
    assert (story.state, story.in_force) == ("following", set(GOOD))
    story.guarding.close()


class TestSeries:
    """One task after the other."""

    def task(self, name: str, steps: int, said: list[str], **fails: Any) -> Generator[None]:
        for number in range(steps):
            said.append(f"{name}{number}")
            yield
        said.append(name)
        if fails:
            raise ValueError(name)

    def test_what_takes_no_step_is_done_at_once(self) -> None:
        said: list[str] = []
        task_queue = TaskQueue()
        task_queue.do(self.task("a", 0, said))
        assert said == ["a"]
        assert not task_queue.tasks

    async def test_the_others_wait_for_their_turn_also_behind_one_that_fails(self) -> None:
        said: list[str] = []
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
        task_queue = TaskQueue()
        task_queue.do(self.task("a", 2, said, fails=True))
        task_queue.do(self.task("b", 1, said))

        def both() -> Generator[None]:
            task_queue.do(self.task("d", 0, said))
            said.append("c")
            yield from ()

        task_queue.do(both())
        assert said == ["a0"]
        await task_queue.done()
        assert not task_queue.tasks
        assert said == ["a0", "a1", "a", "b0", "b", "c", "d"]
        assert [str(fault) for fault in faults] == ["a"]
