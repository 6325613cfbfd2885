"""The RTR server (RFC 6810, RFC 8210, 8210bis): serves VRPs, router keys and ASPAs to routers.

Serves any number of listening addresses from one Store, in one event loop.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rtrd.base import log
from rtrd.base.acceptor import Acceptor
from rtrd.base.arrivals import Arrivals, Fate
from rtrd.base.arrivals import Limits as ArrivalLimits
from rtrd.base.endpoint import Endpoint
from rtrd.base.tls import address_refusal
from rtrd.rtr.client import RECEIVE_BUFFER, Client, Goodbye, Limits
from rtrd.rtr.pdu import MOST_PROVIDERS
from rtrd.rtr.signing import Keys, sign_at, unsign_at
from rtrd.rtr.store import Data, Store, update_to, update_with
from rtrd.rtr.turns import Turns
from rtrd.rtr.versions import Versions
from rtrlib import aspas, packed
from rtrlib.vrp_entries import RouterKey

_OLD = 1.0
"""Seconds after which a set that is served no more is let go."""
_AT_ONCE = 100
"""VRPs of a change that are applied in the event loop: 2 ms, and sooner done than in a thread."""


_NAMED = 5


class RTRServer:
    """Serves a Store to routers. All methods are for the event loop's own thread."""

    def __init__(self, store: Store | None = None, limits: Limits | None = None, *, check_address: bool = True) -> None:
        """`check_address`: a certificate that a router shows must name its address (RFC 8210 section 9.2)."""
        self._check_address = check_address
        self.store = store or Store()
        self.limits = limits or Limits()
        self.versions = Versions()
        self.drops: Counter[str] = Counter()
        """Counts for metrics: ``refused`` connections, ``dropped`` clients."""
        self.turns = Turns()
        self._log = log.get("rtr")
        self._log_limit = log.RateLimiter()
        self._clients: set[Client] = set()  # that are connected, TLS agreed on
        most = self.limits
        self._arrivals = Arrivals[Client](
            ArrivalLimits(
                most.clients, most.of_address, most.handshakes, most.handshakes_of_address, most.handshake, most.stall
            ),
            lambda: Client(self),
            Client.drop,
            self._count,
        )
        self._listening: list[Acceptor] = []
        self._signed: list[Acceptor] = []
        self._updating = asyncio.Lock()
        self._old: Data | None = None
        self._too_many: list[int] = []

    # -- addresses ----------------------------------------------------------------------------------------

    async def listen(
        self, address: Endpoint, tls: ssl.SSLContext | None = None, keys: Keys | None = None
    ) -> list[Endpoint]:
        """Listen on one more address; returns where exactly (a name may have several). Raises OSError.

        `keys`: of the routers that sign TCP, of whom nothing else is taken. SigningError: the kernel can't.
        """
        self._arrivals.tls = tls or self._arrivals.tls
        listening = await self._arrivals.bind(address, secured=tls is not None, receive_buffer=RECEIVE_BUFFER)
        for acceptor in listening:
            for peers, signature in (keys or {}).items():
                sign_at(acceptor.listener, peers, signature)
            self._arrivals.listen(acceptor)
        self._listening += listening
        self._signed += listening if keys is not None else ()
        return [Endpoint(*acceptor.address[:2]) for acceptor in listening]

    def renew_keys(self, old: Keys, new: Keys) -> None:
        """Take these keys of TCP-MD5 instead, for routers that connect from now on. SigningError: the kernel can't."""
        for acceptor in self._signed:
            for peers in old.keys() - new.keys():
                unsign_at(acceptor.listener, peers)
            for peers, signature in new.items():
                if old.get(peers) != signature:
                    sign_at(acceptor.listener, peers, signature)

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Speak TLS with these certificates from now on, at the same addresses; who is connected stays so."""
        self._arrivals.tls = tls

    async def close(self, goodbye: Goodbye = "silent") -> None:
        """Stop listening and end every connection."""
        for acceptor in self._listening:
            acceptor.close()
        self._listening.clear()
        self._arrivals.cancel()
        for client in list(self._clients):
            client.end(goodbye)
        await self._arrivals.wait_gone()

    # -- data ---------------------------------------------------------------------------------------------

    async def update(self, vrps: bytes | memoryview, keys: Iterable[RouterKey] = (), aspa_set: bytes = b"") -> bool:
        """Serve these packed VRPs, router keys and packed ASPAs from now on; returns whether that is a change.

        The comparison runs in a thread. Raises ValueError for octets that are not packed VRPs.
        """
        fresh = frozenset(keys)
        async with self._updating:
            data = Data(await asyncio.to_thread(packed.ordered, vrps), fresh, self._sendable(aspa_set))
            del vrps
            self._keep_old()
            changed = self.store.commit(await asyncio.to_thread(update_to, self.store.data, data))
        return self._changed(changed)

    async def change(
        self,
        announced: bytes,
        withdrawn: bytes,
        keys: frozenset[RouterKey] | None = None,
        aspa_set: bytes | None = None,
    ) -> bool:
        """Apply a change of packed VRPs (their announce octet is not looked at) to what is served.

        ``keys``, ``aspa_set``: all router keys and ASPAs from now on; None: those of before.
        For up to ten thousand VRPs or so; beyond that `update` is faster. Returns whether anything changed.
        """
        come, gone = packed.split(packed.ordered(announced)), packed.split(packed.ordered(withdrawn))
        async with self._updating:
            self._keep_old()
            held = None if aspa_set is None else self._sendable(aspa_set)
            apply = functools.partial(update_with, self.store.data, come, gone, keys, held)
            changed = self.store.commit(
                apply() if len(come) + len(gone) <= _AT_ONCE else await asyncio.to_thread(apply)
            )
        return self._changed(changed)

    def _sendable(self, aspa_set: bytes) -> bytes:
        """Leave out customers with more providers than a PDU can have, and say whom."""
        sendable, left_out = aspas.limit(aspa_set, MOST_PROVIDERS)
        if left_out and left_out != self._too_many:
            named = [f"AS{customer}" for customer in left_out[:_NAMED]]
            self._log.warning(
                "customers with more providers than RTR can say are left out", customers=len(left_out), first=named
            )
        self._too_many = left_out
        return sendable

    def _keep_old(self) -> None:
        """Keep the set of now for a moment beyond its replacement.

        To free 17 MB takes milliseconds, in which routers that were notified would wait for the change.
        """
        self._old = self.store.data
        asyncio.get_running_loop().call_later(_OLD, self._let_go, self._old)

    def _let_go(self, old: Data | None) -> None:
        if self._old is old:
            self._old = None

    def _changed(self, versions: list[int]) -> bool:
        if versions:
            for client in self._clients:
                if client.version in versions:
                    client.changed()
        return bool(versions)

    # -- clients ------------------------------------------------------------------------------------------

    def clients(self) -> list[Client]:
        """Give every router that is connected."""
        return list(self._clients)

    @property
    def shaking(self) -> int:
        """How many connections have not agreed on TLS yet."""
        return self._arrivals.shaking

    def opened(self, client: Client) -> None:
        """Know a client whose connection is made."""
        self._clients.add(client)

    def closed(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._arrivals.closed(client)

    def max_version(self, address: str) -> int:
        """See Owner."""
        return self.versions.of(address)

    def limit_versions(self, versions: Versions) -> None:
        """Let these count, for routers that are connected, too."""
        self.versions = versions
        for client in self.clients():
            client.limit_version(versions.of(client.address))

    def refusal(self, address: str, certificate: Mapping[str, Any] | None) -> str | None:
        """See Owner."""
        return address_refusal(certificate, address) if self._check_address else None

    def dropped(self, client: Client, why: str) -> None:
        """Count a client that was dropped, and log it, not too often."""
        self._count("dropped", client.peer, why, "")

    def _count(self, what: Fate, peer: str, why: str, key: str) -> None:
        """`key`: what is logged once in a while, of few; otherwise any router that was dropped, or refused."""
        self.drops[what] += 1
        more = self._log_limit.rate_limited((what, key))
        if more is not None:
            self._log.warning(f"router {what}", peer=peer, why=why, **more)
