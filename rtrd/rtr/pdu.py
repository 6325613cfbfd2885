"""RTR protocol data units, versions 0 to 2: a router's are decoded, a cache's are encoded.

Version 0 is RFC 6810's, 1 RFC 8210's, 2 draft-ietf-sidrops-8210bis's.

Nothing that arrives is trusted: each length is checked against the type's before anything else is read, and
an Error Report's inner lengths against its outer one. What is wrong raises PDUError, which knows the error
code that the peer should be told.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from _rov import ffi, lib
from rtrlib.aspas import NUMBER_SIZE
from rtrlib.packed import ADDRESS, ASN, COMPLEMENT, LENGTH, MAX_LENGTH, VRP_SIZE
from rtrlib.rtr_pdus import HEADER, MAX_VERSION, ErrorCode, Header, PDUType

FIRST_WITH_ASPAS: Final = 2
FIRST_THAT_SAYS_GOODBYE: Final = 2
"""By Cache Restart and Cache Shutdown."""
FIRST_WITH_FIXED_SESSION: Final = 2
"""A router may not ask for another session in one connection (8210bis section 5.3)."""
MOST_PROVIDERS: Final = 16_380
"""Of one customer: no PDU is longer than 65,535 octets (8210bis section 5)."""

MAX_PDU = 65536
"""Octets; only Error Reports and Router Keys may be long, and no honest one is longer."""
MAX_REPORTED = 512
"""Octets of a wrong PDU that are copied into an Error Report about it."""
MAX_TEXT = 400
"""Octets of the text in an Error Report of ours."""

_SERIAL = struct.Struct(">BBHII")
_END_OF_DATA_V1 = struct.Struct(">BBHIIIII")
_WORD = struct.Struct(">I")
_SKI_SIZE = 20


class PDUError(Exception):
    """A PDU that is wrong: what is wrong in words, and the code for the Error Report about it."""

    def __init__(self, code: ErrorCode, what: str) -> None:
        super().__init__(what)
        self.code = code


class SerialNotify(NamedTuple):
    """The cache has new data (RFC 8210 s.5.2)."""

    version: int
    session: int
    serial: int


class SerialQuery(NamedTuple):
    """The router asks for what changed since a serial number (s.5.3)."""

    version: int
    session: int
    serial: int


class ResetQuery(NamedTuple):
    """The router asks for everything (s.5.4)."""

    version: int


class CacheResponse(NamedTuple):
    """What was asked for follows, up to End of Data (s.5.5)."""

    version: int
    session: int


class EndOfData(NamedTuple):
    """The set is complete (s.5.8). Intervals in seconds; version 0 has none."""

    version: int
    session: int
    serial: int
    refresh: int | None = None
    retry: int | None = None
    expire: int | None = None


class CacheReset(NamedTuple):
    """The cache has no such history: ask for everything (s.5.9)."""

    version: int


class RouterKeyPDU(NamedTuple):
    """One BGPsec router key, announced or withdrawn (s.5.10)."""

    version: int
    announce: bool
    ski: bytes
    asn: int
    spki: bytes


class ErrorReport(NamedTuple):
    """What was wrong with a PDU of the other side (s.5.11); ``code`` may be one that we do not know."""

    version: int
    code: int
    pdu: bytes = b""
    text: str = ""


Query: TypeAlias = SerialQuery | ResetQuery | ErrorReport
"""What a router sends."""
Answer: TypeAlias = SerialNotify | CacheResponse | EndOfData | CacheReset | RouterKeyPDU | ErrorReport
"""What a cache sends, beside many prefixes at once."""

_LENGTHS: Mapping[int, tuple[int, int]] = {
    PDUType.SERIAL_NOTIFY: (12, 12),
    PDUType.SERIAL_QUERY: (12, 12),
    PDUType.RESET_QUERY: (8, 8),
    PDUType.CACHE_RESPONSE: (8, 8),
    PDUType.IPV4_PREFIX: (20, 20),
    PDUType.IPV6_PREFIX: (32, 32),
    PDUType.END_OF_DATA: (24, 24),
    PDUType.CACHE_RESET: (8, 8),
    PDUType.ROUTER_KEY: (8 + _SKI_SIZE + 4 + 1, MAX_PDU),
    PDUType.ERROR_REPORT: (16, MAX_PDU),
    PDUType.ASPA: (12, MAX_PDU),
}
"""The fewest and the most octets of a PDU of each type that is known here."""


def header(buffer: bytes | bytearray, offset: int = 0) -> Header | None:
    """Read the header at an offset; None while it is not there whole. Nothing in it is checked."""
    if len(buffer) - offset < HEADER.size:
        return None
    return Header(*HEADER.unpack_from(buffer, offset))


def check(head: Header) -> None:
    """Check version, type and length of a header, so that the rest can be waited for; raises PDUError."""
    if head.version > MAX_VERSION:
        raise PDUError(ErrorCode.UNSUPPORTED_VERSION, f"version {head.version}: at most {MAX_VERSION} is spoken here")
    if head.type == PDUType.ASPA and head.version < FIRST_WITH_ASPAS:
        raise PDUError(ErrorCode.UNSUPPORTED_TYPE, f"version {head.version} has no ASPA")
    if head.type not in _LENGTHS:
        raise PDUError(ErrorCode.UNSUPPORTED_TYPE, f"PDU type {head.type} is unknown")
    kind = PDUType(head.type)
    if kind is PDUType.ROUTER_KEY and head.version == 0:
        raise PDUError(ErrorCode.UNSUPPORTED_TYPE, "version 0 has no Router Key")
    least, most = (12, 12) if kind is PDUType.END_OF_DATA and head.version == 0 else _LENGTHS[kind]
    if not least <= head.length <= most:
        taken = f"it has {least}" if least == most else f"{least} to {most} are taken"
        raise PDUError(ErrorCode.CORRUPT_DATA, f"{kind.name} of {head.length} octets: {taken}")


def check_query(head: Header) -> None:
    """Check the header of what a router sent; raises PDUError."""
    check(head)
    if head.type not in (PDUType.SERIAL_QUERY, PDUType.RESET_QUERY, PDUType.ERROR_REPORT):
        raise PDUError(ErrorCode.INVALID_REQUEST, f"a router sends no {PDUType(head.type).name}")


def decode(octets: bytes) -> Query:
    """Decode one whole PDU of a router; raises PDUError, whatever the octets are."""
    head = header(octets)
    if head is None:
        raise PDUError(ErrorCode.CORRUPT_DATA, f"{len(octets)} octets are not a PDU")
    check_query(head)
    if head.length != len(octets):
        raise PDUError(ErrorCode.CORRUPT_DATA, f"a PDU of {head.length} octets came as {len(octets)}")
    if head.type == PDUType.SERIAL_QUERY:
        return SerialQuery(head.version, head.session_id, *_WORD.unpack_from(octets, 8))
    if head.type == PDUType.RESET_QUERY:
        return ResetQuery(head.version)
    (pdu_length,) = _WORD.unpack_from(octets, 8)
    text_at = 12 + pdu_length
    if text_at + 4 > len(octets):
        raise PDUError(ErrorCode.CORRUPT_DATA, "an Error Report's PDU is longer than the report")
    (text_length,) = _WORD.unpack_from(octets, text_at)
    if text_at + 4 + text_length != len(octets):
        raise PDUError(ErrorCode.CORRUPT_DATA, "an Error Report's text does not end where the report does")
    text = octets[text_at + 4 :].decode("utf-8", "backslashreplace")
    return ErrorReport(head.version, head.session_id, octets[12:text_at], text)


def encode(pdu: Answer) -> bytes:
    """Encode one PDU of a cache. Numbers out of their range raise struct.error: they are ours, never a peer's."""
    match pdu:
        case SerialNotify(version, session, serial):
            return _SERIAL.pack(version, PDUType.SERIAL_NOTIFY, session, 12, serial)
        case CacheResponse(version, session):
            return HEADER.pack(version, PDUType.CACHE_RESPONSE, session, 8)
        case EndOfData(0, session, serial):
            return _SERIAL.pack(0, PDUType.END_OF_DATA, session, 12, serial)
        case EndOfData(version, session, serial, refresh, retry, expire):
            return _END_OF_DATA_V1.pack(version, PDUType.END_OF_DATA, session, 24, serial, refresh, retry, expire)
        case CacheReset(version):
            return HEADER.pack(version, PDUType.CACHE_RESET, 0, 8)
        case RouterKeyPDU(version, announce, ski, asn, spki):
            head = HEADER.pack(version, PDUType.ROUTER_KEY, announce << 8, 12 + len(ski) + len(spki))
            return head + ski + _WORD.pack(asn) + spki
        case ErrorReport(version, code, wrong, text):
            octets = text.encode("utf-8", "backslashreplace")
            head = HEADER.pack(version, PDUType.ERROR_REPORT, code, 16 + len(wrong) + len(octets))
            return head + _WORD.pack(len(wrong)) + wrong + _WORD.pack(len(octets)) + octets


def report(version: int, code: ErrorCode, text: str, wrong: bytes = b"") -> bytes:
    """Encode an Error Report of ours, with the first MAX_REPORTED octets of what was wrong."""
    short = text.encode("utf-8", "backslashreplace")[:MAX_TEXT].decode("utf-8", "ignore")
    return encode(ErrorReport(version, code, bytes(wrong[:MAX_REPORTED]), short))


def encode_prefixes(records: bytes, version: int, *, announce: bool = True) -> bytes:
    """Encode ordered VRPs of one family (see rtrlib.packed) as IPv4 or IPv6 Prefix PDUs.

    Column by column: 10,000 VRPs take less than a millisecond.
    """
    if not records:
        return b""
    octets = 4 if records[0] == 4 else 16
    size = 16 + octets
    kind = PDUType.IPV4_PREFIX if octets == 4 else PDUType.IPV6_PREFIX
    blank = HEADER.pack(version, kind, 0, size) + bytes([announce]) + bytes(size - HEADER.size - 1)
    out = bytearray(blank * (len(records) // VRP_SIZE))
    plain = records.translate(COMPLEMENT)
    out[9::size] = plain[LENGTH::VRP_SIZE]
    out[10::size] = plain[MAX_LENGTH::VRP_SIZE]
    for column in range(octets):
        out[12 + column :: size] = plain[ADDRESS + column :: VRP_SIZE]
    for column in range(4):
        out[12 + octets + column :: size] = plain[ASN + column :: VRP_SIZE]
    return bytes(out)


def aspa_slices(records: bytes, room: int) -> Iterator[int]:
    """Give the octets at which packed ASPAs can be cut, so that each slice has `room` numbers, or one record."""
    numbers = ffi.from_buffer("uint32_t[]", records)
    end = 0
    while end < len(numbers):
        end = int(lib.aspa_records_end(numbers, len(numbers), end, room))
        yield end * NUMBER_SIZE


def encode_aspas(records: bytes, *, announce: bool = True) -> bytes:
    """Encode packed ASPAs (rtrlib.aspas): those of a set or of changes that announce, or those that withdraw."""
    numbers = ffi.from_buffer("uint32_t[]", records)
    out = ffi.new("uint8_t[]", 6 * len(numbers))
    return ffi.buffer(out, lib.aspa_pdus_encode(numbers, len(numbers), announce, out))[:]
