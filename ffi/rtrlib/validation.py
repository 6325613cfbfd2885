"""The validity of a route's origin, with the VRPs that cover it as the reason (RFC 6811 section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final, SupportsIndex

from rtrlib.arguments import PrefixLike, address_of, asn_of, length_of, text_of
from rtrlib.enums import LibrtrEnum
from rtrlib.records import PFXRecord, record_of
from rtrlib.rtr_socket import RTRSocket
from rtrlib.structs import is_cdata
from rtrlib.vrp import PACKED

__all__ = ["PfxvState", "Reason", "ValidationResult", "pack_routes"]

COVERING: Final = struct.Struct("=24sI")
"""`struct vrp_source` of ffi/native/vrps/vrpset.h: a VRP, and the mask of those who have it."""


class PfxvState(LibrtrEnum):
    """`enum pfxv_state` of librtr 0.8.0: the validity of a route (RFC 6811 section 2). Only `valid` is true."""

    valid = 0
    """A VRP covers the route, with its origin AS, and allows its length."""
    not_found = 1
    """No VRP covers the route."""
    invalid = 2
    """VRPs cover the route, and none of them matches."""

    def __bool__(self) -> bool:
        return self is PfxvState.valid


class Reason:
    """One VRP that covers a route, and whether the route's origin AS and prefix length agree with it."""

    __slots__ = ("asn", "prefix_length", "record")

    def __init__(self, prefix_length: int, asn: int, record: PFXRecord | Any) -> None:
        """Take the route's prefix length in bits, its origin AS, and the VRP: a PFXRecord, or what makes one."""
        self.prefix_length = prefix_length
        self.asn = asn
        self.record = record if isinstance(record, PFXRecord) else PFXRecord(record)

    @property
    def as_valid(self) -> bool:
        """The origin AS is the VRP's; AS 0 never is (RFC 6483 section 4, RFC 7607)."""
        return self.record.asn == self.asn and self.asn != 0

    @property
    def as_invalid(self) -> bool:
        """The opposite of `as_valid`."""
        return not self.as_valid

    @property
    def length_valid(self) -> bool:
        """The route is not longer than the VRP's max length."""
        return self.record.min_len <= self.prefix_length <= self.record.max_len

    @property
    def length_invalid(self) -> bool:
        """The opposite of `length_valid`."""
        return not self.length_valid

    def __str__(self) -> str:
        return f"{self.record}: as_valid = {self.as_valid}, length_valid = {self.length_valid}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __repr__(self) -> str:
        return f"<Reason {self}>"


class ValidationResult:
    """The validity of one route. It is true when the route is valid.

    It is equal to its `state`, so that `result == PfxvState.valid` says what it seems to, and to a result that says
    the same of the same route; to nothing else. A set or dict that holds results holds no states.

    Attributes:
        prefix: the address, as text.
        mask_len: the prefix length, in bits.
        asn: the origin AS.
        state: the validity.

    """

    __slots__ = ("_covering", "_reason", "_sockets", "asn", "mask_len", "prefix", "state")

    def __init__(  # noqa: PLR0917 - rtrlib-python's order
        self,
        prefix: str,
        prefix_length: int,
        asn: int,
        state: PfxvState | int | Any,
        reason_records: Iterable[PFXRecord] | Any = None,
        reason_len: int = 0,
    ) -> None:
        """Take the route and its state, also as a number or a pointer to one.

        `reason_records`: the VRPs that cover it, or librtr's `struct pfx_record **` with `reason_len` of them, which
        are copied. TypeError, ValueError: it is no state, or these are no records.
        """
        given: Any = state
        if not isinstance(state, PfxvState):
            state = PfxvState(given[0] if is_cdata(given) else given)
        raw: Any = reason_records
        if is_cdata(raw) and raw:
            raw = [raw[0][i] for i in range(reason_len)]
        records = list(raw or ())
        self.prefix = prefix
        self.mask_len = prefix_length
        self.asn = asn
        self.state = state
        self._covering = b""
        self._sockets: Mapping[int, RTRSocket | None] = {}
        self._reason: list[Reason] | None = [Reason(prefix_length, asn, one) for one in records]

    @classmethod
    def of(  # noqa: PLR0917 - called a million times
        cls,
        prefix: str,
        mask_len: int,
        asn: int,
        state: PfxvState,
        covering: bytes,
        sockets: Mapping[int, RTRSocket | None],
    ) -> ValidationResult:
        """`covering`: the VRPs that cover the route, as `struct vrp_source`; `sockets`: whose bits they name."""
        self = cls.__new__(cls)
        self.prefix = prefix
        self.mask_len = mask_len
        self.asn = asn
        self.state = state
        self._covering = covering
        self._sockets = sockets
        self._reason = None
        return self

    @property
    def reason(self) -> list[Reason]:
        """The VRPs that covered the route when it was validated, shortest first; none for `not_found`."""
        if self._reason is None:
            self._reason = [
                Reason(self.mask_len, self.asn, record_of(vrp, first_of(self._sockets, sources)))
                for vrp, sources in COVERING.iter_unpack(self._covering)
            ]
        return self._reason

    @property
    def is_valid(self) -> bool:
        """The state is `valid`."""
        return self.state is PfxvState.valid

    @property
    def is_invalid(self) -> bool:
        """The state is `invalid`."""
        return self.state is PfxvState.invalid

    @property
    def not_found(self) -> bool:
        """The state is `not_found`."""
        return self.state is PfxvState.not_found

    @property
    def as_invalid(self) -> bool:
        """The state is `invalid`, and a covering VRP has another AS."""
        return self.is_invalid and any(reason.as_invalid for reason in self.reason)

    @property
    def length_invalid(self) -> bool:
        """The state is `invalid`, and a covering VRP does not allow the length."""
        return self.is_invalid and any(reason.length_invalid for reason in self.reason)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PfxvState):
            return self.state is other
        if isinstance(other, ValidationResult):
            mine, theirs = ((one.state, one.prefix, one.mask_len, one.asn) for one in (self, other))
            return mine == theirs
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.prefix, self.mask_len, self.asn, self.state))

    def __bool__(self) -> bool:
        return self.is_valid

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __str__(self) -> str:
        return f"{self.prefix}/{self.mask_len} AS{self.asn}: {self.state.name}"

    def __repr__(self) -> str:
        return f"<ValidationResult {self}>"


def first_of(sockets: Mapping[int, RTRSocket | None], sources: int) -> RTRSocket | None:
    """Give the first of the caches that have a VRP."""
    return next((one for index, one in sockets.items() if sources >> index & 1), None)


def pack_routes(routes: Iterable[tuple[SupportsIndex, PrefixLike, SupportsIndex]]) -> bytes:
    """Pack routes as `validate_many` takes them, 24 bytes each: origin AS, address, prefix length in bits.

    Bits behind the prefix length are cleared. IpConversionException for what is not an address, ValueError for a
    length or an AS number out of range, TypeError for what is of another type.
    """
    packed = []
    for route in routes:
        try:
            asn, prefix, mask_len = route
        except (TypeError, ValueError):
            raise TypeError(f"a route is (asn, prefix, mask_len), not {route!r:.80}") from None
        packed.append(clear_host_bits(pack_route(asn, prefix, mask_len)))
    return b"".join(packed)


def pack_route(asn: SupportsIndex, prefix: PrefixLike, mask_len: SupportsIndex) -> bytes:
    """Pack a route as it was given, with what is set behind the prefix length; errors as `pack_routes`."""
    raw, family = address_of(prefix)
    length = length_of(mask_len, family, "mask_len")
    if type(prefix) is not str:
        text_of(prefix, length, "mask_len")
    return PACKED.pack(raw, asn_of(asn), length, 0, family, 0)


def clear_host_bits(route: bytes) -> bytes:
    """Clear what is set behind the prefix length of a packed route."""
    raw, asn, length, most, family, announce = PACKED.unpack(route)
    behind = (1 << 128 - length) - 1
    kept = (int.from_bytes(raw) & ~behind).to_bytes(16)
    return PACKED.pack(kept, asn, length, most, family, announce)
