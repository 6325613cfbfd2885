"""Real processes on this host, with logs of their own, awaited by event, ended by pid.

The demo and the end-to-end tests share it. Everything listens on loopback addresses and on ports that the
kernel chose; whatever a `Lab` started is gone when its block ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeVar

from rtrd.demo.ports import free_port

COLOR = re.compile(r"\x1b\[[0-9;]*m")
PORT_ATTEMPTS = 5
STOP_SECONDS = 15.0
ORPHAN_SECONDS = 3.0
"""How long what a process started may outlive it before it is killed and counted as left over."""


class LabError(Exception):
    """What could not be started or did not happen, in a sentence for the person at the terminal."""


class PortTakenError(LabError):
    """Another program took the chosen port first; another port may do."""


class Line(NamedTuple):
    """A line of a process's output and the `time.monotonic()` of its arrival."""

    time: float
    text: str


T = TypeVar("T")


def find_program(name: str, install: str, *first: str) -> str:
    """Return the path of a program: of the folders `first`, of this Python's environment, then of the system.

    Raises LabError that names `install`, the command that brings it.
    """
    folders = [*first, str(Path(sys.prefix) / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise LabError(f"{name} is not installed: {install}")
    return found


def want_programs(wanted: Iterable[tuple[str, str]]) -> None:
    """Raise LabError that names all programs that are missing, each with what brings it."""
    missing = []
    for name, install in wanted:
        try:
            find_program(name, install)
        except LabError as error:
            missing.append(str(error))
    if missing:
        raise LabError("; ".join(missing))


def on_free_port(address: str, start: Callable[[int], T]) -> T:
    """Call `start` with a free port, again with another one while it raises PortTakenError."""
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return start(free_port(address))
        except PortTakenError:
            continue
    return start(free_port(address))


class Process:
    """A program with its own session and log file; its output is read as it comes.

    It dies with this Python, even by SIGKILL. Nothing of its session outlives `stop`.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        signals: int = 1,
    ) -> None:
        """`signals`: how often it may be told to end."""
        self.name = name
        self.argv = list(argv)
        self.log = folder / f"{name}.log"
        self.lines: list[Line] = []
        self.leftovers: list[str] = []
        self._signals = signals
        self._environment = {**os.environ, **(environment or {})}
        self._changed = threading.Condition()
        self._popen: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id; LabError when it was never started."""
        if self._popen is None:
            raise LabError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the program itself still runs."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """As of subprocess: None while it runs, negative when a signal ended it."""
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        """Start the program; OSError becomes LabError."""
        guard = shutil.which("setpriv")
        argv = [guard, "--pdeathsig", "KILL", *self.argv] if guard else self.argv
        try:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
                text=True,
                errors="backslashreplace",
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"{self.name} did not start: {error}") from error
        self._reader = threading.Thread(target=self._read, name=f"{self.name} log", daemon=True)
        self._reader.start()

    def wait_until(self, found: Callable[[], T | None], seconds: float, what: str, *, tick: float = 0.5) -> T:
        """Return the first result of `found` that is not None or False, asked after every line that arrives.

        `tick` (seconds) asks also when nothing arrives. Raises LabError after `seconds`, or when the program
        ended, with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                seen = len(self.lines)
            ended = not self.running
            result = found()
            if result:
                return result
            if ended:
                raise LabError(f"{self.name} ended ({self.returncode}); waited for {what}\n{self.tail()}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"{self.name}: waited {seconds:g} s for {what}\n{self.tail()}")
            with self._changed:
                if len(self.lines) == seen:
                    self._changed.wait(min(left, tick))

    def wait_for(self, pattern: str, seconds: float = 15, since: int = 0) -> Line:
        """Return the first line, counted from `since`, in which the regular expression `pattern` is found."""
        expression = re.compile(pattern)
        position = since

        def search() -> Line | None:
            nonlocal position
            while position < len(self.lines):
                line = self.lines[position]
                position += 1
                if expression.search(line.text):
                    return line
            return None

        return self.wait_until(search, seconds, f"a line with {pattern!r}")

    def wait_listening(self, port: int, seconds: float = 15) -> None:
        """Return when the program itself listens on a TCP port; PortTakenError when another one does."""
        try:
            self.wait_until(lambda: port in listening_ports(self.pid), seconds, f"port {port} to listen", tick=0.02)
        except LabError as error:
            self.stop()
            if re.search(r"in use|[Cc]an ?not bind|could not listen", self.tail(30)):
                raise PortTakenError(f"{self.name}: port {port} is taken") from error
            raise

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Return the exit code once the program ended; LabError after `seconds`."""
        if self._popen is None:
            raise LabError(f"{self.name} was not started")
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name} did not end within {seconds:g} s\n{self.tail()}") from error

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the program and whatever it started; what had to be killed is named in `leftovers`."""
        if self._popen is None:
            return
        if self.running and not any(self._ends(number) for _ in range(self._signals)):
            self.leftovers.append(f"{self.name} (pid {self.pid}) ignored {number.name}")
            self._popen.kill()
            self._popen.wait()
        self._end_session()
        if self._reader is not None:
            self._reader.join(STOP_SECONDS)

    def _ends(self, number: signal.Signals) -> bool:
        assert self._popen is not None
        self._popen.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(STOP_SECONDS)
        return not self.running

    def kill(self) -> None:
        """End the program by SIGKILL; what it started gets the time to notice by itself."""
        self.stop(signal.SIGKILL)

    def tail(self, lines: int = 12) -> str:
        """Return the end of the log, indented."""
        return "\n".join(f"    {line.text}" for line in self.lines[-lines:] if line.text.strip())

    def _read(self) -> None:
        assert self._popen is not None
        assert self._popen.stdout is not None
        with self.log.open("a") as log, self._popen.stdout as output:
            for text in output:
                arrived = time.monotonic()
                log.write(text)
                log.flush()
                with self._changed:
                    self.lines.append(Line(arrived, COLOR.sub("", text.rstrip("\n"))))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _end_session(self) -> None:
        for pid, command in self._left(ORPHAN_SECONDS).items():
            self.leftovers.append(f"{command} (pid {pid}) outlived {self.name}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._left(STOP_SECONDS)  # a busy machine takes its time to end them

    def _left(self, seconds: float) -> dict[int, str]:
        """Give what is left of its session, after so long at most (pid to command)."""
        deadline = time.monotonic() + seconds
        members = session_members(self.pid)
        while members and time.monotonic() < deadline:
            time.sleep(0.02)
            members = session_members(self.pid)
        return members


def listening_ports(pid: int) -> set[int]:
    """Return the TCP ports on which a process of ours listens; none once it ended."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            continue  # closed meanwhile
    ports = set()
    for table in ("tcp", "tcp6"):
        try:  # its own table: it may be in another network namespace
            rows = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
        except OSError:
            return set()  # it ended meanwhile
        for row in rows[1:]:
            # proc(5): sl, local address:port in hex, remote, state (0A is LISTEN), ..., inode.
            _, local, _, state, *rest = row.split()
            if state == "0A" and rest[5] in inodes:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def session_members(session: int) -> dict[int, str]:
    """Return the living processes (pid to command) of a session."""
    members = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        # proc(5): the command is in parentheses and may hold any character.
        command, _, rest = stat.partition("(")[2].rpartition(")")
        state, _, _, sid = rest.split()[:4]
        if int(sid) == session and state not in "ZX":
            members[int(entry.name)] = command
    return members


class Part(Protocol):
    """What a Lab can start: a router or a cache."""

    def start(self) -> None:
        """Start, and return when it serves."""

    def stop(self) -> None:
        """End every process of it."""

    @property
    def leftovers(self) -> list[str]:
        """What had to be killed."""


PartT = TypeVar("PartT", bound=Part)


class Listening(ABC):
    """A program that listens on an address, on a port that stays its own over restarts."""

    signals = 1
    """How often it may be told to end."""

    def __init__(self, folder: Path, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self.process = Process(name, (), folder)
        self._folder = folder

    @property
    def leftovers(self) -> list[str]:
        """What had to be killed."""
        return self.process.leftovers

    def start(self) -> None:
        """Start, and return when it listens: on its old port after a stop, else on a free one."""
        if self.port:
            self._start(self.port)
        else:
            on_free_port(self.address, self._start)

    def stop(self) -> None:
        """End it; its port stays its own for another start."""
        self.process.stop()

    @abstractmethod
    def _start(self, port: int) -> None: ...

    def _run(self, port: int, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = Process(self.name, argv, self._folder, environment, self.signals)
        self.process.start()
        self.process.wait_listening(port)
        self.port = port


class Lab:
    """The parts of one experiment and a folder for their files; every process ends with its `with` block.

    A folder of its own goes too, unless a LabError leaves the block after something was started: then logs say more.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="rtrd-lab-"))
        self._parts: list[Part] = []
        self.leftovers: list[str] = []

    def start(self, part: PartT) -> PartT:
        """Start a part and return it; from now on the lab ends it."""
        self._parts.append(part)
        part.start()
        return part

    def stop(self) -> None:
        """End every part, the last started first."""
        while self._parts:
            part = self._parts.pop()
            part.stop()
            self.leftovers += part.leftovers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            says_more = isinstance(error, LabError) and any(self.folder.glob("*.log"))
            if self._temporary and not says_more:
                shutil.rmtree(self.folder)
