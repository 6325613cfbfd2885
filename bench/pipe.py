"""Runs a real `rtrd run --exabgp` on pipes, and records when it read and what it wrote.

This end plays ExaBGP: it answers rtrd's questions, and each command with `done`, at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import select
import signal
import subprocess
import sys
import termios
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import yaml

from rtrd.commands import http_client
from rtrd.demo.lab import LabError, find_program, session_members

T = TypeVar("T")
PEER, RECEIVER = "127.0.0.2", "127.0.0.3"
CHUNK = 1 << 16
LIMIT = 600.0
TAGGING = [
    {
        "from": [PEER],
        "to": [RECEIVER],
        "valid": {"action": "announce", "tags": ["rfc8097"]},
        "not-found": {"action": "announce", "tags": ["rfc8097"]},
        "invalid": {"action": "withdraw"},
        "unverified": {"action": "hold"},
    }
]
"""A policy that says something of every route."""


class Read(NamedTuple):
    """When rtrd had read from the pipe (`time.perf_counter()`), and what its loop had had by then, seconds."""

    at: float
    cpu: float
    """On a CPU."""
    waited: float
    """Ready to run, without a CPU: others were on them, or the host had taken them from this machine."""


class Scheduled:
    """What the kernel says of a process's first thread, which is the loop, from /proc."""

    TICK: ClassVar = 1 / os.sysconf("SC_CLK_TCK")
    """Seconds in which what the host took is counted, of all CPUs together."""

    def __init__(self, pid: int) -> None:
        self._thread = os.open(f"/proc/{pid}/task/{pid}/schedstat", os.O_RDONLY)
        self._machine = os.open("/proc/stat", os.O_RDONLY)
        self._stolen = 0.0
        self._looked = -1.0

    def at(self, now: float) -> Read:
        """Read it, quickly."""
        cpu, waited, _ = os.pread(self._thread, 100, 0).split()
        if now - self._looked >= self.TICK:
            self._stolen = int(os.pread(self._machine, 200, 0).split(b"\n")[0].split()[8]) * self.TICK
            self._looked = now
        return Read(now, int(cpu) / 1e9, int(waited) / 1e9 + self._stolen)

    def close(self) -> None:
        os.close(self._thread)
        os.close(self._machine)


class Usage:
    """CPU seconds and memory of some processes, from /proc."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.pids = list(pids)

    def cpu(self) -> float:
        """Seconds that they were on a CPU, all their threads together."""
        total = 0
        for pid in self.pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def waited(self) -> Counter[str]:
        """Nanoseconds for which each of their threads was ready to run without a CPU: others were on them."""
        found: Counter[str] = Counter()
        for pid in self.pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found[task.name] = int((task / "schedstat").read_text().split()[1])
        return found

    def memory(self, field: str = "Pss") -> int:
        """Bytes; `Pss` counts what processes share once, `Rss` in each of them."""
        total = 0
        for pid in self.pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if row.startswith(f"{field}:"):
                        total += int(row.split()[1]) << 10
        return total


class Router:
    """The ExaBGP of one rtrd."""

    def __init__(
        self,
        folder: Path,
        caches: Sequence[tuple[str, int]],
        policy: Sequence[Mapping[str, Any]] = (),
        settings: Mapping[str, Any] | None = None,
        name: str = "rtrd",
    ) -> None:
        """Take one cache for each group, the preferred one first; without `policy` rtrd observes."""
        self.socket = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self._config = folder / f"{name}.yaml"
        groups = [
            {"name": f"group{number}", "preference": number, "servers": [{"host": host, "port": port}]}
            for number, (host, port) in enumerate(caches, start=1)
        ]
        timers = {"refresh": 3600, "retry": 1, "expire": 7200, "groups": groups}
        wanted = {"caches": timers, "control": str(self.socket), **({"policy": list(policy)} if policy else {})}
        self._config.write_text(yaml.safe_dump({**wanted, **(settings or {})}))
        self.reads: list[Read] = []
        """While `feed` runs."""
        self.commands = 0
        self.prefixes = 0
        """In announcements and withdraws that it was told."""
        self.heard = 0.0
        """When the last command arrived."""
        self._partial = b""
        self._owed = bytearray()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        rtrd = find_program("rtrd", "make venv")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [rtrd, "run", "-c", str(self._config), "--exabgp"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                bufsize=0,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._of = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._of, False)

    def stop(self) -> None:
        """Close the pipe, as ExaBGP does when it ends; kill what does not end then."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        for pid in session_members(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.wait()
        self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def usage(self) -> Usage:
        """All processes of this rtrd, those of its caches included."""
        return Usage([self.pid, *children(self.pid)])

    # -- talk

    def feed(self, lines: Iterable[bytes]) -> None:
        """Write lines as fast as rtrd reads them; answer what it says meanwhile."""
        chunks = _chunks(lines)
        pending = memoryview(b"")
        poller = select.poll()
        poller.register(self._of, select.POLLIN)
        poller.register(self._to, select.POLLOUT)
        unread = 0  # of what was written, when it was looked at last
        loop = Scheduled(self.pid)
        while True:
            if not pending:
                # Between two lines is where ExaBGP puts its answers.
                answers = bytes(self._owed)
                self._owed.clear()
                pending = memoryview(answers + next(chunks, b""))
                if not pending:
                    loop.close()
                    return
            ready = dict(poller.poll(LIMIT * 1000))
            if not ready:
                raise LabError(f"rtrd read nothing for {LIMIT:g} s")
            now = time.perf_counter()
            if self._of in ready:
                self._hear()
            if self._to in ready:
                left = _unread(self._to)
                if left < unread or not left:  # it has read, or read all and waits for us
                    self.reads.append(loop.at(now))
                unread = left
                try:
                    written = os.write(self._to, pending)
                    pending = pending[written:]
                    unread += written
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise LabError(f"rtrd ended: {self.log.read_text()[-2000:]}") from None

    def listen(self, until: Callable[[], bool], seconds: float = LIMIT, tick: float = 0.05) -> None:
        """Answer what rtrd says until something is so; LabError when it is not after some seconds."""
        poller = select.poll()
        poller.register(self._of, select.POLLIN)
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise LabError(f"rtrd: not within {seconds:g} s\n{self.log.read_text()[-2000:]}")
            if poller.poll(tick * 1000):
                self._hear()
                self.answer()

    def answer(self) -> None:
        """Write what is owed."""
        while self._owed:
            try:
                del self._owed[: os.write(self._to, self._owed)]
            except BlockingIOError:
                select.select([], [self._to], [])

    def wait_idle(self, seconds: float = LIMIT) -> None:
        """Return when all lines are read, all routes validated and nothing waits to be said."""

        def idle() -> bool:
            status = self.status()
            return status is not None and status["routers"][0]["outbox"] == 0 and not status["routers"][0]["unanswered"]

        self.listen(idle, seconds)

    def wait_vrps(self, count: int, seconds: float = 120) -> None:
        """Return when so many VRPs are effective."""
        self.listen(lambda: sum((self.status() or {"vrps": {}})["vrps"].values()) == count, seconds)

    def wait_lines(self, count: int, seconds: float = LIMIT) -> None:
        """Return when it has read so many lines that are events or answers."""
        self.listen(lambda: (self.status() or {"routers": [{"lines": 0}]})["routers"][0]["lines"] >= count, seconds)

    def routes(self) -> dict[str, int]:
        """How many routes have which validity."""
        status = self.status()
        found: dict[str, int] = status["routers"][0]["routes"] if status else {}
        return found

    def status(self) -> dict[str, Any] | None:
        return http_client.status(self.socket)

    @contextlib.contextmanager
    def apart(self, talk: Callable[[], T]) -> Iterator[list[T]]:
        """Let a fork of this process, in which nothing else runs, talk; at the end of the block its result is there."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                answer = pickle.dumps((talk(), self._partial, self._owed, self.commands, self.prefixes, self.heard))
                with os.fdopen(writing, "wb") as file:
                    file.write(answer)
                status = 0
            except Exception:  # noqa: BLE001 - this process ends here, and says why
                traceback.print_exc()
            os._exit(status)
        os.close(writing)
        found: list[T] = []
        try:
            yield found
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            with os.fdopen(reading, "rb") as file:
                answer = file.read()
            os.waitpid(pid, 0)
        if not answer:
            raise LabError("whoever talked to rtrd failed")
        one, self._partial, self._owed, self.commands, self.prefixes, self.heard = pickle.loads(answer)
        found.append(one)

    # -- inside

    def _hear(self) -> None:
        data = os.read(self._of, 1 << 20)
        if not data:
            raise LabError(f"rtrd ended: {self.log.read_text()[-2000:]}")
        self.heard = time.perf_counter()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line == b"version":
                self._owed += b"exabgp 5.0.15\n"
            elif line.startswith(b"show neighbor") and line.endswith(b"summary"):
                self._owed += b"Peer            AS        up/down state       |     #sent     #recvd\n"
            elif line.startswith(b"neighbor "):
                self.commands += 1
                self.prefixes += line.partition(b" nlri ")[2].count(b" ") + 1
            self._owed += b"done\n"


def _unread(pipe: int) -> int:
    """Give the octets that are in a pipe (FIONREAD)."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, about a pipe full at a time."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def children(pid: int) -> list[int]:
    """Children and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children(child)]
    return found
