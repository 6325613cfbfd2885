"""Measures how long tagged routes take from a peer through a real ExaBGP and its process to another peer.

`python -m bench.chain VERSION SHARE` finds the batch and window with which a helper that knows its answers is fastest.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import yaml

from bench import first_round, lines
from bench.pipe import TAGGING, Usage, children
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting
from bench.speaker import Speaker, update
from rtrd import config
from rtrd.commands import http_client
from rtrd.demo.lab import Lab, LabError, Process, find_program
from rtrd.demo.routers import EXABGP_4, EXABGP_5, ExaBGP, Neighbor
from rtrd.exabgp import encode
from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed
from rtrd.policy import Policy, Treatment
from rtrd.rib.attributes import read_octets
from rtrd.rib.update_octets import read_update
from rtrlib.vrp import VRP, pack

ROUTER, PEER, RECEIVER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Of the first chain; those of others differ in the third number."""
PROGRAMS = {"5.0.15": ("exabgp", EXABGP_5), "4.2.21": ("/usr/sbin/exabgp", EXABGP_4)}
"""And how to get them."""
COUNT = 100_000
SHARES = (7, 100)
"""Routes that share their attributes: as many as in a real table (6.8), and a set that a command just holds."""
PACKING = 20
"""Routes in an UPDATE of the peer, at most."""
LIMIT = 300.0
BEST = {"5.0.15": (100, 8), "4.2.21": (100, 8)}
"""Prefixes in a command and commands unanswered with which the knowing helper is fastest, by version of ExaBGP."""
ANSWERING = "a helper that knows its answers"
BATCHES, WINDOWS = (20, 50, 100), (2, 4, 8, 16)
RECEIVING = "neighbor-changes; receive { packets; open; } send { packets; open; }"
"""What the process is told of a neighbor that only receives: its UPDATEs are nothing that it needs."""
RECOMMENDED = {"exabgp.log.level": "WARNING"}
PARSED = "neighbor-changes; receive { parsed; update; }"
"""What a process was told of each neighbor before packets mode."""
CPU = "Of ExaBGP and of its process with all that this one has started, rtrd's caches included; not of the peers."
PARTS = (
    "rtrd's own part is most of the difference: it decodes, judges and keeps each route, and words each attribute set."
    " With 4.2.21 1.7 us a route at 100 routes a set and 6 at 7, the helper's 0.5 and 3."
)
AS_THEY_COME = "settings as they come, parsed"
BEFORE = f"{AS_THEY_COME}, with the first round's rtrd"
SINCE = (
    "This rtrd saves ExaBGP much whatever the settings: it writes fewer commands, and to 5.0.15 attributes as octets."
    f" The first round's rtrd (`git archive {first_round.COMMIT}`, built by bench/first_round.py) does neither."
)
CHEAPER = {"5.0.15": 1 / 1.7, "4.2.21": 1 / 1.4}
"""What ExaBGP may need at most with this rtrd and the settings that docs/exabgp.md recommends, beside the first round's
rtrd with those that it comes with."""


class Work:
    """The routes, in the forms in which each part needs them."""

    def __init__(self, folder: Path, count: int, share: int, chain: int = 0) -> None:
        self.folder = folder
        self.count = count
        self.share = share
        begin = chain * count
        starts = range(begin, begin + count, share)
        self.sets = [(100_000 + at, list(map(_prefix, range(at, min(at + share, begin + count))))) for at in starts]
        self.updates = b"".join(
            update(lines.attributes_of(origin, 0), _address(chain, 2), prefixes[at : at + PACKING])
            for origin, prefixes in self.sets
            for at in range(0, len(prefixes), PACKING)
        )

    def configuration(self, port: int) -> Path:
        """Write the configuration of rtrd."""
        path = self.folder / "rtrd.yaml"
        servers = [{"host": HOST, "port": port}]
        caches = {"groups": [{"name": "bench", "preference": 1, "servers": servers}]}
        policy = [{**TAGGING[0], "from": [PEER, _address(1, 2)], "to": [RECEIVER, _address(1, 3)]}]
        settings = {"caches": caches, "control": str(self.folder / "rtrd.sock"), "policy": policy}
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    def commands(self, version: str, batch: int) -> Path:
        """Write the commands that tag every route, as rtrd words them, `batch` prefixes at most in each."""
        path = self.folder / f"commands-{version}-{self.share}-{batch}"
        if not path.exists():
            rules = config.load(self.configuration(1)).policy
            treatment = Policy(rules).rules[0].treatments["not-found"]
            form = encode.form_of(version)
            path.write_text("".join(self._command(*one, treatment, form, batch) for one in self.sets), encoding="ascii")
        return path

    @staticmethod
    def _command(origin: int, prefixes: list[str], treatment: Treatment, form: encode.Form, batch: int) -> str:
        (line,) = lines.updates([lines.Route(prefix, origin) for prefix in prefixes], len(prefixes))
        event = decode(line)
        assert isinstance(event, Parsed)
        update, _ = read_update(event.neighbor, *event.updates[0])
        words = encode.attribute_words(read_octets(update.announced[0][0]), treatment, "external", form)
        parts = (" ".join(prefixes[at : at + batch]) for at in range(0, len(prefixes), batch))
        return "".join(encode.announce(encode.select([RECEIVER]), words, None, part) for part in parts)


class Settings(NamedTuple):
    """How an ExaBGP is set."""

    api: str | None = None
    """What its process is told of each neighbor; None: packets mode."""
    receiving: str | None = RECEIVING
    """Of a neighbor that only receives, if something else."""
    adj_rib_in: bool = False
    environment: Mapping[str, str] = RECOMMENDED


BEST_SETTINGS = Settings()
DEFAULT_SETTINGS = Settings(PARSED, None, adj_rib_in=True, environment={})


class Took(NamedTuple):
    """What a run took."""

    seconds: float
    """From the peer's first UPDATE to the receiver's last route."""
    exabgp: float
    """CPU microseconds of ExaBGP for each route."""
    process: float
    """And of what talks to it: its own process, with all that this one has started, and a service."""

    @property
    def chain(self) -> float:
        """Of all that is between the two peers."""
        return self.exabgp + self.process


class Chain:
    """Peers, ExaBGPs, and receivers: one of each for each part of the work, at addresses of their own."""

    def __init__(self, works: Sequence[Work], version: str, settings: Settings = BEST_SETTINGS) -> None:
        self._works = works
        self._program = find_program(*PROGRAMS[version])
        self._settings = settings

    def run(self, process: str, ready: Callable[[int], None], service: Sequence[int] = ()) -> Took:
        """Give what all took. `ready` returns when the process knows of so many sessions; `service`: its own."""
        with tempfile.TemporaryDirectory(dir=self._works[0].folder) as folder, ExitStack() as stack:
            lab = stack.enter_context(Lab(Path(folder)))
            routers = [self._router(lab, at, process) for at in range(len(self._works))]
            speakers = [self._speakers(stack, at, router) for at, router in enumerate(routers)]
            for receiver, peer in speakers:
                if not (receiver.up.wait(LIMIT) and peer.up.wait(LIMIT)):
                    raise LabError("a session did not come up")
            ready(2 * len(speakers))
            pids = [router.process.pid for router in routers]
            exabgp, helpers = Usage(pids), Usage([one for pid in (*pids, *service) for one in children(pid)])
            helpers.pids += service
            before, begin = (exabgp.cpu(), helpers.cpu()), time.perf_counter()
            for (_, peer), work in zip(speakers, self._works, strict=True):
                peer.send(work.updates)
            ends = [
                receiver.wait_announced(work.count, LIMIT)
                for (receiver, _), work in zip(speakers, self._works, strict=True)
            ]
            spent = (exabgp.cpu() - before[0], helpers.cpu() - before[1])
            routes = sum(work.count for work in self._works)
            return Took(max(ends) - begin, *(seconds / routes * 1e6 for seconds in spent))

    def _router(self, lab: Lab, at: int, process: str) -> ExaBGP:
        settings = self._settings
        router = ExaBGP(
            lab.folder,
            name=f"router{at}",
            address=_address(at, 1),
            asn=65001,
            program=self._program,
            process=process.replace("NUMBER", str(at)),
            environment=settings.environment,
        )
        router.api = router.api if settings.api is None else settings.api
        kept = settings.adj_rib_in
        router.neighbors = [
            Neighbor(address=_address(at, 2), asn=65002, adj_rib_in=kept),
            Neighbor(address=_address(at, 3), asn=65003, adj_rib_in=kept, api=settings.receiving),
        ]
        return lab.start(router)

    @staticmethod
    def _speakers(stack: ExitStack, at: int, router: ExaBGP) -> tuple[Speaker, Speaker]:
        listening = (router.address, router.port)
        receiver = stack.enter_context(Speaker(_address(at, 3), 65003, listening))
        return receiver, stack.enter_context(Speaker(_address(at, 2), 65002, listening))


def _prefix(number: int) -> str:
    return f"{11 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24"


def _address(chain: int, host: int) -> str:
    return f"127.0.{chain}.{host}"


def _wait_ready(socket: Path, sessions: int, vrps: int = 0) -> None:
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        status = http_client.status(socket)
        if status is not None and status["ready"]:
            up = [one["up"] is True for router in status["routers"] for one in router["neighbors"]]
            if sum(up) == sessions and sum(status["vrps"].values()) >= vrps:
                return
        time.sleep(0.05)
    raise LabError("rtrd was not ready")


def measured(
    rounds: int, runs: Mapping[str, Callable[[], Took]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Let each run in turn; give the seconds of all, and the CPU of their chains."""
    cpu: dict[str, list[float]] = {name: [] for name in runs}

    def seconds(name: str) -> float:
        took = runs[name]()
        cpu[name].append(took.chain)
        return took.seconds

    return interleaved(rounds, {name: partial(seconds, name) for name in runs}), cpu


def run_rtrd(
    work: Work,
    version: str,
    port: int,
    settings: Settings = BEST_SETTINGS,
    *,
    vrps: int = 0,
    program: Path | None = None,
) -> Took:
    """As the process: rtrd with the cache of a port, once it has so many VRPs; `program`: another rtrd than this."""
    rtrd = find_program("rtrd", "make venv") if program is None else str(program)
    command = [rtrd, "run", "-c", str(work.configuration(port)), "--exabgp"]
    ready = partial(_wait_ready, work.folder / "rtrd.sock", vrps=vrps)
    return Chain([work], version, settings).run(shlex.join(command), ready)


def run_attached(works: Sequence[Work], version: str, port: int) -> Took:
    """As the service of several ExaBGPs, each with a share of the routes."""
    program = find_program("rtrd", "make venv")
    control = works[0].folder / "rtrd.sock"
    configuration = works[0].configuration(port)
    with tempfile.TemporaryDirectory(dir=works[0].folder) as folder:
        service = Process("rtrd", [program, "run", "-c", str(configuration)], Path(folder))
        service.start()
        try:
            process = shlex.join([program, "attach", "--socket", str(control), "--name", "routerNUMBER"])
            return Chain(works, version).run(process, partial(_wait_ready, control), [service.pid])
        finally:
            service.stop()


def run_knowing(work: Work, version: str, batch: int, window: int, *, answers: bool = True) -> Took:
    """As the process: a helper that only writes what it was given; `answers` False: it waits for no route."""
    helper = str(Path(__file__).with_name("knowing.py"))
    updates = min(batch, work.share) / min(PACKING, work.share) if answers else 0
    command = [sys.executable, "-I", helper, str(work.commands(version, batch)), str(window), "2", str(updates)]
    return Chain([work], version).run(shlex.join(command), lambda _: None)


def _seconds(measure: Callable[[], Took]) -> float:
    return measure().seconds


def _exabgp(measure: Callable[[], Took]) -> float:
    return measure().exabgp


def measure(setting: Setting) -> list[Comparison]:
    count = setting.sized(COUNT)
    found = []
    with ScriptedCache(pack(VRP("192.0.2.0/24", 24, 64500))) as cache:
        for version in BEST:
            for share in SHARES:
                found += _beside_helpers(setting, Work(setting.folder, count, share), version, cache.port)
            fewer = Work(setting.folder, max(1, count // 5), SHARES[0])
            found.append(_settings(setting, fewer, version, cache.port))
            found.append(_two_routers(setting, count, version, cache.port))
    return found


def _beside_helpers(setting: Setting, work: Work, version: str, port: int) -> list[Comparison]:
    batch, window = BEST[version]
    print(f"from peer to peer through ExaBGP {version}, {work.share} routes a set, s", flush=True)
    knowing = partial(run_knowing, work, version, batch, window)
    runs = {
        "rtrd": partial(run_rtrd, work, version, port),
        ANSWERING: knowing,
        "a helper that waits for no route": partial(knowing, answers=False),
    }
    rounds, cpu = measured(setting.rounds, runs)
    helper = (
        f"The helper decides nothing. It writes ready commands of {batch} prefixes at most as soon as ExaBGP has"
        f" reported their routes, with at most {window} of them unanswered, which is the fastest. It reads octets,"
        " as rtrd does."
    )
    other = (
        "The other helper writes them as soon as both sessions are up: its last route is out before ExaBGP has"
        " read most of the peer's UPDATEs. No program that waits for the routes can do that."
    )
    size = f"{work.count:,} routes, at most {PACKING} in an UPDATE, {work.share} with the same attribute set"
    name = f"End to end through ExaBGP {version}, {work.share} routes an attribute set"
    notes = [f"{size}; each is announced with a tag.", helper, other]
    return [
        Comparison(name, "s", rounds, ANSWERING, 1.05, notes),
        Comparison(f"{name}: CPU", "us a route", cpu, ANSWERING, 1.05, [CPU, PARTS]),
    ]


def _settings(setting: Setting, work: Work, version: str, port: int) -> Comparison:
    print(f"CPU of ExaBGP {version} by its settings, us a route", flush=True)
    as_they_come = partial(run_rtrd, work, version, port, settings=DEFAULT_SETTINGS)
    measures = {
        "settings as docs/exabgp.md recommends": partial(_exabgp, partial(run_rtrd, work, version, port)),
        AS_THEY_COME: partial(_exabgp, as_they_come),
    }
    notes = [SINCE]
    if not setting.short:
        try:
            measures[BEFORE] = partial(_exabgp, partial(as_they_come, program=first_round.program()))
        except first_round.NotBuiltError as error:
            notes.append(f"It could not be built here, so the target is left open: {error}")
    rounds = interleaved(setting.rounds, measures)
    note = (
        f"{work.count:,} routes with rtrd, {work.share} with the same attribute set. Recommended: packets mode, log"
        " level WARNING, `adj-rib-in false` where neighbors refresh, no UPDATEs of a neighbor that only receives."
    )
    name = f"CPU of ExaBGP {version} by its settings"
    against, most = (BEFORE, CHEAPER[version]) if BEFORE in measures else (AS_THEY_COME, None)
    return Comparison(name, "us a route", rounds, against, most, [note, *notes])


def _two_routers(setting: Setting, count: int, version: str, port: int) -> Comparison:
    print(f"two ExaBGPs {version} attached to one service, s", flush=True)
    halves = [Work(setting.folder, count // 2, SHARES[0], chain) for chain in range(2)]
    whole = Work(setting.folder, count // 2 * 2, SHARES[0])
    measures = {
        "two ExaBGPs, a half of the routes each": partial(_seconds, partial(run_attached, halves, version, port)),
        "one ExaBGP, all routes": partial(_seconds, partial(run_attached, [whole], version, port)),
    }
    rounds = interleaved(setting.rounds, measures)
    return Comparison(f"Two ExaBGPs {version} attached to one service", "s", rounds, notes=[f"{whole.count:,} routes."])


def search(version: str, share: int, count: int = 20_000) -> None:
    """Print how long the knowing helper takes with each batch and window."""
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as folder:
        work = Work(Path(folder), count, share)
        for batch in BATCHES:
            for window in WINDOWS:
                taken = run_knowing(work, version, batch, window).seconds
                print(f"{version}: {batch} prefixes, {window} commands: {taken:.2f} s", flush=True)


if __name__ == "__main__":
    search(sys.argv[1], int(sys.argv[2]))
