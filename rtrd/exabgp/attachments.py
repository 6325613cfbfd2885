"""Takes over the ExaBGPs that `rtrd attach` hands over (SCM_RIGHTS), and serves each as a router until it ends.

The words of the protocol, a message each (SOCK_SEQPACKET), `<` from the attach process:

    < attach NAME           with two descriptors: ExaBGP's events, our commands
    > take                  or `refused SENTENCE`; until now the attach process reads, and keeps what it reads
    < yours [mid-line]      with a file of that, if there is any; `mid-line`: it begins within a line
    > gone                  ExaBGP closed its pipe: nothing is left to wait for

Whoever closes the socket gives the pipe back: the attach process, when it dies, ends the router here; we, when we
stop or die, let it read again. So ExaBGP always has exactly one reader.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from rtrd.base import log
from rtrd.base.lasting_socket import LastingSocket
from rtrd.base.notation import ROUTER_NAME
from rtrd.base.peer_process import peer_process
from rtrd.base.registry import Problem
from rtrd.base.shortages import NO_DESCRIPTOR, met, note
from rtrd.base.text import counted
from rtrd.exabgp.session import ExaBGP

MOST: Final = 64
"""Connections at a time; one more is closed at once."""
PATIENCE: Final = 10.0
"""Seconds that a connection has to make its request."""
DRAIN: Final = 5.0
"""Seconds that the pipe of a dead attach process is still read: ExaBGP, which sees the death within a moment, may be
writing, and a write that fails in the middle of a long line ends its other sessions (docs/exabgp.md)."""
MOST_KEPT: Final = 8 << 20
"""Octets that an attach process may have kept, and more than it does."""
AGAIN: Final = 1.0
"""Seconds until one more is accepted when there was no descriptor left for it."""
_MESSAGE: Final = 512
_READ: Final = 1 << 16
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = log.get("attach")


class Routers(Protocol):
    """Who serves the ExaBGPs that are handed over: rtrd.routers.Routers."""

    def has(self, name: str) -> bool:
        """Tell whether a router of this name is there."""

    def add(
        self,
        name: str,
        read_fd: int,
        write_fd: int,
        closed: Callable[[], None],
        *,
        mid_line: bool = False,
        kept: int | None = None,
    ) -> ExaBGP:
        """Serve one more."""

    def remove(self, router: ExaBGP) -> None:
        """Serve one no longer."""


class Attachments:
    """The socket where ExaBGPs are handed over, from `start` to `close`."""

    def __init__(self, path: Path, routers: Routers, *, group: str | None = None) -> None:
        """Listen nowhere yet. `group`: who may connect; None: the process's own group."""
        self._routers = routers
        self._listening: socket.socket | None = None
        self._file = LastingSocket(
            path, self._listen, self._unlisten, kind=socket.SOCK_SEQPACKET, what="attach", group=group
        )
        self.problems: Callable[[], Iterator[Problem]] = self._file.problems
        self._loop = asyncio.get_running_loop()
        self._open: set[_Attachment] = set()
        self.drains: set[object] = set()
        """What is emptied of attach processes that died: it has descriptors, too."""
        self._limiter = log.RateLimiter()
        self._again: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        self._file.start()

    def close(self) -> None:
        """Stop listening, and give every ExaBGP back to its attach process."""
        self._file.close()
        for attachment in tuple(self._open):
            attachment.close()

    def _accept_more(self) -> None:
        assert self._listening is not None
        self._loop.add_reader(self._listening, self._accept)

    def _listen(self, listening: socket.socket) -> None:
        listening.listen()
        self._listening = listening
        self._accept_more()

    def _unlisten(self) -> None:
        """Take no more from there; the socket is not ours to close."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening = None

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            connection, _ = self._listening.accept()
        except OSError as error:  # it gave up, or we have no descriptor left
            self.complain("accept", "an attach process could not be heard", why=_noted(error))
            if error.errno in _NONE_LEFT:  # it would be called again at once, and for nothing
                self._loop.remove_reader(self._listening)
                self._again = self._loop.call_later(AGAIN, self._accept_more)
            return
        if len(self._open) + len(self.drains) >= MOST:
            connection.close()
            self.complain("many", "too many attach processes: one more was sent away", most=MOST)
            return
        connection.setblocking(False)
        self._open.add(_Attachment(self, self._routers, connection))

    # -- for the attachments

    def holder(self, name: str) -> str | None:
        """Say who has this name, if somebody alive has."""
        for other in tuple(self._open):
            if other.name == name:
                if other.alive():
                    return f"the attach process {other.pid}"
                other.close()
        if self._routers.has(name):
            return "this rtrd's own router"
        return None

    def forget(self, attachment: _Attachment) -> None:
        """Take note that one is over."""
        self._open.discard(attachment)

    def complain(self, key: str, event: str, **fields: object) -> None:
        """Log a fault, not too often."""
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning(event, **fields, **more)


class _Attachment:
    """One attach process, and the router behind it once we have it."""

    def __init__(self, all_of_them: Attachments, routers: Routers, connection: socket.socket) -> None:
        self.name: str | None = None
        self.pid, self.uid = peer_process(connection)
        self._all = all_of_them
        self._routers = routers
        self._connection = connection
        self._fds: list[int] = []
        self._router: ExaBGP | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(PATIENCE, self._too_late)
        self._loop.add_reader(connection, self._readable)

    def alive(self) -> bool:
        """Tell whether the attach process still holds its end."""
        try:
            return bool(self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """End it: the router goes, the attach process reads ExaBGP's pipe again if it lives. Once."""
        if self._connection.fileno() < 0:
            return
        self._forget()
        if self._router is not None:
            router, self._router = self._router, None
            self._let_go(router)
        self._close_fds()

    def _let_go(self, router: ExaBGP) -> None:
        self._routers.remove(router)
        logger.info("router detached", router=self.name)

    def _forget(self) -> None:
        self._stop_timer()
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._all.forget(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_fds(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    # -- what the attach process says

    def _readable(self) -> None:
        fds: list[int] = []
        try:
            self._hear(fds)
        except (MemoryError, OSError) as error:
            # It reads ExaBGP's pipe again, and tries it again: this is no time to think of something better.
            self.close()
            logger.warning("no room for an attach process", router=self.name, why=_noted(error))
        finally:
            for fd in fds:
                os.close(fd)

    def _hear(self, fds: list[int]) -> None:
        """Take a message, and into `fds` its descriptors; what is used of them is taken out."""
        try:
            message, whole = _receive(self._connection, fds)
        except BlockingIOError:
            return
        except OSError:
            message, whole = b"", True
        words = message.split()
        if not message:
            self._hung_up()
        elif whole and self.name is None and len(words) == 2 and words[0] == b"attach":
            self._fds += fds
            fds.clear()
            self._asked(words[1].decode("ascii", "replace"))
        elif whole and self._router is None and self.name is not None and words[:1] == [b"yours"]:
            kept = fds.pop() if len(fds) == 1 and _is_kept(fds[0]) else None
            self._take(mid_line=words[1:] == [b"mid-line"], kept=kept)
        elif not whole and len(fds) < 2 and words[:1] == [b"attach"]:
            note(NO_DESCRIPTOR)
            self._refuse(NO_DESCRIPTOR)  # unix(7): those for which there is no room are left out
        else:
            self._refuse("expected: attach NAME")

    def _asked(self, name: str) -> None:
        if not ROUTER_NAME.fullmatch(name):
            self._refuse("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
        elif (why := _why_no_pipes(self._fds)) is not None:
            self._refuse(why)
        elif (holder := self._all.holder(name)) is not None:
            self._refuse(f"{name} is already the name of {holder}: give each ExaBGP its own --name")
        else:
            self.name = name
            self._say(b"take")

    def _take(self, *, mid_line: bool, kept: int | None) -> None:
        self._stop_timer()
        assert self.name is not None
        events, commands = self._fds
        self._router = self._routers.add(self.name, events, commands, self._exabgp_gone, mid_line=mid_line, kept=kept)
        self._router.on_starved = self.close  # the attach process hands it over again, as after our restart
        logger.info("router attached", router=self.name, pid=self.pid, uid=self.uid)

    def _too_late(self) -> None:
        self._timer = None
        self._refuse("no request came in time")

    def _refuse(self, why: str) -> None:
        self._all.complain(why, "an attach process was refused", pid=self.pid, uid=self.uid, why=why)
        self._say(f"refused {why}".encode())
        self.close()

    def _say(self, message: bytes) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            # Its end, if it is that, is heard by `_readable`.
            logger.debug("an attach process does not listen", router=self.name, why=os.strerror(error.errno or 0))

    # -- ends

    def _hung_up(self) -> None:
        """End with the attach process; what ExaBGP is just writing is still taken from it."""
        drained = None if self._router is None else self._fds.pop(0)
        self.close()
        if drained is not None:
            _Drain(drained, self._all.drains)

    def _exabgp_gone(self) -> None:
        if self._router is None:
            return  # it is we who let go
        router, self._router = self._router, None
        self._let_go(router)
        self._say(b"gone")
        self._forget()
        self._close_fds()


class _Drain:
    """Reads a pipe and forgets it, until its end or for DRAIN seconds; then it is closed."""

    def __init__(self, fd: int, drains: set[object]) -> None:
        self._fd = fd
        self._drains = drains
        drains.add(self)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(DRAIN, self._end)
        self._loop.add_reader(fd, self._readable)

    def _readable(self) -> None:
        try:
            if os.read(self._fd, _READ):
                return
        except BlockingIOError:
            return
        except OSError as error:
            logger.debug("a pipe failed while it was emptied", why=os.strerror(error.errno or 0))
        self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._drains.discard(self)
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


def _noted(error: MemoryError | OSError) -> str:
    """Say why, and note it for the status where the host is short of something."""
    return met(error) or str(getattr(error, "strerror", error))


def _why_no_pipes(fds: list[int]) -> str | None:
    """Say why these are not ExaBGP's events and our commands; None: they are, as far as one can tell."""
    expected = "expected two pipes: ExaBGP's events and our commands"
    if len(fds) != 2:
        return f"{expected}; there were {counted(len(fds), 'descriptor')}"
    for fd, what, mode in zip(fds, ("events", "commands"), (os.O_RDONLY, os.O_WRONLY), strict=True):
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if flags & os.O_PATH or not _is_stream(fd):
            return f"{expected}; that of the {what} is neither a pipe nor a stream socket that is connected"
        if flags & os.O_ACCMODE not in (mode, os.O_RDWR):
            return f"{expected}; that of the {what} is open for the other direction"
    events, commands = map(os.fstat, fds)
    if (events.st_dev, events.st_ino) == (commands.st_dev, commands.st_ino) and not stat.S_ISSOCK(events.st_mode):
        return f"{expected}; both are the same"
    return None


def _is_stream(fd: int) -> bool:
    """Whether it is a pipe, or a stream socket with a peer; a packet socket is how a client speaks with us."""
    mode = os.fstat(fd).st_mode
    if not stat.S_ISSOCK(mode):
        return stat.S_ISFIFO(mode)
    with socket.socket(fileno=os.dup(fd)) as plug:
        try:
            plug.getpeername()
        except OSError:
            return False
        return plug.type == socket.SOCK_STREAM


def _is_kept(fd: int) -> bool:
    """Whether it is a file in memory, no longer than an attach process makes one; only such a file has seals."""
    try:
        fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY and os.fstat(fd).st_size <= MOST_KEPT


def _receive(connection: socket.socket, fds: list[int]) -> tuple[bytes, bool]:
    """Give a message, and whether nothing was cut off of it or its descriptors, which `fds` gets."""
    room = socket.CMSG_SPACE(8 * array.array("i").itemsize)
    message, ancillary, flags, _ = connection.recvmsg(_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            came = array.array("i")
            came.frombytes(data[: len(data) - len(data) % came.itemsize])
            fds += came
    return message, not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
