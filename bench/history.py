"""Measures what history and events cost while routes come, go and change without end, and how long a question takes.

The whole daemon but its caches, in this process: so each part's CPU time can be told apart.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from bench import generate, lines
from bench.churn import PACKING, ROUTES, churn
from bench.report import Comparison
from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.config import load
from rtrd.daemon import Daemon
from rtrd.history import row
from rtrd.history_tables import HistoryQuery
from rtrd.main import Service

if TYPE_CHECKING:
    from pathlib import Path

    from bench.section import Setting

UPDATES = 4_000_000
SLICE = 200_000
"""Updates between two changes of VRPs."""
SHARE = 2.0
"""Percent of the CPU time, at most."""
CONFIG = """
caches: {{groups: [{{name: main, preference: 1, servers: [{{host: 192.0.2.10, port: 323}}]}}]}}
state: {folder}
policy:
  - {{from: [127.0.0.2], to: [127.0.0.3], valid: {{action: announce, tags: [rfc8097]}},
      not-found: {{action: announce, tags: [rfc8097]}}, invalid: {{action: withdraw}}}}
"""


class HistoryPage(NamedTuple):
    """Of one round."""

    share: float
    """Percent of the CPU time that is of history and events."""
    kept: int
    lost: int
    answer: float
    """Milliseconds until the newest 50 changes of all routes were there."""


async def once(folder: Path, setting: Setting, updates: int) -> HistoryPage:
    """Feed the updates, and give what it cost."""
    chance = random.Random(generate.SEED)
    daemon = Daemon(load(folder / "rtrd.yaml"), Clock(steady=time.process_time))  # as if nobody else were on this host
    service = Service(daemon, folder / "rtrd.yaml")
    reading, writing = os.pipe()
    router = daemon.routers.add("edge", reading, os.open(os.devnull, os.O_WRONLY), lambda: None)
    service.monitor._begin(router)  # noqa: SLF001 - its own task would run at moments that nobody measures
    daemon.history.start()
    vrps = setting.vrps[:ROUTES]
    daemon.vrp_set.activate([0])
    daemon.vrp_set.usable = True
    changed = daemon._vrps_changed  # noqa: SLF001 - as caches do it
    changed(daemon.vrp_set.replace(0, b"".join(vrps)))
    routes = setting.table[:: max(1, len(setting.table) // ROUTES)][:ROUTES]
    router.feed(b"".join(lines.updates(routes, PACKING)))
    thread = time.pthread_getcpuclockid(daemon.history.thread)
    looks = 0.0
    begin, wrote = time.process_time(), time.clock_gettime(thread)
    due = time.process_time()
    for _ in range(0, updates, setting.sized(SLICE)):
        gathered = b""
        for line in churn(routes, setting.sized(SLICE), chance):
            gathered += line
            if len(gathered) < 1 << 16:
                continue
            router.feed(gathered)
            gathered = b""
            while router.engine.next_command(100) is not None:
                router.engine.table.barrier_falls()
            if time.process_time() >= due:  # as the monitor's own task does it
                before = time.thread_time()
                await service.monitor.take(daemon.routers.all())
                looks += time.thread_time() - before
                due = time.process_time() + service.monitor.pause()
        changed(daemon.vrp_set.replace(0, b"".join(chance.sample(vrps, len(vrps) * 99 // 100))))
        while router.engine.work(2000):
            pass
    cpu, wrote = time.process_time() - begin, time.clock_gettime(thread) - wrote
    asked = time.perf_counter()
    found = await daemon.history.find(HistoryQuery(ipaddress.ip_network("0.0.0.0/0"), False, 1 << 62, 50))
    rows = [row(*each) for each in zip(found.ids, found.batches, strict=True)]
    answer = time.perf_counter() - asked
    assert len(rows) == 50
    await service.monitor.close()
    await daemon.history.close()
    daemon.routers.close()
    os.close(writing)
    return HistoryPage((looks + wrote) / cpu * 100, daemon.history.kept, daemon.history.lost, answer * 1e3)


def measure(setting: Setting) -> list[Comparison]:
    updates = UPDATES // 100 if setting.short else UPDATES
    log.setup("json", fd=os.open(os.devnull, os.O_WRONLY))
    print(f"history and events under {updates:,} updates", flush=True)
    found = []
    for number in range(setting.rounds):
        folder = setting.folder / f"history{number}"
        folder.mkdir()
        (folder / "rtrd.yaml").write_text(CONFIG.format(folder=folder))
        found.append(one := asyncio.run(once(folder, setting, updates)))
        print(
            f"  {one.share:.2f} % of the CPU; {one.kept:,} kept, {one.lost:,} left out; asked {one.answer:.0f} ms",
            flush=True,
        )
    note = (
        f"Of the CPU time of the daemon in one process, without caches, while {updates:,} routes come, go and change as"
        f" fast as they are read ({PACKING} per line), and 1 % of {ROUTES:,} VRPs change every {setting.sized(SLICE):,}"
        f" updates: picking changes up on the loop, and the history's thread, which writes them to the disk."
        f" Kept were {found[-1].kept:,} changes, left out {found[-1].lost:,}."
    )
    asked = "From the question for the newest 50 changes of all routes to their words."
    shares = {"history and events": [one.share for one in found]}
    answers = {"rtrd history 0.0.0.0/0": [one.answer for one in found]}
    return [
        Comparison("CPU of history and events under churn", "%", shares, None, SHARE, [note]),
        Comparison("A question to the history", "ms", answers, None, None, [asked]),
    ]
