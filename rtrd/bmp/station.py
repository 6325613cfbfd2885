"""The BMP station: where routers connect, by TCP and TLS, and who may (RFC 7854 section 3.2)."""

from __future__ import annotations

import functools
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rtrd.base import log
from rtrd.base.acceptor import Acceptor, source_of
from rtrd.base.arrivals import Arrivals, Fate, Limits
from rtrd.base.endpoint import Endpoint
from rtrd.base.notation import unmapped
from rtrd.base.registry import MOST_NEIGHBORS, Problem, Registry, Samples
from rtrd.base.sockets import ListenError, why_not
from rtrd.base.sources import Sources
from rtrd.base.tls import TLSError, address_refusal, server_context
from rtrd.bmp.connection import Connection
from rtrd.bmp.kept import Home, KeptRouter
from rtrd.bmp.router import BMPRouter
from rtrd.config import BMP

MOST_ROUTERS: Final = 1024
MOST_OF_ADDRESS: Final = 256
"""Connections at once, in all and of one source (rtrd.base.acceptor.source_of); as many may be lost and stale."""
RECEIVE_BUFFER: Final = 1 << 18

logger = log.get("bmp")


class Station:
    """Listens for the routers of one daemon."""

    def __init__(self, where: BMP, home: Home, wall: Callable[[], float]) -> None:
        """Listen nowhere yet. `wall`: gives Unix time."""
        self.wall = wall
        self._home = home
        self._where = where
        self._allowed = None if where.allow is None else tuple(map(ipaddress.ip_network, where.allow))
        self._connections: dict[Connection, None] = {}
        self._kept: dict[KeptRouter, None] = {}
        self._lost = Sources[KeptRouter]("routers that are lost", MOST_ROUTERS, MOST_OF_ADDRESS)
        self._arrivals = Arrivals[Connection](
            Limits(MOST_ROUTERS, MOST_OF_ADDRESS), lambda: Connection(self), Connection.drop, self._count,
            refusal=self._address_refusal,
        )  # fmt: skip
        self._listening: list[Acceptor] = []
        self._listening_tls: list[Acceptor] = []
        self._counts: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._terminated: Counter[str] = Counter()
        self._log_limit = log.RateLimiter()

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        tls = self._where.tls
        places = [(address, False) for address in self._where.listen or ()]
        places += [(address, True) for address in (() if tls is None else tls.listen)]
        try:
            self.read_again()()
            for address, secured in places:
                found = self._listening_tls if secured else self._listening
                found += await self._arrivals.bind(address, secured=secured, receive_buffer=RECEIVE_BUFFER)
        except TLSError as error:
            self.close()
            raise ListenError(f"bmp: {error}") from error
        except OSError as error:
            self.close()
            raise ListenError(f"bmp: cannot listen on {address}: {why_not(error)}") from error
        for acceptor in (*self._listening, *self._listening_tls):
            self._arrivals.listen(acceptor)
        where = " ".join(_named(self._listening) + _named(self._listening_tls))
        logger.info("listening for routers that speak BMP", listen=where)

    def read_again(self) -> Callable[[], None]:
        """Read certificate and key; gives what lets them count for routers that connect then. Raises TLSError."""
        tls = self._where.tls
        try:
            context = None if tls is None else server_context(tls.certificate, tls.key, tls.client_ca)
        except TLSError as error:
            raise TLSError(f"tls: {error}") from error
        return functools.partial(setattr, self._arrivals, "tls", context)

    def close(self) -> None:
        """Listen no more, and end every connection."""
        for acceptor in (*self._listening, *self._listening_tls):
            acceptor.close()
        self._listening.clear()
        self._listening_tls.clear()
        self._arrivals.cancel()
        for connection in list(self._connections):
            connection.for_good = True
            connection.close()
        for kept in list(self._kept):
            self._forget(kept)

    # -- connections

    def _address_refusal(self, address: str) -> str | None:
        if self._allowed is None:
            return None
        found = unmapped(address)
        allowed = any(found in network for network in self._allowed)
        return None if allowed else "its address is not in `bmp.allow`"

    def refusal(self, address: str, certificate: Mapping[str, Any] | None) -> str | None:
        """See Owner."""
        tls = self._where.tls
        return address_refusal(certificate, address) if tls is not None and tls.check_address else None

    def _count(self, what: Fate, address: str, why: str, key: str) -> None:
        self._counts[what] += 1
        if (more := self._log_limit.rate_limited((what, key or why))) is not None:
            said = "connection refused" if what == "refused" else "connection dropped"
            logger.warning(said, address=address, why=why, **more)

    def opened(self, connection: Connection) -> None:
        """See Owner."""
        self._connections[connection] = None

    def malformed(self, reason: str) -> None:
        """See Owner."""
        self._malformed[reason] += 1

    def terminated(self, reason: str) -> None:
        """See Owner."""
        self._terminated[reason] += 1

    def ended(self, connection: Connection, why: str | None) -> None:
        """See Owner."""
        self._connections.pop(connection, None)
        self._arrivals.closed(connection)
        kept = connection.kept
        name = None if kept is None else kept.router.engine.name
        if why is not None:
            self._counts["dropped"] += 1
            if (more := self._log_limit.rate_limited((name, why))) is not None:
                logger.warning("router dropped", router=name, address=connection.address, why=why, **more)
        if kept is None or kept not in self._kept:
            return
        stays = not connection.for_good and self._keep(kept)
        if not stays:
            self._forget(kept)
        if why is None:
            said = "router is lost, its routes stay for a while" if stays else "router is gone, and its routes"
            logger.info(said, router=name, address=connection.address)

    # -- routers

    def router(self, name: str, host: str) -> KeptRouter:
        """See Owner."""
        for kept in self._kept:
            if not kept.connected and (kept.name, kept.host) == (name, host):
                self._lost.discard(kept)
                kept.back()
                break
        else:
            kept = KeptRouter(self._home, name, host, self.wall)
            self._kept[kept] = None
        logger.info("router is connected by BMP", router=kept.router.engine.name, address=host)
        return kept

    def _keep(self, kept: KeptRouter) -> bool:
        """Keep a router whose connection is lost, if that is wanted and there is room. False: it is not kept."""
        source = source_of((kept.host,))
        if not self._where.stale_time or self._lost.refusal(source) is not None:
            return False
        if (other := self._lost.to_give_way()) is not None:
            self._forget(other[0])
        self._lost.add(kept, source)
        kept.lost(self._where.stale_time, functools.partial(self._forget, kept))
        return True

    def _forget(self, kept: KeptRouter) -> None:
        self._lost.discard(kept)
        if kept in self._kept:
            del self._kept[kept]
            self._malformed.update(kept.router.malformed)
            kept.forget()

    # -- what is known

    def register(self, registry: Registry) -> None:
        """Offer who is connected, and what went wrong."""
        registry.status_of(bmp=self._status)
        registry.problems_of(self._problems)
        registry.metric("rtrd_bmp_routers", "Routers that tell their routes by BMP.", lambda: len(self._told()))
        registry.metric(
            "rtrd_bmp_routers_lost", "Routers whose connection is lost, and whose routes stay for stale-time.",
            lambda: len(self._lost),
        )  # fmt: skip
        for name, text in (
            ("refused", "BMP connections refused: too many, or not allowed."),
            ("dropped", "BMP connections ended by us: no BMP, no TLS, too much, or nothing in time."),
        ):
            registry.metric(f"rtrd_bmp_{name}_total", text, functools.partial(self._counts.__getitem__, name))
        registry.metric(
            "rtrd_bmp_malformed_total", "BMP messages left out, by reason.",
            lambda: [((reason,), count) for reason, count in self._all_malformed().items()], ("reason",),
        )  # fmt: skip
        registry.metric(
            "rtrd_bmp_terminated_total", "Connections that routers have ended by a Termination, by its reason.",
            lambda: [((reason,), count) for reason, count in self._terminated.items()], ("reason",),
        )  # fmt: skip
        registry.metric(
            "rtrd_bmp_statistics", "What routers count of a neighbor by themselves (Statistics Report).",
            self._statistics, ("router", "neighbor", "statistic"),
        )  # fmt: skip

    def _told(self) -> list[BMPRouter]:
        return [kept.router for kept in self._kept if kept.connected]

    def _statistics(self) -> Samples:
        for router in self._told():
            for address in sorted(router.neighbors.addresses())[:MOST_NEIGHBORS]:
                for name, value in router.statistics_of(address).items():
                    yield (router.engine.name, address, name), value

    def _all_malformed(self) -> Counter[str]:
        found = Counter(self._malformed)
        for kept in self._kept:
            found.update(kept.router.malformed)
        return found

    def _status(self) -> dict[str, Any]:
        return {
            "listening": _named(self._listening),
            "listening_tls": _named(self._listening_tls),
            "routers": len(self._told()),
            "routers_lost": len(self._lost),
            "refused": self._counts["refused"],
            "dropped": self._counts["dropped"],
            "terminated": dict(self._terminated),
            "malformed": dict(self._all_malformed()),
        }

    def _problems(self) -> Iterator[Problem]:
        for kept in self._kept:
            name = kept.router.engine.name
            if kept.router.peers_left_out:
                what = f"router {name} tells of more peers by BMP than one may have: some are left out"
                yield Problem(what, None, "warning", f"bmp peers {name}")
            if not kept.connected:
                what = f"router {name} has lost its BMP connection: its routes are those of then"
                yield Problem(what, kept.router.lost_since, "warning", f"bmp lost {name}")
            elif kept.is_silent():
                what = f"router {name} is connected by BMP, but tells of no neighbor; BIRD 3 needs new sessions for it"
                yield Problem(what, kept.since, "warning", f"bmp silent {name}")


def _named(acceptors: list[Acceptor]) -> list[str]:
    return [str(Endpoint(*acceptor.address[:2])) for acceptor in acceptors]
