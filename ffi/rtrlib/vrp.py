"""VRPs (RFC 6811) as text, and packed as `struct vrp` of ffi/native/base/vrp.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

PACKED: Final = struct.Struct("=16sIBBBB")
"""One packed VRP: address (network order, IPv4 in the first four bytes), AS, length, max length, family, announce."""


class VRP(NamedTuple):
    """A Validated ROA Payload (RFC 6811 section 2)."""

    prefix: str
    """As text, `192.0.2.0/24`."""
    max_length: int
    """Bits."""
    asn: int

    def __str__(self) -> str:
        return f"{self.prefix}-{self.max_length} AS{self.asn}"


def pack(vrp: VRP, *, announce: bool = True) -> bytes:
    """Pack one VRP. Raises ValueError for what is not a prefix; the lengths are checked when it is staged."""
    address, _, length = vrp.prefix.partition("/")
    try:
        family = 6 if ":" in address else 4
        raw = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, address)
        return PACKED.pack(raw, vrp.asn, int(length), vrp.max_length, family, announce)
    except (OSError, ValueError, struct.error) as error:
        raise ValueError(f"{vrp} is not a VRP: expected ADDRESS/LENGTH, a max length and an AS number") from error


def unpack(records: bytes) -> Iterator[tuple[VRP, bool]]:
    """Give each packed VRP and whether it is announced. Raises ValueError when the length is not a multiple of 24."""
    if len(records) % PACKED.size:
        raise ValueError(f"{len(records)} bytes are not packed VRPs: expected a multiple of {PACKED.size}")
    for raw, asn, length, max_length, family, announce in PACKED.iter_unpack(records):
        yield VRP(prefix_text(raw, length, family), max_length, asn), bool(announce)


def address_text(raw: bytes, family: int) -> str:
    """Give the text of a packed VRP's address."""
    return socket.inet_ntop(socket.AF_INET6, raw) if family == 6 else socket.inet_ntop(socket.AF_INET, raw[:4])


def prefix_text(raw: bytes, length: int, family: int) -> str:
    """Give the text of a packed VRP's prefix."""
    return f"{address_text(raw, family)}/{length}"
