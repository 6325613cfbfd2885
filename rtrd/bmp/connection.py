"""One router's connection to the BMP station: it is read, and nothing is answered (RFC 7854 section 3.2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from rtrd.base.endpoint import Endpoint
from rtrd.base.sockets import keep_alive
from rtrd.bmp.kept import KeptRouter
from rtrd.bmp.messages import Frames, FramingError, Kind, MalformedError, sys_name, termination
from rtrd.bmp.router import TooMuchError

SILENT: Final = 60.0
"""Seconds to the first message."""
SLICE: Final = 0.002
"""Seconds of work on what one router has said, before others have their turn."""
KEEPALIVE: Final = 60
"""Seconds without a word after which TCP asks whether a router is still there; it has a minute to answer."""


class Owner(Protocol):
    """What a connection needs of its station."""

    def refusal(self, address: str, certificate: Mapping[str, Any] | None) -> str | None:
        """Say why a router of this address is not heard, which showed this certificate; None: it is."""

    def router(self, name: str, host: str) -> KeptRouter:
        """Give the router that calls itself so, and connects from there."""

    def wall(self) -> float:
        """Give Unix time."""

    def opened(self, connection: Connection) -> None:
        """Know a connection that is made."""

    def malformed(self, reason: str) -> None:
        """Count a malformed message of a connection that is no router yet."""

    def terminated(self, reason: str) -> None:
        """Count why a router ends its connection."""

    def ended(self, connection: Connection, why: str | None) -> None:
        """Forget a connection. `why`: ended by us, for this."""


class Connection(asyncio.Protocol):
    """The station's end of one connection."""

    def __init__(self, owner: Owner) -> None:
        self.address = "?"
        """Address and port of the router."""
        self.kept: KeptRouter | None = None
        """None: it has neither said its name nor told of any peer yet."""
        self.for_good = False
        """What it said is over: nothing stays for `stale-time`."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._host = ""
        self._why: str | None = None
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._host, self.address = str(peer[0]), str(Endpoint(*peer[:2]))
        keep_alive(transport.get_extra_info("socket"), KEEPALIVE, 15, 4)
        self._owner.opened(self)
        if (why := self._owner.refusal(self._host, transport.get_extra_info("peercert"))) is not None:
            self.drop(why)
        else:
            self._timer = self._loop.call_later(SILENT, self.drop, "it said nothing in time")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Tell the station, once."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._owner.ended(self, self._why)

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._transport.abort()

    def drop(self, why: str) -> None:
        """End it, for a reason."""
        if not self._closed:
            self._why = why
            self.close()

    # -- messages

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self._closed:
            self._frames.add(data)
            self._messages()

    def _messages(self) -> None:
        """Take messages for a while; what is left waits for the next turn, and nothing is read meanwhile."""
        until = time.perf_counter() + SLICE
        try:
            while not self._closed and (message := self._frames.next()) is not None:
                self._take(*message)
                if time.perf_counter() >= until:
                    self._transport.pause_reading()
                    self._loop.call_soon(self._go_on)
                    return
        except FramingError as error:
            self.drop(f"what it sends is no BMP: {error}")
        except TooMuchError as error:
            self.for_good = True
            self.drop(str(error))
        except MemoryError:
            self.for_good = True
            self.drop("memory ended")

    def _go_on(self) -> None:
        if not self._closed:
            self._transport.resume_reading()
            self._messages()

    def _take(self, kind: int, body: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if kind == Kind.TERMINATION:
            self.for_good = True
            self._owner.terminated(termination(body))
            self.close()
        elif self.kept is not None:
            self.kept.router.take(kind, body, self._owner.wall())
        elif kind == Kind.INITIATION:
            try:
                name = sys_name(body)
            except MalformedError as error:
                self._owner.malformed(str(error))
            else:
                self.kept = None if name is None else self._owner.router(name, self._host)
        elif kind == Kind.PEER_UP or (kind == Kind.ROUTE_MONITORING and body[:1] == b"\x03"):
            self.kept = self._owner.router(self._host, self._host)
            self.kept.router.take(kind, body, self._owner.wall())
        else:
            self._owner.malformed("a message before any Peer Up")
