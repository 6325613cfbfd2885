"""Measures ExaBGP's own CPU time to make a line from an UPDATE and hand it to a helper that only counts."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench import counting, lines
from bench.chain import PEER, ROUTER
from bench.pipe import Usage
from bench.speaker import Speaker, update
from rtrd.demo.lab import Lab, LabError, find_program
from rtrd.demo.routers import EXABGP_5, ExaBGP, Neighbor

COUNT = 5000
"""Lines: one or two seconds of ExaBGP."""
LIMIT = 120.0


def encode(packed: Iterable[lines.Packed]) -> list[bytes]:
    """Give the UPDATEs."""
    return [
        update(lines.attributes_of(origin, which), lines.NEXT_HOP_V6 if is_ipv6 else PEER, prefixes)
        for origin, which, is_ipv6, prefixes in packed
    ]


def spent(folder: Path, updates: list[bytes]) -> float:
    """Give the CPU microseconds a line, of ExaBGP 5.0.15 and nothing else, with a peer that sends them all at once."""
    program = find_program("exabgp", EXABGP_5)
    with tempfile.TemporaryDirectory(dir=folder) as inner, Lab(Path(inner)) as lab:
        counted = Path(inner) / "lines"
        command = shlex.join([sys.executable, "-I", counting.__file__, str(counted)])
        router = ExaBGP(lab.folder, name="router", address=ROUTER, asn=65001, program=program, process=command)
        router.neighbors = [Neighbor(address=PEER, asn=65002)]
        lab.start(router)
        usage = Usage([router.process.pid])
        with Speaker(PEER, 65002, (ROUTER, router.port)) as peer:
            if not peer.up.wait(LIMIT):
                raise LabError("a session did not come up")
            time.sleep(1)
            begin = usage.cpu()
            peer.send(b"".join(updates))
            _wait(counted, len(updates))
            return (usage.cpu() - begin) / len(updates) * 1e6


def _wait(counted: Path, count: int) -> None:
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        text = counted.read_text(encoding="ascii") if counted.exists() else ""
        if text and int(text) >= count:
            return
        time.sleep(0.01)
    raise LabError(f"ExaBGP told of {text or 'none'} of {count} UPDATEs")
