"""Connections to the API: bounded in number, and in the time that they may stay silent.

A client may open many connections, send its request octet by octet, or nothing: none of that takes more than a few
descriptors for a few seconds, and nobody who comes by one listener can shut out who comes by another.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from rtrd.api.no_http import Connection
from rtrd.base.acceptor import Acceptor, source_of

MOST: Final = 128
"""Connections of one listener. A process has 1024 descriptors by custom, and caches and routers need theirs."""
PATIENCE: Final = 10.0
"""Seconds that a connection may be open without a whole request; also between two requests."""
SOON: Final = 1.0
"""Seconds after which a connection without a request gives way to a new one, when there are too many."""
MOST_OF_SOURCE: Final = 96
"""Those of one address by TCP: so others have room, too."""
READ_TIME: Final = 60.0
"""Seconds that a client may leave what waits for it unread."""
UNSENT: Final = 1 << 17
"""Octets that the kernel keeps to send, of one connection."""
BACKLOG: Final = 128
"""Connections that the kernel keeps until they are taken."""

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b'Content-Length: 43\r\n\r\n{"error": "too many connections are open"}\n'
)


class HandlerMaker(Protocol):
    """What makes the handler of a new connection."""

    @property
    def connections(self) -> list[Connection]:
        """Those that it knows."""

    def __call__(self) -> Connection:
        """Make one."""


class Requests:
    """Which connections are in the middle of a request, and which are not, since when; a middleware."""

    # What aiohttp looks for in a middleware of today.
    __middleware_version__ = 1

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.busy: dict[RequestHandler, float] = {}
        self.quiet: dict[RequestHandler, float] = {}

    async def __call__(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request; its connection is busy meanwhile."""
        protocol = request.protocol
        self.busy[protocol] = self.clock()
        try:
            return await handler(request)
        finally:
            self.busy.pop(protocol, None)
            if protocol in self.quiet:  # else its client hung up meanwhile, and it was forgotten
                self.quiet[protocol] = self.clock()


class Connections:
    """The connections of one listener; called for each new one, as asyncio's servers want it."""

    def __init__(
        self, server: HandlerMaker, requests: Requests, soon: Callable[[Callable[[], object]], object] | None = None
    ) -> None:
        """`soon` calls back when the server knows a connection that it was given now."""
        self._server = server
        self._soon = soon or _in_two_turns
        self._requests = requests
        self._open: dict[Connection, str] = {}  # and whose it is; by the unix socket nobody's
        self._coming: set[Connection] = set()
        """Of those, the ones that the server doesn't know yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._listening: Acceptor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a bound socket from now on; by TCP, not the last descriptors that there are."""
        loop = asyncio.get_running_loop()
        if listener.family != socket.AF_UNIX:
            # Else the kernel takes megabytes of an answer that nobody reads, and we would make them.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        refused = None if listener.family == socket.AF_UNIX else lambda _: None
        self._listening = Acceptor(listener, self._take, refused, lambda: self._make_room(set(self._open)))
        self._listening.start(BACKLOG)
        self._timer = loop.call_later(SOON, self._sweep)

    def _take(self, connection: socket.socket, peer: Any) -> None:
        task = asyncio.create_task(self._serve(connection, source_of(peer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, source: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(partial(self, source), connection)
        except OSError:  # it hung up
            connection.close()

    def close(self) -> None:
        """Take no more; those that are open are the application's to end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def __call__(self, source: str = "") -> asyncio.Protocol:
        """Give the protocol of a new connection from there."""
        if self._too_many(source):
            self.look()
        too_many = self._too_many(source)
        if too_many and not self._make_room(too_many):
            return _Full()
        handler = self._server()
        self._open[handler] = source
        self._requests.quiet[handler] = self._requests.clock()
        self._coming.add(handler)
        self._soon(lambda: self._coming.discard(handler))
        return handler

    def look(self) -> None:
        """Forget connections that are gone; end those that were quiet for too long."""
        now = self._requests.clock()
        for handler in self._open.keys() - self._coming - set(self._server.connections):
            self._forget(handler)
        for handler in self._open.keys() - self._requests.busy.keys():
            if now - self._requests.quiet[handler] > PATIENCE:
                self._end(handler)
        for handler in [each for each in self._open if each.unread is not None and now - each.unread > READ_TIME]:
            self._end(handler)

    def _too_many(self, source: str) -> set[Connection]:
        """Give those of which one has to go before there is room for one more; none: there is room."""
        same = {handler for handler, other in self._open.items() if source and other == source}
        if len(same) >= MOST_OF_SOURCE:
            return same
        return set(self._open) if len(self._open) >= MOST else set()

    def _make_room(self, among: set[Connection]) -> bool:
        """End whose client was quiet or read nothing longest, else the oldest answer; False: none is old enough.

        Else those who follow events, say, would shut out who asks for /healthz.
        """
        requests = self._requests
        since = {handler: requests.quiet[handler] for handler in among - requests.busy.keys()}
        since |= {handler: handler.unread for handler in among if handler.unread is not None}
        answers = {handler: requests.busy[handler] for handler in among & requests.busy.keys()}
        for each, patience in ((since, SOON), (answers, PATIENCE)):
            handler = min(each, key=each.__getitem__, default=None)
            if handler is not None and requests.clock() - each[handler] > patience:
                self._end(handler)
                return True
        return False

    def _end(self, handler: Connection) -> None:
        handler.force_close()
        self._forget(handler)

    def _forget(self, handler: Connection) -> None:
        self._open.pop(handler, None)
        self._requests.quiet.pop(handler, None)

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SOON, self._sweep)  # whatever fails below
        self.look()


def _in_two_turns(call: Callable[[], object]) -> None:
    """Call back when asyncio, which does so in the loop's next turn, has told the server of a new connection."""
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, call)


class _Full(asyncio.Protocol):
    """Says that there is no room, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_FULL)
        transport.close()
