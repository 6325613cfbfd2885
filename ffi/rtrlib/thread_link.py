"""One connection to one cache, with librtr's threads in this process: nothing is copied, but its crash is ours."""

from __future__ import annotations

import os
import time
from typing import Final

from rtrlib import forks
from rtrlib.causes import NOT_STARTED
from rtrlib.faults import Fault
from rtrlib.frames import Decoder
from rtrlib.key_files import KeyFileError
from rtrlib.librtr import ffi, lib
from rtrlib.link import Event, LinkEnded, Resume
from rtrlib.servers import Intervals, Server, SSHServer
from rtrlib.ssh import known_hosts

__all__ = ["QUEUE_LIMIT", "LibrtrLink", "ThreadLink", "await_ended", "options_of"]

QUEUE_LIMIT: Final = 256 << 20
"""Bytes that may wait between librtr and its reader: 11 million changes."""


def await_ended(seconds: float) -> None:
    """Wait until no session is left, at most so long."""
    end = time.monotonic() + seconds
    while lib.session_count() and time.monotonic() < end:
        time.sleep(0.005)


def _known_hosts(server: SSHServer) -> str | None:
    """LinkEnded: the file can't be used."""
    try:
        return known_hosts(server)
    except KeyFileError as error:
        raise LinkEnded(str(error), Fault.UNREACHABLE) from error


def options_of(server: Server, intervals: Intervals) -> dict[str, str | int | None]:
    """Return the members of `struct session_options`, in the order in which rtrlib.child reads them."""
    ssh = server if isinstance(server, SSHServer) else None
    return {
        "host": server.host,
        "port": str(server.port),
        "bind": server.bind,
        "username": ssh.username if ssh else None,
        "private_key": ssh.private_key if ssh else None,
        "host_key": _known_hosts(ssh) if ssh else None,
        "password": ssh.password if ssh else None,
        "connect_timeout": server.connect_timeout,
        "keepalive": server.keepalive,
        "refresh": intervals.refresh,
        "expire": intervals.expire,
        "retry": intervals.retry,
        "follow_cache": int(intervals.follow_cache),
        "soon": int(intervals.soon),
        "queue_limit": QUEUE_LIMIT,
    }


class LibrtrLink:
    """What links over librtr have in common: librtr keeps the time, and begins with a full set."""

    direct = False
    resumes = False
    pid: int | None = None

    def __init__(self, server: Server) -> None:
        self._decoder = Decoder(server)

    def deadline(self) -> float | None:
        """Nothing is ever due."""
        return None

    def tick(self, now: float) -> list[Event]:
        """Nothing is due."""
        del now
        return []


class ThreadLink(LibrtrLink):
    """librtr in this process: nothing is copied between processes, but its crash is ours."""

    def __init__(self, server: Server, intervals: Intervals, resume: Resume) -> None:
        """LinkEnded when librtr does not take the options."""
        super().__init__(server)
        del resume
        options = ffi.new("struct session_options *")
        kept = []
        self._hosts = -1
        for name, value in options_of(server, intervals).items():
            if isinstance(value, str):
                kept.append(ffi.new("char[]", (self._file(value) if name == "host_key" else value).encode()))
                setattr(options, name, kept[-1])
            elif value is not None:
                setattr(options, name, value)
        fault = ffi.new("uint32_t *")
        session = lib.session_open(options, fault)
        if not session:
            self._close_file()
            raise LinkEnded(NOT_STARTED[fault[0]])
        self._session = session
        self._chunk = ffi.new("char[]", lib.QUEUE_CHUNK)

    def _file(self, text: str) -> str:
        """Put the known hosts where libssh can read them: a file of no name that ends with this link."""
        try:
            self._hosts = os.memfd_create("known_hosts")
            os.write(self._hosts, text.encode())
        except OSError as error:
            self._close_file()
            raise LinkEnded(f"no memory for the host key: {error}") from error
        return f"/proc/self/fd/{self._hosts}"

    def filenos(self) -> tuple[int, ...]:
        """Return the queue's eventfd."""
        return (lib.session_fd(self._session),)

    def read(self, limit: int, now: float) -> tuple[int, list[Event]]:
        """Take chunks of the queue."""
        del now
        data = bytearray()
        while len(data) < limit and (size := lib.session_take(self._session, self._chunk, lib.QUEUE_CHUNK)):
            data += ffi.buffer(self._chunk, size)
        return len(data), self._decoder.decode(bytes(data))

    def excuse(self) -> str | None:
        """Nothing: what librtr prints goes to the stderr of this process."""
        return None

    def ping(self) -> None:
        """Nothing: a thread of this process that hangs is found by its silence (rtrlib.cache)."""

    def close(self) -> None:
        """Let go: librtr may take its retry interval to stop; a thread of C waits for that."""
        if self._session:
            lib.session_close(self._session)
            self._session = ffi.NULL
            self._close_file()

    def forked(self) -> None:
        """Close the child's descriptors of it."""
        if self._session:
            lib.session_forked(self._session)
            self._session = ffi.NULL
        if self._hosts >= 0:
            forks.close(self._hosts)
            self._hosts = -1

    def _close_file(self) -> None:
        if self._hosts >= 0:
            os.close(self._hosts)
            self._hosts = -1
