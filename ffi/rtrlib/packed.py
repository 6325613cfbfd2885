"""VRPs in the order in which an RTR server announces them (8210bis section 11.2), and what changes between two sets.

The packed VRP (24 bytes, ``struct vrp`` of ffi/native/base/vrp.h) is what crosses the boundaries. Its *ordered*
form has the same size and content, laid out so that plain comparison of bytes is the order in which an RTR
server should announce: IPv4 before IPv6, then by address, max length, length and AS, each the highest first. A
router that applies VRPs as they come then never has a covering VRP before the more specific one that makes a
route valid. What is withdrawn goes from the lowest up.

Everything here is native, or works on columns (every 24th byte) or on slices of bytes, so that 0.7 M VRPs cost tens
of milliseconds and nothing holds the interpreter for long: it is safe in a thread beside an event loop.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from _rov import ffi, lib
from rtrlib.vrp import PACKED

VRP_SIZE = PACKED.size
ADDRESS, MAX_LENGTH, LENGTH, ASN = 1, 17, 18, 19
"""Where they begin in an ordered VRP, each as its complement; the first octet is the family, the last one 1."""

COMPLEMENT = bytes(255 - value for value in range(256))
"""For bytes.translate: turns a column of complements into what it is, and back."""
_ASN_HOST = 16  # offset of the AS in a packed VRP
_ASN_COLUMNS = struct.pack("=I", 0x00010203)  # where each byte of a host-order AS goes in network order
_SMALL = 64  # records; below this a set is cheaper than halving further


def ordered(records: bytes | bytearray | memoryview) -> bytes:
    """Sort packed VRPs into the ordered form, each once.

    Raises ValueError when the length is no multiple of 24 or a family is neither 4 nor 6: a fault of the
    caller, since what comes from outside was checked before. The announce octet is not looked at. Native
    (ffi/native/vrps/rtr_order.h), and other threads run meanwhile: a sort of 0.7 M records in Python holds the
    interpreter for 0.1 s at a time, also in a thread.
    """
    with ffi.from_buffer(records) as view:
        if len(view) % PACKED.size:
            raise ValueError(f"{len(view)} bytes are not packed VRPs: expected a multiple of {PACKED.size}")
        out = ffi.new("uint8_t[]", len(view))
        count = lib.vrps_order(view, len(view) // PACKED.size, out)
    if count < 0:
        raise ValueError("the family of a packed VRP is neither 4 nor 6")
    return ffi.buffer(out, count * PACKED.size)[:]


class VRPDifference(NamedTuple):
    """The difference of two sets: ordered VRPs that came, and that went."""

    announced: bytes
    withdrawn: bytes

    @property
    def size(self) -> int:
        """How many VRPs differ."""
        return (len(self.announced) + len(self.withdrawn)) // VRP_SIZE


def split(records: bytes) -> list[bytes]:
    """Cut packed or ordered VRPs into single ones."""
    return [records[at : at + VRP_SIZE] for at in range(0, len(records), VRP_SIZE)]


def packed(records: bytes, *, announce: bool = True) -> bytes:
    """Turn ordered VRPs into packed ones, in the same order."""
    out = bytearray(len(records))
    plain = records.translate(COMPLEMENT)
    out[22::VRP_SIZE] = records[0::VRP_SIZE]
    out[20::VRP_SIZE] = plain[LENGTH::VRP_SIZE]
    out[21::VRP_SIZE] = plain[MAX_LENGTH::VRP_SIZE]
    for column in range(16):
        out[column::VRP_SIZE] = plain[ADDRESS + column :: VRP_SIZE]
    for column, source in enumerate(_ASN_COLUMNS):
        out[_ASN_HOST + column :: VRP_SIZE] = plain[ASN + source :: VRP_SIZE]
    out[23::VRP_SIZE] = bytes([announce]) * (len(records) // VRP_SIZE)
    return bytes(out)


def backward(records: bytes) -> bytes:
    """Give ordered VRPs from the lowest up, as they are withdrawn."""
    return b"".join(reversed(split(records)))


def find(records: bytes, record: bytes, low: int = 0, high: int | None = None) -> int:
    """Give the index (in records) at which an ordered VRP is, or would be."""
    high = len(records) // VRP_SIZE if high is None else high
    return bisect_left(
        range(len(records) // VRP_SIZE),
        record,
        low,
        high,
        key=lambda at: records[at * VRP_SIZE : (at + 1) * VRP_SIZE],
    )


def first_ipv6(records: bytes) -> int:
    """Octet offset of the first IPv6 VRP in ordered VRPs."""
    return find(records, b"\x06") * VRP_SIZE


def diff(old: bytes, new: bytes) -> VRPDifference:
    """Compare two ordered sets.

    Equal halves are passed over at the speed of memcmp: a few changes in 0.7 M VRPs cost milliseconds.
    """
    announced: list[bytes] = []
    withdrawn: list[bytes] = []
    pending = [(0, len(old) // VRP_SIZE, 0, len(new) // VRP_SIZE)]
    while pending:
        old_low, old_high, new_low, new_high = pending.pop()
        before = old[old_low * VRP_SIZE : old_high * VRP_SIZE]
        after = new[new_low * VRP_SIZE : new_high * VRP_SIZE]
        if before == after:
            continue
        if not before or not after:
            announced.append(after)
            withdrawn.append(before)
            continue
        if len(before) + len(after) <= _SMALL * VRP_SIZE:
            gone, come = set(split(before)), set(split(after))
            announced += sorted(come - gone)
            withdrawn += sorted(gone - come)
            continue
        if len(before) >= len(after):
            old_middle = (old_low + old_high) // 2
            middle = old[old_middle * VRP_SIZE : (old_middle + 1) * VRP_SIZE]
            new_middle = find(new, middle, new_low, new_high)
        else:
            new_middle = (new_low + new_high) // 2
            middle = new[new_middle * VRP_SIZE : (new_middle + 1) * VRP_SIZE]
            old_middle = find(old, middle, old_low, old_high)
        # The second half is pushed first: halves come out in order, and so does the change.
        pending += [(old_middle, old_high, new_middle, new_high), (old_low, old_middle, new_low, new_middle)]
    return VRPDifference(b"".join(announced), b"".join(withdrawn))


def merge(records: bytes, announced: Iterable[bytes], withdrawn: Iterable[bytes]) -> tuple[bytes, VRPDifference]:
    """Apply changes (single ordered VRPs) to an ordered set.

    Returns the new set and what really changed: announcing what is there, or withdrawing what is not, is
    nothing. A VRP in both is announced.
    """
    come = set(announced)
    edits: list[tuple[bytes, bool]] = sorted(
        [(record, True) for record in come] + [(record, False) for record in set(withdrawn) - come]
    )
    view = memoryview(records)  # so that the whole is copied once
    pieces: list[bytes | memoryview] = []
    came: list[bytes] = []
    went: list[bytes] = []
    done = 0
    for record, announce in edits:
        at = find(records, record, done // VRP_SIZE) * VRP_SIZE
        if (records[at : at + VRP_SIZE] == record) is announce:
            continue
        pieces.append(view[done:at])
        done = at
        if announce:
            pieces.append(record)
            came.append(record)
        else:
            done += VRP_SIZE
            went.append(record)
    pieces.append(view[done:])
    return b"".join(pieces), VRPDifference(b"".join(came), b"".join(went))
