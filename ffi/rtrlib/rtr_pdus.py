"""The protocol data units of RTR (RFC 8210 section 5), and words for what is wrong with one that a cache sent.

Those of version 2 are as draft-ietf-sidrops-8210bis-27 has them (ASPA: section 5.12).
The octets are a stranger's: nothing in them is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = [
    "ASPA_VERSION",
    "HEADER",
    "LENGTHS",
    "MAX_VERSION",
    "PDU_NAMES",
    "ErrorCode",
    "Header",
    "PDUType",
    "code_name",
    "has_length",
    "inside_report",
    "reported",
    "wrong",
]

MAX_VERSION: Final = 2
"""The newest protocol version that is spoken here (draft-ietf-sidrops-8210bis)."""
ASPA_VERSION: Final = 2
"""The first one with ASPAs."""
HEADER: Final = struct.Struct(">BBHI")
"""Version, type, session ID or what else the type has there, octets of the whole PDU."""


class PDUType(IntEnum):
    """Types of PDUs (RFC 8210 section 5)."""

    SERIAL_NOTIFY = 0
    SERIAL_QUERY = 1
    RESET_QUERY = 2
    CACHE_RESPONSE = 3
    IPV4_PREFIX = 4
    IPV6_PREFIX = 6
    END_OF_DATA = 7
    CACHE_RESET = 8
    ROUTER_KEY = 9
    ERROR_REPORT = 10
    ASPA = 11


class ErrorCode(IntEnum):
    """Codes of an Error Report (RFC 8210 section 12; from 9 on draft-ietf-sidrops-8210bis, version 2)."""

    CORRUPT_DATA = 0
    INTERNAL_ERROR = 1
    NO_DATA_AVAILABLE = 2
    INVALID_REQUEST = 3
    UNSUPPORTED_VERSION = 4
    UNSUPPORTED_TYPE = 5
    WITHDRAWAL_OF_UNKNOWN = 6
    DUPLICATE_ANNOUNCEMENT = 7
    UNEXPECTED_VERSION = 8
    ASPA_PROVIDER_LIST = 9
    TRANSPORT = 10
    ORDERING = 11
    CACHE_RESTART = 12
    CACHE_SHUTDOWN = 13


class Header(NamedTuple):
    """The eight octets that every PDU of every version starts with, unchecked."""

    version: int
    type: int
    session_id: int
    """Session ID; of an Error Report its code, of a Router Key its flags."""
    length: int


PDU_NAMES: Final[Mapping[int, str]] = {
    PDUType.SERIAL_NOTIFY: "Serial Notify",
    PDUType.SERIAL_QUERY: "Serial Query",
    PDUType.RESET_QUERY: "Reset Query",
    PDUType.CACHE_RESPONSE: "Cache Response",
    PDUType.IPV4_PREFIX: "IPv4 Prefix",
    PDUType.IPV6_PREFIX: "IPv6 Prefix",
    PDUType.END_OF_DATA: "End of Data",
    PDUType.CACHE_RESET: "Cache Reset",
    PDUType.ROUTER_KEY: "Router Key",
    PDUType.ERROR_REPORT: "Error Report",
    PDUType.ASPA: "ASPA",
}
LENGTHS: Final[Mapping[int, int]] = {
    PDUType.SERIAL_NOTIFY: 12,
    PDUType.CACHE_RESPONSE: 8,
    PDUType.IPV4_PREFIX: 20,
    PDUType.IPV6_PREFIX: 32,
    PDUType.END_OF_DATA: 24,
    PDUType.CACHE_RESET: 8,
    PDUType.ROUTER_KEY: 123,
}
"""Octets of a PDU whose length is fixed; of a Router Key with a P-256 key, the only kind that BGPsec has (RFC 8608)."""
LONGEST: Final = 0xFFFF
"""Octets of any PDU."""
ASPA_LEAST: Final = 12
"""Octets of an ASPA PDU without providers."""
SINCE: Final[Mapping[int, int]] = {PDUType.ROUTER_KEY: 1, PDUType.ASPA: ASPA_VERSION}
"""The version that has a type first, where not all have it."""
REPORT_LEAST: Final = 16
"""Octets of an Error Report that has neither a PDU nor a text in it."""
CODES: Final = (
    "corrupt data",
    "internal error",
    "no data available",
    "invalid request",
    "unsupported version",
    "unsupported PDU type",
    "withdrawal of unknown",
    "duplicate announcement",
    "unexpected version",
    "ASPA provider list",
    "transport",
    "ordering",
    "cache restart",
    "cache shutdown",
)
NEWEST_LIKELY: Final = 9
"""A version that the future may bring; what is beyond is the first letter of some other protocol."""
MOST_TEXT: Final = 200
"""Letters that are shown of a cache's text."""


def code_name(code: int) -> str:
    """Name an Error Report's code."""
    return CODES[code] if code < len(CODES) else "an unknown code"


def has_length(version: int, number: int, length: int) -> bool:
    """Tell whether a PDU of this type can have so many octets."""
    if version == 0 and number == PDUType.END_OF_DATA:
        return length == 12  # RFC 6810 section 5.8: without intervals
    if number == PDUType.ASPA:
        return ASPA_LEAST <= length <= LONGEST and length % 4 == 0
    return length == LENGTHS[number] if number in LENGTHS else HEADER.size <= length <= LONGEST


def wrong(version: int, number: int, length: int, newest: int = MAX_VERSION) -> tuple[ErrorCode, str] | None:
    """Say what is wrong with a PDU of this header, wherever it comes: the code for it, and words. None: nothing is.

    `newest`: the newest version that may be spoken.
    """
    name = PDU_NAMES.get(number)
    if version > NEWEST_LIKELY:
        what = f"what listens there speaks no RTR: its answer begins with octet 0x{version:02x}"
        return ErrorCode.UNSUPPORTED_VERSION, what
    if version > newest:
        what = f"the cache speaks version {version} of RTR, which is not spoken here"
        return ErrorCode.UNSUPPORTED_VERSION, what
    if name is None or version < SINCE.get(number, 0):
        said = f"{number} ({name})" if name else f"{number}"
        what = f"the cache sent a PDU of type {said}, which version {version} of RTR does not have"
        return ErrorCode.UNSUPPORTED_TYPE, what
    if not has_length(version, number, length):
        return ErrorCode.CORRUPT_DATA, f"the cache sent a PDU of a wrong length: {name} of {length} octets"
    return None


def inside_report(report: bytes) -> tuple[int, int, bytes]:
    """Return an Error Report's code, where the PDU in it ends (0: beyond the report), and that PDU."""
    size = int.from_bytes(report[8:12])
    end = 12 + size
    return int.from_bytes(report[2:4]), end if end <= len(report) else 0, report[12:end]


def reported(report: bytes) -> str:
    """Say what the cache reports, with the beginning of its text: only what can be printed gets through."""
    code, end, _ = inside_report(report)
    said = f"the cache reports error {code}, {code_name(code)}"
    octets = report[end + 4 :][: int.from_bytes(report[end : end + 4])] if end else b""
    text = octets.split(b"\0")[0].decode("utf-8", errors="replace")[:MOST_TEXT]
    return f"{said}: {''.join(letter if letter.isprintable() else '?' for letter in text)}" if text else said
