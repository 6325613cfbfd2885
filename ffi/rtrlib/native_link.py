"""One connection to one cache, by an RTR client of our own: no child process, no copy of the set.

The protocol is `NativeSession`'s, TLS is `TLSChannel`'s; here are the socket and what the kernel says of it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
from typing import Final

from rtrlib import forks
from rtrlib.channels import Channel, Plain
from rtrlib.faults import Fault, FaultError, ended, unreachable, unresolved
from rtrlib.link import Ended, Event, LinkEnded, Resume
from rtrlib.native_session import NativeSession
from rtrlib.preparation import Needs, Preparation, addresses_of
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.servers import Intervals, Server, SSHServer, TCPServer, TLSServer, is_address
from rtrlib.ssh import SSHKeys, SSHProcess
from rtrlib.tcp_auth import Signature, sign, why_not
from rtrlib.tls import TLSChannel

__all__ = ["NativeLink"]

VRP_OCTETS: Final = 256
"""Octets of `memory` for which a cache may send a VRP: what one takes in the set, with room to grow, while a new set
replaces an old one."""
NOTIFIES: Final = 100
"""Serial Notifies in NOTIFIES_IN seconds; a cache that sends more is read on when they are over. RFC 8210 section 5.2
wants one a minute at most."""
NOTIFIES_IN: Final = 1.0
FAREWELL: Final = 256 << 10
"""Octets of the cache that are thrown away before the connection is closed: what is unread then would reset it, and
the Error Report might be lost."""


class NativeLink:
    """A connection that is being made, or the session over it. It begins at the first `tick`."""

    direct = True
    resumes = True
    pid: int | None = None

    def __init__(
        self, server: Server, intervals: Intervals, resume: Resume, memory: int, max_version: int = MAX_VERSION
    ) -> None:
        """`memory`: octets that the cache's VRPs may take; `max_version`: of a server that does not say.

        LinkEnded: no descriptor, or no thread.
        """
        resume.max_version = max_version if server.max_version is None else server.max_version
        self._server = server
        self._intervals = intervals
        self._resume = resume
        self._most = memory // VRP_OCTETS
        self._needs = Needs([])
        self._error = 0
        """Of the last address that was tried, an errno."""
        self._unsigned = ""
        """Why the kernel does not sign what goes to that address."""
        self._connect_ends: float | None = None
        self._socket: socket.socket | None = None
        self._channel: Channel | None = None
        self._session: NativeSession | None = None
        self._unsent = b""
        self._notifies = 0
        """Of the session, when the second began in which they are counted."""
        self._second_ends = 0.0
        self._resting = False
        """Nothing more is read before that."""
        self._preparation: Preparation | None = None
        self._ssh: SSHProcess | None = None
        """What the socket leads to, if it is no network's."""
        try:
            # The one descriptor that is watched from outside: what it watches in turn changes.
            self._epoll = select.epoll()
        except OSError as error:
            raise LinkEnded(f"no file descriptor for another cache: {error.strerror}") from error
        try:
            self._prepare()
        except OSError as error:
            self.close()
            words = unresolved(server.host, server.port, error.errno, str(error.strerror))
            raise LinkEnded(words, Fault.UNREACHABLE) from error
        except LinkEnded:
            self.close()
            raise

    def _prepare(self) -> None:
        """Find what is needed, at once if that is nothing that could take time."""
        server = self._server
        resolved = is_address(server.host)
        if resolved and isinstance(server, TCPServer) and server.authentication is None:
            self._needs = Needs(addresses_of(server, socket.AI_NUMERICHOST))
        else:
            self._preparation = Preparation(server, resolve=not resolved)
            self._epoll.register(self._preparation.done, select.EPOLLIN)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptor that is readable when there is something to do."""
        return (self._epoll.fileno(),)

    def deadline(self) -> float | None:
        """When the connection takes too long, or what the session waits for."""
        if self._session is not None:
            due = self._session.deadline()
            if not self._resting:
                return due
            return self._second_ends if due is None else min(due, self._second_ends)
        return self._connect_ends or 0.0

    def tick(self, now: float) -> list[Event]:
        """Begin; give up a connection that takes too long; do what the session has to do."""
        if self._session is not None:
            events = self._session.tick(now)
            self._resting = self._resting and now < self._second_ends
            self._flush()
            return events
        if self._connect_ends is None:
            self._connect_ends = now + self._server.connect_timeout
            return self._connect() if self._preparation is None and self._socket is None else []
        if now >= self._connect_ends:
            return [self._given_up()]
        return []

    def read(self, limit: int, now: float) -> tuple[int, list[Event]]:
        """Handle about `limit` octets of the cache, or go on with the connection."""
        if self._channel is not None:
            return self._receive(self._channel, limit, now)
        if self._preparation is not None:
            return 0, self._prepared(self._preparation, now)
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
        if self._preparation is not None:
            self._preparation.leave()
        if self._socket is not None:
            if self._channel is not None:
                self._channel.end()
                self._unsent += self._channel.take_octets()
            self._say_farewell(self._socket, self._unsent)
            self._socket.close()
        if self._ssh is not None:
            self._ssh.close()

    def forked(self) -> None:
        """Close the child's descriptors of it."""
        self._epoll.close()
        if self._socket is not None:
            self._socket.close()
        if self._ssh is not None:
            self._ssh.forked()
        if self._preparation is not None:
            forks.close(self._preparation.done)

    def _prepared(self, preparation: Preparation, now: float) -> list[Event]:
        if not self._epoll.poll(0):
            return []
        self._epoll.unregister(preparation.done)
        preparation.leave()
        self._preparation = None
        if preparation.needs is None:
            return [Ended(Fault.UNREACHABLE, preparation.error)]
        self._needs = preparation.needs
        if isinstance(self._server, SSHServer) and self._needs.ssh is not None:
            return self._start_ssh(self._server, self._needs.ssh, now)
        return self._connect()

    def _start_ssh(self, server: SSHServer, keys: SSHKeys, now: float) -> list[Event]:
        """Begin at once: ssh keeps what is sent until it is connected."""
        try:
            self._ssh = SSHProcess(server, keys)
        except LinkEnded as error:
            return [Ended(error.kind, str(error))]
        self._socket = self._ssh.socket
        self._epoll.register(self._socket, select.EPOLLIN)
        self._epoll.register(self._ssh.stderr(), select.EPOLLIN)
        self._channel = Plain()
        events = self._begin(now)
        self._flush()
        return events

    def _connect(self) -> list[Event]:
        """Try the next address, until one takes time; none is left: the end."""
        addresses = self._needs.addresses
        while addresses:
            family, address = addresses.pop(0)
            self._drop_socket()
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                _set_options(self._socket, self._server, family)
                if self._needs.signature is not None:
                    self._sign(self._socket, str(address[0]), self._needs.signature)
                self._error = self._socket.connect_ex(address)
            except OSError as error:
                self._error = error.errno or errno.EINVAL
            if self._error in {0, errno.EINPROGRESS}:
                assert self._socket is not None
                self._epoll.register(self._socket, select.EPOLLOUT)
                return []
        return [self._unreachable(self._error)]

    def _sign(self, connection: socket.socket, address: str, signature: Signature) -> None:
        peer = ipaddress.ip_network(address.partition("%")[0])
        try:
            sign(connection, peer, signature)
        except OSError as error:
            self._unsigned = why_not(signature, error)
            raise

    def _connected(self, connection: socket.socket, now: float) -> list[Event]:
        """Go on if the kernel has a connection, else try the next address."""
        self._error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self._error:
            return self._connect()
        server, tls = self._server, self._needs.tls
        self._channel = TLSChannel(server, tls) if isinstance(server, TLSServer) and tls is not None else Plain()
        events = self._begin(now) if self._channel.is_open else []
        self._flush()
        return events

    def _begin(self, now: float) -> list[Event]:
        self._session = NativeSession(self._resume, self._intervals, self._most, now)
        return self._session.begin()

    def _receive(self, channel: Channel, limit: int, now: float) -> tuple[int, list[Event]]:
        assert self._socket is not None
        self._flush()
        if self._ssh is not None and not self._ssh.listen():
            with contextlib.suppress(OSError):  # it was before
                self._epoll.unregister(self._ssh.stderr())
        try:
            octets = self._socket.recv(limit)
        except BlockingIOError:
            return 0, []
        except OSError as error:
            return 0, [self._broken(channel, error.errno or errno.EIO)]
        if not octets:
            return 0, [self._broken(channel, 0)]
        events = self._take(channel, octets, now)
        self._flush()
        return len(octets), events

    def _take(self, channel: Channel, octets: bytes, now: float) -> list[Event]:
        try:
            plain = channel.receive(octets)
        except FaultError as fault:
            if self._session is not None:
                self._session.broke()
            return [Ended(fault.kind, str(fault))]
        events = self._begin(now) if self._session is None and channel.is_open else []
        if self._session is not None and plain:
            if now >= self._second_ends:
                self._notifies, self._second_ends = self._session.notifies, now + NOTIFIES_IN
            events += self._session.feed(plain, now)
            # A flood of Serial Notifies is left where it is for a while: reading it only costs, and TCP stops it.
            self._resting = self._session.notifies - self._notifies > NOTIFIES
        if channel.is_over:
            events.append(self._broken(channel, 0))
        return events

    def _broken(self, channel: Channel, error: int) -> Ended:
        session = self._session
        if session is None:
            return Ended(Fault.UNREACHABLE, channel.ended(os.strerror(error) if error else ""))
        kind = Fault.SILENT if error == errno.ETIMEDOUT else Fault.CLOSED
        again = session.wants_again
        session.broke()
        if again:
            return Ended(Fault.REFUSED, f"the cache wants version {session.version} of RTR", again=True)
        if self._ssh is not None and (said := self._ssh.why()) is not None:
            return Ended(*said)
        hint = "" if session.heard or session.in_pdu else channel.hint
        return Ended(kind, ended(error, in_pdu=session.in_pdu, heard=session.heard) + hint)

    def _given_up(self) -> Ended:
        """Say what the connection waited for until it took too long."""
        after = f"{self._server.connect_timeout} seconds"
        if self._channel is not None:
            why = f"the cache did not complete the TLS handshake within {after} of connecting"
        elif self._preparation is not None:
            why = f"gave up {self._preparation.doing} after {after}"
        else:
            return self._unreachable(errno.ETIMEDOUT)
        return Ended(Fault.UNREACHABLE, why)

    def _unreachable(self, error: int) -> Ended:
        server = self._server
        if self._unsigned:
            return Ended(Fault.UNREACHABLE, self._unsigned)
        by = (("from", server.bind), ("by", _device_of(server)))
        where = " ".join(f"{word} {each}" for word, each in by if each is not None)
        why = unreachable(server.host, server.port, error, where)
        if error == errno.ETIMEDOUT and isinstance(server, TCPServer) and server.authentication is not None:
            why += f" (with another key of TCP-{server.authentication.upper()} than the cache's it looks the same)"
        return Ended(Fault.UNREACHABLE, why)

    def _flush(self) -> None:
        """Send what the session wants sent; what the socket does not take now goes when it does."""
        assert self._socket is not None
        assert self._channel is not None
        if self._session is not None:
            self._channel.send(self._session.take_octets())
        self._unsent += self._channel.take_octets()
        if self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                pass
            except OSError:
                self._unsent = b""  # reading says what is wrong with the connection
        wanted = 0 if self._resting else select.EPOLLIN
        self._epoll.modify(self._socket, wanted | (select.EPOLLOUT if self._unsent else 0))

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()  # epoll forgets it by itself
            self._socket = None

    @staticmethod
    def _say_farewell(connection: socket.socket, unsent: bytes) -> None:
        """End it so that the cache can read what was sent last."""
        try:
            if unsent:
                connection.send(unsent)
            connection.shutdown(socket.SHUT_WR)
            left = FAREWELL
            while left > 0 and (octets := connection.recv(65536)):
                left -= len(octets)
        except OSError:
            return  # it is broken, or there is nothing more: close it


def _device_of(server: Server) -> str | None:
    return server.device if isinstance(server, TCPServer | TLSServer) else None


def _set_options(connection: socket.socket, server: Server, family: socket.AddressFamily) -> None:
    """Bind it to an address and a device, and let the kernel notice a host that is gone.

    Linux waits two hours before it asks whether a silent peer is still there, and 15 minutes for what it sent to be
    acknowledged. RTR itself sends nothing until the refresh interval is over. OSError: see `connect`.
    """
    if (device := _device_of(server)) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
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
