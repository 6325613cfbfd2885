"""Caches that the benchmarks start: `rtrd cache` and StayRTR, each over a file that it reads again on SIGHUP."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import generate
from bench.crowd import HOST, reset
from rtrd.demo.lab import Process, find_program
from rtrd.demo.ports import free_port

LIMIT = 120
"""Seconds."""
FRAME = 8 + 24
"""Cache Response and End of Data of version 1."""
BEGIN = b'"roas": ['
ENTRY = b'{"prefix": "192.0.2.0/24", "maxLength": 24, "asn": "AS64500", "ta": "bench"},'
"""The VRP that comes and goes: an IPv4 one, which no generated one is equal to."""
DELTA = FRAME + 20


def octets(vrps: list[bytes]) -> int:
    """How long the answer with these VRPs is."""
    return FRAME + sum(20 if one[22] == 4 else 32 for one in vrps)


@dataclass
class Server:
    """A cache over a file that it reads again on SIGHUP."""

    process: Process
    port: int
    file: Path
    vrps: list[bytes]
    extra: bool = False
    text: bytes = b""
    """The file without the extra VRP."""

    def change(self) -> None:
        """Let one VRP come, or go."""
        self.extra = not self.extra
        if not self.text:
            self.text = self.file.read_bytes()
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(self.text.replace(BEGIN, BEGIN + ENTRY, 1) if self.extra else self.text)
        fresh.replace(self.file)
        self.process.send_signal(signal.SIGHUP)

    def size(self) -> int:
        """Octets of the whole set now."""
        return octets(self.vrps) + (20 if self.extra else 0)


def ready(port: int) -> None:
    """Return when a server has read its file: it answers a Reset Query with a Cache Response."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with socket.create_connection((HOST, port), LIMIT) as one:
            one.sendall(reset())
            if one.recv(2)[1:] == b"\x03":
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing is served at port {port}")


def start(
    folder: Path,
    name: str,
    vrps: list[bytes],
    argv: Callable[[int, Path], list[str]],
    customers: Mapping[int, list[int]] | None = None,
) -> Server:
    """Start a server; it may listen before it has read its file. `customers`: their ASPAs are in it."""
    port, file = free_port(HOST), folder / f"{name}.json"
    generate.write(file, vrps, customers)
    process = Process(name, argv(port, file), folder)
    process.start()
    process.wait_listening(port, LIMIT)
    return Server(process, port, file, vrps)


def stayrtr(port: int, file: Path) -> list[str]:
    """Give the command."""
    options = ["-checktime=false", "-metrics.addr", f"{HOST}:0", "-loglevel", "warning", "-protocol", "1"]
    program = find_program("stayrtr", "as root: apt-get install stayrtr")
    return [program, *options, "-bind", f"{HOST}:{port}", "-cache", str(file), "-refresh", "86400"]


def rtrd_cache(port: int, file: Path) -> list[str]:
    """Give the command. Without RFC 8210's minute between two notifies, as StayRTR has it."""
    program = find_program("rtrd", "make venv")
    return [program, "cache", "--vrps", str(file), "--listen", f"{HOST}:{port}", "--notify-interval", "0"]
