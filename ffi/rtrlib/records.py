"""VRPs and router keys as records that stay valid as long as anyone holds them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp import PACKED, address_text

__all__ = ["PFXRecord", "SPKIRecord", "copy_pfx_record", "record_of", "records_of"]


class PFXRecord(NamedTuple):
    """A VRP: `asn` may originate `prefix` (an address) / `min_len`, up to a length of `max_len` (RFC 6811).

    `socket` is the cache that said so, where there is exactly one to name.
    """

    asn: int
    prefix: str
    min_len: int
    max_len: int
    socket: RTRSocket | None = None

    def __str__(self) -> str:
        """Give it as rtrlib-python's programs print it, with the AS number bare."""
        return f"{self.prefix}/{self.min_len}-{self.max_len} {self.asn}"


class SPKIRecord(NamedTuple):
    """A BGPsec router key (RFC 8210 section 5.10): `ski` is 20 octets, `spki` the DER of the public key."""

    asn: int
    ski: bytes
    spki: bytes
    socket: RTRSocket | None = None


def copy_pfx_record(record: PFXRecord) -> PFXRecord:
    """Return an equal record. Ours hold no memory of librtr, so nothing needs this now.

    TypeError for what is not a PFXRecord.
    """
    if not isinstance(record, PFXRecord):
        raise TypeError(f"a PFXRecord is needed, not {type(record).__name__}")
    return copy.copy(record)


def record_of(packed: bytes, source: RTRSocket | None = None) -> PFXRecord:
    """Give one packed VRP as a record."""
    return next(records_of(packed, source))[0]


def records_of(packed: bytes | memoryview, source: RTRSocket | None = None) -> Iterator[tuple[PFXRecord, bool]]:
    """Give each record of packed VRPs (checked ones: of a VRP set), and whether it was added."""
    for raw, asn, length, max_length, family, announce in PACKED.iter_unpack(packed):
        yield PFXRecord(asn, address_text(raw, family), length, max_length, source), bool(announce)
