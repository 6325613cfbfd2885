"""Origin validation (RFC 6811) against VRPs that are added one by one, or come from a file.

This is rtrlib-python's PfxTable, on our own VRP set instead of librtr's table: that one aborts the process when it
validates a route under a VRP of prefix length 0, and accepts IPv4 lengths of 99.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from typing import Final, Self, SupportsIndex

from rtrlib.arguments import PrefixLike, address_of, asn_of, length_of, rows_of, text_of
from rtrlib.lookups import Lookups
from rtrlib.validation import PfxvState, ValidationResult, clear_host_bits
from rtrlib.vrp import PACKED
from rtrlib.vrp_entries import VRPFileError
from rtrlib.vrp_files import read_file
from rtrlib.vrp_table import VRPTable

__all__ = ["PfxTable", "PfxvState", "ValidationResult"]

SOURCE: Final = 0
"""The set has one source: this table."""
VRPLike = tuple[SupportsIndex, PrefixLike, SupportsIndex, SupportsIndex]


class PfxTable(Lookups):
    """A table of VRPs, for any number of threads."""

    def __init__(self) -> None:
        self._vrps = VRPTable()
        self._vrps.activate({SOURCE: None})
        self._vrps.commit(SOURCE, full=True)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Make a table of a VRP file, JSON or CSV, packed by gzip or not; the max length may be absent.

        ValueError names the file, the line and what is wrong there: one entry that can't be used is enough. OSError:
        it can't be read.
        """
        try:
            packed = read_file(path)
        except VRPFileError as error:
            raise ValueError(str(error)) from None
        table = cls()
        try:
            table._vrps.change(SOURCE, packed)
        except ValueError as error:
            raise ValueError(f"{fspath(path)}: {error}") from None
        return table

    def _table(self) -> VRPTable:
        return self._vrps

    def add_record(
        self, asn: SupportsIndex, ip: PrefixLike, min_length: SupportsIndex, max_length: SupportsIndex
    ) -> bool:
        """Add a VRP: `asn` may originate `ip`/`min_length`, up to `max_length` bits. False: it is there already.

        IpConversionException for what is not an address; ValueError for an AS number or lengths out of range, a max
        length below the length, or bits set behind the prefix, or more than 1024 VRPs of exactly one prefix; TypeError
        for what is not an integer.
        """
        return bool(self._vrps.change(SOURCE, _pack(asn, ip, min_length, max_length)))

    def remove_record(
        self, asn: SupportsIndex, ip: PrefixLike, min_length: SupportsIndex, max_length: SupportsIndex
    ) -> bool:
        """Remove a VRP. False: it is not there. Errors as `add_record`."""
        return bool(self._vrps.change(SOURCE, _pack(asn, ip, min_length, max_length, announce=False)))

    def add_records(self, records: Iterable[VRPLike]) -> int:
        """Add VRPs, all at once: (asn, address, min_length, max_length) each, as a PFXRecord is.

        Gives how many were not there before. Errors as `add_record`, and then none is added.
        """
        packed = []
        for record in rows_of(records):
            try:
                asn, ip, min_length, max_length = record
            except (TypeError, ValueError):
                raise TypeError(f"a record is (asn, ip, min_length, max_length), not {record!r:.80}") from None
            packed.append(_pack(asn, ip, min_length, max_length))
        return self._vrps.change(SOURCE, b"".join(packed))

    def validate_r(self, asn: SupportsIndex, prefix: PrefixLike, mask_len: SupportsIndex) -> ValidationResult:
        """Do the same as `validate`, which in rtrlib-python gave no reason."""
        return self.validate(asn, prefix, mask_len)

    def close(self) -> None:
        """Forget every VRP."""
        self._vrps.drop(SOURCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pack(
    asn: SupportsIndex,
    ip: PrefixLike,
    min_length: SupportsIndex,
    max_length: SupportsIndex,
    *,
    announce: bool = True,
) -> bytes:
    raw, family = address_of(ip)
    number = asn_of(asn)
    least = length_of(min_length, family, "min_length")
    most = length_of(max_length, family, "max_length")
    if type(ip) is not str:
        text_of(ip, least, "min_length")
    if most < least:
        raise ValueError(f"max_length {most} is below min_length {least}")
    packed = PACKED.pack(raw, number, least, most, family, announce)
    if clear_host_bits(packed) != packed:
        raise ValueError(f"{ip!s}/{least} has bits set behind the prefix length")
    return packed
