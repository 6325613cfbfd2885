"""Everything at once, for a while, at two ExaBGPs and one service; and the oracle, which looks at all there is to see.

Routes, VRPs, SLURM files and tags change; caches, the service, ExaBGPs and attach processes are killed and stopped, and
sessions end. RTRD_SOAK is its length in seconds (`make soak`: two hours), RTRD_SEED repeats one.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from rtrd.demo.lab import Lab, Process
from tests.e2e.conftest import VERSIONS, exabgp_program
from tests.lab.programs import rtrd
from tests.lab.site import Router, Site, parts

SECONDS = float(os.environ.get("RTRD_SOAK", "45"))
SEED = int(os.environ.get("RTRD_SEED", "1"))
"""The same each time in `make test`; the long forms take another each time, and print it."""
ROUTES = 150
"""Of each feeder."""
CHECK = 60.0 if SECONDS > 300 else 25.0
SPACING = 16.0
"""Seconds between two deaths of a process of one ExaBGP: five in 64 s end it."""


class Soak:
    """A site, and what happens to it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.random = site.random
        self.happened: Counter[str] = Counter()
        self._killed: dict[str, float] = {}

    def router(self) -> Router:
        return self.random.choice(self.site.routers)

    def churn(self) -> None:
        for router in self.site.routers:
            number = self.random.randrange(3)
            feeder = router.feeders[number]
            feeder.announce(self.site.routes(feeder, number, self.random.randrange(1, 60)))
            feeder.withdraw(parts(feeder.said, self.random, 60))

    def vrps(self) -> None:
        self.site.new_vrps(self.random.randrange(1, 60))

    def slurm(self) -> None:
        self.site.new_slurm(self.random.randrange(4))

    def tags(self) -> None:
        """Reload with other tags."""
        self.site.tags = self.random.randrange(3)
        self.site.write()
        rtrd("reload", "--socket", self.site.socket)

    def cache_dies(self) -> None:
        cache = self.random.choice(self.site.caches)
        cache.kill()
        self.churn()
        cache.start()

    def session_ends(self) -> None:
        """Not one that comes up: ExaBGP 4.2 never answers who comes again before it has read the KEEPALIVE."""
        speaker = self.random.choice(self.router().speakers)
        if not speaker.is_taken:
            return
        speaker.disconnect()
        self.churn()
        speaker.start()

    def service_dies(self) -> None:
        self.site.service.kill()
        self.churn()
        self.site.service.start()

    def attach_dies(self) -> None:
        router = self.router()
        pid = router.attach_pid()
        if pid is None or time.monotonic() - self._killed.get(router.name, 0.0) < SPACING:
            return
        self._killed[router.name] = time.monotonic()
        os.kill(pid, signal.SIGKILL)

    def exabgp_dies(self) -> None:
        router = self.router()
        router.exabgp.process.kill()
        self._killed[router.name] = time.monotonic()
        router.exabgp.start()
        router.connect()

    def something_stops(self) -> None:
        """For some seconds, in which all else goes on; and the service may die meanwhile."""
        router = self.router()
        stopped = self.random.choice(
            (self.site.service, router.exabgp.process, self.random.choice(self.site.caches).process)
        )
        stopped.send_signal(signal.SIGSTOP)
        self._meanwhile(stopped)
        stopped.send_signal(signal.SIGCONT)

    def _meanwhile(self, stopped: Process) -> None:
        if stopped is not self.site.service and self.random.random() < 0.5:
            self.service_dies()
        self.churn()
        time.sleep(self.random.uniform(0.5, 6))  # of the world's time, not a wait

    def step(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            *(self.churn,) * 10, *(self.vrps,) * 5, self.slurm, self.tags, self.cache_dies, self.session_ends,
            self.service_dies, self.attach_dies, self.exabgp_dies, self.something_stops,
        )  # fmt: skip
        kind = self.random.choice(kinds)
        kind()
        self.happened[kind.__name__] += 1


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    site = Site(lab, {f"exabgp{number}": exabgp_program(one) for number, one in enumerate(VERSIONS, 1)}, SEED)
    yield site
    site.stop()


@pytest.mark.long
def test_soak(site: Site) -> None:
    site.start()
    site.new_vrps(60)
    for router in site.routers:
        for number, feeder in enumerate(router.feeders):
            feeder.announce(site.routes(feeder, number, ROUTES))
    soak = Soak(site)
    site.settle(180, f"seed {SEED}, at the start")
    began = checked = time.monotonic()
    checks = 1
    while time.monotonic() - began < SECONDS:
        soak.step()
        time.sleep(soak.random.random())  # the pace of the world, not of a wait
        if time.monotonic() - checked > CHECK:
            site.settle(240, f"seed {SEED}, check {checks}, {soak.happened}")
            checks += 1
            checked = time.monotonic()
    site.settle(240, f"seed {SEED}, at the end, {soak.happened}")
    print(
        f"soak, seed {SEED}: {time.monotonic() - began:.0f} s, {dict(soak.happened)}, {checks + 1} comparisons of"
        " listeners, /routes, /json and RTR with the oracle, no difference"
    )
