"""One RTR session as a router has it (RFC 8210, 6810, and 8210bis), as a state machine without a socket and a clock.

`NativeLink` brings octets and the time, and takes events and the octets to send. A session is one connection.
What the next one may take up (session ID, serial, version) is in `Resume`. Whatever ends a session is its last event.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

from _rov import ffi, lib
from rtrlib.aspa_answer import (
    MOST_WORDS,
    ASPAAnswer,
    TooManyASPAsError,
    UnknownASPAError,
    is_of_draft_10,
    wrong_list,
)
from rtrlib.faults import Fault
from rtrlib.link import ASPAs, ASPAsLeftOut, Ended, Event, Failure, FullSet, Resume, RouterKeyEvent, SessionState, VRPs
from rtrlib.rtr_pdus import (
    ASPA_VERSION,
    HEADER,
    PDU_NAMES,
    REPORT_LEAST,
    ErrorCode,
    Header,
    PDUType,
    inside_report,
    reported,
    wrong,
)
from rtrlib.rtr_socket import RTRSocketState
from rtrlib.servers import EXPIRE_RANGE, REFRESH_RANGE, RETRY_RANGE, Intervals

__all__ = ["NativeSession"]

PDU_LIMIT: Final = 65536
"""Octets of a PDU that are waited for; of an Error Report that is longer, the beginning is enough."""
RECORDS: Final = 4096
"""VRPs that are decoded in one go."""
RECORD_SIZE: Final = 24
SILENCE: Final = 60.0
"""Seconds without an octet, while the cache owes an answer, after which it is given up."""
NOTIFY_GAP: Final = 0.02
"""Seconds from one query to the next one that a Serial Notify asks for: a flood of them is one query in that time."""
LOWER_VERSION_FOR: Final = 86400.0
"""Seconds after which a cache that misled us in a version is tried with it again."""
WORDS_OF_VRP: Final = 4
"""Words of ASPAs that a cache may send in place of a VRP."""
MOST_REPORTED: Final = 512
"""Octets of a wrong PDU that go back in an Error Report."""
MOST_SILENT: Final = 2
"""Connections that end without a word on version 2, which the cache has never spoken, before one in version 1."""
NO_DATA_FIRST: Final = 1.0
"""Seconds after which a cache without data is asked again for the first time; then twice as long each time."""

NOT_FATAL: Final = frozenset({ErrorCode.NO_DATA_AVAILABLE, ErrorCode.UNSUPPORTED_VERSION, ErrorCode.CACHE_RESTART})
"""Errors after which what the cache said stays until it expires (8210bis section 12)."""

_SERIAL = struct.Struct(">BBHII")
_INTERVALS = struct.Struct(">III")
_WORD = struct.Struct(">I")
_KEY = struct.Struct(">20sI")


class _Phase(enum.Enum):
    """What the session waits for."""

    ANSWER = enum.auto()
    """Of a query: Cache Response, Cache Reset or Error Report."""
    END_OF_DATA = enum.auto()
    NOTIFY = enum.auto()
    """Or the refresh interval: it is in sync."""
    DATA = enum.auto()
    """The cache has none yet: it is asked again after a while."""
    NOTHING = enum.auto()
    """It has ended."""


class _Wrong(Exception):  # noqa: N818 - it never leaves this module
    """A PDU ends the session: an error code for the cache, and a sentence for people."""

    def __init__(self, code: int, why: str, kind: Fault = Fault.PROTOCOL, *, again: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.kind = kind
        self.again = again


class NativeSession:
    """One session. The methods that take `now` want the caller's clock, in seconds."""

    def __init__(self, resume: Resume, intervals: Intervals, most: int, now: float) -> None:
        """Begin with a query. `most`: VRPs that one answer may have."""
        if now >= resume.version_until:
            resume.version, resume.misled = resume.max_version, False
        self.version = min(resume.version if resume.wanted is None else resume.wanted, resume.max_version)
        """In use, or asked for until the cache has answered."""
        resume.wanted = None
        self._resume = resume
        self._most = most
        self._agreed = False
        self._asked_lower = False
        """The cache refused a version on this connection, and was asked in another."""
        self._phase = _Phase.ANSWER
        self._intervals = intervals
        self._refresh, self._retry, self._expire = intervals.refresh, intervals.retry, intervals.expire
        self._session_id: int | None = None
        """Of the session that the query is about, or its answer."""
        self._full = False
        """The answer that is on its way is a full set."""
        self._count = 0
        """VRPs of that answer."""
        self._aspas: ASPAAnswer | None = None
        """ASPAs of that answer, if its version has them."""
        self._notified: int | None = None
        """The serial of the last Serial Notify since the query."""
        self.notifies = 0
        """Serial Notifies so far."""
        self._has_data = False
        self._wait = NO_DATA_FIRST
        self._asked_at = now
        self._due = now
        """When the phase has lasted too long, or the next query is due."""
        self._octets = b""
        """The beginning of a PDU."""
        self._out = bytearray()
        self._records = ffi.new("struct vrp[]", RECORDS)
        self._written = ffi.new("size_t *")
        self._events: list[Event] = []
        self._ask(now)

    @property
    def in_pdu(self) -> bool:
        """Whether the beginning of a PDU has come, and not its end."""
        return bool(self._octets)

    @property
    def heard(self) -> bool:
        """Whether the cache has answered anything."""
        return self._agreed

    @property
    def wants_again(self) -> bool:
        """Whether the end of the connection is how the cache refuses a version: another one begins in the one it has.

        The cache is to leave the connection open then (8210bis section 7), but in RFC 6810 and 8210 it may not.
        """
        return self._asked_lower and not self._agreed and self._phase is _Phase.ANSWER

    def take_octets(self) -> bytes:
        """Give what is to be sent, once."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest; None: the session has ended."""
        return None if self._phase is _Phase.NOTHING else self._due

    def begin(self) -> list[Event]:
        """Give the events of the beginning."""
        return self._take_events()

    def feed(self, octets: bytes, now: float) -> list[Event]:
        """Handle what the cache sent, cut anywhere."""
        if self._phase is _Phase.NOTHING:
            return []
        if self._phase in {_Phase.ANSWER, _Phase.END_OF_DATA}:
            self._due = now + SILENCE
        data = self._octets + octets if self._octets else octets
        self._octets = b""
        try:
            self._octets = data[self._pdus(data, now) :]
        except _Wrong as error:
            self._end(error.kind, str(error), again=error.again)
        return self._take_events()

    def tick(self, now: float) -> list[Event]:
        """Do what is due."""
        if self._phase is _Phase.NOTHING or now < self._due:
            return []
        if self._phase in {_Phase.ANSWER, _Phase.END_OF_DATA}:
            why = f"nothing came from the cache for {SILENCE:.0f} seconds"
            if self._agreed and self.version >= ASPA_VERSION:
                self._refuse(ErrorCode.TRANSPORT, b"", why)  # 8210bis section 9
            self._end(Fault.SILENT, why)
        else:
            self._ask(now)
        return self._take_events()

    # -- PDUs

    def _pdus(self, data: bytes, now: float) -> int:
        """Handle whole PDUs, one after the other; gives the octets that are done with."""
        at = 0
        while self._phase is not _Phase.NOTHING:
            if self._phase is _Phase.END_OF_DATA:
                at = self._payload(data, at)
            if len(data) - at < HEADER.size:
                break
            header = Header._make(HEADER.unpack_from(data, at))
            size = self._checked(header, data[at : at + MOST_REPORTED])
            if len(data) - at < size:
                break
            self._handle(header, data[at : at + size], now)
            at += size
        return at

    def _payload(self, data: bytes, at: int) -> int:
        """Take the prefix and ASPA PDUs that come next; gives where they end."""
        at = self._prefixes(data, at)
        while self._aspas is not None and (after := self._take_aspas(self._aspas, data, at)) != at:
            at = self._prefixes(data, after)
        return at

    def _take_aspas(self, answer: ASPAAnswer, data: bytes, at: int) -> int:
        try:
            return at + answer.take(ffi.from_buffer(data) + at, len(data) - at, self.version)
        except UnknownASPAError as error:
            raise self._unknown(error.customer) from None
        except TooManyASPAsError:
            raise self._too_many() from None

    def _prefixes(self, data: bytes, at: int) -> int:
        """Take the run of prefix PDUs that begins here; gives where it ends."""
        octets = ffi.from_buffer(data)
        while True:
            used = lib.rtr_prefixes(octets + at, len(data) - at, self.version, self._records, RECORDS, self._written)
            count = self._written[0]
            if not count:
                return at
            at += used
            self._count += count
            if self._count > self._most:
                raise _Wrong(ErrorCode.INTERNAL_ERROR, f"the cache sends more than {self._most} VRPs", Fault.ENDLESS)
            self._events.append(VRPs(ffi.buffer(self._records, count * RECORD_SIZE)[:]))

    def _checked(self, header: Header, pdu: bytes) -> int:
        """Check a header; gives how many octets of the PDU are wanted. _Wrong: it ends the session."""
        if header.type == PDUType.ERROR_REPORT:
            if header.length < REPORT_LEAST:  # no report is answered by one (RFC 8210 section 5.11)
                what = f"the cache sent a PDU of a wrong length: Error Report of {header.length} octets"
                raise _Wrong(ErrorCode.CORRUPT_DATA, what)
            return min(header.length, PDU_LIMIT)
        if not self._agreed and header.type == PDUType.SERIAL_NOTIFY:
            return 12  # of whatever version (RFC 8210 section 7)
        version = header.version
        if self._agreed and version != self.version:
            raise self._refuse(
                ErrorCode.UNEXPECTED_VERSION, pdu,
                f"the cache sent a PDU of version {version} in a session of version {self.version}",
            )  # fmt: skip
        if plainly := wrong(version, header.type, header.length, self._resume.max_version):
            code, why = plainly
            raise self._refuse(code, pdu, why)
        if version > self.version:
            raise self._refuse(
                ErrorCode.UNSUPPORTED_VERSION, pdu,
                f"the cache answered a query of version {self.version} in version {version}",
            )  # fmt: skip
        return header.length

    def _handle(self, header: Header, pdu: bytes, now: float) -> None:
        if header.type == PDUType.SERIAL_NOTIFY:
            self._notify(header, pdu, now)
            return
        if header.type == PDUType.ERROR_REPORT:
            self._report(header, pdu, now)
            return
        if not self._agreed:
            self._agree(header, pdu)
        match header.type, self._phase:
            case PDUType.CACHE_RESPONSE, _Phase.ANSWER:
                self._begin_answer(header, pdu)
            case PDUType.CACHE_RESET, _Phase.ANSWER:
                self._reset(pdu, now)
            case PDUType.ROUTER_KEY, _Phase.END_OF_DATA:
                ski, asn = _KEY.unpack_from(pdu, HEADER.size)
                announce = bool(header.session_id >> 8 & 1)
                self._events.append(RouterKeyEvent(asn, ski, pdu[HEADER.size + _KEY.size :], announce))
            case PDUType.END_OF_DATA, _Phase.END_OF_DATA:
                self._end_of_data(header, pdu, now)
            case _:
                raise self._unfit(header, pdu, now)

    def _unfit(self, header: Header, pdu: bytes, now: float) -> _Wrong:
        """Give what ends a session for a PDU that is wrong or out of place."""
        answer = self._phase is _Phase.END_OF_DATA
        if answer and header.type == PDUType.ASPA:
            return self._wrong_aspa(header, pdu, now)
        name = PDU_NAMES[header.type]
        if answer and header.type in {PDUType.IPV4_PREFIX, PDUType.IPV6_PREFIX}:
            code, why = ErrorCode.CORRUPT_DATA, f"the cache sent an {name} with bits beyond the prefix length"
        else:
            where = "between a Cache Response and its End of Data" if answer else "here"
            code = ErrorCode.CORRUPT_DATA if self._is_of_a_cache(header.type) else ErrorCode.INVALID_REQUEST
            why = f"the cache sent a PDU that is wrong or out of place: {name} {where}"
        return self._refuse(code, pdu, why)

    @staticmethod
    def _is_of_a_cache(number: int) -> bool:
        return number not in {PDUType.SERIAL_QUERY, PDUType.RESET_QUERY}

    def _agree(self, header: Header, pdu: bytes) -> None:
        """Take the version of the first answer (RFC 8210 section 7)."""
        self._resume.refused.clear()
        self._resume.wanted = None
        lower = header.version < self.version
        self.version = min(header.version, self.version)
        self._speaks()
        if lower and not self._full:
            self._resume.forget()
            raise self._refuse(
                ErrorCode.CORRUPT_DATA, pdu,
                f"the cache answers in version {header.version}, in which it has no session with us yet",
            )  # fmt: skip

    def _speaks(self) -> None:
        self._agreed = True
        self._resume.spoken, self._resume.silent = max(self._resume.spoken, self.version), 0

    def _notify(self, header: Header, pdu: bytes, now: float) -> None:
        self.notifies += 1
        if not self._agreed:
            return
        self._notified = _WORD.unpack_from(pdu, HEADER.size)[0]
        if self._phase is _Phase.NOTIFY:
            self._same_session(header, pdu)
        if self._phase is _Phase.DATA or (self._phase is _Phase.NOTIFY and self._notified != self._resume.serial):
            self._due = min(self._due, max(now, self._asked_at + NOTIFY_GAP))
            if self._due <= now:
                self._ask(now)

    def _begin_answer(self, header: Header, pdu: bytes) -> None:
        if self._full:
            self._session_id = header.session_id
            self._resume.forget()  # what is half a full set can't be added to
            self._events.append(FullSet())
        else:
            self._same_session(header, pdu)
        self._phase = _Phase.END_OF_DATA
        self._count = 0
        if self.version >= ASPA_VERSION:
            held = b"" if self._full else self._resume.aspas
            self._aspas = ASPAAnswer(held, min(MOST_WORDS, WORDS_OF_VRP * self._most))

    def _same_session(self, header: Header, pdu: bytes) -> None:
        """_Wrong: the cache has another session than the one that we know (RFC 8210 section 5.1)."""
        known = self._session_id
        if known is not None and header.session_id != known:
            self._resume.forget()
            raise self._refuse(
                ErrorCode.CORRUPT_DATA, pdu,
                f"the cache sent {PDU_NAMES[header.type]} of session {header.session_id} instead of {known}",
            )  # fmt: skip

    def _reset(self, pdu: bytes, now: float) -> None:
        if self._full:
            raise self._refuse(
                ErrorCode.CORRUPT_DATA, pdu, "the cache answered a Reset Query with Cache Reset: it gives no data"
            )
        self._resume.forget()
        self._ask(now)

    def _end_of_data(self, header: Header, pdu: bytes, now: float) -> None:
        self._same_session(header, pdu)
        if self._aspas is not None:
            self._settle_aspas(self._aspas)
        self._resume.session_id, self._resume.session_version = self._session_id, self.version
        self._resume.serial = _WORD.unpack_from(pdu, HEADER.size)[0]
        if self.version > 0 and self._intervals.follow_cache:
            refresh, retry, expire = _INTERVALS.unpack_from(pdu, HEADER.size + _WORD.size)
            self._refresh, self._retry = _within(refresh, REFRESH_RANGE), _within(retry, RETRY_RANGE)
            self._expire = _within(expire, EXPIRE_RANGE)
        self._has_data = True
        self._phase = _Phase.NOTIFY
        self._wait = NO_DATA_FIRST
        news = self._notified is not None and self._notified != self._resume.serial
        self._due = now + (NOTIFY_GAP if news else self._refresh)
        self._tell(RTRSocketState.ESTABLISHED)

    def _settle_aspas(self, answer: ASPAAnswer) -> None:
        """Tell what the cache's ASPAs are now, if that is news."""
        try:
            held = answer.settled()
        except UnknownASPAError as error:
            raise self._unknown(error.customer) from None
        except TooManyASPAsError:
            raise self._too_many() from None
        self._aspas = None
        if left_out := answer.left_out:
            self._events.append(ASPAsLeftOut(left_out))
        if self._full or held != self._resume.aspas:
            self._resume.aspas = held
            self._events.append(ASPAs(held))

    def _wrong_aspa(self, header: Header, pdu: bytes, now: float) -> _Wrong:
        """Give what ends a session for an ASPA PDU that can't be used."""
        announce = bool(header.session_id >> 8 & 1)
        if is_of_draft_10(pdu):
            self._resume.forget()
            self._resume.mislead(now + LOWER_VERSION_FOR)
            why = (
                "the cache accepts version 2 of RTR, but sends the ASPA PDU of draft-ietf-sidrops-8210bis-10, as"
                " StayRTR before 0.6 does: version 1 is spoken with it for a day"
            )
            self._refuse(ErrorCode.CORRUPT_DATA, pdu, why)
            return _Wrong(ErrorCode.CORRUPT_DATA, why, Fault.OLD_DRAFT, again=True)
        code = ErrorCode.ASPA_PROVIDER_LIST if announce else ErrorCode.CORRUPT_DATA
        why = "an ASPA that can't be used"
        if (wrong_one := wrong_list(pdu, announce=announce)) is not None:
            why = wrong_one.why
            self._events.append(ASPAsLeftOut({wrong_one.kind: 1}))
        return self._refuse(code, pdu, f"the cache sent a PDU that is wrong: {why}")

    def _unknown(self, customer: int) -> _Wrong:
        pdu = HEADER.pack(self.version, PDUType.ASPA, 0, HEADER.size + _WORD.size) + _WORD.pack(customer)
        why = f"the cache withdraws the ASPA of AS{customer}, of which it has announced none"
        return self._refuse(ErrorCode.WITHDRAWAL_OF_UNKNOWN, pdu, why)

    def _too_many(self) -> _Wrong:
        return _Wrong(ErrorCode.INTERNAL_ERROR, "the cache sends more ASPAs than there is memory for", Fault.ENDLESS)

    def broke(self) -> None:
        """Take note that the connection is gone: a cache that answers a Serial Query so gets no second one."""
        resume = self._resume
        if self._phase is _Phase.ANSWER and not self._full:
            resume.forget()
        unanswered = self._phase is _Phase.ANSWER and not self._agreed and not self._asked_lower
        if unanswered and self.version >= ASPA_VERSION > resume.spoken:
            # The Error Report of StayRTR 0.6, which then closes, is lost more often than not.
            resume.silent += 1
            if resume.silent == MOST_SILENT:
                resume.wanted, resume.silent = ASPA_VERSION - 1, 0
        self._phase = _Phase.NOTHING

    def _report(self, header: Header, pdu: bytes, now: float) -> None:
        code, _, _ = inside_report(pdu)
        resuming = self._phase is _Phase.ANSWER and not self._full
        if resuming:
            self._resume.forget()  # whatever is wrong, it can't be wrong with a Reset Query (sections 5.1 and 8.4)
        fits = header.version == self.version or (header.version < self.version and not self._agreed)
        if code == ErrorCode.NO_DATA_AVAILABLE and self._phase is _Phase.ANSWER and fits:
            self.version = header.version
            self._speaks()
            self._phase = _Phase.DATA
            self._due = now + self._wait
            self._events.append(Failure(Fault.NO_DATA, "the cache has no data yet"))
            self._tell(RTRSocketState.ERROR_NO_DATA_AVAILABLE, retry=int(self._wait))
            self._wait = min(2 * self._wait, float(self._retry))
        elif code == ErrorCode.UNSUPPORTED_VERSION and not self._agreed:
            self._renegotiate(header, pdu, now)
        elif resuming and not self._agreed and code in {ErrorCode.CORRUPT_DATA, ErrorCode.INVALID_REQUEST}:
            self._end(Fault.REFUSED, f"it does not know our session any more ({reported(pdu)})", again=True)
        elif min(header.version, self.version) >= ASPA_VERSION:
            self._end_by_report(code, pdu)
        else:
            self._end(Fault.REFUSED, reported(pdu))

    def _end_by_report(self, code: int, pdu: bytes) -> None:
        """End it as version 2 says: after an error that is fatal, or none of that version, all of the cache goes.

        A cache that goes away for a while, or for good, is let alone for some time (8210bis sections 8.5, 8.6 and 12).
        """
        waits: dict[int, int] = {
            ErrorCode.CACHE_RESTART: self._retry,
            ErrorCode.CACHE_SHUTDOWN: self._intervals.retry,
        }
        self._phase = _Phase.NOTHING
        drop = code not in NOT_FATAL
        self._events.append(Ended(Fault.REFUSED, reported(pdu), drop=drop, wait=float(waits.get(code, 0))))

    def _renegotiate(self, header: Header, pdu: bytes, now: float) -> None:
        """Ask in the cache's version, unless it refused that just now (8210bis section 7)."""
        resume, most = self._resume, self._resume.max_version
        if header.version > most or header.version == self.version or header.version in resume.refused:
            resume.refused.clear()
            spoken = f"it speaks version {header.version}, rtrlib speaks 0 to {most}; {reported(pdu)}"
            self._end(Fault.REFUSED, f"the cache refuses version {self.version} of RTR: {spoken}")
            return
        resume.refused.add(self.version)
        # On another connection version 1 first: StayRTR 0.6 refuses version 2 in version 0, and ends the connection.
        resume.wanted = 1 if header.version == 0 and self.version > 1 and 1 not in resume.refused else header.version
        self.version = header.version
        self._asked_lower = True
        self._ask(now)

    # -- what is sent and told

    def _ask(self, now: float) -> None:
        known = self._session_id = self._resume.known(self.version)
        self._full = known is None
        self._aspas = None
        if known is None:
            self._out += HEADER.pack(self.version, PDUType.RESET_QUERY, 0, HEADER.size)
        else:
            self._out += _SERIAL.pack(self.version, PDUType.SERIAL_QUERY, known, _SERIAL.size, self._resume.serial)
        self._phase = _Phase.ANSWER
        self._notified = None
        self._asked_at = now
        self._due = now + SILENCE
        self._tell(RTRSocketState.SYNC)

    def _tell(self, state: RTRSocketState, retry: int | None = None) -> None:
        self._events.append(
            SessionState(
                state, self.version, self._session_id or 0, self._resume.serial, self._refresh,
                self._retry if retry is None else retry, self._expire, int(self._has_data),
            )
        )  # fmt: skip

    def _refuse(self, code: int, pdu: bytes, why: str) -> _Wrong:
        """Tell the cache what is wrong with a PDU, and give what ends the session."""
        copy, text = pdu[:MOST_REPORTED], why.encode()
        size = 16 + len(copy) + len(text)
        self._out += HEADER.pack(self.version, PDUType.ERROR_REPORT, code, size)
        self._out += _WORD.pack(len(copy)) + copy + _WORD.pack(len(text)) + text
        return _Wrong(code, why)

    def _end(self, kind: Fault, why: str, *, again: bool = False) -> None:
        self._phase = _Phase.NOTHING
        self._events.append(Ended(kind, why, again))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _within(value: int, allowed: tuple[int, int]) -> int:
    return max(allowed[0], min(allowed[1], value))
