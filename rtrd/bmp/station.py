"""The BMP station: where routers connect, and who may (RFC 7854 section 3.2). It reads them, and answers nothing."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from rtrd.base import log
from rtrd.base.acceptor import Acceptor, source_of
from rtrd.base.endpoint import Endpoint
from rtrd.base.loop import strangers
from rtrd.base.registry import Problem, Registry
from rtrd.base.sockets import ListenError
from rtrd.base.sources import Sources
from rtrd.bmp.messages import Frames, FramingError, Kind, MalformedError, sys_name
from rtrd.bmp.router import BMPRouter, TooMuchError
from rtrd.config import BMP

MOST_ROUTERS: Final = 1024
MOST_OF_ADDRESS: Final = 256
"""Connections at once, in all and of one source (rtrd.base.acceptor.source_of)."""
SILENT: Final = 60.0
"""Seconds to the first message."""
READ: Final = 1 << 16
"""Octets that are read at a time."""
SLICE: Final = 0.002
"""Seconds of work on what one router has said, before others have their turn."""
KEEPALIVE: Final = 60
"""Seconds without a word after which TCP asks whether a router is still there; it has a minute to answer."""
WORK: Final = 2000
"""Routes that are looked at in one turn."""
_BACKLOG: Final = 256

logger = log.get("bmp")


class Home(Protocol):
    """What keeps the routers: rtrd.routers.Routers."""

    def monitor(self, name: str, work: Callable[[], None]) -> BMPRouter:
        """Add one; `name` may get something behind it, if another has it."""

    def unmonitor(self, router: BMPRouter) -> None:
        """Forget one and its routes."""


class Connection:
    """One router's connection."""

    def __init__(self, station: Station, connection: socket.socket, peer: Any) -> None:
        self.address = str(Endpoint(*peer[:2]))
        self.router: BMPRouter | None = None
        """None: it has not told of any peer yet."""
        self._host = str(peer[0])
        self._station = station
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._name: str | None = None
        self._closed = False
        self._working = False
        self._reading = False
        strangers().add(connection.fileno())
        self._timer = self._loop.call_later(SILENT, self.close, "it said nothing in time")
        self._read_on()

    def close(self, why: str | None = None) -> None:
        """End it; its routes are gone. `why`: it is our doing."""
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        strangers().discard(self._socket.fileno())
        self._pause()
        self._socket.close()
        if self.router is not None:
            self._station.home.unmonitor(self.router)
        self._station.ended(self, why)

    def _read_on(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            octets = self._socket.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            octets = b""
        if not octets:
            self.close()
            return
        self._frames.add(octets)
        self._messages()

    def _messages(self) -> None:
        """Take messages for a while; what is left waits for the next turn, and nothing is read meanwhile."""
        until = time.perf_counter() + SLICE
        try:
            while (message := self._frames.next()) is not None:
                if not self._take(*message):
                    self.close()
                    return
                if time.perf_counter() >= until:
                    self._pause()
                    self._loop.call_soon(self._go_on)
                    return
        except FramingError as error:
            self.close(f"what it sends is no BMP: {error}")
        except TooMuchError as error:
            self.close(str(error))
        except MemoryError:
            self.close("memory ended")

    def _go_on(self) -> None:
        if not self._closed:
            self._messages()
        if not self._closed:
            self._read_on()

    def _take(self, kind: int, body: bytes) -> bool:
        self._timer.cancel()
        if self.router is None:
            if kind == Kind.INITIATION:
                try:
                    self._name = sys_name(body) or self._name
                except MalformedError as error:
                    self._station.count(str(error))
                return True
            if kind != Kind.PEER_UP and not (kind == Kind.ROUTE_MONITORING and body[:1] == b"\x03"):
                if kind != Kind.TERMINATION:
                    self._station.count("a message before any Peer Up")
                return kind != Kind.TERMINATION
            self.router = self._station.home.monitor(self._name or self._host, self.work_soon)
            logger.info("router tells its routes", router=self.router.engine.name, address=self.address)
        return self.router.take(kind, body, self._station.wall())

    def work_soon(self) -> None:
        """Have the engine's work done, a slice in a turn."""
        if not self._working and not self._closed:
            self._working = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        self._working = False
        if self.router is not None and not self._closed and self.router.engine.has_work:
            self.router.engine.set_time(int(self._station.wall()))
            self.router.engine.work(WORK)
            self.work_soon()


class Station:
    """Listens for the routers of one daemon."""

    def __init__(self, where: BMP, home: Home, wall: Callable[[], float]) -> None:
        """Listen nowhere yet. `wall`: gives Unix time."""
        self.home = home
        self.wall = wall
        self._where = where
        self._allowed = None if where.allow is None else tuple(map(ipaddress.ip_network, where.allow))
        self._connections: dict[Connection, None] = {}
        self._sources = Sources[Connection]("connections", MOST_ROUTERS, MOST_OF_ADDRESS)
        self._listening: list[Acceptor] = []
        self._counts: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._log_limit = log.RateLimiter()

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        try:
            for address in self._where.listen:
                bound = await asyncio.get_running_loop().create_server(
                    asyncio.Protocol, host=address.host, port=address.port, reuse_address=True, start_serving=False
                )
                for one in bound.sockets:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * READ)
                    self._listening.append(Acceptor(one.dup(), self._take, self._no_descriptor))
                bound.close()
        except OSError as error:
            self.close()
            raise ListenError(f"bmp: cannot listen on {address}: {error.strerror or error}") from error
        for acceptor in self._listening:
            acceptor.start(_BACKLOG)
        where = " ".join(str(Endpoint(*acceptor.address[:2])) for acceptor in self._listening)
        logger.info("listening for routers that speak BMP", listen=where)

    def close(self) -> None:
        """Listen no more, and end every connection."""
        for acceptor in self._listening:
            acceptor.close()
        self._listening.clear()
        for connection in list(self._connections):
            connection.close()

    def _take(self, connection: socket.socket, peer: Any) -> None:
        source = source_of(peer)
        why = self._sources.refusal(source)
        if why is None and not self._is_allowed(peer):
            why = "its address is not in `bmp.allow`"
        if why is not None:
            connection.close()
            self._refused(peer, why)
            return
        if (other := self._sources.to_give_way()) is not None:
            other[0].close(other[1])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, KEEPALIVE), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4)):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        one = Connection(self, connection, peer)
        self._connections[one] = None
        self._sources.add(one, source)

    def _is_allowed(self, peer: Any) -> bool:
        if self._allowed is None:
            return True
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)

    def _no_descriptor(self, peer: Any) -> None:
        self._refused(peer, "nearly all descriptors are taken")

    def _refused(self, peer: Any, why: str) -> None:
        self._counts["refused"] += 1
        if (more := self._log_limit.rate_limited(why)) is not None:
            logger.warning("connection refused", address=str(Endpoint(*peer[:2])), why=why, **more)

    def count(self, reason: str) -> None:
        """Count a malformed message of a connection that is no router yet."""
        self._malformed[reason] += 1

    def ended(self, connection: Connection, why: str | None) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        self._sources.discard(connection)
        name = None if connection.router is None else connection.router.engine.name
        if connection.router is not None:
            self._malformed.update(connection.router.malformed)
        if why is not None:
            self._counts["dropped"] += 1
            if (more := self._log_limit.rate_limited((name, why))) is not None:
                logger.warning("router dropped", router=name, address=connection.address, why=why, **more)
        elif name is not None:
            logger.info("router is gone, and its routes", router=name, address=connection.address)

    # -- what is known

    def register(self, registry: Registry) -> None:
        """Offer who is connected, and what went wrong."""
        registry.status_of(bmp=self._status)
        registry.problems_of(self._problems)
        registry.metric("rtrd_bmp_routers", "Routers that tell their routes by BMP.", lambda: len(self._routers()))
        for name, text in (
            ("refused", "BMP connections refused: too many, or not allowed."),
            ("dropped", "BMP connections ended by us: no BMP, too much, or nothing in time."),
        ):
            registry.metric(f"rtrd_bmp_{name}_total", text, functools.partial(self._counts.__getitem__, name))
        registry.metric(
            "rtrd_bmp_malformed_total", "BMP messages left out, by reason.",
            lambda: [((reason,), count) for reason, count in self._all_malformed().items()], ("reason",),
        )  # fmt: skip

    def _routers(self) -> list[BMPRouter]:
        return [one.router for one in self._connections if one.router is not None]

    def _all_malformed(self) -> Counter[str]:
        found = Counter(self._malformed)
        for router in self._routers():
            found.update(router.malformed)
        return found

    def _status(self) -> dict[str, Any]:
        return {
            "listening": [str(Endpoint(*acceptor.address[:2])) for acceptor in self._listening],
            "routers": len(self._routers()),
            "refused": self._counts["refused"],
            "dropped": self._counts["dropped"],
            "malformed": dict(self._all_malformed()),
        }

    def _problems(self) -> Iterator[Problem]:
        for router in self._routers():
            if router.peers_left_out:
                what = f"router {router.engine.name} tells of more peers by BMP than one may have: some are left out"
                yield Problem(what, None, "warning", f"bmp peers {router.engine.name}")
