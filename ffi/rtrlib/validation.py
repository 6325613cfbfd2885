"""The validity of a route's origin, with the VRPs that cover it as the reason (RFC 6811 section 2)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Final

from rtrlib.enums import LibrtrEnum
from rtrlib.exceptions import IpConversionException
from rtrlib.records import PFXRecord, record_of
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp import PACKED

__all__ = ["PfxvState", "Reason", "ValidationResult", "pack_routes"]

COVERING: Final = struct.Struct("=24sI")
"""`struct vrp_source` of ffi/native/vrps/vrpset.h: a VRP, and the mask of those who have it."""
BITS: Final = {4: 32, 6: 128}
MAX_ASN: Final = (1 << 32) - 1


class PfxvState(LibrtrEnum):
    """`enum pfxv_state` of librtr 0.8.0: the validity of a route (RFC 6811 section 2)."""

    valid = 0
    """A VRP covers the route, with its origin AS, and allows its length."""
    not_found = 1
    """No VRP covers the route."""
    invalid = 2
    """VRPs cover the route, and none of them matches."""


class Reason:
    """One VRP that covers a route, and whether the route's origin AS and prefix length agree with it."""

    __slots__ = ("asn", "prefix_length", "record")

    def __init__(self, prefix_length: int, asn: int, record: PFXRecord) -> None:
        """Take the route's prefix length in bits, its origin AS, and the VRP."""
        self.prefix_length = prefix_length
        self.asn = asn
        self.record = record

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

    def __repr__(self) -> str:
        return f"<Reason {self}>"


class ValidationResult:
    """The validity of one route; equal to its `state`, so that `result == PfxvState.valid` says what it seems to.

    Attributes:
        prefix: the address, as it was given.
        mask_len: the prefix length, in bits.
        asn: the origin AS.
        state: the validity.

    """

    __slots__ = ("_covering", "_reason", "_sockets", "asn", "mask_len", "prefix", "state")

    def __init__(  # noqa: PLR0917 - called a million times
        self,
        prefix: str,
        mask_len: int,
        asn: int,
        state: PfxvState,
        covering: bytes = b"",
        sockets: Mapping[int, RTRSocket | None] | None = None,
    ) -> None:
        """`covering`: the VRPs that cover the route, as `struct vrp_source`; `sockets`: whose bits they name."""
        self.prefix = prefix
        self.mask_len = mask_len
        self.asn = asn
        self.state = state
        self._covering = covering
        self._sockets = sockets
        self._reason: list[Reason] | None = None

    @property
    def reason(self) -> list[Reason]:
        """The VRPs that covered the route when it was validated, shortest first; none for `not_found`."""
        if self._reason is None:
            self._reason = [
                Reason(self.mask_len, self.asn, record_of(vrp, self._one_of(sources)))
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

    def _one_of(self, sources: int) -> RTRSocket | None:
        """Give the first of the caches that have a VRP."""
        return next((one for index, one in (self._sockets or {}).items() if sources >> index & 1), None)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PfxvState):
            return self.state is other
        if isinstance(other, ValidationResult):
            mine, theirs = ((one.state, one.prefix, one.mask_len, one.asn) for one in (self, other))
            return mine == theirs
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.state)

    def __str__(self) -> str:
        return f"{self.prefix}/{self.mask_len} AS{self.asn}: {self.state.name}"

    def __repr__(self) -> str:
        return f"<ValidationResult {self}>"


def pack_routes(routes: Iterable[tuple[int, str, int]]) -> bytes:
    """Pack routes as `validate_many` takes them, 24 bytes each: origin AS, address, prefix length in bits.

    Bits behind the prefix length are cleared. IpConversionException for what is not an address, ValueError for a
    length or an AS number out of range, TypeError for one that is not an integer.
    """
    return b"".join(clear_host_bits(pack_route(*route)) for route in routes)


def pack_route(asn: int, prefix: str | bytes, mask_len: int) -> bytes:
    """Pack a route as it was given, with what is set behind the prefix length; errors as `pack_routes`."""
    raw, family = address_of(prefix)
    check_length(mask_len, family, "mask_len")
    check_asn(asn)
    return PACKED.pack(raw, asn, mask_len, 0, family, 0)


def address_of(text: str | bytes) -> tuple[bytes, int]:
    """Give an address in 4 or 16 octets, and its family. IpConversionException for what is not one."""
    try:
        if isinstance(text, bytes):
            text = text.decode("ascii")
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text), 6
        return socket.inet_pton(socket.AF_INET, text), 4
    except (OSError, ValueError, TypeError) as error:
        raise IpConversionException(f"{text!r} is not an IP address") from error


def check_length(length: int, family: int, name: str) -> None:
    """TypeError, ValueError: it is not a prefix length."""
    if not isinstance(length, int):
        raise TypeError(f"{name} must be an int, not {type(length).__name__}")
    if not 0 <= length <= BITS[family]:
        raise ValueError(f"{name} {length} is not in 0..{BITS[family]}")


def check_asn(asn: int) -> None:
    """TypeError, ValueError: it is not an AS number."""
    if not isinstance(asn, int):
        raise TypeError(f"asn must be an int, not {type(asn).__name__}")
    if not 0 <= asn <= MAX_ASN:
        raise ValueError(f"asn {asn} is not in 0..{MAX_ASN}")


def clear_host_bits(route: bytes) -> bytes:
    """Clear what is set behind the prefix length of a packed route."""
    raw, asn, length, most, family, announce = PACKED.unpack(route)
    behind = (1 << 128 - length) - 1
    kept = (int.from_bytes(raw) & ~behind).to_bytes(16)
    return PACKED.pack(kept, asn, length, most, family, announce)
