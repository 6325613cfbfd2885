"""What a connection needs before it can be made, looked up in a thread: a name's addresses, and what files have.

The resolver may take minutes, and a file system that hangs forever.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias

from rtrlib.faults import Fault, unresolved
from rtrlib.key_files import KeyFileError, read_password
from rtrlib.link import LinkEnded
from rtrlib.servers import Server, SSHServer, TCPServer, TLSServer
from rtrlib.ssh import SSHKeys, keys_of
from rtrlib.tcp_auth import AOAlgorithm, Signature
from rtrlib.tls import client_context

__all__ = ["Address", "Needs", "Preparation", "addresses_of", "read_keys", "read_signature"]

HUNG_LIMIT: Final = 3
"""Threads of one server that were given up and have not ended: while there are so many, it gets no other."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class AOKey(Protocol):
    """What is configured of a key of TCP-AO."""

    @property
    def key_file(self) -> str | Path:
        """The file that has it."""

    @property
    def key_id(self) -> int:
        """SendID and RecvID."""

    @property
    def algorithm(self) -> AOAlgorithm:
        """As tcp_auth names it."""


_hung: dict[Server, list[threading.Thread]] = {}


class Needs(NamedTuple):
    """What was found."""

    addresses: list[Address]
    tls: ssl.SSLContext | None = None
    signature: Signature | None = None
    ssh: SSHKeys | None = None


class Preparation:
    """A thread that finds what a server needs; `done` is readable when it has."""

    def __init__(self, server: Server, *, resolve: bool) -> None:
        """`resolve`: the host is a name. LinkEnded: no thread or descriptor, or too many that hang already."""
        self.doing = ""
        """What it waits for, as in "gave up ...": for whoever gives it up."""
        self.needs: Needs | None = None
        self.error = ""
        """Why there are none, a sentence."""
        self._server = server
        self._flags = 0 if resolve else socket.AI_NUMERICHOST
        self._lock = threading.Lock()
        self._left = False
        if len(_alive(server)) >= HUNG_LIMIT:
            raise LinkEnded("the resolver, or the file system of its keys, has not answered yet", Fault.UNREACHABLE)
        self._thread = threading.Thread(target=self._run, name="rtrlib preparation", daemon=True)
        try:
            self.done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError as error:
            raise LinkEnded(f"no file descriptor for another cache: {error.strerror}") from error
        try:
            self._thread.start()
        except RuntimeError as error:
            os.close(self.done)
            raise LinkEnded(f"no thread for another cache: {error}") from error

    def leave(self) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._left = True
            os.close(self.done)
        if self._thread.is_alive():
            _hung[self._server] = [*_alive(self._server), self._thread]

    def _run(self) -> None:
        try:
            self.needs = self._find()
        except KeyFileError as error:
            self.error = str(error)
        except OSError as error:
            server = self._server
            self.error = unresolved(server.host, server.port, error.errno, error.strerror or str(error))
        with self._lock:
            if not self._left:
                os.eventfd_write(self.done, 1)

    def _find(self) -> Needs:
        server = self._server
        self.doing = "reading the files of its keys"
        found = read_keys(server)
        if isinstance(server, SSHServer):
            return found  # ssh resolves the name
        self.doing = f"resolving {server.host}"
        return found._replace(addresses=addresses_of(server, self._flags))


def read_keys(server: Server) -> Needs:
    """Read the files of keys that a server names. KeyFileError: one of them can't be used."""
    if isinstance(server, SSHServer):
        return Needs([], ssh=keys_of(server))
    if isinstance(server, TLSServer):
        return Needs([], tls=client_context(server))
    if isinstance(server, TCPServer):
        return Needs([], signature=read_signature(server.md5_password_file, server.tcp_ao))
    return Needs([])


def addresses_of(server: Server, flags: int) -> list[Address]:
    """OSError: the name or the port does not resolve."""
    found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def read_signature(md5_password_file: str | Path | None, tcp_ao: AOKey | None) -> Signature | None:
    """Read the file of whichever is given; None: neither is. KeyFileError: it can't be used."""
    if md5_password_file is not None:
        return Signature(read_password("MD5 password file", md5_password_file))
    if tcp_ao is not None:
        return Signature(read_password("TCP-AO key file", tcp_ao.key_file), (tcp_ao.algorithm, tcp_ao.key_id))
    return None


def _alive(server: Server) -> list[threading.Thread]:
    with contextlib.suppress(KeyError):
        _hung[server] = alive = [thread for thread in _hung[server] if thread.is_alive()]
        if not alive:
            del _hung[server]
        return alive
    return []
