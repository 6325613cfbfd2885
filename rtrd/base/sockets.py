"""Listening sockets: bound to be ours alone, or refused with a sentence; and connections that are dead noticed."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from pathlib import Path

from rtrd.base.endpoint import Endpoint


class ListenError(Exception):
    """It can't be listened where it should; the text says where and why."""


def why_not(error: OSError) -> str:
    """Say why it can't be listened, without asyncio's own words, which name the address once more."""
    if error.errno is not None and error.errno > 0:  # a name that does not resolve has a number of its own kind
        return os.strerror(error.errno)
    if str(error).startswith("could not bind on any address"):  # what asyncio, from Python 3.12 on, makes of this one
        return os.strerror(errno.EADDRNOTAVAIL)
    return error.strerror or str(error)


def keep_alive(connection: socket.socket, idle: int, every: int, times: int) -> None:
    """Have TCP ask a silent peer after `idle` seconds, then `every` so many, and give it up after so many `times`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {socket.TCP_KEEPIDLE: idle, socket.TCP_KEEPINTVL: every, socket.TCP_KEEPCNT: times}
    for option, value in options.items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


class UnixListener:
    """A unix socket's file, from the moment it is bound until `close`; mode 0660."""

    def __init__(
        self,
        path: Path,
        kind: socket.SocketKind = socket.SOCK_STREAM,
        what: str = "control",
        *,
        group: str | None = None,
    ) -> None:
        """Bind; listening is left to the caller. ListenError: it is taken, or not ours. `what` begins its text.

        `group`: name or number of the group that may connect; None: that of the process.
        """
        self.path = path
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _remove_stale(path, kind, what)
            self.socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
            # The mode has to be right from the first moment: chmod afterwards would leave the socket open to all.
            mask = os.umask(0o117)
            try:
                self.socket.bind(str(path))
            except BaseException:
                self.socket.close()
                raise
            finally:
                os.umask(mask)
        except OSError as error:
            raise ListenError(f"{what}: cannot listen on {path}: {why_not(error)}") from error
        self._inode = path.stat().st_ino
        if group is not None:
            try:
                os.chown(path, -1, _group(group))
            except (OSError, LookupError) as error:
                self.close()
                why = error.strerror if isinstance(error, OSError) else "there is no such group"
                raise ListenError(f"{what}: cannot give {path} to the group {group!r}: {why}") from error

    def is_there(self) -> bool:
        """Tell whether the file at its path is still ours."""
        try:
            return self.path.lstat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> bool:
        """Close it and remove its file if that is still ours. False: the file was already gone."""
        self.socket.close()
        try:
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            return False
        return True


def _group(name: str) -> int:
    return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid


def _remove_stale(path: Path, kind: socket.SocketKind, what: str) -> None:
    """Remove the socket file of a daemon that is gone; leave anything else alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{what}: {path} exists and is not a socket; it is left alone")
    with socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK) as probe:
        result = probe.connect_ex(str(path))
    if result == errno.ECONNREFUSED:
        path.unlink()
    elif result != errno.ENOENT:
        raise ListenError(f"{what}: another rtrd answers at {path}")


def tcp_listener(http: Endpoint) -> socket.socket:
    """Bind a TCP socket. Raises ListenError."""
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((http.host, http.port))
    except OSError as error:
        listener.close()
        raise ListenError(f"http: cannot listen on {http}: {why_not(error)}") from error
    return listener
