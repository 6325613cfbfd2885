"""`rtrd run --exabgp` with a scripted ExaBGP around it, which says lines of JSON and keeps rtrd's commands.

What this ExaBGP hears it answers as 5.0.15 does, and forgets all but what it advertises. All of rtrd is the real thing.
"""

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtrd.demo.lab import LabError, Process
from rtrd.exabgp.window import PASSWORD
from tests.lab.daemons import Daemon
from tests.lab.samples import sample
from tests.lab.wait import SECONDS

UPDATE = json.loads(sample("update-v4-1"))
PEER, LISTENER = "127.0.0.2", "127.0.0.3"
POLICY = [
    {
        "from": [PEER],
        "to": [LISTENER],
        "valid": {"action": "announce", "tags": ["rfc8097"]},
        "not-found": {"action": "announce", "tags": ["rfc8097"]},
        "invalid": {"action": "withdraw"},
    }
]
ANSWERS = {
    "version": "exabgp 5.0.15\n",
    **dict.fromkeys(
        ("show neighbor summary", PASSWORD[1].strip()),
        "Peer            AS        up/down state       |     #sent     #recvd\n",
    ),
}

COMMAND = re.compile(
    r"neighbor (?P<neighbor>\S+) (?P<verb>announce|withdraw) attributes (?P<attributes>.*) nlri (?P<prefixes>.*)"
)


class PipedProcess(Process):
    """A process whose stdin and stdout are pipes to the test; its stderr is its log."""

    def __init__(self, process: Process, says: Callable[[str], str]) -> None:
        super().__init__(process.name, process.argv, process.log.parent)
        self.commands: list[tuple[float, str]] = []
        self._says = says
        self._lock = threading.Lock()
        self._commanded: threading.Thread | None = None

    def start(self) -> None:
        """Start, and answer what it says."""
        self._popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self.argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._out, self._in = self._popen.stdout, self._popen.stdin
        self._popen.stdout = self._popen.stderr  # what the base class takes for the log
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._commanded = threading.Thread(target=self._answer, daemon=True)
        self._reader.start()
        self._commanded.start()

    def say(self, text: str) -> None:
        """Write to its stdin."""
        assert self._in is not None
        with self._lock:
            self._in.write(text)
            self._in.flush()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; its pipes are closed."""
        super().stop(number)
        if self._commanded is not None:
            self._commanded.join(SECONDS)
            for pipe in (self._in, self._out):
                assert pipe is not None
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # it was gone before it read all

    def _answer(self) -> None:
        assert self._out is not None
        for line in self._out:
            with self._changed:
                self.commands.append((time.monotonic(), line.rstrip("\n")))
                self._changed.notify_all()
            try:
                self.say(self._says(line.strip()))
            except (BrokenPipeError, ValueError):
                return  # it ends


class AdjRIBOut:
    """What an ExaBGP advertises as it was told, and its answers."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], str] = {}

    def answer(self, line: str) -> str:
        """Do and answer a command."""
        command = COMMAND.fullmatch(line)
        if command is not None:
            for prefix in command["prefixes"].split():
                self._routes.pop((command["neighbor"], prefix), None)
                if command["verb"] == "announce":
                    self._routes[command["neighbor"], prefix] = command["attributes"]
        listed = self._routes.items() if line.startswith("show adj-rib out ") else ()
        return "".join(map(as_listed, listed)) + ANSWERS.get(line, "") + "done\n"


def as_listed(route: tuple[tuple[str, str], str]) -> str:
    """A line of `show adj-rib out extensive`."""
    (neighbor, prefix), attributes = route
    family = "ipv6" if ":" in prefix else "ipv4"
    session = "local-ip 127.0.0.1 local-as 65001 peer-as 65001 router-id 127.0.0.1 family-allowed in-open"
    return f"neighbor {neighbor} {session} {family} unicast {prefix} {attributes}\n"


class ScriptedExaBGP(Daemon):
    """A daemon as ExaBGP's process, and what that ExaBGP would say."""

    def __init__(
        self, folder: Path, caches: Sequence[Any], settings: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        super().__init__(folder, caches, settings={"policy": POLICY, **(settings or {})}, **options)
        self.options = ["--exabgp"]

    def make_process(self, name: str, argv: list[str]) -> Process:
        return PipedProcess(Process(name, argv, self.folder), AdjRIBOut().answer)

    @property
    def pipe(self) -> PipedProcess:
        assert isinstance(self.process, PipedProcess)
        return self.process

    def comes_up(self, address: str = PEER) -> None:
        """Say that the session to a neighbor is up."""
        neighbor = {**UPDATE["neighbor"], "address": {"local": "127.0.0.1", "peer": address}, "state": "up"}
        del neighbor["message"]
        self.pipe.say(json.dumps({**UPDATE, "type": "state", "neighbor": neighbor}) + "\n")

    def announces(self, prefix: str, origin: int) -> None:
        """Say that PEER announced a route."""
        family, hop = ("ipv6 unicast", "2001:db8:ffff::1") if ":" in prefix else ("ipv4 unicast", PEER)
        update = {
            "attribute": {"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [65002, origin]}}},
            "announce": {family: {hop: [{"nlri": prefix}]}},
        }
        self.pipe.say(json.dumps({**UPDATE, "neighbor": {**UPDATE["neighbor"], "message": {"update": update}}}) + "\n")

    def begins(self, prefix: str, origin: int) -> None:
        """Say that both sessions are up, and that PEER announced a route."""
        self.comes_up()
        self.comes_up(LISTENER)
        self.announces(prefix, origin)

    def wait_announced_and_withdrawn(self, prefix: str, make_invalid: Callable[[], None]) -> None:
        """Return when a route was announced, and then, as it is made invalid, withdrawn."""
        self.wait_changes(0, ("announce", [prefix]))
        said = self.position()
        make_invalid()
        self.wait_changes(said, ("withdraw", [prefix]))

    def changes(self, since: int = 0) -> list[tuple[str, frozenset[str]]]:
        """What was said since a position, line by line: `announce` or `withdraw`, and the prefixes."""
        found = []
        for _, line in self.pipe.commands[since:]:
            verb = re.search(r"\b(announce|withdraw)\b", line)
            if verb is not None and not re.search(r"route-refresh", line):
                found.append((verb[1], frozenset(re.findall(r"(?<= )[0-9a-f.:]+/\d+", line))))
        return found

    def position(self) -> int:
        """A position in what it says."""
        return len(self.pipe.commands)

    def wait_changes(self, since: int, *wanted: tuple[str, Iterable[str]]) -> None:
        """Wait until exactly these prefixes were announced and withdrawn since a position, each once."""
        whole = sorted((verb, prefix) for verb, prefixes in wanted for prefix in prefixes)

        def came() -> list[tuple[str, str]]:
            return sorted((verb, prefix) for verb, prefixes in self.changes(since) for prefix in prefixes)

        try:
            self.process.wait_until(lambda: len(came()) >= len(whole), SECONDS, f"{whole}", tick=0.02)
        except LabError as error:
            raise AssertionError(f"{came()} instead of {whole}") from error
        assert came() == whole
