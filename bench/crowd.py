"""Plays many RTR routers in one process, and measures when the last of them has a full set, and then a change.

As a program: `python -m bench.crowd PORT CLIENTS FULL DELTA VERSION`. FULL and DELTA are the octets of the two answers,
VERSION is that of RTR. It prints one JSON object per line:
`{"loaded": seconds}` when all have the whole set, `{"changed": monotonic}` when all have the next change.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"
NOTIFY = 12
CHUNK = 1 << 20


def reset(version: int = 1) -> bytes:
    """Give a Reset Query."""
    return struct.pack(">BBHI", version, 2, 0, 8)


def connect(port: int, clients: int) -> dict[int, socket.socket]:
    """Open the connections."""
    found = {}
    for _ in range(clients):
        one = socket.create_connection((HOST, port), 60)
        one.setblocking(False)
        found[one.fileno()] = one
    return found


class Crowd:
    """The connections, and what each still waits for."""

    def __init__(self, port: int, clients: int, version: int = 1) -> None:
        self._version = version
        self.sockets = connect(port, clients)
        self._poll = select.epoll()
        for fd in self.sockets:
            self._poll.register(fd, select.EPOLLIN)
        self._buffer = bytearray(CHUNK)
        self.end = b""
        """The last End of Data."""

    def answered(self, size: int) -> None:
        """Return when each one received so many octets more."""
        left = dict.fromkeys(self.sockets, size)
        while left:
            for fd, _ in self._poll.poll():
                view = memoryview(self._buffer)[: min(CHUNK, left[fd])]
                got = self.sockets[fd].recv_into(view)
                assert got, "the server dropped one"
                left[fd] -= got
                if not left[fd]:
                    self.end = bytes(view[max(0, got - 24) : got])
                    del left[fd]
                    self._poll.unregister(fd)
        for fd in self.sockets:
            self._poll.register(fd, select.EPOLLIN)

    def load(self, size: int) -> float:
        """Ask for everything, all at once; gives the seconds until the last one has it."""
        begin = time.perf_counter()
        for one in self.sockets.values():
            one.sendall(reset(self._version))
        self.answered(size)
        return time.perf_counter() - begin

    def follow(self, size: int) -> float:
        """Wait for the notify at each, ask, and give when (`time.monotonic()`) the last one has the change."""
        session, serial = struct.unpack(">H", self.end[2:4])[0], struct.unpack(">I", self.end[8:12])[0]
        query = struct.pack(">BBHII", self._version, 1, session, 12, serial)
        left = dict.fromkeys(self.sockets, NOTIFY + size)
        while left:
            for fd, _ in self._poll.poll():
                one = self.sockets[fd]
                got = one.recv_into(memoryview(self._buffer)[: left.get(fd, 0)])
                assert got, "the server dropped one"
                if left[fd] > size >= left[fd] - got:
                    one.sendall(query)
                left[fd] -= got
                if not left[fd]:
                    del left[fd]
                    self._poll.unregister(fd)
        return time.monotonic()


@contextmanager
def apart(port: int, clients: int, full: int, delta: int, version: int = 1) -> Iterator[Callable[[], dict[str, float]]]:
    """Have a crowd in a process of its own; gives what gives the next thing that it says."""
    argv = [sys.executable, "-m", "bench.crowd", *map(str, (port, clients, full, delta, version))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdout is not None
        said = crowd.stdout

        def next_said() -> dict[str, float]:
            found: dict[str, float] = json.loads(said.readline())
            return found

        try:
            yield next_said
        finally:
            crowd.kill()


def main(port: int, clients: int, full: int, delta: int, version: int) -> None:
    """Be the crowd."""
    crowd = Crowd(port, clients, version)
    print(json.dumps({"loaded": crowd.load(full)}), flush=True)
    print(json.dumps({"changed": crowd.follow(delta)}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
