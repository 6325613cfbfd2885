"""ExaBGP that stops, answers or doesn't: what waits is bounded, and in the end the peer has what holds.

RTRD_STOP is how many seconds ExaBGP stands still (`make flow`: 60).
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeWorld

STOP = float(os.environ.get("RTRD_STOP", "3"))
ROUTES = 1000


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("acks", ["true", "false"])
def test_exabgp_stands_still_and_comes_back(make_world: MakeWorld, acks: str) -> None:
    """Meanwhile VRPs change all the time, and rtrd answers its operator."""
    world = make_world(environment={"exabgp.api.ack": acks})
    world.start()
    world.new_vrps()
    world.feeder.announce(world.routes(ROUTES))
    world.settle(what="before")
    helper = world.helper()
    before = resident(helper)
    world.router.process.send_signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + STOP
        while time.monotonic() < end:
            world.new_vrps(20)
            assert world.status()["routers"][0]["outbox"] <= ROUTES
            time.sleep(0.2)  # the pace of the caches
    finally:
        world.router.process.send_signal(signal.SIGCONT)
    world.settle(what="after")
    assert world.helper() == helper
    assert resident(helper) - before < 32 << 20
