"""The effective VRPs, router keys and ASPAs served to routers by RTR (RFC 8210, 8210bis).

The server takes one change at a time. What comes meanwhile is kept by VRP, where the latest counts, and follows as
one change; when that is much, the whole set follows instead, of which the server makes the least change by itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.endpoint import Endpoint
from rtrd.base.registry import Problem, Registry
from rtrd.base.shortages import shortage
from rtrd.base.sockets import why_not
from rtrd.base.tls import TLSError, server_context
from rtrd.config import RouterClients
from rtrd.config import RTRServer as Where
from rtrd.rtr.client import Goodbye, Limits
from rtrd.rtr.intervals import Intervals
from rtrd.rtr.server import RTRServer
from rtrd.rtr.signing import Keys, SigningError, read_keys
from rtrd.rtr.store import VERSIONS, Store
from rtrd.rtr.versions import Versions
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.copying import copy
from rtrd.vrps.router_keys import KeySet
from rtrlib import aspas
from rtrlib.packed import VRP_SIZE, split
from rtrlib.vrp_entries import RouterKey
from rtrlib.vrp_set import VRPChanges, VRPSet

MOST_SINGLE: Final = 1000
"""Changed VRPs that are handed on one by one; holding and sorting more would take the loop longer than a slice."""
RETRY: Final = 1.0
"""Seconds until the whole set is tried again after a failure."""
CLOSE: Final = 2.0
"""Seconds that routers get to take what is buffered for them when the daemon ends."""

logger = log.get("relay")


class RelayError(Exception):
    """The relay can't listen where it should; the text says where and why."""


class Secrets(NamedTuple):
    """What files have that nobody else should read."""

    tls: ssl.SSLContext | None
    """None: TLS is not spoken."""
    keys: Keys
    """Of routers that sign TCP."""


class Sets(NamedTuple):
    """What is served: the effective sets."""

    vrps: VRPSet
    keys: KeySet
    aspas: ASPASet


class VRPReceiver(Protocol):
    """What takes the VRPs: rtrd.rtr.server.RTRServer."""

    async def update(self, vrps: bytes | memoryview, keys: Iterable[RouterKey], aspa_set: bytes) -> bool:
        """Serve exactly these."""

    async def change(self, announced: bytes, withdrawn: bytes, keys: frozenset[RouterKey], aspa_set: bytes) -> bool:
        """Serve these VRPs, and those no more, and exactly these router keys and ASPAs."""


class Updates:
    """What the server still has to be told, and the one task that tells it, in order."""

    def __init__(self, sets: Sets, server: VRPReceiver, ready: Callable[[], bool]) -> None:
        """Serve nothing before `ready` says for the first time that the sets can be relied on."""
        self._sets = sets
        self._server = server
        self._ready = ready
        self._serving = False
        self._whole = True
        self._changed: dict[bytes, bool] = {}  # VRP without its last octet: is it in
        self._wake = asyncio.Event()
        self.fault: str | None = None
        """Why the server could not be told the last time; None: it could."""

    def changed(self, changes: VRPChanges) -> None:
        """Note VRPs that became effective or ceased to be."""
        if not len(changes):
            return
        if not self._whole and len(changes) + len(self._changed) <= MOST_SINGLE:
            self._changed.update((record[:-1], bool(record[-1])) for record in split(changes.packed()))
        else:
            self._whole = True
            self._changed.clear()
        self._wake.set()

    def others_changed(self) -> None:
        """Note that other router keys or ASPAs are effective; with VRPs of the same moment they are one change."""
        self._wake.set()

    def became_usable(self) -> None:
        """Ask `ready` again."""
        self._wake.set()

    async def run(self) -> None:
        """Tell the server, until canceled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            # Later it serves what is effective, also when that has expired.
            self._serving = self._serving or self._ready()
            if not self._serving:
                continue
            try:
                await self._tell()
                self.fault = None
            except Exception as error:
                self._whole = True
                before, self.fault = self.fault, shortage(error) or "rtrd failed to; its log says why"
                if self.fault != before:
                    logger.exception("the relay failed to take a change; it will take the whole set", seconds=RETRY)
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def _tell(self) -> None:
        changed, self._changed = self._changed, {}
        if self._whole:
            # What changes during the copy is in it, and told once more after it, which does no harm.
            self._whole = False
            vrps = await copy(self._sets.vrps)
            await self._server.update(vrps, self._sets.keys.effective, self._sets.aspas.effective)
        else:
            come, gone = (_records(changed, announce=announce) for announce in (True, False))
            await self._server.change(come, gone, self._sets.keys.effective, self._sets.aspas.effective)


def _records(changed: dict[bytes, bool], *, announce: bool) -> bytes:
    octet = bytes([announce])
    return b"".join(record + octet for record, is_in in changed.items() if is_in is announce)


class Relay:
    """The RTR server of the daemon."""

    def __init__(
        self,
        where: Where,
        sets: Sets,
        ready: Callable[[], bool],
        intervals: Intervals,
        *,
        sessions: list[int] | None = None,
    ) -> None:
        """Listen nowhere yet. `intervals` are what routers are told in End of Data (RFC 8210 section 6).

        `sessions`: a session ID for each version; None: any.
        """
        self._where = where
        self._server = RTRServer(
            Store(intervals, sessions=sessions),
            Limits(notify_interval=where.notify_interval),
            check_address=where.tls is None or where.tls.check_address,
        )
        self._keys: Keys = {}
        """Of routers that sign TCP."""
        self._goodbye: Goodbye = where.on_stop
        self.set_versions(where.max_version, where.clients)
        self._updates = Updates(sets, self._server, ready)
        self._listening: list[Endpoint] = []
        self._listening_tls: list[Endpoint] = []
        self._background = Background("relay")
        self.changed = self._updates.changed
        self.others_changed = self._updates.others_changed
        self.became_usable = self._updates.became_usable

    async def start(self) -> None:
        """Listen; routers are told "no data available" until there is a set. Raises RelayError."""
        try:
            secrets = self.read_secrets()
            self._keys = secrets.keys
            await self._listen(self._where.listen or (), self._listening, keys=secrets.keys)
            if self._where.tls is not None:
                await self._listen(self._where.tls.listen, self._listening_tls, secrets.tls)
        except RelayError as error:
            await self.close()
            raise RelayError(f"rtr-server: {error}") from error
        self._background.start(self._updates.run)
        logger.info("serving routers", listen=" ".join(map(str, self._listening + self._listening_tls)))

    def read_secrets(self) -> Secrets:
        """Read certificates and keys. Raises RelayError."""
        tls = self._where.tls
        try:
            context = None if tls is None else server_context(tls.certificate, tls.key, tls.client_ca)
        except TLSError as error:
            raise RelayError(f"tls: {error}") from error
        try:
            return Secrets(context, read_keys(self._where.clients))
        except SigningError as error:
            raise RelayError(f"clients: {error}") from error

    def read_again(self) -> Callable[[], None]:
        """Read certificates and keys again; gives what lets them count. Raises RelayError."""
        return partial(self._renew_secrets, self.read_secrets())

    def _renew_secrets(self, secrets: Secrets) -> None:
        """Let these count for routers that connect from now on."""
        if secrets.tls is not None:
            self._server.renew_tls(secrets.tls)
        try:
            self._server.renew_keys(self._keys, secrets.keys)
        except SigningError as error:
            logger.error("not all keys of routers could be renewed", why=str(error))  # noqa: TRY400
        self._keys = secrets.keys

    async def _listen(
        self,
        addresses: Iterable[Endpoint],
        listening: list[Endpoint],
        tls: ssl.SSLContext | None = None,
        keys: Keys | None = None,
    ) -> None:
        for address in addresses:
            try:
                listening += await self._server.listen(address, tls, keys)
            except SigningError as error:
                raise RelayError(f"clients: {error}") from error
            except OSError as error:
                raise RelayError(f"cannot listen on {address}: {why_not(error)}") from error

    def _set_goodbye(self, on_stop: Goodbye) -> None:
        self._goodbye = on_stop

    def set_versions(self, max_version: int, clients: Iterable[RouterClients]) -> None:
        """Let these count: the highest version of RTR for all, and for some routers."""
        highest = [(each.match, max_version if each.max_version is None else each.max_version) for each in clients]
        self._server.limit_versions(Versions(max_version, highest))

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self._background.close()
        self._listening.clear()
        self._listening_tls.clear()
        try:
            await asyncio.wait_for(self._server.close(self._goodbye), CLOSE)
        except TimeoutError:
            logger.info("routers did not take what was sent last", routers=len(self._server.clients()))

    def register(self, registry: Registry) -> None:
        """Offer what is served."""
        registry.status_of(rtr_server=self.status)
        registry.problems_of(self._problems)
        for name, text, key in (
            ("rtrd_rtr_router_keys", "Router keys served.", "router_keys"),
            ("rtrd_rtr_clients", "Routers connected to the RTR server.", "clients"),
            ("rtrd_rtr_serial", "Serial number served (protocol version 1).", "serial"),
            ("rtrd_rtr_vrps", "VRPs served.", "vrps"),
            ("rtrd_rtr_aspas", "Customers whose ASPAs are served, to routers of version 2.", "aspas"),
        ):
            registry.metric(name, text, partial(self._number, key))
        registry.metric(
            "rtrd_rtr_sessions", "Routers that have asked for something, by the protocol version.",
            lambda: [((version,), number) for version, number in self._by_version().items()], ("version",),
        )  # fmt: skip
        registry.on_reload(self.set_versions, "rtr_server.max_version", "rtr_server.clients")
        registry.on_reload(self._set_goodbye, "rtr_server.on_stop")

    def _problems(self) -> Iterator[Problem]:
        if (why := self._updates.fault) is not None:
            what = f"the RTR server can't serve what is in force now, routers have what was before: {why}"
            yield Problem(what, None, "critical", "relay")

    def _number(self, key: str) -> float | None:
        number: float | None = self.status()[key]
        return number

    def _by_version(self) -> dict[str, int]:
        spoken = Counter(client.version for client in self._server.clients())
        return {str(version): spoken[version] for version in VERSIONS}

    def status(self) -> dict[str, Any]:
        """Give where it listens, how many routers are connected, and the serial number of version 1."""
        store = self._server.store
        return {
            "listen": [str(address) for address in self._listening],
            "listen_tls": [str(address) for address in self._listening_tls],
            "clients": len(self._server.clients()),
            "versions": self._by_version(),
            "serial": None if store.data is None else store.serial(1),
            "vrps": None if store.data is None else len(store.data.vrps) // VRP_SIZE,
            "router_keys": None if store.data is None else len(store.data.keys),
            "aspas": None if store.data is None else aspas.count(store.data.aspas),
        }
