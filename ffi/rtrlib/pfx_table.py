"""VRPs one by one in; the validity of routes, and the VRPs again, out.

rtrlib-python's PfxTable, on our own VRP set instead of librtr's table: that one aborts the process at a validate
that meets a VRP of prefix length 0, and takes IPv4 lengths of 99.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import TYPE_CHECKING, Self

from rtrlib.exceptions import IpConversionException, PFXException
from rtrlib.records import PACKED, PFXRecord, records_of
from rtrlib.vrp_set import VRPSet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PfxTable", "PfxvState"]

SOURCE = 0
"""The set has one source: this table."""


class PfxvState(enum.IntEnum):
    """`enum pfxv_state` of librtr 0.8.0: the validity of a route (RFC 6811 section 2)."""

    valid = 0
    not_found = 1
    invalid = 2


STATES = {"valid": PfxvState.valid, "not-found": PfxvState.not_found, "invalid": PfxvState.invalid}


class PfxTable:
    """A table of VRPs. One thread at a time."""

    def __init__(self) -> None:
        self._set = VRPSet()
        self._set.activate([SOURCE])
        self._set.usable = True

    def add_record(self, asn: int, ip: str, min_length: int, max_length: int) -> None:
        """Add a VRP. PFXException when it is there already, IpConversionException for what is no address.

        ValueError for lengths that are none, a max length below the length, or bits behind the prefix.
        """
        self._change(asn, ip, min_length, max_length, announce=True)

    def remove_record(self, asn: int, ip: str, min_length: int, max_length: int) -> None:
        """Remove a VRP. PFXException when it is not there; other errors as `add_record`."""
        self._change(asn, ip, min_length, max_length, announce=False)

    def validate(self, asn: int, prefix: str, mask_len: int) -> PfxvState:
        """Give the validity of a route. IpConversionException, ValueError: it is no prefix."""
        address = _address(prefix)
        network = ipaddress.ip_network((address, _length(address, mask_len, "mask_len")), strict=False)
        return STATES[self._set.validate(str(network), _asn(asn))]

    def close(self) -> None:
        """Forget every VRP."""
        self._set.replace(SOURCE, b"")

    def __len__(self) -> int:
        return self._set.count(4) + self._set.count(6)

    def __iter__(self) -> Iterator[PFXRecord]:
        for chunk in list(self._set.packed([SOURCE])):
            for record, _ in records_of(chunk):
                yield record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, asn: int, ip: str, min_length: int, max_length: int, *, announce: bool) -> None:
        address = _address(ip)
        length, most = _length(address, min_length, "min_length"), _length(address, max_length, "max_length")
        if most < length:
            raise ValueError(f"max_length {most} is below min_length {length}")
        if int(address) & ((1 << address.max_prefixlen - length) - 1):
            raise ValueError(f"{ip}/{length} has bits set behind the prefix length")
        packed = PACKED.pack(address.packed, _asn(asn), length, most, address.version, announce)
        self._set.stage(SOURCE, packed)
        if not self._set.commit(SOURCE):
            state = "there already" if announce else "not there"
            raise PFXException(f"the VRP {ip}/{length}-{most} AS{asn} is {state}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise IpConversionException(f"{text!r} is no IP address") from error


def _length(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int, name: str) -> int:
    if not isinstance(length, int):
        raise TypeError(f"{name} must be an int, not {type(length).__name__}")
    if not 0 <= length <= address.max_prefixlen:
        raise ValueError(f"{name} {length} is not in 0..{address.max_prefixlen}")
    return length


def _asn(asn: int) -> int:
    if not isinstance(asn, int):
        raise TypeError(f"asn must be an int, not {type(asn).__name__}")
    if not 0 <= asn < 1 << 32:
        raise ValueError(f"asn {asn} is not in 0..4294967295")
    return asn
