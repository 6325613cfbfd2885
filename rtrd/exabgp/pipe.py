"""The pipes of an ExaBGP's process: reads lines from one, writes commands to the other, and never waits for either.

ExaBGP writes to us with blocking calls, so what it writes is always read. What its own pipe has no room for waits here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

from rtrd.base import log
from rtrd.base.turn import Turn

READ = 1 << 17
"""Bytes read at a time: lines of some thousand routes, whose work is ten milliseconds at most."""

READ_LITTLE = 1 << 12
"""Bytes read at a time when there is no memory for more; the room for them is taken at the start."""

ROOM = 1 << 20
"""Bytes that the pipe is to hold: what ExaBGP may write before it must wait for us. More is root's to allow."""

PAUSE, LONGER_PAUSE = 0.002, 0.006
"""Seconds from a read to the next: ExaBGP writes a line at a time, and to wake for each costs more than the line does.
The longer one is after a read of SOME, since routes wait for those of the next lines anyway (`gate.COALESCE`). Where
nothing came meanwhile the pipe is waited for, so that the first line after a silence is read at once."""

SOME = 1 << 8
"""Bytes: a line of an UPDATE, or more answers than rtrd waits for at a time."""

MUCH = 1 << 15
"""Bytes of a read after which there is no pause: more waits, and what ExaBGP's pipe holds may be little."""

MOST_LINE = 16 << 20
"""Bytes of one line; a longer one is skipped and counted."""

logger = log.get("exabgp")


class Lines:
    """One pipe's lines."""

    def __init__(self, *, mid_line: bool = False) -> None:
        """`mid_line`: the first bytes are the rest of a line that somebody else began to read."""
        self.too_long = 0
        """Lines that were skipped."""
        self._partial: list[bytes] = []
        self._size = 0
        self._skipping = mid_line

    @property
    def mid_line(self) -> bool:
        """Whether what comes next is the rest of a line."""
        return self._skipping or self._size > 0

    def lose(self) -> None:
        """Forget what is kept, and skip to the end of the line that comes: memory ended."""
        self._partial.clear()
        self._size = 0
        self._skipping = True

    def feed(self, data: bytes) -> bytes:
        """Take bytes; give the lines that they end, each with its LF."""
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        lines = data[:end] if rest else data
        if end:
            if self._partial:
                lines = b"".join((*self._partial, lines))
                self._partial.clear()
                self._size = 0
            if self._skipping:
                self._skipping = False
                lines = lines[lines.index(b"\n") + 1 :]
        else:
            lines = b""
        if rest and not self._skipping:
            self._partial.append(rest)
            self._size += len(rest)
            if self._size > MOST_LINE:
                self._partial.clear()
                self._size = 0
                self._skipping = True
                self.too_long += 1
        return lines


class Pipe:
    """One ExaBGP's stdout and stdin, on the running loop."""

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        read: Callable[[bytes], None],
        written: Callable[[], None],
        ended: Callable[[], None],
        *,
        mid_line: bool = False,
        kept: int | None = None,
    ) -> None:
        """`read` takes whole lines of ExaBGP, `written` is called when there was room for some of what waited.

        `ended`: ExaBGP has closed its end; `close` is the caller's. `mid_line`: see Lines. `kept`: a file of what was
        read before, which is the pipe's to close.
        """
        self.lines = Lines(mid_line=mid_line)
        self._read_fd, self._write_fd = read_fd, write_fd
        self._read, self._written, self._ended = read, written, ended
        self._loop = asyncio.get_running_loop()
        self._unwritten = b""
        self._writing = False
        self._open = True
        self._pausing: asyncio.TimerHandle | None = None
        self._kept = kept
        self._caught_up: Callable[[], None] = lambda: None
        self._little = [bytearray(READ_LITTLE)]
        self._lost = False
        self.starved: Callable[[], None] = lambda: None
        """Called when memory ended, and some of what ExaBGP said is lost; again and again until that succeeds."""
        self.turned: Callable[[], None] = lambda: None
        """Called at the end of a turn in which lines were read."""

    def start(self, caught_up: Callable[[], None]) -> None:
        """Begin to read; `caught_up` is called when what was kept is read."""
        self._caught_up = caught_up
        if self._kept is None:
            self._listen()
        else:
            os.lseek(self._kept, 0, os.SEEK_SET)
            self._loop.call_soon(self._read_kept)

    def _read_kept(self) -> None:
        if self._kept is None:
            return  # it was closed meanwhile
        if data := os.read(self._kept, READ):
            self._take(data)
            self.turned()
            self._loop.call_soon(self._read_kept)
        else:
            self._forget_kept()
            self._listen()

    def _forget_kept(self) -> None:
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # no pipe, or the user has too many large ones: it stays as it is
            fcntl.fcntl(self._read_fd, fcntl.F_SETPIPE_SZ, ROOM)
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        try:
            self._loop.add_reader(self._read_fd, self._readable)
        except PermissionError:  # a regular file is always readable, and epoll won't have it
            self._loop.call_soon(self._read_file)
        self._caught_up()

    def close(self) -> None:
        """Stop reading and writing; the pipe's descriptors stay open."""
        self._open = False
        self._forget_kept()
        self._loop.remove_reader(self._read_fd)
        if self._pausing is not None:
            self._pausing.cancel()
        if self._writing:
            self._loop.remove_writer(self._write_fd)

    @property
    def waits(self) -> bool:
        """Whether the next line is read as soon as it comes: there is no pause."""
        return self._open and self._pausing is None

    @property
    def unwritten(self) -> int:
        """Bytes that ExaBGP's pipe has no room for yet."""
        return len(self._unwritten)

    def write(self, text: str) -> bool:
        """Write ASCII as far as there is room, the rest when there is more. False: there is such a rest."""
        self._unwritten += text.encode("ascii")
        self._flush()
        return not self._unwritten

    def _readable(self) -> None:
        read = self._read_turn()
        if 0 < read < MUCH and self._open:
            self._pausing = self._loop.call_later(_pause_after(read), self._paused)
            self._loop.remove_reader(self._read_fd)

    def _paused(self) -> None:
        self._pausing = None
        read = 0
        try:
            read = self._read_turn()
        finally:  # whatever failed: nobody else reads it, and ExaBGP would stop
            if self._open:
                self._read_on(read)

    def _read_on(self, read: int) -> None:
        """Read again after a pause, or as soon as something comes. `read`: how many octets it were just now."""
        if 0 < read < MUCH:
            with contextlib.suppress(MemoryError):
                self._pausing = self._loop.call_later(_pause_after(read), self._paused)
                return
        try:
            self._loop.add_reader(self._read_fd, self._readable)
        except MemoryError:
            raise SystemExit(1) from None  # not even that is possible: rtrd ends, for another one to read

    def _read_turn(self) -> int:
        """Read what is there, for a turn at most: what comes with each turn costs more than to read once more.

        Gives how many octets the last read had.
        """
        read = self._read_some()
        if read == READ:
            turn = Turn()
            while read == READ and self._open and not turn.over:
                read = self._read_some()
        self.turned()
        return read

    def _read_some(self) -> int:
        """Read what is there, once. Gives how many octets that were."""
        try:
            data = self._octets()
        except BlockingIOError:
            return 0
        except OSError as error:
            logger.error("ExaBGP's pipe failed", why=os.strerror(error.errno or 0))  # noqa: TRY400
            data = b""
        if data:
            self._take(data)
        else:
            logger.info("ExaBGP closed the pipe")
            self._ended()
        return len(data)

    def _octets(self) -> bytes | memoryview:
        try:
            return os.read(self._read_fd, READ)
        except MemoryError:
            return memoryview(self._little[0])[: os.readv(self._read_fd, self._little)]

    def _take(self, data: bytes | memoryview) -> None:
        """Hand on what was read. Where memory ends it is lost; the pipe is read on, or ExaBGP would stop."""
        try:
            self._read(self.lines.feed(bytes(data)))
        except MemoryError:
            self.lines.lose()
            self._lost = True
        if self._lost:
            self.lose()

    def lose(self) -> None:
        """Tell that something is lost as memory ended; where not even that can be told, with what is read next."""
        self._lost = True
        with contextlib.suppress(MemoryError):
            self.starved()
            self._lost = False

    def _read_file(self) -> None:
        self._read_turn()
        if self._open:
            self._loop.call_soon(self._read_file)

    def _flush(self) -> None:
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._write_fd, self._unwritten) :]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._write_fd, self._writable)
            return
        except OSError:
            # Nobody reads our commands any more. What ExaBGP still writes is read until it closes the pipe.
            self._unwritten = b""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._write_fd)

    def _writable(self) -> None:
        self._flush()
        self._written()


def _pause_after(read: int) -> float:
    return LONGER_PAUSE if read >= SOME else PAUSE
