"""Finds TCP ports for programs that are about to listen, which nobody else takes meanwhile.

A port that the kernel names (bind to port 0) is one of those that it also gives to every connection that goes out:
between the question and the program that listens, any connection of any program may take it. Those below that range
it gives to nobody. Of them each process has a block of its own, so two that ask at once get different ones.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000
BLOCK = 100


class Ports:
    """The ports of one process: a block that a socket with its name claims, for as long as the process lives."""

    def __init__(self, blocks: range) -> None:
        """Take any of the blocks, given by their first ports, that no other process has."""
        self.pid = os.getpid()
        self._claim: socket.socket | None = None
        self._turn = 0
        self._block = range(0)
        for first in random.sample(blocks, len(blocks)):
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0rtrd lab, ports from {first}")
            except OSError:
                claim.close()
                continue
            self._claim, self._block = claim, range(first, first + BLOCK)
            return

    def free(self, address: str) -> int:
        """Return a port of `address` that nothing uses, each time another one as long as there are others."""
        for _ in self._block:
            port = self._block[self._turn % BLOCK]
            self._turn += 1
            if _bound(address, port):
                return port
        return _bound(address, 0)


_ports: Ports | None = None


def free_port(address: str) -> int:
    """Return a TCP port of `address` that nothing uses, and that until it ends this process alone gives away."""
    global _ports  # noqa: PLW0603  # of a process, as the ports are
    if _ports is None or _ports.pid != os.getpid():
        given_by_the_kernel = int(RANGE.read_text("ascii").split()[0])
        _ports = Ports(range(LOWEST, given_by_the_kernel - BLOCK + 1, BLOCK))
    return _ports.free(address)


def _bound(address: str, port: int) -> int:
    """Bind a port for a moment; give it, 0 when that can't be done."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            if port == 0:
                raise
            return 0
        return int(probe.getsockname()[1])
