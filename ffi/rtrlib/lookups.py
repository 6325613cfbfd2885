"""What can be asked of the VRPs in force, of a manager and of a table alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any, NamedTuple, SupportsIndex, overload

from rtrlib.arguments import (
    Buffer,
    PrefixLike,
    address_of,
    asn_of,
    length_of,
    octets_of,
    prefix_of,
    rows_of,
)
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.validation import PfxvState, ValidationResult, pack_routes
from rtrlib.vrp_files import to_csv, to_json, written
from rtrlib.vrp_table import VRPTable

__all__ = ["Counts", "Lookups"]

Routes = Iterable[tuple[SupportsIndex, PrefixLike, SupportsIndex]]


class Counts(NamedTuple):
    """How many VRPs, router keys and ASPAs are in force."""

    ipv4: int
    ipv6: int
    router_keys: int
    aspas: int


class Lookups(ABC):
    """Answers by the VRPs in force; each is of one moment, and waits for no change of them."""

    @abstractmethod
    def _table(self) -> VRPTable:
        """Give the table that holds them."""

    def validate(self, asn: SupportsIndex, prefix: PrefixLike, mask_len: SupportsIndex) -> ValidationResult:
        """Give the validity of a route by the VRPs in force, with its reason (RFC 6811 section 2).

        Bits behind the prefix length are not looked at. IpConversionException for what is not an address, ValueError
        for an AS number or a length out of range, TypeError for what is not an integer.
        """
        return self._table().validate(asn, prefix, mask_len)

    @overload
    def validate_many(self, routes: Buffer) -> bytes: ...
    @overload
    def validate_many(self, routes: Routes) -> list[PfxvState]: ...
    def validate_many(self, routes: Any) -> bytes | list[PfxvState]:
        """Validate many routes at once.

        From (asn, prefix, mask_len) each: a PfxvState each; errors as `validate`, before any is looked at. From
        routes that are packed (`pack_routes`), in whatever gives its octets: a byte each, the number of its
        PfxvState, or 255 for what is not a route; ValueError when the length is not a multiple of 24.
        """
        octets = octets_of(routes)
        if octets is not None:
            return self._table().validate_packed(octets)
        return [PfxvState(number) for number in self._table().validate_packed(pack_routes(rows_of(routes)))]

    def covering(self, prefix: PrefixLike) -> list[PFXRecord]:
        """Give the VRPs that cover a prefix or an address (RFC 6811 section 2), the shortest first.

        ValueError for what is neither.
        """
        return self._table().covering(*prefix_of(prefix))

    def covered(self, prefix: PrefixLike) -> list[PFXRecord]:
        """Give the VRPs that lie within a prefix, itself included, in the order of their prefixes.

        ValueError for what is not a prefix.
        """
        return self._table().covered(*prefix_of(prefix))

    def records_of(self, asn: SupportsIndex) -> list[PFXRecord]:
        """Give the VRPs of an AS, IPv4 first, in the order of their prefixes. TypeError, ValueError: it is none."""
        return self._table().records_of(asn_of(asn))

    def counts(self) -> Counts:
        """How many VRPs of each family, router keys and ASPAs are in force."""
        table = self._table()
        return Counts(table.count(4), table.count(6), len(self._keys()), self._customers())

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Give the VRPs in force, and router keys, in the JSON of validators; with a path, write that file instead.

        A file is replaced as a whole, and packed when its name ends in `.gz`; the text is empty then. A device or a
        pipe is written to, and a link stays one. OSError.
        """
        return written(to_json(self, self._keys()), path)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Give the VRPs in force in Routinator's CSV; with a path, write that file instead: see `to_json`."""
        return written(to_csv(self), path)

    def _keys(self) -> list[SPKIRecord]:
        """Give the router keys that belong to the VRPs."""
        return []

    def _customers(self) -> int:
        """Give how many customer ASes have ASPAs."""
        return 0

    def __len__(self) -> int:
        return len(self._table())

    def __bool__(self) -> bool:
        return True  # also when nothing is in force: in rtrlib-python they had no length

    def __iter__(self) -> Iterator[PFXRecord]:
        """Give the VRPs of this moment, in no order."""
        return self._table().records()

    def __contains__(self, record: object) -> bool:
        if not isinstance(record, tuple) or len(record) != 4:
            return False
        try:
            wanted = PFXRecord(*record)
            raw, family = address_of(wanted.prefix)
            least = length_of(wanted.min_len, family, "min_len")
        except (TypeError, ValueError):
            return False
        return wanted in self._table().covering(family, raw.ljust(16, b"\0"), least)
