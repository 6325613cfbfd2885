"""Puts into words why librtr has no connection, or none any more: ffi/native/librtr tells it in numbers and octets.

The octets are a stranger's, and may come from a process that went wrong: nothing in them is believed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

from rtrlib.faults import Fault
from rtrlib.librtr import ffi, lib
from rtrlib.servers import Server

__all__ = ["NOT_STARTED", "STARVED", "fault_of"]

FRAME: Final = struct.Struct("=IiI8s")
"""`struct frame_fault` of queue.h; an Error Report may follow it."""

HEADER: Final = struct.Struct(">BBHI")
IPV4_PREFIX, IPV6_PREFIX, END_OF_DATA, ASPA = 4, 6, 7, 11
PDUS: Final = {
    0: "Serial Notify",
    1: "Serial Query",
    2: "Reset Query",
    3: "Cache Response",
    IPV4_PREFIX: "IPv4 Prefix",
    IPV6_PREFIX: "IPv6 Prefix",
    END_OF_DATA: "End of Data",
    8: "Cache Reset",
    9: "Router Key",
    10: "Error Report",
    ASPA: "ASPA",
}
"""RFC 8210 section 5."""
LENGTHS: Final = {0: 12, 3: 8, IPV4_PREFIX: 20, IPV6_PREFIX: 32, END_OF_DATA: 24, 8: 8, 9: 123}
"""Octets of a PDU whose length is fixed; of a Router Key with a P-256 key, the only kind that BGPsec has (RFC 8608)."""
CORRUPT_DATA, INTERNAL_ERROR, UNKNOWN_WITHDRAWAL, DUPLICATE = 0, 1, 6, 7
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
)
"""RFC 8210 section 12."""
CONTRADICTIONS: Final = {UNKNOWN_WITHDRAWAL: "withdrew what it had not announced", DUPLICATE: "announced twice"}
NEWEST_LIKELY: Final = 9
"""A version that the future may bring; what is beyond is the first letter of some other protocol."""
MOST_TEXT: Final = 200
"""Letters that are shown of a cache's text."""

NOT_STARTED: Final = {
    lib.FAULT_MEMORY: "no memory or no file descriptor for another cache",
    lib.FAULT_TCP: "librtr refuses the TCP options",
    lib.FAULT_SSH: "librtr refuses the SSH options: give a private key or a password, not both",
    lib.FAULT_INTERVALS: "an interval is out of librtr's range",
    lib.FAULT_MANAGER: "rtr_mgr_init failed",
    lib.FAULT_THREAD: "librtr cannot start a thread",
    lib.FAULT_CONFINED: "the cache process cannot be confined",
}
"""Why a session was never begun."""

STARVED: Final = "the cache sends more than the memory of its process can hold"


def fault_of(payload: bytes, server: Server) -> tuple[Fault, str]:
    """Put a FAULT payload into words; whatever it is gives a kind and a printable sentence."""
    if len(payload) < FRAME.size:
        return Fault.PROCESS, f"the cache process sent a fault of {len(payload)} octets"
    cause, error, moment, head = FRAME.unpack_from(payload)
    report = payload[FRAME.size :]
    if cause == lib.FAULT_UNREACHABLE:
        return Fault.UNREACHABLE, _unreachable(error, server)
    if cause == lib.FAULT_ENDED:
        return Fault.SILENT if error == errno.ETIMEDOUT else Fault.CLOSED, _ended(error, moment)
    if cause == lib.FAULT_SENT:
        return _refused(head, report)
    if cause == lib.FAULT_RECEIVED:
        return Fault.REFUSED, _reported(report)
    why = NOT_STARTED.get(cause, f"the cache process tells of an unknown fault {cause}")
    return Fault.PROCESS, f"{why}: {os.strerror(error)}" if error else why


def _unreachable(error: int, server: Server) -> str:
    if error < 0:
        return f"{server.host} does not resolve: {ffi.string(lib.gai_strerror(error)).decode()}"
    return f"cannot connect to {server.host} port {server.port}: {os.strerror(error)}"


def _ended(error: int, moment: int) -> str:
    where = ""
    if moment == lib.IN_A_PDU:
        where = " in the middle of a PDU"
    elif moment == lib.UNHEARD:
        where = " before it said anything" if error else " without a word"
    if error == errno.ETIMEDOUT:
        return f"the cache's host does not answer any more{where}"
    return f"the connection broke{where}: {os.strerror(error)}" if error else f"the cache closed the connection{where}"


def _refused(head: bytes, report: bytes) -> tuple[Fault, str]:
    """Say what librtr refused: it had the PDU with this head, and answered with this Error Report."""
    code, _, pdu = _inside(report)
    if code == INTERNAL_ERROR:  # librtr's only reason for this one
        return Fault.ENDLESS, STARVED
    # At End of Data librtr looks at what came before it, one by one.
    if head[1] == END_OF_DATA and len(pdu) >= HEADER.size:
        head = pdu
    if code in CONTRADICTIONS and (vrp := _vrp_of(pdu)):
        return Fault.PROTOCOL, f"the cache {CONTRADICTIONS[code]}: {vrp}"
    return Fault.PROTOCOL, _wrong(code, *HEADER.unpack_from(head))


def _wrong(code: int, version: int, number: int, _session: int, length: int) -> str:
    """Say what is wrong with a PDU of this header."""
    name = PDUS.get(number)
    if version > NEWEST_LIKELY:
        return f"what listens there speaks no RTR: its answer begins with octet 0x{version:02x}"
    if version > 1:
        return f"the cache speaks version {version} of RTR, which is not spoken here"
    if name is None or number == ASPA:
        said = f"{number} (ASPA)" if name else f"{number}"
        return f"the cache sent a PDU of type {said}, which version {version} of RTR does not have"
    if not _has_length(version, number, length):
        return f"the cache sent a PDU of a wrong length: {name} of {length} octets"
    if code == CORRUPT_DATA and name in {"Cache Response", "End of Data"}:
        return f"the cache sent a PDU of another session, or out of place: {name}"
    return f"the cache sent a PDU that is wrong or out of place: {name} (RFC 8210 error {code}, {_code_name(code)})"


def _has_length(version: int, number: int, length: int) -> bool:
    if version == 0 and number == END_OF_DATA:
        return length == 12
    return length == LENGTHS[number] if number in LENGTHS else HEADER.size <= length <= 0xFFFF


def _vrp_of(pdu: bytes) -> str | None:
    """Show a prefix PDU as 192.0.2.0/24-24 AS64500; None: it is none."""
    if len(pdu) < HEADER.size or pdu[1] not in (IPV4_PREFIX, IPV6_PREFIX) or len(pdu) < LENGTHS[pdu[1]]:
        return None
    family, octets = (socket.AF_INET6, 16) if pdu[1] == IPV6_PREFIX else (socket.AF_INET, 4)
    address = socket.inet_ntop(family, pdu[12 : 12 + octets])
    return f"{address}/{pdu[9]}-{pdu[10]} AS{int.from_bytes(pdu[12 + octets : 16 + octets])}"


def _reported(report: bytes) -> str:
    """Say what the cache reports, with the beginning of its text: only what can be printed gets through."""
    code, end, _ = _inside(report)
    said = f"the cache reports error {code}, {_code_name(code)}"
    octets = report[end + 4 :][: int.from_bytes(report[end : end + 4])] if end else b""
    text = octets.split(b"\0")[0].decode("utf-8", errors="replace")[:MOST_TEXT]
    return f"{said}: {''.join(letter if letter.isprintable() else '?' for letter in text)}" if text else said


def _inside(report: bytes) -> tuple[int, int, bytes]:
    """Return an Error Report's code, where the PDU in it ends (0: beyond the report), and that PDU."""
    size = int.from_bytes(report[8:12])
    end = 12 + size
    return int.from_bytes(report[2:4]), end if end <= len(report) else 0, report[12:end]


def _code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else "an unknown code"
