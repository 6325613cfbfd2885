"""A TCP link between two processes that can be cut and restored, as a cable or a firewall would."""

import contextlib
import socket
import threading

from rtrd.demo.ports import free_port

HOST = "127.0.0.1"


class Link:
    """Connections to `port` go on to another port; while it is cut, they are refused and those there were are gone."""

    def __init__(self, to: int, address: str = HOST) -> None:
        self.far = (address, to)
        self.port = free_port(HOST)
        self.taken = 0
        """Connections so far."""
        self._server: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.restore()

    def restore(self) -> None:
        """Let connections through, on the port of before."""
        self._server = socket.create_server((HOST, self.port))
        self._spawn(self._accept, self._server)

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        assert self._server is not None
        for one in (self._server, *self._ends):
            with contextlib.suppress(OSError):  # the other side was first
                one.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(10)
        self._ends.clear()
        self._threads.clear()

    def _spawn(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            self.taken += 1
            try:
                far = socket.create_connection(self.far, 10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._ends += [near, far]
            self._spawn(_copy, near, far)
            self._spawn(_copy, far, near)


def _copy(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := one.recv(65536):
            other.sendall(octets)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    one.close()
