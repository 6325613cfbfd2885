"""Measures the time from the start of rtrd with a snapshot to its first validated route."""

from __future__ import annotations

import socket
import time

from bench import lines
from bench.pipe import TAGGING, Router
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST
from bench.section import Setting
from rtrd.vrps import snapshot


def measure(setting: Setting) -> list[Comparison]:
    state = setting.folder / "started"
    state.mkdir(exist_ok=True)
    snapshot.write(state / snapshot.NAME, snapshot.Snapshot(b"".join(setting.vrps), int(time.time())))
    stream = [lines.session(), *lines.updates(setting.table[:1], 1)]
    with socket.create_server((HOST, 0)) as silent:  # a cache that takes connections and says nothing
        port = silent.getsockname()[1]

        def once() -> float:
            router = Router(setting.folder, [(HOST, port)], TAGGING, {"state": str(state)}, "start")
            begin = time.perf_counter()
            with router:
                router.feed(stream)
                router.listen(lambda: router.commands > 0, 60, tick=10)
                return router.heard - begin

        once()
        print("from the start to the first validated route, s", flush=True)
        rounds = interleaved(setting.rounds, {"rtrd": once})
    note = (
        f"A snapshot of {len(setting.vrps):,} VRPs, and a cache that never answers; up to the command that tags the"
        " route."
    )
    return [Comparison("Start with a snapshot", "s", rounds, None, 1.0, [note])]
