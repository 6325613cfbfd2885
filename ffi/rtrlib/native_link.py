"""One connection to one cache, by an RTR client of our own: no child process, no thread, no copy of the set.

The protocol is `NativeSession`'s; here are the name, the socket and what the kernel says of them.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import threading
from typing import Final, TypeAlias

from rtrlib.faults import Fault, ended, unreachable
from rtrlib.link import Ended, Event, LinkEnded, Resume
from rtrlib.native_session import NativeSession
from rtrlib.servers import Intervals, Server

__all__ = ["NativeLink"]

VRP_OCTETS: Final = 64
"""Octets of `memory` for which a cache may send a VRP: what one takes in the set, with room to grow."""
FAREWELL: Final = 256 << 10
"""Octets of the cache that are thrown away before the connection is closed: what is unread then would reset it, and
the Error Report might be lost."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class _Resolver:
    """Looks a name up in a thread: the resolver may take minutes. Only for a name; an address needs none."""

    def __init__(self, server: Server) -> None:
        self.done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.addresses: list[Address] = []
        self.error: str | None = None
        self._server = server
        self._lock = threading.Lock()
        self._left = False
        threading.Thread(target=self._run, name="rtrlib resolver", daemon=True).start()

    def leave(self) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._left = True
            os.close(self.done)

    def _run(self) -> None:
        try:
            self.addresses = _addresses(self._server, 0)
        except OSError as error:
            self.error = error.strerror or str(error)
        with self._lock:
            if not self._left:
                os.eventfd_write(self.done, 1)


class NativeLink:
    """A connection that is being made, or the session over it. It begins at the first `tick`."""

    direct = True
    resumes = True
    pid: int | None = None

    def __init__(self, server: Server, intervals: Intervals, resume: Resume, memory: int) -> None:
        """`memory`: octets that the cache's VRPs may take. LinkEnded: no descriptor, or no thread for a name."""
        self._server = server
        self._intervals = intervals
        self._resume = resume
        self._most = memory // VRP_OCTETS
        self._addresses: list[Address] = []
        self._error = 0
        """Of the last address that was tried, an errno."""
        self._connect_ends: float | None = None
        self._socket: socket.socket | None = None
        self._session: NativeSession | None = None
        self._unsent = b""
        self._resolver: _Resolver | None = None
        try:
            # The one descriptor that is watched from outside: what it watches in turn changes.
            self._epoll = select.epoll()
        except OSError as error:
            raise LinkEnded(f"no file descriptor for another cache: {error.strerror}") from error
        try:
            if _is_address(server.host):
                self._addresses = _addresses(server, socket.AI_NUMERICHOST)
            else:
                self._resolver = _Resolver(server)
                self._epoll.register(self._resolver.done, select.EPOLLIN)
        except (OSError, RuntimeError) as error:
            self.close()
            why = getattr(error, "strerror", None) or error
            raise LinkEnded(f"{server.host} does not resolve: {why}", Fault.UNREACHABLE) from error

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptor that is readable when there is something to do."""
        return (self._epoll.fileno(),)

    def deadline(self) -> float | None:
        """When the connection takes too long, or what the session waits for."""
        if self._session is not None:
            return self._session.deadline()
        return self._connect_ends or 0.0

    def tick(self, now: float) -> list[Event]:
        """Begin; give up a connection that takes too long; do what the session has to do."""
        if self._session is not None:
            events = self._session.tick(now)
            self._flush()
            return events
        if self._connect_ends is None:
            self._connect_ends = now + self._server.connect_timeout
            return self._connect() if self._resolver is None else []
        if now >= self._connect_ends:
            return [self._unreachable(errno.ETIMEDOUT)]
        return []

    def read(self, limit: int, now: float) -> tuple[int, list[Event]]:
        """Handle about `limit` octets of the cache, or go on with the connection."""
        if self._session is not None:
            return self._receive(self._session, limit, now)
        if self._resolver is not None:
            return 0, self._resolved(self._resolver)
        if self._socket is not None and self._epoll.poll(0):
            return 0, self._connected(self._socket, now)
        return 0, []

    def ping(self) -> None:
        """Nothing: there is nobody to answer."""

    def excuse(self) -> str | None:
        """Nothing: every failure has its own sentence."""
        return None

    def close(self) -> None:
        """Let go."""
        if self._epoll.closed:
            return
        self._epoll.close()
        if self._resolver is not None:
            self._resolver.leave()
        if self._socket is not None:
            self._say_farewell(self._socket)
            self._socket.close()

    def _resolved(self, resolver: _Resolver) -> list[Event]:
        if not self._epoll.poll(0):
            return []
        self._epoll.unregister(resolver.done)
        resolver.leave()
        self._resolver = None
        if resolver.error is not None:
            return [Ended(Fault.UNREACHABLE, f"{self._server.host} does not resolve: {resolver.error}")]
        self._addresses = resolver.addresses
        return self._connect()

    def _connect(self) -> list[Event]:
        """Try the next address, until one takes time; none is left: the end."""
        while self._addresses:
            family, address = self._addresses.pop(0)
            self._drop_socket()
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                _set_options(self._socket, self._server, family)
                self._error = self._socket.connect_ex(address)
            except OSError as error:
                self._error = error.errno or errno.EINVAL
            if self._error in {0, errno.EINPROGRESS}:
                assert self._socket is not None
                self._epoll.register(self._socket, select.EPOLLOUT)
                return []
        return [self._unreachable(self._error)]

    def _connected(self, connection: socket.socket, now: float) -> list[Event]:
        """Begin the session if the kernel has a connection, else try the next address."""
        self._error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self._error:
            return self._connect()
        self._session = NativeSession(self._resume, self._intervals, self._most, now)
        self._flush()
        return self._session.begin()

    def _receive(self, session: NativeSession, limit: int, now: float) -> tuple[int, list[Event]]:
        assert self._socket is not None
        self._flush()
        try:
            octets = self._socket.recv(limit)
        except BlockingIOError:
            return 0, []
        except OSError as error:
            return 0, [self._broken(session, error.errno or errno.EIO)]
        if not octets:
            return 0, [self._broken(session, 0)]
        events = session.feed(octets, now)
        self._flush()
        return len(octets), events

    def _broken(self, session: NativeSession, error: int) -> Ended:
        kind = Fault.SILENT if error == errno.ETIMEDOUT else Fault.CLOSED
        session.broke()
        return Ended(kind, ended(error, in_pdu=session.in_pdu, heard=session.heard))

    def _unreachable(self, error: int) -> Ended:
        return Ended(Fault.UNREACHABLE, unreachable(self._server.host, self._server.port, error))

    def _flush(self) -> None:
        """Send what the session wants sent; what the socket does not take now goes when it does."""
        assert self._socket is not None
        assert self._session is not None
        self._unsent += self._session.take_octets()
        if self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                pass
            except OSError:
                self._unsent = b""  # reading says what is wrong with the connection
        self._epoll.modify(self._socket, select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0))

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()  # epoll forgets it by itself
            self._socket = None

    @staticmethod
    def _say_farewell(connection: socket.socket) -> None:
        """End it so that the cache can read what was sent last."""
        try:
            connection.shutdown(socket.SHUT_WR)
            left = FAREWELL
            while left > 0 and (octets := connection.recv(65536)):
                left -= len(octets)
        except OSError:
            return  # it is broken, or there is nothing more: close it


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(server: Server, flags: int) -> list[Address]:
    """OSError: the name or the port does not resolve."""
    found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _set_options(connection: socket.socket, server: Server, family: socket.AddressFamily) -> None:
    """Bind it, and let the kernel notice a host that is gone.

    Linux waits two hours before it asks whether a silent peer is still there, and 15 minutes for what it sent to be
    acknowledged. RTR itself sends nothing until the refresh interval is over. OSError: see `connect`.
    """
    if server.bind is not None:
        if (":" in server.bind) != (family == socket.AF_INET6):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        connection.bind((server.bind, 0))
    third, ninth = max(server.keepalive // 3, 1), max(server.keepalive // 9, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, third)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ninth)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, -(-(server.keepalive - third) // ninth))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, server.keepalive * 1000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
