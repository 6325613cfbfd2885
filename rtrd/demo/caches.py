"""An RTR cache on a loopback port: our own `rtrd cache`."""

from __future__ import annotations

import json
import signal
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

from rtrd.demo.lab import Listening, find_program
from rtrlib.vrp import VRP

__all__ = ["VRP", "Cache", "RtrdCache", "write_vrps"]


def write_vrps(path: Path, vrps: Iterable[VRP]) -> None:
    """Write a VRP file (the JSON of rpki-client, Routinator and StayRTR), replacing an old one at once."""
    roas = [{"asn": f"AS{vrp.asn}", "prefix": vrp.prefix, "maxLength": vrp.max_length, "ta": "lab"} for vrp in vrps]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"metadata": {"roas": len(roas)}, "roas": roas}, indent=1) + "\n")
    new.replace(path)


class Cache(Listening):
    """A cache that serves a VRP file."""

    def __init__(self, folder: Path, vrps: Iterable[VRP], name: str, address: str) -> None:
        super().__init__(folder, name, address)
        self.file = folder / f"{name}.json"
        write_vrps(self.file, vrps)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()

    @abstractmethod
    def serve(self, vrps: Iterable[VRP]) -> None:
        """Serve these VRPs from now on."""

    @abstractmethod
    def _argv(self, port: int) -> list[str]: ...

    def _start(self, port: int) -> None:
        self._run(port, self._argv(port))


class RtrdCache(Cache):
    """`rtrd cache`, which rereads its file on SIGHUP at once (by itself it looks now and then)."""

    def __init__(self, folder: Path, vrps: Iterable[VRP] = (), name: str = "cache", address: str = "127.0.0.4") -> None:
        super().__init__(folder, vrps, name, address)

    def serve(self, vrps: Iterable[VRP]) -> None:
        """Serve these VRPs from now on."""
        write_vrps(self.file, vrps)
        self.process.send_signal(signal.SIGHUP)

    def _argv(self, port: int) -> list[str]:
        rtrd = find_program("rtrd", "make venv")
        listen = f"{self.address}:{port}"
        # The RFC's one notify a minute would have the second change of a demo wait for it.
        return [rtrd, "cache", "--vrps", str(self.file), "--listen", listen, "--notify-interval", "0"]
