"""Everything at once, for a while: churn, new VRPs, failovers, restarts of caches, rtrd and sessions; and the oracle.

RTRD_SOAK is its length in seconds (`make soak`: 20 minutes), RTRD_SEED repeats one.
"""

import os
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.conftest import MakeWorld
from tests.lab.world import World

SECONDS = float(os.environ.get("RTRD_SOAK", "45"))
SEED = int(os.environ.get("RTRD_SEED", str(time.time_ns() % 10_000)))
ROUTES = 2000
CHECK = 60.0 if SECONDS > 300 else 15.0
SPACING = 16.0
"""Seconds between two deaths of rtrd: five in 64 s end ExaBGP."""


class Soak:
    """One world, and what happens to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: Counter[str] = Counter()
        self.said = 0
        self._killed = time.monotonic()

    def churn(self) -> None:
        random, feeder = self.world.random, self.world.feeder
        new = self.world.routes(random.randrange(50, 400), shift=random.randrange(ROUTES))
        feeder.announce(new)
        gone = random.sample(sorted(feeder.said), min(len(feeder.said) // 2, random.randrange(200)))
        feeder.withdraw(gone)
        self.said += len(new) + len(gone)

    def vrps(self) -> None:
        self.world.new_vrps(self.world.random.randrange(1, 60))

    def cache(self) -> None:
        """Kill one of the caches, and start it again."""
        cache = self.world.random.choice(self.world.caches)
        cache.kill()
        self.vrps()
        self.churn()
        cache.start()

    def rtrd(self) -> None:
        if time.monotonic() - self._killed < SPACING:
            return
        self._killed = time.monotonic()
        self.world.kill()

    def session(self) -> None:
        """End a session while routes change, and bring it back."""
        speaker = self.world.random.choice((self.world.feeder, self.world.listener))
        speaker.disconnect()
        self.vrps()
        if speaker is self.world.listener:
            self.churn()
        speaker.start()

    def step(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            *(self.churn,) * 6, *(self.vrps,) * 4, self.cache, self.rtrd, self.session,
        )  # fmt: skip
        kind = self.world.random.choice(kinds)
        kind()
        self.faults[kind.__name__] += 1


@pytest.mark.long
def test_soak(make_world: MakeWorld) -> None:
    world = make_world(seed=SEED, backup=True)
    world.start()
    world.new_vrps()
    soak = Soak(world)
    world.feeder.announce(world.routes(ROUTES))
    began = checked = time.monotonic()
    checks = 0
    while time.monotonic() - began < SECONDS:
        soak.step()
        time.sleep(world.random.random())  # the pace of the world, not of a wait
        if time.monotonic() - checked > CHECK:
            world.settle(180, f"seed {SEED}, {soak.faults}")
            checks += 1
            checked = time.monotonic()
    world.settle(180, f"seed {SEED}, {soak.faults}")
    faults = {name: count for name, count in soak.faults.items() if name not in ("churn", "vrps")}
    print(
        f"soak, seed {SEED}: {time.monotonic() - began:.0f} s, {len(world.feeder.said)} routes,"
        f" {soak.said} changes said, {len(world.listener.heard)} heard, VRP changes {soak.faults['vrps']},"
        f" faults {faults}, checks {checks + 1}, differences 0"
    )
