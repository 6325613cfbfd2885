"""How long a loop was kept from its descriptors: by what the process did, and not by what the machine did."""

import asyncio
import time

from rtrd.base.loop import LONG, Turns, WatchedLoop, WatchedSelector, turns


class Times:
    """The two clocks, in the hands of the test."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def passes(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu


def turns_of(*each: tuple[float, float]) -> Turns:
    """The turns of a loop that took these seconds, of time and of CPU."""
    times = Times()
    with WatchedSelector(lambda: times.wall, lambda: times.cpu) as selector:
        selector.select(0)
        for wall, cpu in each:
            times.passes(wall, cpu)
            selector.select(0)
        return selector.turns


def test_the_longest_turn_and_how_many_were_too_long() -> None:
    assert turns_of() == Turns(0.0, 0)
    assert turns_of((0.01, 0.01), (0.2, 0.2), (0.06, 0.06), (LONG, LONG)) == Turns(0.2, 2)


def test_a_turn_that_the_machine_did_not_let_us_take_is_not_ours() -> None:
    assert turns_of((3.0, 0.01)) == Turns(0.01, 0)


def test_other_threads_that_compute_beside_a_short_turn_do_not_make_it_long() -> None:
    assert turns_of((0.01, 0.3)) == Turns(0.01, 0)


def test_a_loop_that_computes_is_seen_from_inside() -> None:
    async def busy() -> Turns:
        await asyncio.sleep(0)
        end = time.process_time() + 2 * LONG  # of our own time: a loaded machine gives it later
        while time.process_time() < end:
            pass
        await asyncio.sleep(0)
        return turns()

    with asyncio.Runner(loop_factory=WatchedLoop) as runner:
        seen = runner.run(busy())
    assert seen.longest > LONG
    assert seen.long >= 1
    assert asyncio.run(busy()) == Turns()
