"""Measures how long tagged routes take from a peer through a real ExaBGP and its process to another peer.

`python -m bench.chain VERSION` finds the batch and window with which a helper that knows its answers is fastest.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import yaml

from bench import lines
from bench.pipe import TAGGING
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting
from bench.speaker import Speaker, update
from rtrd import config
from rtrd.commands import http_client
from rtrd.demo.lab import Lab, LabError, find_program
from rtrd.demo.routers import EXABGP_4, EXABGP_5, ExaBGP, Neighbor
from rtrd.exabgp import encode
from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed
from rtrd.policy import Policy, Treatment
from rtrd.rib.attributes import read_octets
from rtrd.rib.update_octets import read_update
from rtrlib.vrp import VRP, pack

ROUTER, PEER, RECEIVER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
COUNT = 100_000
SET = 100
"""Routes that share their attributes."""
PACKING = 20
"""Routes in an UPDATE of the peer."""
LIMIT = 300.0
BEST = {"5.0.15": (100, 8), "4.2.21": (100, 8)}
"""Prefixes in a command and commands unanswered with which the knowing helper is fastest, by version of ExaBGP."""
ANSWERING = "a helper that knows its answers"
BATCHES, WINDOWS = (20, 50, 100), (2, 4, 8, 16)
PARSED = "neighbor-changes; receive { parsed; update; }"
"""What the helper reads."""


class Work:
    """The routes, in the forms in which each part needs them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count
        self.sets = [
            (100_000 + at, [f"{11 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(at, min(at + SET, count))])
            for at in range(0, count, SET)
        ]
        self.updates = b"".join(
            update(lines.attributes_of(origin, 0), PEER, prefixes[at : at + PACKING])
            for origin, prefixes in self.sets
            for at in range(0, len(prefixes), PACKING)
        )

    def configuration(self, port: int) -> Path:
        """Write the configuration of rtrd."""
        path = self.folder / "rtrd.yaml"
        servers = [{"host": HOST, "port": port}]
        caches = {"groups": [{"name": "bench", "preference": 1, "servers": servers}]}
        settings = {"caches": caches, "control": str(self.folder / "rtrd.sock"), "policy": TAGGING}
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    def commands(self, batch: int) -> Path:
        """Write the commands that tag every route, as rtrd words them, `batch` prefixes at most in each."""
        path = self.folder / f"commands-{batch}"
        if not path.exists():
            rules = config.load(self.configuration(1)).policy
            treatment = Policy(rules).rules[0].treatments["not-found"]
            path.write_text("".join(self._command(*one, treatment, batch) for one in self.sets), encoding="ascii")
        return path

    @staticmethod
    def _command(origin: int, prefixes: list[str], treatment: Treatment, batch: int) -> str:
        (line,) = lines.updates([lines.Route(prefix, origin) for prefix in prefixes], SET)
        event = decode(line)
        assert isinstance(event, Parsed)
        update, _ = read_update(event.neighbor, *event.updates[0])
        words = encode.attribute_words(read_octets(update.announced[0][0], lambda _: False), treatment)
        parts = (" ".join(prefixes[at : at + batch]) for at in range(0, len(prefixes), batch))
        return "".join(encode.announce(encode.select([RECEIVER]), words, None, part) for part in parts)


def run(work: Work, version: str, process: str, *, is_rtrd: bool) -> float:
    """Give the seconds from the peer's first UPDATE to the receiver's last route."""
    program = find_program("exabgp", EXABGP_5) if version == "5.0.15" else find_program("/usr/sbin/exabgp", EXABGP_4)
    with tempfile.TemporaryDirectory(dir=work.folder) as folder, Lab(Path(folder)) as lab:
        router = ExaBGP(lab.folder, name="router", address=ROUTER, asn=65001, program=program, process=process)
        router.neighbors = [Neighbor(address=PEER, asn=65002), Neighbor(address=RECEIVER, asn=65003)]
        if not is_rtrd:
            router.api = PARSED
        lab.start(router)
        with (
            Speaker(RECEIVER, 65003, (ROUTER, router.port)) as receiver,
            Speaker(PEER, 65002, (ROUTER, router.port)) as peer,
        ):
            begin = _ready(work, is_rtrd=is_rtrd, receiver=receiver, peer=peer)
            peer.send(work.updates)
            return receiver.wait_announced(work.count, LIMIT) - begin


def _ready(work: Work, *, is_rtrd: bool, receiver: Speaker, peer: Speaker) -> float:
    until = time.monotonic() + LIMIT
    if not (receiver.up.wait(LIMIT) and peer.up.wait(LIMIT)):
        raise LabError("a session did not come up")
    while is_rtrd:
        status = http_client.status(work.folder / "rtrd.sock")
        if (
            status is not None
            and status["ready"]
            and sum(one["up"] is True for one in status["routers"][0]["neighbors"]) == 2
        ):
            break
        if time.monotonic() > until:
            raise LabError("rtrd was not ready")
        time.sleep(0.05)
    return time.perf_counter()


def run_rtrd(work: Work, version: str, port: int) -> float:
    """As the process: rtrd with a cache that knows none of the routes."""
    command = [find_program("rtrd", "make venv"), "run", "-c", str(work.configuration(port)), "--exabgp"]
    return run(work, version, shlex.join(command), is_rtrd=True)


def run_knowing(work: Work, version: str, batch: int, window: int, *, answers: bool = True) -> float:
    """As the process: a helper that only writes what it was given; `answers` False: it waits for no route."""
    helper = str(Path(__file__).with_name("knowing.py"))
    updates = batch / PACKING if answers else 0
    command = [sys.executable, "-I", helper, str(work.commands(batch)), str(window), "2", str(updates)]
    return run(work, version, shlex.join(command), is_rtrd=False)


def measure(setting: Setting) -> list[Comparison]:
    work = Work(setting.folder, setting.sized(COUNT))
    found = []
    with ScriptedCache(pack(VRP("192.0.2.0/24", 24, 64500))) as cache:
        for version, (batch, window) in BEST.items():
            print(f"from peer to peer through ExaBGP {version}, s", flush=True)
            knowing = partial(run_knowing, work, version, batch, window)
            measures = {
                "rtrd": partial(run_rtrd, work, version, cache.port),
                ANSWERING: knowing,
                "a helper that waits for no route": partial(knowing, answers=False),
            }
            rounds = interleaved(setting.rounds, measures)
            helper = (
                f"The helper decides nothing. It writes ready commands of {batch} prefixes as soon as ExaBGP has"
                f" reported their routes, with at most {window} of them unanswered, which is the fastest."
            )
            other = (
                "The other helper writes them as soon as both sessions are up: its last route is out before ExaBGP has"
                " read most of the peer's UPDATEs. No program that waits for the routes can do that."
            )
            size = f"{work.count:,} routes, {PACKING} in an UPDATE, {SET} with the same attribute set"
            notes = [
                f"{size}; each is announced with a tag.",
                helper,
                other,
            ]
            name = f"End to end through ExaBGP {version}"
            found.append(Comparison(name, "s", rounds, ANSWERING, 1.05, notes))
    return found


def search(version: str, count: int = 20_000) -> None:
    """Print how long the knowing helper takes with each batch and window."""
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as folder:
        work = Work(Path(folder), count)
        for batch in BATCHES:
            for window in WINDOWS:
                taken = run_knowing(work, version, batch, window)
                print(f"{version}: {batch} prefixes, {window} commands: {taken:.2f} s", flush=True)


if __name__ == "__main__":
    search(sys.argv[1])
