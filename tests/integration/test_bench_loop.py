"""That the benchmark of the loop would see a loop that does not read."""

import os
import signal
import time
from pathlib import Path

import pytest

from bench import generate, lines
from bench.loop import beside
from bench.pipe import Router
from bench.scripted_cache import HOST, ScriptedCache

STOPPED = 0.5


@pytest.mark.alone
def test_a_pause_is_measured_as_long_as_it_was(tmp_path: Path) -> None:
    vrps = generate.vrps(1000)
    stream = list(lines.updates(lines.make_routes(10_000, vrps), 5))
    with ScriptedCache(b"".join(vrps)) as cache, Router(tmp_path, [(HOST, cache.port)]) as router:
        router.wait_vrps(len(vrps))

        def stop() -> None:
            os.kill(router.pid, signal.SIGSTOP)
            time.sleep(STOPPED)
            os.kill(router.pid, signal.SIGCONT)

        gap = beside(router, stream, 1.0, stop, lambda: True)
        assert gap.wall > STOPPED * 1000 * 0.9
        assert gap.cpu < STOPPED * 1000 * 0.9, "it was stopped, not busy"
