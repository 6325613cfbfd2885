"""`rtrd run` whose clocks, the steady one and the wall clock, are ahead by the numbers of seconds in a file.

`python turned_rtrd.py CLOCK -c FILE`. So that an hour passes in an instant, and everything else is the real thing.
"""

import asyncio
import sys
import time
from pathlib import Path

from rtrd import config
from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.base.loop import WatchedLoop
from rtrd.daemon import Daemon
from rtrd.main import Service

LOOK_EVERY = 0.02


def program(clock: Path) -> list[str]:
    """Give the arguments that start it, but for `-c FILE`; the clock is right at the beginning."""
    turn(clock, 0)
    return [sys.executable, __file__, str(clock)]


def turn(clock: Path, seconds: float, wall: float | None = None) -> None:
    """Let it be so many seconds later than it is. `wall`: the same for the wall clock, that somebody set."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(f"{seconds} {seconds if wall is None else wall}")
    fresh.replace(clock)


async def main(settings: Path, file: Path) -> int:
    def read() -> list[float]:
        return [float(number) for number in file.read_text().split()]

    ahead = read()

    async def follow() -> None:
        nonlocal ahead
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = read()
            if now != ahead:
                ahead = now
                daemon.caches.look()

    clock = Clock(lambda: time.monotonic() + ahead[0], lambda: time.time() + ahead[1])
    daemon = Daemon(config.load(settings), clock)
    following = asyncio.create_task(follow())
    try:
        return await Service(daemon, settings).run(exabgp=False)
    finally:
        following.cancel()


if __name__ == "__main__":
    log.setup()
    with asyncio.Runner(loop_factory=WatchedLoop) as runner:
        sys.exit(runner.run(main(Path(sys.argv[3]), Path(sys.argv[1]))))
