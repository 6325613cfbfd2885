"""Origin validation (RFC 6811) against VRPs that are added one by one.

This is rtrlib-python's PfxTable, on our own VRP set instead of librtr's table: that one aborts the process when it
validates a route under a VRP of prefix length 0, and accepts IPv4 lengths of 99.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Self, overload

from rtrlib.records import PFXRecord
from rtrlib.validation import (
    PfxvState,
    ValidationResult,
    address_of,
    check_asn,
    check_length,
    clear_host_bits,
    pack_routes,
)
from rtrlib.vrp import PACKED
from rtrlib.vrp_table import VRPTable

__all__ = ["PfxTable", "PfxvState", "ValidationResult"]

SOURCE: Final = 0
"""The set has one source: this table."""


class PfxTable:
    """A table of VRPs, for any number of threads."""

    def __init__(self) -> None:
        self._table = VRPTable()
        self._table.activate({SOURCE: None})
        self._table.commit(SOURCE, full=True)

    def add_record(self, asn: int, ip: str, min_length: int, max_length: int) -> bool:
        """Add a VRP: `asn` may originate `ip`/`min_length`, up to `max_length` bits. False: it is there already.

        IpConversionException for what is not an address; ValueError for an AS number or lengths out of range, a max
        length below the length, or bits set behind the prefix; TypeError for what is not an integer.
        """
        return self._change(asn, ip, min_length, max_length, announce=True)

    def remove_record(self, asn: int, ip: str, min_length: int, max_length: int) -> bool:
        """Remove a VRP. False: it is not there. Errors as `add_record`."""
        return self._change(asn, ip, min_length, max_length, announce=False)

    def validate(self, asn: int, prefix: str, mask_len: int) -> ValidationResult:
        """Give the validity of a route, with its reason. Bits behind the prefix length are not looked at.

        IpConversionException for what is not an address, ValueError for an AS number or a length out of range,
        TypeError for what is not an integer.
        """
        return self._table.validate(asn, prefix, mask_len)

    def validate_r(self, asn: int, prefix: str, mask_len: int) -> ValidationResult:
        """Do the same as `validate`, which in rtrlib-python gave no reason."""
        return self._table.validate(asn, prefix, mask_len)

    @overload
    def validate_many(self, routes: bytes | bytearray | memoryview) -> bytes: ...
    @overload
    def validate_many(self, routes: Iterable[tuple[int, str, int]]) -> list[PfxvState]: ...
    def validate_many(
        self, routes: bytes | bytearray | memoryview | Iterable[tuple[int, str, int]]
    ) -> bytes | list[PfxvState]:
        """Validate many routes at once.

        From (asn, prefix, mask_len) each: a PfxvState each; errors as `validate`, before any is looked at. From
        routes that are packed (`pack_routes`): a byte each, the number of its PfxvState, or 255 for what is
        not a route; ValueError when the length is not a multiple of 24.
        """
        return validate_many(self._table, routes)

    def close(self) -> None:
        """Forget every VRP."""
        self._table.drop(SOURCE)

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[PFXRecord]:
        """Give the VRPs of this moment, in no order."""
        return self._table.records()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, asn: int, ip: str, min_length: int, max_length: int, *, announce: bool) -> bool:
        raw, family = address_of(ip)
        check_asn(asn)
        check_length(min_length, family, "min_length")
        check_length(max_length, family, "max_length")
        if max_length < min_length:
            raise ValueError(f"max_length {max_length} is below min_length {min_length}")
        packed = PACKED.pack(raw, asn, min_length, max_length, family, announce)
        if clear_host_bits(packed) != packed:
            raise ValueError(f"{ip}/{min_length} has bits set behind the prefix length")
        return bool(self._table.change(SOURCE, packed))


def validate_many(
    table: VRPTable, routes: bytes | bytearray | memoryview | Iterable[tuple[int, str, int]]
) -> bytes | list[PfxvState]:
    """See PfxTable.validate_many."""
    if isinstance(routes, bytes | bytearray | memoryview):
        return table.validate_packed(memoryview(routes))
    return [PfxvState(number) for number in table.validate_packed(pack_routes(routes))]
