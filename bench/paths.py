"""Measures what it takes to judge the AS paths of a full table by ASPAs, beside BIRD's `aspa_check`."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import bird, generate, lines
from bench.change import settle
from bench.report import Comparison, interleaved
from bench.section import Setting, set_of
from bench.speaker import update
from rtrd import config
from rtrd.exabgp.session import WORK
from rtrd.policy import Policy
from rtrd.rib.bgp_events import State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine
from rtrlib import aspas
from rtrlib.aspas import ASPAIndex
from tests.lab.debian_programs import ROOTS

CUSTOMERS, PATHS, IN_PATHS = 50_000, 150_000, 1000
PACKING = 7
"""Routes of an attribute set in a real table."""
TRIALS = 100
"""Changes of one customer's list, and back."""
LISTENER = "127.0.0.3"
POLICY = f"""
caches: {{groups: [{{name: a, preference: 1, servers: [{{host: 127.0.0.1}}]}}]}}
neighbors: [{{match: [{lines.PEER}], local-role: customer}}]
policy:
  - from: [{lines.PEER}]
    to: [{LISTENER}]
    valid: {{action: announce}}
    not-found: {{action: announce}}
    invalid: {{action: announce}}
    aspa-invalid: {{action: withdraw}}
"""
BIRDS = ROOTS / "trixie-bird2"
CHECK = "if aspa_check_downstream(customers) = ASPA_INVALID then bgp_large_community.add((65000, 1, 0));"

Providers = Mapping[int, list[int]]


@dataclass
class World:
    """A table, and ASPAs of ASes in its paths."""

    updates: list[bytes]
    """Bodies of UPDATEs."""
    routes: int
    paths: int
    """Different ones."""
    providers: Providers
    """By customer."""
    middle: list[int]
    """Customers that are each in IN_PATHS paths or so, behind the origin."""


def world(setting: Setting) -> World:
    """Make it: each path goes up from the origin to an AS in the middle, to another, and to the neighbor."""
    chance = random.Random(generate.SEED)
    most = setting.sized(PATHS)
    middle = [200_000 + number for number in range(max(1, most // IN_PATHS))]
    table = setting.table
    origins = sorted({route.origin for route in table})
    each = -(-most // len(origins))
    paths = {
        (origin, which): (chance.choice(middle), chance.choice(lines.TRANSIT), chance.choice(lines.TRANSIT))
        for origin in origins
        for which in range(each)
    }
    providers: dict[int, set[int]] = {number: set(lines.TRANSIT) for number in middle}
    for origin in origins[: max(1, setting.sized(CUSTOMERS) - len(middle))]:
        providers[origin] = {paths[origin, which][0] for which in range(each)}
    providers[lines.PEER_AS] = {0}  # so that a path can't have come down from it to the AS behind it
    bodies, seen = [], set()
    for origin, which, is_ipv6, prefixes in lines.packed_routes(table, PACKING):
        first, second, third = paths[origin, which % each]
        attributes = lines.attributes_of(origin, which)._replace(as_path=(lines.PEER_AS, third, second, first, origin))
        seen.add(attributes.as_path)
        hop = lines.NEXT_HOP_V6 if is_ipv6 else lines.PEER
        bodies.append(update(attributes, hop, prefixes))
    return World(
        bodies, len(table), len(seen), {customer: sorted(named) for customer, named in providers.items()}, middle
    )


class Judge:
    """The engine, in this process, with the table."""

    def __init__(self, world: World, vrps: bytes, text: str, providers: Providers) -> None:
        found = config.loads(text, Path("rtrd.yaml"))
        self.engine = Engine("bench", set_of(vrps), Policy(found.policy, found.neighbors))
        self.engine.add_receiver(LISTENER)
        self.aspas = b""
        self.have(providers)
        self.engine.state(State(lines.PEER, up=True, reason=""))
        session = BGPSession(lines.OWN_AS, lines.PEER_AS, True, frozenset(), False)
        begin = time.process_time()
        for body in world.updates:
            self.engine.receive(lines.PEER, session, body[19:])
        self.taken = time.process_time() - begin
        """CPU seconds for the table."""
        settle(self.engine)

    def have(self, providers: Providers) -> None:
        self.set_to(aspas.union_of(aspas.numbers(providers.items())))

    def set_to(self, packed: bytes) -> None:
        before, self.aspas = self.aspas, packed
        self.engine.aspas_changed(ASPAIndex(packed), aspas.changes(before, packed), 0)

    def judged(self) -> Iterator[float]:
        """Give the CPU seconds of each slice, until all is judged."""
        more = True
        while more:
            begin = time.thread_time()
            more = self.engine.work(WORK)
            yield time.thread_time() - begin

    def say(self) -> int:
        """Take all commands."""
        return sum(1 for _ in iter(lambda: self.engine.next_command(50), None))


def again(judge: Judge, world: World, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    """Give CPU seconds by what changed, and the longest slices."""
    # Each customer names one more, that is in no path: no outcome changes.
    sets = {
        "all lists change, no outcome": (
            {c: [*named, 4_000_000_000] for c, named in world.providers.items()},
            world.providers,
        ),
        "all ASPAs go, all come back": ({}, world.providers),
    }
    taken: dict[str, list[float]] = {name: [] for name in sets}
    longest = []
    for _ in range(rounds):
        for name, both in sets.items():
            for providers in both:
                judge.have(providers)
                slices = list(judge.judged())
                taken[name].append(sum(slices))
                longest.append(1e3 * max(slices))
                judge.say()
    return taken, longest


def one_change(judge: Judge, world: World, trials: int) -> list[float]:
    """Give the milliseconds from a customer's new list to the first command that follows from it."""
    found = []
    for number in range(trials):
        customer = world.middle[number % len(world.middle)]
        for named in ([1], world.providers[customer]):
            packed = aspas.union_of(aspas.numbers({**world.providers, customer: named}.items()))
            begin = time.perf_counter()
            judge.set_to(packed)
            command = None
            while command is None:
                more = judge.engine.work(WORK)
                command = judge.engine.next_command(50)
                assert more or command is not None, "no path of this customer changed"
            found.append((time.perf_counter() - begin) * 1e3)
            settle(judge.engine)
            judge.say()
    return found


def import_cost(world: World, folder: Path, *, checks: bool) -> float:
    """Give the CPU microseconds that a route costs a BIRD 2.17 that takes the table."""
    listed = "\n".join(
        f"route aspa {customer} {'providers ' + ', '.join(map(str, named)) if named[0] else 'transit'};"
        for customer, named in world.providers.items()
    )
    more = f"aspa table customers;\nprotocol static {{ aspa {{ table customers; }};\n{listed}\n}}"
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        bird.Bird(Path(name), 1, check=CHECK if checks else "", more=more, root=BIRDS) as one,
    ):
        one.wait_count(len(world.providers), "customers")
        return one.take(b"".join(world.updates), world.routes) / world.routes * 1e6


def measure(setting: Setting) -> list[Comparison]:
    """Compare."""
    made, vrps = world(setting), b"".join(setting.vrps)
    unjudged = POLICY.replace(", local-role: customer", "")
    judge = Judge(made, vrps, POLICY, made.providers)
    plain = Judge(made, vrps, unjudged, {})
    octets = [
        sum(
            sign * (one.engine.table.memory + one.engine.table.attributes_memory)
            for sign, one in ((1, judge), (-1, plain))
        )
        / made.routes
    ]
    del plain
    judge.say()
    about = (
        f"{made.routes:,} routes, {made.paths:,} different paths of 5 ASes, {len(made.providers):,} ASPAs; in this"
        " process. The neighbor is our provider: paths go up and down (`local-role: customer`)."
    )
    print("all paths judged again", flush=True)
    taken, longest = again(judge, made, setting.rounds)
    print("one ASPA changed", flush=True)
    ones = one_change(judge, made, 3 if setting.short else TRIALS)
    del judge
    costs: dict[str, list[float]] = {}
    if BIRDS.exists():
        print("a route's path judged as it is learned, us", flush=True)
        costs = interleaved(
            setting.rounds,
            {
                "rtrd, judged": lambda: Judge(made, vrps, POLICY, made.providers).taken / made.routes * 1e6,
                "rtrd": lambda: Judge(made, vrps, unjudged, {}).taken / made.routes * 1e6,
                "BIRD 2.17, aspa_check in its filter": lambda: import_cost(made, setting.folder, checks=True),
                "BIRD 2.17": lambda: import_cost(made, setting.folder, checks=False),
            },
        )
    found = [
        Comparison("All paths judged again", "s", taken, None, 0.3, [about + " CPU time, without that of commands."]),
        Comparison("The longest slice of that", "ms", {"rtrd": longest}, None, 50.0, [about], quantile=1.0),
        Comparison(
            "One ASPA changed: the first corrected command", "ms", {"rtrd": ones}, None, 20.0,
            [f"Its customer is in some {IN_PATHS} paths. {about} From the new set; the 99th percentile."],
            quantile=0.99,
        ),
        Comparison(
            "Memory of the outcomes of paths", "octets a route", {"rtrd": octets}, None, 3.0,
            [about + " Of a table whose paths are judged, more than of one whose paths are not: an outcome takes bits"
             " that a route and an attribute set have anyway."],
        ),
    ]  # fmt: skip
    if costs:
        (ours, without, theirs, plain_bird) = costs.values()
        added = {
            "rtrd": [one - other for one, other in zip(ours, without, strict=True)],
            "BIRD 2.17's aspa_check": [one - other for one, other in zip(theirs, plain_bird, strict=True)],
        }
        note = about + " The CPU time that it adds to the import of a route: with it, minus without it."
        found.append(Comparison("A path judged as its route is learned", "us", added, None, None, [note]))
        found.append(Comparison("CPU of the import of a route, with paths", "us", costs, None, None, [about]))
    return found
