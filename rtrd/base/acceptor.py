"""Takes connections from a listening socket: some in a turn of the loop, and never the last descriptors.

A connection has the lowest descriptor that is free. So one with a high number says that nearly all are taken, and it is
closed at once: the control socket, the caches and the routers' pipes find a free one at any time.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import resource
import socket
from collections.abc import Callable
from typing import Any, Final

from rtrd.base.notation import unmapped
from rtrd.base.shortages import NEARLY_NONE, note, shortage

AT_ONCE: Final = 16
"""Connections that are taken in one turn of the loop: a millisecond or two."""
RESERVED: Final = 96
"""Descriptors that are left to everything else; a quarter of them all, where that is less."""
PAUSE: Final = 0.2
"""Seconds until it is tried again, when the system has no descriptor or memory."""
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def source_of(address: Any) -> str:
    """Give whose a connection is, by its peer's socket address: an IPv4 address, or the /64 of an IPv6 one.

    A host may choose its address within a /64 as it likes.
    """
    try:
        found = unmapped(address[0])
    except (IndexError, TypeError, ValueError, AttributeError):
        return ""  # of a unix socket
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def last_descriptor(limit: int | None = None) -> int:
    """Give the number below which a connection's descriptor must be; `limit`: of open files, None: as it is now."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - min(RESERVED, limit // 4)


class Acceptor:
    """Takes the connections of one listening socket, which it owns, from `start` to `close`."""

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket, Any], None],
        refused: Callable[[Any], None] | None = None,
        make_room: Callable[[], object] = lambda: None,
    ) -> None:
        """`take` gets each connection, non-blocking, with its peer's address; it is the taker's to close.

        `refused`: is told the address of a peer for which there is no descriptor. None: it gets the last ones, too.
        `make_room`: is called where there is not a single one left, to end a connection that can be spared.
        """
        self._listener = listener
        self._take = take
        self._refused = refused
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, backlog: int) -> None:
        """Listen; `backlog`: connections that the kernel keeps until they are taken."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._go_on()

    def close(self) -> None:
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()

    @property
    def listener(self) -> socket.socket:
        """The socket that listens; it stays the acceptor's."""
        return self._listener

    @property
    def address(self) -> Any:
        """Where it listens."""
        return self._listener.getsockname()

    def _go_on(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    return  # of that connection alone (accept(2))
                self._loop.remove_reader(self._listener)
                self._timer = self._loop.call_later(PAUSE, self._go_on)
                note(shortage(error) or os.strerror(error.errno))
                self._make_room()
                return
            if self._refused is not None and connection.fileno() >= last_descriptor():
                connection.close()
                note(NEARLY_NONE)
                self._refused(peer)
                continue
            connection.setblocking(False)
            self._take(connection, peer)
