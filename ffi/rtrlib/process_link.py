"""One connection to one cache, with librtr in a child process: what ends that process ends nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import subprocess
from pathlib import Path
from typing import Final

import _cffi_backend

from rtrlib import children, librtr
from rtrlib.causes import STARVED
from rtrlib.children import LastWords, bury, how_it_ended, reap
from rtrlib.faults import Fault
from rtrlib.link import MEMORY_LIMIT, Event, LinkEnded, Resume
from rtrlib.servers import Intervals, Server
from rtrlib.thread_link import LibrtrLink, options_of

__all__ = ["ProcessLink"]

CHILD: Final = str(Path(__file__).with_name("child.py"))
NAME: Final = "rtrlib-cache"
SSH_SAYS: Final = re.compile(r"tr_ssh_open: (?!Trying)(.+)")
GRACE: Final = 0.05
"""Seconds that the end of a process may lag behind the end of its socket."""


def _child_path() -> list[str]:
    """Folders of the two extensions that the child imports, nothing else."""
    found = (librtr.FILE, _cffi_backend.__file__)
    return list(dict.fromkeys(str(Path(path).parent) for path in found if path))


class ProcessLink(LibrtrLink):
    """librtr in a child process: what kills, hangs or bloats it ends this link and nothing else."""

    def __init__(self, server: Server, intervals: Intervals, resume: Resume, memory: int = MEMORY_LIMIT) -> None:
        """`memory`: bytes of address space for the child. LinkEnded when it cannot be started."""
        super().__init__(server)
        del resume
        reap()
        values = options_of(server, intervals).values()  # before there is a process that would wait for them
        try:
            parent_end, child_end = socket.socketpair()
        except OSError as error:
            raise LinkEnded(f"cannot start a cache process: {error}") from error
        command = children.file(CHILD, [str(os.getpid()), str(memory), NAME], _child_path())
        try:
            self._process = subprocess.Popen(
                command.argv,
                stdin=child_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # ^C is for the program, which then closes us
                env={**command.env, "MALLOC_ARENA_MAX": "2"},
            )
        except OSError as error:
            parent_end.close()
            raise LinkEnded(f"cannot start a cache process: {error}") from error
        finally:
            child_end.close()
        assert self._process.stderr is not None
        self._stderr = self._process.stderr.fileno()
        self._last_words = LastWords()
        self._mute = False
        self._socket = parent_end
        self._socket.setblocking(False)
        os.set_blocking(self._stderr, False)
        self.pid = self._process.pid
        message = b"".join((b"\xff" if value is None else str(value).encode()) + b"\0" for value in values)
        try:
            self._socket.send(struct.pack("=I", len(message)) + message)  # an empty socket takes it whole
        except OSError as error:
            self.close()
            raise LinkEnded(f"the cache process died at once: {error}") from error

    def filenos(self) -> tuple[int, ...]:
        """Return the socket and the child's stderr."""
        return (self._socket.fileno(), self._stderr)

    def read(self, limit: int, now: float) -> tuple[int, list[Event]]:
        """Return what the child told."""
        del now
        self._read_stderr()
        try:
            data = self._socket.recv(limit)
        except BlockingIOError:
            if self._mute:
                raise self._end() from None
            return 0, []
        except OSError as error:
            raise LinkEnded(f"the cache process is out of reach: {error}") from error
        if not data:
            raise self._end()
        return len(data), self._decoder.decode(data)

    def ping(self) -> None:
        """One byte; a full socket means that the earlier ones are unread, which is as good as another."""
        with contextlib.suppress(OSError):
            self._socket.send(b"p")

    def excuse(self) -> str | None:
        """Return what librtr's SSH transport printed last; of TCP the cause comes as a FAULT frame."""
        self._read_stderr()
        said = SSH_SAYS.findall(self._last_words.take())
        return f"SSH: {said[-1]}" if said else None

    def close(self) -> None:
        """Kill it; it is waited for later (`children.reap`)."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        assert self._process.stderr is not None
        self._process.stderr.close()
        if self._process.poll() is None:
            self._process.kill()
            bury(self._process)

    def forked(self) -> None:
        """Close the child's descriptors of it; the process is the parent's."""
        self._socket.close()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process.returncode = 0  # nobody here is to wait for it

    def _read_stderr(self) -> None:
        """Keep the last lines: the last one of an abort is the assertion that failed."""
        with contextlib.suppress(BlockingIOError):
            words = os.read(self._stderr, 65536)
            self._mute = not words  # only a process that ends closes its stderr
            self._last_words.add(words)

    def _end(self) -> LinkEnded:
        why = self._obituary()
        return LinkEnded(STARVED, Fault.ENDLESS) if "MemoryError" in why else LinkEnded(why)

    def _obituary(self) -> str:
        """How the child ended, in a sentence."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._read_stderr()
        # librtr's debug lines begin with the time, in parentheses.
        lines = str(self._last_words).splitlines()
        words = "\n".join(line for line in lines if not line.startswith("("))
        return f"the cache process {how_it_ended(self._process.returncode, words)}"
