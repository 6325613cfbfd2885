"""Measures the memory of rtrd with a full table and all VRPs, beside BIRD and ExaBGP."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import bird, chain, lines
from bench.pipe import TAGGING, Router, Usage
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting, set_of
from bench.speaker import Speaker
from rtrd.demo.lab import Lab, find_program
from rtrd.demo.routers import EXABGP_5, ExaBGP, Neighbor
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet

MOST = 220.0
"""MB."""
MOST_TAGGED = 250.0
MOST_FURTHER = 5.0
"""MB, of one more cache with the same VRPs."""
FURTHER = 3
PACKING = 20
EXABGP_ROUTES = 100_000
CHECK = (
    "BIRD's roa_check is the CPU time that it adds to BIRD's import of a route: with it in the filter, minus without"
    " it."
)


def ours(setting: Setting, port: int, policy: Sequence[Mapping[str, object]]) -> float:
    """Give the MB of all processes, the cache's included, when everything is learned and said."""
    with Router(setting.folder, [(HOST, port)], policy, name="memory") as router:
        router.wait_vrps(len(setting.vrps))
        router.feed(lines.updates(setting.table, PACKING))
        router.wait_idle()
        assert sum(router.routes().values()) == len(setting.table)
        return router.usage().memory("Pss") / 1e6


def fetching(setting: Setting, ports: Sequence[int]) -> float:
    """Give the MB of a daemon that has the VRPs of several caches of one group, all of them in sync."""
    servers = [{"host": HOST, "port": port} for port in ports]
    groups = [{"name": "all", "preference": 1, "servers": servers}]
    with Router(setting.folder, [], settings={"caches": {"groups": groups}}, name="caches") as router:

        def has_all() -> bool:
            status = router.status() or {"groups": []}
            counts = [server["vrps"] for group in status["groups"] for server in group["servers"]]
            return counts == [len(setting.vrps)] * len(ports)

        router.listen(has_all, 120)
        return router.usage().memory("Pss") / 1e6


def of_further(setting: Setting) -> Comparison:
    """Compare daemons with one cache and with more."""
    vrps = b"".join(setting.vrps)
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(ScriptedCache(vrps)).port for _ in range(1 + FURTHER)]
        print(f"memory with {1 + FURTHER} caches and with one, MB", flush=True)
        taken = interleaved(
            setting.rounds,
            {"all": lambda: fetching(setting, ports), "one": lambda: fetching(setting, ports[:1])},
        )
    each = [(more - one) / FURTHER for more, one in zip(*taken.values(), strict=True)]
    note = (
        f"{len(setting.vrps):,} VRPs, the same of each; PSS of a daemon with {1 + FURTHER} caches, less that with one."
    )
    return Comparison("Memory of a further cache with the same VRPs", "MB", {"rtrd": each}, None, MOST_FURTHER, [note])


def birds(setting: Setting, port: int, updates: bytes, *, checks: bool) -> tuple[float, float]:
    """Give the MB and the CPU microseconds a route of a BIRD with the same routes and VRPs."""
    with (
        tempfile.TemporaryDirectory(dir=setting.folder) as folder,
        bird.Bird(Path(folder), port, check=bird.CHECK if checks else "") as one,
    ):
        one.wait_count(len(setting.vrps), "four", "six")
        taken = one.take(updates, len(setting.table))
        return one.memory / 1e6, taken / len(setting.table) * 1e6


def exabgps(setting: Setting, updates: bytes, count: int) -> float:
    """Give the MB of an ExaBGP that has learned some routes, with a helper that does nothing."""
    empty = setting.folder / "nothing"
    empty.write_text("", encoding="ascii")
    helper = str(Path(chain.__file__).with_name("knowing.py"))
    command = shlex.join([sys.executable, "-I", helper, str(empty), "1", "1", "0"])
    program = find_program("exabgp", EXABGP_5)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder, Lab(Path(folder)) as lab:
        router = ExaBGP(lab.folder, name="router", address=chain.ROUTER, asn=65001, program=program, process=command)
        router.neighbors = [Neighbor(address=chain.PEER, asn=65002)]
        lab.start(router)
        usage = Usage([router.process.pid])
        before = usage.memory("Rss")
        with Speaker(chain.PEER, 65002, (chain.ROUTER, router.port)) as peer:
            peer.up.wait(30)
            peer.send(updates)
            spent = -1.0
            while usage.cpu() - spent > 0.2:  # it takes routes as long as it computes
                spent = usage.cpu()
                time.sleep(2)
            return (usage.memory("Rss") - before) / 1e6 / count * len(setting.table)


def validation(vrp_set: VRPSet, routes: bytes, count: int) -> float:
    """Give the CPU microseconds of our validation of a route, many at a time as the daemon does it."""
    begin = time.process_time()
    vrp_set.validate_many(routes)
    return (time.process_time() - begin) / count * 1e6


def measure(setting: Setting) -> list[Comparison]:
    vrp_set = set_of(b"".join(setting.vrps))
    routes = b"".join(pack(VRP(route.prefix, 0, route.origin)) for route in setting.table)
    updates = bird.encoded(setting.table, PACKING)
    count = setting.sized(EXABGP_ROUTES)
    some = setting.table[:: max(1, len(setting.table) // count)][:count]
    few = bird.encoded(some, PACKING)
    costs: dict[str, list[float]] = {"with roa_check": [], "without": []}

    def checked(port: int, *, checks: bool) -> float:
        memory, cost = birds(setting, port, updates, checks=checks)
        costs["with roa_check" if checks else "without"].append(cost)
        return memory

    with ScriptedCache(b"".join(setting.vrps)) as cache:
        print("memory with a full table, MB", flush=True)
        rounds = interleaved(
            setting.rounds,
            {
                "rtrd, all processes": lambda: ours(setting, cache.port, ()),
                "rtrd, each route tagged": lambda: ours(setting, cache.port, TAGGING),
                "BIRD, roa_check in its filter": lambda: checked(cache.port, checks=True),
                "BIRD": lambda: checked(cache.port, checks=False),
                "ExaBGP 5.0.15, for the routes alone": lambda: exabgps(setting, few, len(some)),
            },
        )
    size = f"{len(setting.table):,} routes, {len(setting.vrps):,} VRPs"
    added = [check - plain for check, plain in zip(*costs.values(), strict=True)]
    note = (
        f"{size}, PSS. BIRD gets them from the same BGP speaker and the same cache. ExaBGP's is measured with"
        f" {len(some):,} routes and scaled up: it would take minutes to learn all of them."
    )
    tagged = {name: values for name, values in rounds.items() if name.startswith("rtrd")}
    tagged = dict(reversed(tagged.items()))
    validated = {
        "rtrd's validation": [validation(vrp_set, routes, len(setting.table)) for _ in added],
        "BIRD's roa_check": added,
    }
    return [
        Comparison("Memory with a full table", "MB", rounds, None, MOST, [note]),
        Comparison("Memory with a full table, each route tagged", "MB", tagged, None, MOST_TAGGED, [f"{size}, PSS."]),
        of_further(setting),
        Comparison("Validation of a route, beside BIRD", "us", validated, None, None, [f"{size}. {CHECK}"]),
        Comparison("CPU of BIRD's import of a route", "us", costs, None, None, [f"{size}."]),
    ]
