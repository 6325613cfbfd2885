"""A connection to BIRD's control socket: the lines of its replies, one by one, however many there are.

Blocking, with a bound on each wait: it is used by commands and by a process of its own beside the daemon, never on the
daemon's loop. BIRD writes as fast as it is read and does other work meanwhile.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from rtrd.base.text import printable
from rtrd.bird.replies import FIRST_ERROR, BirdError, Line, Replies

SILENCE: Final = 10.0
"""Seconds without an octet after which BIRD hangs: a busy one answers between its other work."""
_READ: Final = 1 << 16


class Bird:
    """One connection to a BIRD, which may only be asked: it is told to refuse commands that change something."""

    def __init__(self, path: str, *, silence: float = SILENCE) -> None:
        """Connect. Raises BirdError."""
        self._path = path
        self._silence = silence
        self._replies = Replies()
        self._lines: Iterator[Line] = iter(())
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(silence)
            self._connect()
            list(self._reply())  # its greeting: `BIRD 2.0.12 ready.`
            list(self.ask("restrict"))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, command: str) -> Iterator[Line]:
        """Give a command, which is ASCII of one line, and the lines of its reply. Raises BirdError."""
        try:
            self._socket.sendall(command.encode("ascii") + b"\n")
        except OSError as error:
            raise self._gone(error) from error
        return self._reply()

    def _connect(self) -> None:
        try:
            self._socket.connect(self._path)
        except OSError as error:
            why = error.strerror or str(error)
            raise BirdError(f"no BIRD answers at {printable(self._path)}: {why}") from error

    def _reply(self) -> Iterator[Line]:
        while True:
            for line in self._lines:
                if line.code >= FIRST_ERROR:
                    raise BirdError(f"BIRD refuses: {line.code:04} {printable(line.text)}")
                yield line
                if line.last:
                    return
            self._lines = self._replies.feed(self._read())

    def _read(self) -> bytes:
        begin = time.monotonic()
        try:
            octets = self._socket.recv(_READ)
        except OSError as error:
            raise self._gone(error) from error
        if not octets:
            raise BirdError(f"BIRD at {printable(self._path)} hung up after {time.monotonic() - begin:.1f} s")
        return octets

    def _gone(self, error: OSError) -> BirdError:
        if isinstance(error, TimeoutError):
            return BirdError(f"BIRD at {printable(self._path)} sent nothing for {self._silence:g} s")
        return BirdError(f"BIRD at {printable(self._path)} is gone: {error.strerror or error}")
