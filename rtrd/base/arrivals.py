"""Connections from the moment they are taken: no source has too many, and TLS is agreed on in time.

For what strangers connect to by TCP and TLS: the RTR server and the BMP station.
"""

from __future__ import annotations

import asyncio
import functools
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from rtrd.base import log
from rtrd.base.acceptor import Acceptor, source_of
from rtrd.base.endpoint import Endpoint
from rtrd.base.loop import strangers
from rtrd.base.sources import Sources
from rtrd.base.tls import handshake_fault

P = TypeVar("P", bound=asyncio.Protocol)
Fate: TypeAlias = Literal["refused", "dropped"]
_BACKLOG: Final = 1024
_OTHER_FILES: Final = 256
"""Descriptors for everything else."""

logger = log.get("arrivals")


def make_room(connections: int) -> None:
    """Raise the soft limit of open files, usually 1024, so that it holds these; log it if that fails."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        logger.warning("the limit of open files is below the limit of routers", files=hard, routers=connections)


class Limits(NamedTuple):
    """How many may be there at once, and how long they may take."""

    connections: int
    of_address: int
    """Of one address; of IPv6, of a /64."""
    handshakes: int = 128
    """TLS handshakes: each takes a tenth of a megabyte."""
    handshakes_of_address: int = 32
    handshake: float = 10.0
    """Seconds for TLS to be agreed on, before anything else, from the moment that the connection is taken."""
    shutdown: float = 30.0
    """Seconds for TLS to be ended."""


class Arrivals(Generic[P]):
    """The connections of one server. All methods are for the event loop's own thread."""

    def __init__(
        self,
        limits: Limits,
        make: Callable[[], P],
        drop: Callable[[P, str], None],
        count: Callable[[Fate, str, str, str], None],
        *,
        refusal: Callable[[str], str | None] = lambda _address: None,
    ) -> None:
        """`make` gives the protocol of a connection; `drop` ends one that is made, as it gives way.

        `count` is told of each connection that is refused or dropped here: which, the peer's address, why, and by what
        it is logged once in a while. `refusal`: says why an address may not connect; None: it may.
        """
        self.tls: ssl.SSLContext | None = None
        """By what TLS is spoken from now on; who is connected stays so."""
        self._limits = limits
        self._make, self._drop, self._count, self._refusal = make, drop, count, refusal
        self._sources = Sources[P]("connections", limits.connections, limits.of_address)
        self._shaking = Sources[P]("TLS handshakes", limits.handshakes, limits.handshakes_of_address)
        self._descriptors: dict[P, int] = {}
        self._tasks: dict[P, asyncio.Task[None]] = {}  # of those that are being connected
        self._all_gone = asyncio.Event()

    async def bind(self, address: Endpoint, *, secured: bool, receive_buffer: int) -> list[Acceptor]:
        """Bind to an address (a name may have several), to be started. Raises OSError. `secured`: with TLS."""
        make_room(self._limits.connections)
        take = functools.partial(self._take, secured=secured)
        bound = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, host=address.host, port=address.port, reuse_address=True, start_serving=False
        )
        found = []
        for one in bound.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            found.append(Acceptor(one.dup(), take, self._no_descriptor))
        bound.close()
        return found

    @staticmethod
    def listen(acceptor: Acceptor) -> None:
        """Take connections from now on."""
        acceptor.start(_BACKLOG)

    @property
    def shaking(self) -> int:
        """How many connections have not agreed on TLS yet."""
        return len(self._shaking)

    def closed(self, one: P) -> None:
        """Forget a connection that has ended."""
        strangers().discard(self._descriptors.pop(one, -1))
        self._sources.discard(one)
        if not len(self._sources):
            self._all_gone.set()

    def cancel(self) -> None:
        """End those that are being connected."""
        for task in self._tasks.values():
            task.cancel()

    async def wait_gone(self) -> None:
        """Wait until every connection has ended."""
        while len(self._sources):
            self._all_gone.clear()
            await self._all_gone.wait()

    def _take(self, connection: socket.socket, peer: Any, *, secured: bool) -> None:
        """Make a protocol of a new connection, unless there are too many."""
        source, address = source_of(peer), str(Endpoint(*peer[:2]))
        held = [self._sources, self._shaking] if secured else [self._sources]
        why = self._refusal(peer[0]) or next(filter(None, (each.refusal(source) for each in held)), None)
        if why is not None:
            connection.close()
            self._count("refused", address, why, "")
            return
        one = self._make()
        for each in held:
            other = each.to_give_way()
            if other is not None:
                self._end(*other)
            each.add(one, source)
        tls = self.tls if secured else None
        self._tasks[one] = asyncio.create_task(self._connect(one, connection, tls, address))

    async def _connect(self, one: P, connection: socket.socket, tls: ssl.SSLContext | None, address: str) -> None:
        self._descriptors[one] = connection.fileno()
        strangers().add(connection.fileno())
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: one,
                connection,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self._limits.handshake,
                ssl_shutdown_timeout=None if tls is None else self._limits.shutdown,
            )
        except (OSError, asyncio.CancelledError) as error:  # hung up, no TLS, too slow, or it gave way
            if isinstance(error, ssl.SSLError):
                why = handshake_fault(error)
                self._count("dropped", address, why, why)
            connection.close()
            self.closed(one)
        finally:
            del self._tasks[one]
            self._shaking.discard(one)

    def _end(self, one: P, why: str) -> None:
        if one in self._tasks:
            self._tasks[one].cancel()
            self._shaking.discard(one)
            self.closed(one)
            self._count("dropped", "?", why, "")
        else:
            self._drop(one, why)
            self._sources.discard(one)

    def _no_descriptor(self, peer: Any) -> None:
        self._count("refused", str(Endpoint(*peer[:2])), "nearly all descriptors are taken", "")
