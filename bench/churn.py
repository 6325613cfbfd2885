"""Measures memory during millions of updates of the same routes, with VRP changes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench import generate, lines
from bench.pipe import TAGGING, Router
from bench.report import Comparison
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting

ROUTES = 100_000
UPDATES = 10_000_000
PACKING = 20
SLICE = 200_000
"""Updates between two changes of VRPs."""


def churn(routes: list[lines.Route], count: int, chance: random.Random) -> Iterator[bytes]:
    """Announce and withdraw parts of a table, with attributes that change, `count` routes in all."""
    done = 0
    while done < count:
        at = chance.randrange(0, len(routes) - 2000)
        part = routes[at : at + 2000]
        if chance.random() < 0.3:
            yield from lines.withdraws([route.prefix for route in part], PACKING)
        else:
            other = [lines.Route(prefix, chance.choice((origin, origin, origin + 1))) for prefix, origin in part[::7]]
            yield from lines.updates(part, PACKING)
            yield from lines.updates(other, PACKING)
            done += len(other)
        done += len(part)


def once(setting: Setting, updates: int) -> tuple[float, float]:
    """Give the MB of all processes after a tenth of the updates and after all."""
    chance = random.Random(generate.SEED)
    vrps = setting.vrps[:ROUTES]
    cache = ScriptedCache(b"".join(vrps))
    with cache, Router(setting.folder, [(HOST, cache.port)], TAGGING, name="churn") as router:
        router.wait_vrps(len(vrps))
        routes = setting.table[:: max(1, len(setting.table) // ROUTES)][:ROUTES]
        router.feed(lines.updates(routes, PACKING))
        early = 0.0
        gone: list[bytes] = []
        for done in range(0, updates, setting.sized(SLICE)):
            router.feed(churn(routes, setting.sized(SLICE), chance))
            if gone:
                cache.notify(announced=b"".join(gone))
            gone = chance.sample(vrps, 1000)
            cache.notify(withdrawn=b"".join(gone))
            if not early and done + setting.sized(SLICE) >= updates // 10:
                router.wait_idle()
                early = router.usage().memory("Rss") / 1e6
        router.wait_idle()
        return early, router.usage().memory("Rss") / 1e6


def measure(setting: Setting) -> list[Comparison]:
    updates = UPDATES // 500 if setting.short else UPDATES
    print(f"memory after {updates // 10:,} and {updates:,} updates, MB", flush=True)
    found = []
    for number in range(setting.rounds):
        found.append(once(setting, updates))
        print(f"  round {number + 1}: {found[-1][0]:.1f}, {found[-1][1]:.1f}", flush=True)
    rounds = {
        f"after {updates:,}": [late for _, late in found],
        f"after {updates // 10:,}": [early for early, _ in found],
    }
    note = (
        f"RSS of all processes; {ROUTES:,} routes that come, go and change, {PACKING} per line, each tagged;"
        f" 1,000 of {ROUTES:,} VRPs are removed and added again every {setting.sized(SLICE):,} updates."
    )
    return [Comparison("Memory under churn", "MB", rounds, f"after {updates // 10:,}", 1.05, [note])]
