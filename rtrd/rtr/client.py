"""One router's connection to the RTR server: its queries are answered; it is dropped when it errs, stalls or floods.

One query is answered at a time and nothing is read meanwhile, nor while the router does not take what was
sent before: what it can make the server hold is one buffer in each direction, however it behaves.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from rtrd.base.endpoint import Endpoint
from rtrd.base.sockets import keep_alive
from rtrd.rtr import pdu
from rtrd.rtr.pdu import PDUError
from rtrd.rtr.store import Response, Store
from rtrd.rtr.turns import Turns
from rtrlib.rtr_pdus import HEADER, MAX_VERSION, ErrorCode, Header, PDUType, code_name

TURN = 1 << 16
"""Octets written to one router before the others have their turn; it ends with the piece in which they are reached."""
PDUS_A_TURN = 64
"""How many queries of one router are handled before that."""
SEND_BUFFER = 1 << 19
"""Octets in the kernel for one router: without it a thousand stalled ones would pin gigabytes."""
RECEIVE_BUFFER = 1 << 14
"""The same for what it sends, which is queries of some octets."""
KEEPALIVE = 60
"""Seconds without a word after which TCP asks whether a router is still there; it has a minute to answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a router may take; seconds. The defaults let a slow one on a thin line live."""

    notify_interval: float = 60.0
    """Least time between two Serial Notifies to one router (RFC 8210 s.8.2: a minute)."""
    handshake: float = 10.0
    """For TLS to be agreed on, before anything else, from the moment that the connection is taken."""
    hello: float = 60.0
    """From connecting to the first query."""
    stall: float = 30.0
    """Without taking what is buffered for it."""
    response: float = 900.0
    """For one whole response."""
    clients: int = 4096
    """Connections at once; more are refused, unless one of an address that has many gives way."""
    of_address: int = 1024
    """Connections at once of one address; of IPv6, of a /64."""
    handshakes: int = 128
    """TLS handshakes at once: each takes a tenth of a megabyte."""
    handshakes_of_address: int = 32
    """The same of one address."""


Goodbye: TypeAlias = Literal["silent", "restart", "shutdown"]
"""What routers are told when the server ends, from version 2 on (8210bis sections 8.5 and 8.6).

`restart`: to keep what they have until it expires. BIRD 2.17 and 3.1 and OpenBGPD 8.8 know no such code and drop all of
it, which they don't where they are told nothing. `shutdown`: to drop it.
"""
_GOODBYES: Final[Mapping[str, tuple[ErrorCode, str]]] = {
    "restart": (ErrorCode.CACHE_RESTART, "rtrd ends, and will be back"),
    "shutdown": (ErrorCode.CACHE_SHUTDOWN, "rtrd ends; drop what it said"),
}


class Owner(Protocol):
    """What a client needs of its server."""

    store: Store
    limits: Limits
    turns: Turns

    def opened(self, client: Client) -> None:
        """Know a client whose connection is made."""

    def refusal(self, address: str, certificate: Mapping[str, Any] | None) -> str | None:
        """Say why a router of this address is not served, which showed this certificate; None: it is."""

    def max_version(self, address: str) -> int:
        """Give the highest protocol version that is spoken with a router of this address."""

    def closed(self, client: Client) -> None:
        """Forget a client."""

    def dropped(self, client: Client, why: str) -> None:
        """Count and log a client that was dropped for its behavior."""


class Client(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._closing = False
        self._max_version = MAX_VERSION
        self._was_above = False  # it has asked in a higher version
        self._in_session = False  # it has been told the session
        self._paused = False
        self._response: Response | None = None
        self._next_piece = 0
        self._notified = float("-inf")
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.peer = "?"
        """Address and port of the router, for status and logs."""
        self.address = ""
        """Of the router, without the port."""
        self.version: int | None = None
        """Protocol version; None before the first query."""
        self.serial: int | None = None
        """Serial number of the last whole response; None before it."""

    # -- the connection -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        if address:
            self.peer = str(Endpoint(*address[:2]))
            self.address = address[0]
        self._max_version = self._owner.max_version(self.address)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            keep_alive(raw, KEEPALIVE, KEEPALIVE // 3, 3)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # Not 0: asyncio's TLS pauses at "at least so much", and then never resumes.
        self._transport.set_write_buffer_limits(high=1, low=0)
        self._owner.opened(self)
        why = self._owner.refusal(address[0], transport.get_extra_info("peercert")) if address else None
        if why is not None:
            self._owner.dropped(self, why)
            self.close()
            return
        self._after("hello", self._owner.limits.hello, "sent no query")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Forget everything."""
        self._closing = True
        self._response = None
        self._buffer.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """Wait for the router to take what is buffered, for a while, and read nothing more from it."""
        self._paused = True
        self._transport.pause_reading()
        self._after("stall", self._owner.limits.stall, "did not read what was sent")

    def resume_writing(self) -> None:
        """Continue: it took everything."""
        self._paused = False
        self._cancel("stall")
        self._owner.turns.want(self)

    def drop(self, why: str) -> None:
        """End the connection at once; what is buffered is lost."""
        if not self._closing:
            self._closing = True
            self._owner.dropped(self, why)
        self._transport.abort()

    def close(self) -> None:
        """End the connection when what is buffered was taken, or after the stall time."""
        self._closing = True
        self._transport.close()
        self._timers["close"] = self._loop.call_later(self._owner.limits.stall, self._transport.abort)

    def end(self, goodbye: Goodbye) -> None:
        """End the connection since the server ends; from version 2 on the router can be told so."""
        said = _GOODBYES.get(goodbye)
        if said and not self._closing and self.version is not None and self.version >= pdu.FIRST_THAT_SAYS_GOODBYE:
            self._transport.write(pdu.report(self.version, *said))
        self.close()

    def limit_version(self, highest: int) -> None:
        """Speak no higher version from now on; who does ends, to begin anew."""
        self._max_version = highest
        if self.version is not None and self.version > highest:
            self.close()

    def _after(self, name: str, seconds: float, why: str) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_later(seconds, self.drop, f"{why} for {seconds:g} s")

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    # -- queries ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Keep what arrived until it is this router's turn; nothing more is read before."""
        if self._closing:
            return
        self._buffer += data
        self._transport.pause_reading()
        self._owner.turns.want(self)

    def turn(self) -> bool:
        """Handle some queries, or write some of a response; whether there is more to do at once."""
        for _ in range(PDUS_A_TURN):
            if self._response is not None or not self._idle():
                break
            if not self._read_one():
                break
        else:
            return True
        if self._response is not None:
            self._write_on()
            return not (self._paused or self._closing)
        if self._idle():
            self._transport.resume_reading()
        return False

    def _idle(self) -> bool:
        """Whether the next query can be handled."""
        return self._response is None and not self._paused and not self._closing

    def _read_one(self) -> bool:
        """Handle the first PDU in the buffer; whether it is there whole."""
        head = pdu.header(self._buffer)
        if head is None:
            return False
        wrong = b""
        try:
            if not self._acceptable(head):
                return False
            wrong = bytes(self._buffer[: head.length])
            del self._buffer[: head.length]
            self._handle(wrong)
        except PDUError as error:
            self._fail(error, head, wrong or bytes(self._buffer[: max(head.length, HEADER.size)]))
        return True

    def _acceptable(self, head: Header) -> bool:
        """Whether a PDU is there whole; raises PDUError as early as it is known to be wrong."""
        if self.version is None and self._is_above(head):
            # Read past it, so that the router can continue with ours, once (8210bis section 7).
            if not HEADER.size <= head.length <= pdu.MAX_PDU:
                raise PDUError(ErrorCode.CORRUPT_DATA, f"a PDU of {head.length} octets")
            if self._was_above:
                raise PDUError(ErrorCode.UNSUPPORTED_VERSION, f"{self._not_spoken(head.version)}, as was said")
        elif self.version is not None and head.version != self.version:
            # RFC 6810 has no code 8.
            code = ErrorCode.UNEXPECTED_VERSION if self.version else ErrorCode.UNSUPPORTED_VERSION
            raise PDUError(code, f"version {head.version} in a session of version {self.version}")
        else:
            pdu.check_query(head)
        return len(self._buffer) >= head.length

    def _is_above(self, head: Header) -> bool:
        return head.version > self._max_version and head.type != PDUType.ERROR_REPORT

    def _not_spoken(self, version: int) -> str:
        return f"version {version} is not spoken here; {self._max_version} and lower are"

    def _handle(self, octets: bytes) -> None:
        head = Header(*HEADER.unpack_from(octets))
        if self._is_above(head):
            self._was_above = True
            what = self._not_spoken(head.version)
            self._transport.write(pdu.report(self._max_version, ErrorCode.UNSUPPORTED_VERSION, what, octets))
            return
        query = pdu.decode(octets)
        if isinstance(query, pdu.ErrorReport):
            if query.code != ErrorCode.NO_DATA_AVAILABLE:
                self.drop(f"reported error {query.code}, {code_name(query.code)}: {query.text[:200]!a}")
            return
        self.version = version = head.version
        self._cancel("hello")
        store = self._owner.store
        if store.data is None:
            text = "no data yet; ask again later"
            self._transport.write(pdu.report(version, ErrorCode.NO_DATA_AVAILABLE, text, octets))
        elif isinstance(query, pdu.SerialQuery):
            self._answer_serial_query(query)
        else:
            self._respond(cast("Response", store.whole(version)))

    def _answer_serial_query(self, query: pdu.SerialQuery) -> None:
        store = self._owner.store
        session = store.session(query.version)
        if query.session != session and self._in_session and query.version >= pdu.FIRST_WITH_FIXED_SESSION:
            what = f"session {query.session} in a connection of session {session}"
            raise PDUError(ErrorCode.CORRUPT_DATA, what)
        response = store.since(query.version, query.session, query.serial)
        if response is None:
            self._transport.write(pdu.encode(pdu.CacheReset(query.version)))
        else:
            self._respond(response)

    def _fail(self, error: PDUError, head: Header, wrong: bytes) -> None:
        """Report an error and close; an Error Report is never answered (RFC 8210 s.5.11)."""
        self._owner.dropped(self, str(error))
        if head.type != PDUType.ERROR_REPORT:
            version = min(head.version, self._max_version) if self.version is None else self.version
            self._transport.write(pdu.report(version, error.code, str(error), wrong))
        self.close()

    # -- responses ----------------------------------------------------------------------------------------

    def _respond(self, response: Response) -> None:
        self._response = response
        self._in_session = True
        self._next_piece = 0
        self._after("response", self._owner.limits.response, "did not take one response")

    def _write_on(self) -> None:
        """Write the response's next pieces until the router is slower, or it is another one's turn."""
        response = self._response
        if response is None or self._closing or self._paused:
            return
        written = 0
        while self._next_piece < len(response):
            if self._paused or written > TURN:
                return
            piece = response.piece(self._next_piece)
            self._next_piece += 1
            self._transport.write(piece)
            written += len(piece)
        self._response = None
        self.serial = response.serial
        self._cancel("response")
        self.changed()

    def changed(self) -> None:
        """Notify the router of new data, now or when the last notify is old enough; not while it loads.

        Nothing is sent to a router that has asked for the newest data meanwhile.
        """
        if self._closing or self._response is not None or self.version is None or "notify" in self._timers:
            return
        if self.serial == self._owner.store.serial(self.version) or self._owner.store.data is None:
            return
        wait = self._notified + self._owner.limits.notify_interval - self._loop.time()
        if wait > 0:
            self._timers["notify"] = self._loop.call_later(wait, self._notify_late)
            return
        self._notified = self._loop.time()
        store = self._owner.store
        notify = pdu.SerialNotify(self.version, store.session(self.version), store.serial(self.version))
        self._transport.write(pdu.encode(notify))

    def _notify_late(self) -> None:
        del self._timers["notify"]
        self.changed()
