"""An RTR cache that is well until it is told to have a fault: each fault is a small named script.

A script gets the connection of one router and does what it likes; when it returns, the connection is closed. `FAULTS`
has all of them, with what rtrd is expected to say.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, NamedTuple, Self, TypeAlias

from rtrd.demo.caches import VRP
from rtrd.demo.ports import free_port
from rtrd.rtr import pdu
from rtrlib.rtr_pdus import HEADER, ErrorCode
from tests.lab import rtr_wire
from tests.lab.loop_thread import LoopThread

INTERVALS = (60, 1, 600)


def raw(kind: int, body: bytes = b"", *, version: int = 1, session: int = 0, length: int | None = None) -> bytes:
    """A PDU of any type, which says to be as long as you like."""
    return HEADER.pack(version, kind, session, 8 + len(body) if length is None else length) + body


def prefix(vrp: VRP, *, announce: bool = True, version: int = 1) -> bytes:
    """A VRP as a Prefix PDU; nothing in it is checked."""
    address, _, length = vrp.prefix.partition("/")
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return rtr_wire.encode(rtr_wire.Prefix(version, announce, packed, int(length), vrp.max_length, vrp.asn))


class Connection:
    """One router at the cache."""

    def __init__(self, cache: FaultyCache, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.cache = cache
        self.writer = writer
        self._reader = reader

    async def query(self) -> rtr_wire.PDU:
        """What the router says next; IncompleteReadError when it is gone."""
        octets = await self._reader.readexactly(HEADER.size)
        return rtr_wire.decode(octets + await self._reader.readexactly(HEADER.unpack(octets)[3] - len(octets)))

    async def read(self) -> bytes:
        """Whatever the router says next; nothing when it is gone."""
        return await self._reader.read(4096)

    async def send(self, *octets: bytes) -> None:
        """Send this; ConnectionError when the router is gone."""
        self.cache.sent = b"".join(octets)
        self.writer.write(self.cache.sent)
        await self.writer.drain()

    def reset(self) -> None:
        """End it with a RST instead of a FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def begin(self, *, version: int = 1) -> bytes:
        """A Cache Response."""
        return rtr_wire.encode(pdu.CacheResponse(version, self.cache.session))

    def end(self, *, version: int = 1) -> bytes:
        """An End of Data."""
        return rtr_wire.encode(pdu.EndOfData(version, self.cache.session, self.cache.serial, *INTERVALS))

    def all(self, *, version: int = 1) -> bytes:
        """The whole of what the cache has."""
        vrps = b"".join(prefix(vrp, version=version) for vrp in self.cache.vrps)
        return self.begin(version=version) + vrps + self.end(version=version)

    async def behave(self, *, version: int = 1) -> None:
        """Answer as RFC 8210 has it, until the router goes."""
        while True:
            query = await self.query()
            now = self.cache.session, self.cache.serial
            match query:
                case pdu.SerialQuery(_, session, serial) if (session, serial) == now:
                    await self.send(self.begin(version=version), self.end(version=version))
                case pdu.SerialQuery():
                    await self.send(rtr_wire.encode(pdu.CacheReset(version)))
                case pdu.ResetQuery():
                    await self.send(self.all(version=version))
                case pdu.ErrorReport() as report:
                    self.cache.told.append(report)

    async def sync(self) -> None:
        """Bring the router into sync, with whatever it asks."""
        if isinstance(await self.query(), pdu.SerialQuery):
            await self.send(rtr_wire.encode(pdu.CacheReset(1)))
            await self.query()
        await self.send(self.all())


Script: TypeAlias = Callable[[Connection], Awaitable[None]]


class FaultyCache:
    """Listens on a port of its own, in a thread of its own, from `start` to `stop`."""

    def __init__(self, vrps: Iterable[VRP], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.port = free_port(address)
        self.vrps = list(vrps)
        self.session = 4711
        self.serial = 100
        self.told: list[pdu.ErrorReport] = []
        """What routers complained of."""
        self.sent = b""
        """What went out last."""
        self.connections = 0
        self.peers: list[Any] = []
        """The address of each router that connected."""
        self._script: Script = Connection.behave
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread: LoopThread | None = None
        self._server: asyncio.Server | None = None
        self._tls = tls

    @property
    def leftovers(self) -> list[str]:
        return []

    @property
    def listener(self) -> socket.socket | None:
        """The socket that listens."""
        if self._server is None:
            return None
        return socket.socket(fileno=os.dup(self._server.sockets[0].fileno()))

    @property
    def healthy(self) -> bool:
        """Whether it has no fault at present."""
        return self._script is Connection.behave and self._server is not None

    def start(self) -> None:
        """Listen."""
        self._thread = LoopThread().__enter__()
        self._run(self._listen())

    def stop(self) -> None:
        """Close everything."""
        if self._thread is not None:
            self._run(self._hang_up(listen=False))
            self._thread.__exit__()
            self._thread = None

    def serve(self, vrps: Iterable[VRP]) -> None:
        """Have these VRPs from now on, and tell the routers."""
        self._run(self._serve(list(vrps)))

    def break_with(self, script: Script, *, listens: bool = True) -> None:
        """Hang up, and do this with each router that connects from now on."""
        self._run(self._become(script, listen=listens))

    def drop(self) -> None:
        """Hang up on whoever is connected, and go on listening."""
        self._run(self._hang_up(listen=True))

    def heal(self) -> None:
        """Be well again."""
        self._run(self._become(Connection.behave, listen=True))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        assert self._thread is not None
        self._thread.run(what)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.address, self.port, ssl=self._tls)

    async def _serve(self, vrps: list[VRP]) -> None:
        self.vrps = vrps
        self.serial += 1
        for writer in self._open.values():
            writer.write(rtr_wire.encode(pdu.SerialNotify(1, self.session, self.serial)))

    async def _become(self, script: Script, *, listen: bool) -> None:
        self._script = script
        await self._hang_up(listen=listen)

    async def _hang_up(self, *, listen: bool) -> None:
        if self._server is not None and not listen:
            self._server.close()
            self._server = None
        elif self._server is None and listen:
            await self._listen()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        self.peers.append(writer.get_extra_info("peername"))
        try:
            await self._script(Connection(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the router went, or the cache changes its mind
        finally:
            del self._open[task]
            writer.close()


class Fault(NamedTuple):
    """One way to be broken, and what rtrd says of it."""

    script: Script
    kind: str
    """As `rtrlib.Fault`."""
    says: str
    """A regular expression for the sentence."""
    listens: bool = True


FAULTS: dict[str, Fault] = {}
SILENT: dict[str, Fault] = {}
"""Those that only time can tell."""
TROUBLES: dict[str, Script] = {}
"""What is odd, and no reason to give the cache up."""


def trouble(script: Script) -> Script:
    """Add a script to TROUBLES."""
    TROUBLES[script.__name__] = script
    return script


# -- connections that end


def ends(octets: Callable[[Connection], bytes], *, by_reset: bool = False, hangs: bool = False) -> Script:
    """Say this to the query, and hang up, or say no more."""

    async def script(router: Connection) -> None:
        await router.query()
        await router.send(octets(router))
        if by_reset:
            router.reset()
        if hangs:
            await asyncio.Event().wait()

    return script


def nothing(_router: Connection) -> bytes:
    return b""


def all_but(octets: int) -> Callable[[Connection], bytes]:
    return lambda router: router.all()[:-octets]


async def leaves(_router: Connection) -> None:
    """Does not even wait for the query."""


BEFORE = "the connection broke before it said anything"
RESET = "Connection reset by peer"
CLOSED = "the cache closed the connection"
FAULTS["does_not_listen"] = Fault(
    leaves, "unreachable", r"cannot connect to 127\.0\.0\.1 port \d+: Connection refused", listens=False
)
FAULTS |= {
    name: Fault(script, "closed", says)
    for name, script, says in (
        # Whether the query, which nobody reads, comes before the end or after it: what the kernel makes of it differs.
        ("closes_at_once", leaves, f"{CLOSED} without a word|{BEFORE}"),
        (
            "resets_the_connection_at_once",
            ends(nothing, by_reset=True),
            f"the connection broke before .* anything: {RESET}",
        ),
        # It knows no version 1, and is too old to say so.
        ("speaks_only_version_0_and_hangs_up", ends(nothing), f"{CLOSED} without a word"),
        ("dies_in_the_middle_of_a_pdu", ends(all_but(30)), f"{CLOSED} in the middle of a PDU"),
        ("dies_before_end_of_data", ends(all_but(24)), f"{CLOSED}$"),
        ("resets_the_connection", ends(all_but(30), by_reset=True), f"the connection broke.*: {RESET}"),
    )
}
SILENCE = "nothing came from the cache for 60 seconds"
SILENT["says_nothing"] = Fault(ends(nothing, hangs=True), "silent", SILENCE)
SILENT["stops_in_the_middle_of_a_pdu"] = Fault(ends(all_but(10), hangs=True), "silent", SILENCE)


# -- answers that are wrong


def answers(octets: Callable[[Connection], bytes], *, begun: bool = False) -> Script:
    """Say this to the query, after a Cache Response if it is begun; then wait for what the router makes of it."""

    async def script(router: Connection) -> None:
        await router.query()
        await router.send(router.begin() if begun else b"", octets(router))
        await router.behave()

    return script


def flags_that_do_not_exist(router: Connection) -> bytes:
    octets = prefix(router.cache.vrps[0])
    return octets[:8] + b"\7" + octets[9:] + router.end()


def unknown_withdrawal(router: Connection) -> bytes:
    return prefix(router.cache.vrps[0]._replace(prefix="192.0.2.0/25", max_length=25), announce=False) + router.end()


NOT_IN_1 = "which version 1 of RTR does not have"
# What comes instead of VRPs, after a Cache Response.
VRPS_AT_FAULT: dict[str, tuple[str, Callable[[Connection], bytes]]] = {
    "sends_a_length_of_0": ("wrong length: IPv4 Prefix of 0 octets", lambda _: raw(4, length=0)),
    "sends_a_length_of_4_gb": ("wrong length: IPv6 Prefix of 4294967295 octets", lambda _: raw(6, length=0xFFFFFFFF)),
    "sends_a_prefix_that_is_too_long": ("wrong length: IPv4 Prefix of 21 octets", lambda _: raw(4, bytes(13))),
    "sends_an_unknown_type": (f"a PDU of type 77, {NOT_IN_1}", lambda _: raw(77, bytes(20))),
    "sends_aspa_to_a_version_1_client": (rf"a PDU of type 11 \(ASPA\), {NOT_IN_1}", lambda _: raw(11, bytes(16))),
    # A P-384 key.
    "sends_a_long_router_key": ("wrong length: Router Key of 152 octets", lambda _: raw(9, bytes(144), session=256)),
    "asks_us": ("wrong or out of place: Reset Query", lambda _: raw(2)),
    "announces_twice": (
        r"announced twice: 192\.0\.2\.0/24-24 AS64500",
        lambda router: prefix(router.cache.vrps[0]) * 2 + router.end(),
    ),
    "withdraws_what_is_unknown": (
        r"withdrew what it had not announced: 192\.0\.2\.0/25-25 AS64500",
        unknown_withdrawal,
    ),
    "sends_flags_that_do_not_exist": ("wrong or out of place: IPv4 Prefix", flags_that_do_not_exist),
    "ends_another_session": (
        "another session, or out of place: End of Data|End of Data of session 4712 instead of 4711",
        lambda router: rtr_wire.encode(pdu.EndOfData(1, router.cache.session + 1, 5, *INTERVALS)),
    ),
}


async def tells_of_another_session(router: Connection) -> None:
    """Syncs, and answers the next query from another session: with its VRPs, which would count (rtrlib#334)."""
    await router.sync()
    session = router.cache.session
    await router.send(rtr_wire.encode(pdu.SerialNotify(1, session, router.cache.serial + 1)))
    await router.query()
    strange = prefix(VRP("10.66.0.0/16", 24, 666))
    await router.send(rtr_wire.encode(pdu.CacheResponse(1, session + 1)), strange, router.end())
    await router.behave()


FAULTS["tells_of_another_session"] = Fault(tells_of_another_session, "protocol", "the cache sent .* session")
ANSWERS_AT_FAULT: dict[str, tuple[str, Callable[[Connection], bytes]]] = {
    "answers_in_version_2": ("the cache speaks version 2 of RTR", lambda _: raw(3, version=2, session=1)),
    "is_a_web_server": (
        "what listens there speaks no RTR: its answer begins with octet 0x48",
        lambda _: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ),
    "sends_end_of_data_without_cache_response": ("out of place: End of Data", Connection.end),
    "sends_a_prefix_without_cache_response": (
        "out of place: IPv4 Prefix",
        lambda router: router.all().removeprefix(router.begin()),
    ),
}
FAULTS |= {name: Fault(answers(octets), "protocol", says) for name, (says, octets) in ANSWERS_AT_FAULT.items()}
FAULTS |= {name: Fault(answers(it, begun=True), "protocol", says) for name, (says, it) in VRPS_AT_FAULT.items()}
LENIENT: Final = ("announces_twice", "withdraws_what_is_unknown", "sends_flags_that_do_not_exist")
"""Faults for librtr. The native engine leaves such VRPs out and counts them, and ignores reserved bits."""
# Error reports.
FAULTS["has_an_internal_error"] = Fault(
    answers(lambda _: pdu.report(1, ErrorCode.INTERNAL_ERROR, "the disk is full\n")),
    "refused",
    "the cache reports error 1, internal error: the disk is full[?]",
)
FAULTS["reports_an_error_with_lengths_that_lie"] = Fault(
    answers(lambda _: raw(10, struct.pack(">II", 1 << 31, 1 << 31))),
    "refused",
    "the cache reports error 0, corrupt data",
)


async def has_no_data(router: Connection) -> None:
    while await router.query():
        await router.send(pdu.report(1, ErrorCode.NO_DATA_AVAILABLE, ""))


FAULTS["has_no_data"] = Fault(has_no_data, "no-data", "the cache has no data yet")


# -- too much


async def never_ends(router: Connection) -> None:
    """As fast as it can."""
    await router.query()
    await router.send(router.begin())
    number = 0
    while True:
        vrps = (struct.pack(">BBBB4sI", 1, 32, 32, 0, struct.pack(">I", number + i), 1) for i in range(10_000))
        await router.send(b"".join(raw(4, vrp) for vrp in vrps))
        number += 10_000


async def trickles(router: Connection) -> None:
    """A VRP now and then: no PDU is late, and there is no end."""
    await router.query()
    await router.send(router.begin())
    for number in range(1 << 16):
        await router.send(raw(4, struct.pack(">BBBBHHI", 1, 32, 32, 0, 0x0A00, number, 1)))
        await asyncio.sleep(1)


ENDLESS = "no-end-of-data"
TOO_MUCH = r"the cache sends more than (the memory of its process can hold|\d+ VRPs)"
FAULTS["never_ends"] = Fault(never_ends, ENDLESS, TOO_MUCH)
SILENT["trickles"] = Fault(trickles, ENDLESS, "no End of Data within 600 seconds")


# -- odd, and borne


@trouble
async def speaks_version_0(router: Connection) -> None:
    await router.behave(version=0)


@trouble
async def notifies_ten_thousand_times(router: Connection) -> None:
    await router.sync()
    await router.send(rtr_wire.encode(pdu.SerialNotify(1, router.cache.session, router.cache.serial)) * 10_000)
    await router.behave()


@trouble
async def sends_octet_by_octet(router: Connection) -> None:
    await router.query()
    for octet in router.all():
        await router.send(bytes([octet]))
    await router.behave()


@trouble
async def sends_intervals_that_are_none(router: Connection) -> None:
    await router.query()
    await router.send(router.all()[:-24], rtr_wire.encode(pdu.EndOfData(1, router.cache.session, 7, 0, 0, 1)))
    await router.behave()


@trouble
async def lets_the_serial_go_back(router: Connection) -> None:
    router.cache.serial -= 50
    while await router.query():
        await router.send(router.begin(), router.end())


@trouble
async def has_a_new_session(router: Connection) -> None:
    """And answers a query for the old one as if it were the new one, which RFC 8210 forbids."""
    router.cache.session = 4712
    if isinstance(await router.query(), pdu.ResetQuery):
        await router.send(router.all())
    else:
        await router.send(router.begin(), router.end())
    await router.behave()
