"""Measures the longest time between two reads of ExaBGP's pipe while other work is going on."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from bench import generate, lines
from bench.pipe import Router
from bench.report import Comparison
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting

SECONDS = 6.0
"""Of lines beside each event."""
MOST = 0.05
"""Seconds."""
OWN = (
    "What its loop computed: the most CPU time of its thread between two reads. Without a CPU in the longest: how long"
    " it was ready then but had no CPU, because others on this machine used them, or the host had taken them (steal)."
)


class Gap(NamedTuple):
    """The longest time between two reads of stdin, for how much of it the loop had no CPU; the most CPU of any, ms."""

    wall: float
    waited: float
    cpu: float


def beside(
    router: Router, stream: list[bytes], seconds: float, event: Callable[[], None], until: Callable[[], bool]
) -> Gap:
    """Give the longest times between two reads of stdin while an event takes its course.

    A fork of this process feeds rtrd: in here caches, collections of garbage and starts of processes would hold up the
    feeding, and pass for rtrd's.
    """
    done = mmap.mmap(-1, 1)
    begin = time.monotonic()

    def endless() -> Iterator[bytes]:
        while not done[0] or time.monotonic() - begin < seconds:
            yield from stream

    def feed() -> Gap:
        gc.disable()
        router.feed(endless())
        pairs = list(pairwise(router.reads))
        first, then = max(pairs, key=lambda pair: pair[1].at - pair[0].at)
        most = max(b.cpu - a.cpu for a, b in pairs)
        return Gap((then.at - first.at) * 1e3, (then.waited - first.waited) * 1e3, most * 1e3)

    router.reads.clear()
    with router.apart(feed) as found:
        time.sleep(0.5)
        event()
        while not until():
            time.sleep(0.05)
        time.sleep(0.5)
        done[0] = 1
    return found[0]


def read_all(router: Router, path: str) -> None:
    """Read a whole answer, in a process of its own."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(f'GET {sys.argv[2]} HTTP/1.0\\r\\nHost: rtrd\\r\\n\\r\\n'.encode())\n"
        "while s.recv(1 << 20): pass\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(router.socket), path], check=True, timeout=300)


def measure(setting: Setting) -> list[Comparison]:
    vrps = b"".join(setting.vrps)
    others = b"".join(generate.other_as(one) for one in setting.vrps)
    state = setting.folder / "state"
    state.mkdir(exist_ok=True)
    snapshot = state / "vrps.snapshot"
    found: dict[str, list[Gap]] = {}

    def note(what: str, gap: Gap) -> None:
        found.setdefault(what, []).append(gap)
        said = f"{gap.wall:.1f} ms, without a CPU {gap.waited:.1f} ms; computed {gap.cpu:.1f} ms at most"
        print(f"  between two reads beside {what}: {said}", flush=True)

    with (
        ScriptedCache(vrps) as backup,
        ScriptedCache(vrps) as cache,
        Router(setting.folder, [(HOST, cache.port), (HOST, backup.port)], (), {"state": str(state)}, "loop") as router,
    ):
        router.wait_vrps(len(setting.vrps))
        stream = list(lines.updates(setting.table, 5))
        router.feed(stream)
        stream = stream[: len(stream) // 8]
        seconds = 1.0 if setting.short else SECONDS

        def reload() -> None:
            cache.replace(others if len(found.get("a whole VRP reload", ())) % 2 == 0 else vrps)
            cache.drop()

        def reloaded() -> bool:
            routes = router.routes()
            wanted = len(found.get("a whole VRP reload", ())) % 2 == 0
            return (routes["valid"] < 0.1 * sum(routes.values())) is wanted

        def written(since: float) -> bool:
            return snapshot.exists() and snapshot.stat().st_mtime > since

        def statuses() -> None:
            for _ in range(50):
                read_all(router, "/status")

        for _ in range(setting.rounds):
            now = time.time()
            one: dict[str, tuple[Callable[[], None], Callable[[], bool]]] = {
                "nothing": (lambda: None, lambda: True),
                "a whole VRP reload": (reload, reloaded),
                **({} if setting.short else {"a snapshot write": (lambda: None, partial(written, now))}),
                "/status, 50 times": (statuses, lambda: True),
                "/routes, every route": (lambda: read_all(router, "/routes"), lambda: True),
                "/metrics": (lambda: read_all(router, "/metrics"), lambda: True),
            }
            for what, (event, until) in one.items():
                note(what, beside(router, stream, seconds, event, until))
        for turn in range(setting.rounds):
            down, up = (cache, "group2") if turn % 2 == 0 else (None, "group1")

            def fail(down: ScriptedCache | None = down) -> None:
                cache.refuse(refused=down is cache)

            def failed_over(up: str = up) -> bool:
                return (router.status() or {}).get("active_group") == up

            note("a failover", beside(router, stream, seconds, fail, failed_over))
    size = f"{len(setting.table):,} routes, {len(setting.vrps):,} VRPs"
    return [
        Comparison(
            f"Longest time between two reads of stdin, beside {what}",
            "ms",
            {
                "rtrd": [gap.wall for gap in gaps],
                "what its loop computed": [gap.cpu for gap in gaps],
                "without a CPU in the longest": [gap.waited for gap in gaps],
            },
            None,
            MOST * 1e3,
            [f"Lines are sent as fast as they are read; {size}. History and events go to the state folder.", OWN],
            quantile=1.0,
        )
        for what, gaps in found.items()
    ]
