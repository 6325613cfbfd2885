"""Puts into words why librtr has no connection, or none any more: ffi/native/librtr tells it in numbers and octets.

The octets are a stranger's, and may come from a process that went wrong: nothing in them is believed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping
from typing import Final

from rtrlib.faults import Fault, ended, unreachable, unresolved
from rtrlib.librtr import ffi, lib
from rtrlib.rtr_pdus import HEADER, LENGTHS, PDU_NAMES, ErrorCode, PDUType, code_name, inside_report, reported, wrong
from rtrlib.servers import Server

__all__ = ["NOT_STARTED", "STARVED", "fault_of"]

FRAME: Final = struct.Struct("=IiI8s")
"""`struct frame_fault` of queue.h; an Error Report may follow it."""

LIBRTR_NEWEST: Final = 1
"""The newest version of RTR that librtr speaks."""
CONTRADICTIONS: Final[Mapping[int, str]] = {
    ErrorCode.WITHDRAWAL_OF_UNKNOWN: "withdrew what it had not announced",
    ErrorCode.DUPLICATE_ANNOUNCEMENT: "announced twice",
}

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
        kind = Fault.SILENT if error == errno.ETIMEDOUT else Fault.CLOSED
        return kind, ended(error, in_pdu=moment == lib.IN_A_PDU, heard=moment != lib.UNHEARD)
    if cause == lib.FAULT_SENT:
        return _refused(head, report)
    if cause == lib.FAULT_RECEIVED:
        return Fault.REFUSED, reported(report)
    why = NOT_STARTED.get(cause, f"the cache process tells of an unknown fault {cause}")
    return Fault.PROCESS, f"{why}: {os.strerror(error)}" if error else why


def _unreachable(error: int, server: Server) -> str:
    if error < 0:
        return unresolved(server.host, server.port, error, ffi.string(lib.gai_strerror(error)).decode())
    return unreachable(server.host, server.port, error)


def _refused(head: bytes, report: bytes) -> tuple[Fault, str]:
    """Say what librtr refused: it had the PDU with this head, and answered with this Error Report."""
    code, _, pdu = inside_report(report)
    if code == ErrorCode.INTERNAL_ERROR:  # librtr's only reason for this one
        return Fault.ENDLESS, STARVED
    # At End of Data librtr looks at what came before it, one by one.
    if head[1] == PDUType.END_OF_DATA and len(pdu) >= HEADER.size:
        head = pdu
    if code in CONTRADICTIONS and (vrp := _vrp_of(pdu)):
        return Fault.PROTOCOL, f"the cache {CONTRADICTIONS[code]}: {vrp}"
    return Fault.PROTOCOL, _wrong(code, *HEADER.unpack_from(head))


def _wrong(code: int, version: int, number: int, _session: int, length: int) -> str:
    """Say what is wrong with a PDU of this header."""
    if plainly := wrong(version, number, length, LIBRTR_NEWEST):
        return plainly[1]
    name = PDU_NAMES[number]
    if code == ErrorCode.CORRUPT_DATA and number in {PDUType.CACHE_RESPONSE, PDUType.END_OF_DATA}:
        return f"the cache sent a PDU of another session, or out of place: {name}"
    return f"the cache sent a PDU that is wrong or out of place: {name} (RFC 8210 error {code}, {code_name(code)})"


def _vrp_of(pdu: bytes) -> str | None:
    """Show a prefix PDU as 192.0.2.0/24-24 AS64500; None: it is none."""
    if len(pdu) < HEADER.size or pdu[1] not in (PDUType.IPV4_PREFIX, PDUType.IPV6_PREFIX) or len(pdu) < LENGTHS[pdu[1]]:
        return None
    family, octets = (socket.AF_INET6, 16) if pdu[1] == PDUType.IPV6_PREFIX else (socket.AF_INET, 4)
    address = socket.inet_ntop(family, pdu[12 : 12 + octets])
    return f"{address}/{pdu[9]}-{pdu[10]} AS{int.from_bytes(pdu[12 + octets : 16 + octets])}"
