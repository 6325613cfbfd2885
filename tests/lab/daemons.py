"""`rtrd run` as a service, without a router: the real process."""

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from rtrd.commands import http_client
from rtrd.demo.lab import Process
from tests.lab.programs import RTRD, asked, rtrd
from tests.lab.wait import SECONDS


class Where(Protocol):
    """What a daemon must know of a cache."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class At:
    """Where a cache is."""

    address: str
    port: int


def caches_of(
    groups: Mapping[str, Iterable[Where]], options: Mapping[str, Any] | None = None, **timers: Any
) -> dict[str, Any]:
    """Return `caches` of rtrd.yaml: groups by falling preference, options of each, and timers for the impatient."""
    more = options or {}
    made = [
        {
            "name": name,
            "preference": number,
            "servers": [{"host": one.address, "port": one.port, **more} for one in group],
        }
        for number, (name, group) in enumerate(groups.items(), start=1)
    ]
    return {"refresh": 60, "retry": 1, "expire": 600, **timers, "groups": made}


def once(
    process: Process, socket: Path, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float
) -> dict[str, Any]:
    """Return the status that is answered at a socket once it is as `wanted`; the process is the one to blame."""

    def look() -> dict[str, Any] | None:
        status = http_client.status(socket)
        return status if status is not None and wanted(status) else None

    return process.wait_until(look, seconds, what, tick=0.02)


class Daemon:
    """One `rtrd run`; it can be stopped and started again."""

    def __init__(
        self,
        folder: Path,
        caches: Sequence[Where | Sequence[Where]],
        name: str = "rtrd",
        settings: Mapping[str, Any] | None = None,
        *,
        timers: Mapping[str, Any] | None = None,
        program: Sequence[str] = (),
        engine: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Take one cache or several for each group, the preferred one first, and further settings.

        `timers`: of `caches`, beside the groups. `program`: instead of `rtrd run`. `engine`: of each cache; None: the
        default. `options`: further keys of each cache.
        """
        self.folder = folder
        self.name = name
        self.config = folder / f"{name}.yaml"
        self.socket = folder / f"{name}.sock"
        self._program = list(program)
        self.options: list[str] = []
        groups = {f"group{n}": each if isinstance(each, Sequence) else [each] for n, each in enumerate(caches, start=1)}
        of_each = {**(options or {}), **({} if engine is None else {"engine": engine})}
        own = {"caches": caches_of(groups, of_each, **(timers or {})), "control": str(self.socket)}
        self.config.write_text(yaml.safe_dump({**own, **(settings or {})}))
        self.process = Process(name, [], folder)
        self._starts = 0

    @property
    def leftovers(self) -> list[str]:
        return self.process.leftovers

    def start(self) -> None:
        """Start, and return when it answers."""
        self._starts += 1
        argv = [*(self._program or (RTRD, "run")), "-c", str(self.config), *self.options]
        self.process = self.make_process(f"{self.name}-{self._starts}", argv)
        self.process.start()
        self.wait_status(lambda _: True, "an answer")

    def make_process(self, name: str, argv: list[str]) -> Process:
        return Process(name, argv, self.folder)

    def stop(self) -> None:
        self.process.stop()

    def status(self) -> dict[str, Any] | None:
        """What /status answers; None when nobody does."""
        return http_client.status(self.socket)

    def wait_status(
        self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = SECONDS
    ) -> dict[str, Any]:
        """Return the status once it is as `wanted`."""
        return once(self.process, self.socket, wanted, what, seconds)

    def now(self) -> dict[str, Any]:
        """What /status answers."""
        status = self.status()
        assert status is not None
        return status

    def wait_serves(self) -> dict[str, Any]:
        """Return the status once it serves RTR."""
        return self.wait_status(lambda status: status["rtr_server"]["serial"] is not None, "the relay to serve")

    def reload(self, *options: str) -> subprocess.CompletedProcess[str]:
        return rtrd("reload", "--socket", self.socket, *options)

    def wait_vrps(self, count: int) -> dict[str, Any]:
        """Return the status once there are exactly so many effective VRPs."""
        return self.wait_status(lambda status: sum(status["vrps"].values()) == count, f"{count} VRPs")

    def relay_port(self) -> int:
        """Where it serves RTR."""
        return int(self.now()["rtr_server"]["listen"][0].rpartition(":")[2])

    def relay(self) -> Where:
        """What another daemon must know of it as a cache."""
        return At("127.0.0.1", self.relay_port())

    def validity(self, prefix: str, asn: int) -> str:
        """What `rtrd validate` says."""
        answer = asked(self.socket, "validate", prefix, asn)
        return str(answer["validated_route"]["validity"]["state"])
