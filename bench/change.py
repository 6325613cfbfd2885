"""Measures how long a VRP change takes until routes are validated again, and until the command is in the pipe."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from functools import partial

from bench import generate, lines
from bench.pipe import TAGGING, Router
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting, set_of
from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed
from rtrd.exabgp.session import WORK
from rtrd.policy import Policy
from rtrd.rib.bgp_events import State
from rtrd.rib.engine import Engine
from rtrlib.vrp_set import VRPSet

TRIALS = 200
MANY = 500
QUIET = 0.3
"""Seconds without a command after which what followed from a change is said."""


def loaded(table: list[lines.Route], vrps: bytes) -> tuple[Engine, VRPSet]:
    """Give an engine that has learned a table, in this process."""
    vrp_set = set_of(vrps)
    engine = Engine("bench", vrp_set, Policy())
    engine.state(State(lines.PEER, up=True, reason=""))
    take(engine, lines.updates(table, 20))
    return engine, vrp_set


def take(engine: Engine, stream: Iterator[bytes]) -> None:
    for line in stream:
        event = decode(line)
        assert isinstance(event, Parsed)
        for session, body in event.updates:
            engine.receive(event.neighbor, session, body)


def settle(engine: Engine) -> None:
    while engine.work(WORK):
        pass


def whole(setting: Setting) -> list[Comparison]:
    """Every route against a set in which every VRP is another."""
    sets = [b"".join(map(generate.other_as, setting.vrps)), b"".join(setting.vrps)]
    engine, vrp_set = loaded(setting.table, sets[1])

    def once() -> float:
        sets.reverse()
        changes = vrp_set.replace(0, sets[1])
        begin = time.perf_counter()
        engine.vrps_changed(changes)
        settle(engine)
        return time.perf_counter() - begin

    once()
    print("every route validated again, s", flush=True)
    rounds = interleaved(setting.rounds, {"rtrd": once})
    note = f"{len(engine.table):,} routes, {engine.table.memory / len(engine.table):.1f} bytes each in the table in C."
    return [
        Comparison("Every route against a wholly new VRP set", "s", rounds, None, 1.0, [note]),
        Comparison(
            "The native table", "bytes a route", {"rtrd": [engine.table.memory / len(engine.table)]}, None, 64.0, []
        ),
    ]


def come_and_go(engine: Engine, vrp_set: VRPSet, vrp: bytes) -> float:
    """Give the microseconds that a VRP costs which comes, and goes again: the mean of the two."""
    taken = 0.0
    for change in (vrp, vrp[:23] + b"\0"):
        vrp_set.stage(0, change)
        changes = vrp_set.commit(0)
        begin = time.perf_counter()
        engine.vrps_changed(changes)
        settle(engine)
        taken += time.perf_counter() - begin
    return taken / 2 * 1e6


def by_size(setting: Setting) -> list[Comparison]:
    """One VRP that covers so many routes, in tables of three sizes."""
    sizes = sorted({min(size, len(setting.table)) for size in (10_000, 100_000, len(setting.table))})
    tables = {}
    for size in sizes:
        every = max(1, len(setting.table) // size)
        tables[size] = loaded(setting.table[::every][:size], b"".join(setting.vrps))
        # The routes that it covers are of its own making, so that each table has as many.
        extra = [lines.Route(f"10.{i >> 8}.{i & 255}.0/24", 64500) for i in range(1024)]
        take(tables[size][0], lines.updates(extra, 20))
    found = []
    for length, covered in ((24, 1), (16, 256)):
        vrp = generate.PACKED.pack(b"\x0a\1".ljust(16, b"\0"), 64500, length, 24, 4, 1)
        measures = {f"{size:,} routes": partial(come_and_go, *tables[size], vrp) for size in reversed(sizes)}
        rounds = interleaved(max(setting.rounds, 20), measures)
        plural = "s" if covered > 1 else ""
        found.append(Comparison(f"One VRP that covers {covered} route{plural}", "us", rounds, None, None, []))
    return found


def deciding(setting: Setting) -> list[bytes]:
    """Give VRPs by each of which alone a route of the table is valid."""
    chance = random.Random(generate.SEED)
    exact = {(route.prefix, route.origin) for route in setting.table}
    texts = ((vrp, generate.text_of(vrp)) for vrp in chance.sample(setting.vrps, len(setting.vrps)))
    vrp_set = set_of(b"".join(setting.vrps))

    def alone(prefix: str, asn: int) -> bool:
        """Whether the route is there, and valid by one VRP: it is not valid any more without it."""
        return (prefix, asn) in exact and [one.vrp.asn for one in vrp_set.covering(prefix)].count(asn) == 1

    return [vrp for vrp, (address, length, _, asn) in texts if alone(f"{address}/{length}", asn)]


def to_the_pipe(setting: Setting) -> list[Comparison]:
    """From the cache's word to the command, through librtr, its process and the daemon."""
    covering = deciding(setting)
    cache = ScriptedCache(b"".join(setting.vrps))
    with cache, Router(setting.folder, [(HOST, cache.port)], TAGGING, name="change") as router:
        router.wait_vrps(len(setting.vrps))
        router.feed(lines.updates(setting.table, 20))
        router.wait_idle()

        def trial(vrps: bytes, *, announce: bool, last: bool) -> float:
            before = router.commands
            begin = cache.notify(vrps if announce else b"", b"" if announce else vrps)
            router.listen(lambda: router.commands > before, 30, tick=10)
            taken = router.heard - begin
            while time.perf_counter() - router.heard < QUIET:
                router.listen(lambda: True, 1)
                router.listen(lambda: time.perf_counter() - router.heard > QUIET, 30, tick=0.02)
            return (router.heard - begin if last else taken) * 1e3

        ones = []
        for number in range(0, 10 if setting.short else TRIALS, 2):
            ones.append(trial(covering[number], announce=False, last=False))
            ones.append(trial(covering[number], announce=True, last=False))
        print(f"one VRP changed, ms: median {statistics.median(ones):.2f}, longest {max(ones):.2f}", flush=True)
        several = b"".join(covering[TRIALS : TRIALS + MANY])
        many = [trial(several, announce=number % 2 == 1, last=True) for number in range(max(setting.rounds, 6))]
        print(f"{MANY} VRPs changed: {sorted(many)} ms", flush=True)
    size = f"{len(setting.table):,} routes, {len(setting.vrps):,} VRPs; from the cache's Serial Notify"
    return [
        Comparison(
            "One VRP changed: first byte of the corrected command",
            "ms",
            {"rtrd": ones},
            None,
            20.0,
            [f"{size} to the command on stdout, in {len(ones)} trials; the target is for the 99th percentile."],
            quantile=0.99,
        ),
        Comparison(
            f"{MANY} VRPs changed: last byte of the corrected commands",
            "ms",
            {"rtrd": many},
            None,
            100.0,
            [f"{size} to the last command on stdout, with each command answered at once."],
        ),
    ]


def measure(setting: Setting) -> list[Comparison]:
    return [*whole(setting), *by_size(setting), *to_the_pipe(setting)]
