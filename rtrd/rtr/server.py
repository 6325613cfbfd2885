"""The RTR server (RFC 6810, RFC 8210, 8210bis): serves VRPs, router keys and ASPAs to routers.

Serves any number of listening addresses from one Store, in one event loop.
"""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rtrd.base import log
from rtrd.base.acceptor import Acceptor, source_of
from rtrd.base.endpoint import Endpoint
from rtrd.base.loop import strangers
from rtrd.base.sources import Sources
from rtrd.rtr.client import RECEIVE_BUFFER, Client, Goodbye, Limits
from rtrd.rtr.pdu import MOST_PROVIDERS
from rtrd.rtr.signing import Keys, sign_at, unsign_at
from rtrd.rtr.store import Data, Store, update_to, update_with
from rtrd.rtr.tls import address_refusal, handshake_fault
from rtrd.rtr.turns import Turns
from rtrd.rtr.versions import Versions
from rtrlib import aspas, packed
from rtrlib.vrp_entries import RouterKey

_BACKLOG = 1024
_OTHER_FILES = 256
"""Descriptors for everything else."""
_OLD = 1.0
"""Seconds after which a set that is served no more is let go."""
_AT_ONCE = 100
"""VRPs of a change that are applied in the event loop: 2 ms, and sooner done than in a thread."""


_NAMED = 5


def why_not(error: OSError) -> str:
    """Say why it can't be listened, without asyncio's own words, which name the address once more."""
    if error.errno is not None and error.errno > 0:  # a name that does not resolve has a number of its own kind
        return os.strerror(error.errno)
    return error.strerror or str(error)


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
        limits = self.limits
        self._sources = Sources[Client]("connections", limits.clients, limits.of_address)
        self._shaking = Sources[Client]("TLS handshakes", limits.handshakes, limits.handshakes_of_address)
        self._descriptors: dict[Client, int] = {}
        self._tasks: dict[Client, asyncio.Task[None]] = {}  # of those that are being connected
        self._listening: list[Acceptor] = []
        self._signed: list[Acceptor] = []
        self._tls: ssl.SSLContext | None = None
        self._all_gone = asyncio.Event()
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
        self._make_room()
        self._tls = tls or self._tls
        take = functools.partial(self._take, secured=tls is not None)
        bound = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, host=address.host, port=address.port, reuse_address=True, start_serving=False
        )
        listening = []
        for one in bound.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            listening.append(Acceptor(one.dup(), take, self._no_descriptor))
        bound.close()
        for acceptor in listening:
            for peers, signature in (keys or {}).items():
                sign_at(acceptor.listener, peers, signature)
            acceptor.start(_BACKLOG)
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
        self._tls = tls

    def _make_room(self) -> None:
        """Raise the soft limit of open files, usually 1024, so that it holds all clients; log it if that fails."""
        wanted = self.limits.clients + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        if possible < wanted:
            self._log.warning(
                "the limit of open files is below the limit of routers", files=hard, routers=self.limits.clients
            )

    async def close(self, goodbye: Goodbye = "silent") -> None:
        """Stop listening and end every connection."""
        for acceptor in self._listening:
            acceptor.close()
        self._listening.clear()
        for task in self._tasks.values():
            task.cancel()
        for client in list(self._clients):
            client.end(goodbye)
        while len(self._sources):
            self._all_gone.clear()
            await self._all_gone.wait()

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

    def _take(self, connection: socket.socket, peer: Any, *, secured: bool) -> None:
        """Make a client of a new connection, unless there are too many."""
        source = source_of(peer)
        held = [self._sources, self._shaking] if secured else [self._sources]
        why = next(filter(None, (each.refusal(source) for each in held)), None)
        if why is not None:
            connection.close()
            self._count("refused", str(Endpoint(*peer[:2])), why)
            return
        client = Client(self)
        for each in held:
            other = each.to_give_way()
            if other is not None:
                self._end(*other)
            each.add(client, source)
        tls, address = self._tls if secured else None, str(Endpoint(*peer[:2]))
        self._tasks[client] = asyncio.create_task(self._serve(client, connection, tls, address))

    async def _serve(self, client: Client, connection: socket.socket, tls: ssl.SSLContext | None, address: str) -> None:
        self._descriptors[client] = connection.fileno()
        strangers().add(connection.fileno())
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: client,
                connection,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self.limits.handshake,
                ssl_shutdown_timeout=None if tls is None else self.limits.stall,
            )
        except (OSError, asyncio.CancelledError) as error:  # hung up, no TLS, too slow, or it gave way
            if isinstance(error, ssl.SSLError):
                why = handshake_fault(error)
                self._count("dropped", address, why, key=why)
            connection.close()
            self.closed(client)
        finally:
            del self._tasks[client]
            self._shaking.discard(client)

    def _end(self, client: Client, why: str) -> None:
        if client in self._tasks:
            self._count("dropped", client.peer, why)
            self._tasks[client].cancel()
            self._shaking.discard(client)
            self.closed(client)
        else:
            client.drop(why)
            self._sources.discard(client)

    def _no_descriptor(self, peer: Any) -> None:
        self._count("refused", str(Endpoint(*peer[:2])), "nearly all descriptors are taken")

    @property
    def shaking(self) -> int:
        """How many connections have not agreed on TLS yet."""
        return len(self._shaking)

    def opened(self, client: Client) -> None:
        """Know a client whose connection is made."""
        self._clients.add(client)

    def closed(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        strangers().discard(self._descriptors.pop(client, -1))
        self._sources.discard(client)
        if not len(self._sources):
            self._all_gone.set()

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
        self._count("dropped", client.peer, why)

    def _count(self, what: str, peer: str, why: str, *, key: str = "") -> None:
        """`key`: what is logged once in a while, of few; otherwise any router that was dropped, or refused."""
        self.drops[what] += 1
        more = self._log_limit.rate_limited((what, key))
        if more is not None:
            self._log.warning(f"router {what}", peer=peer, why=why, **more)
