"""Filters of VRPs (RFC 8416), and prefixes, as the native core takes them."""

from __future__ import annotations

import struct
from typing import NamedTuple

import _rov
from _rov import ffi, lib
from rtrlib.vrp import PACKED

__all__ = ["VRPFilter", "packed_filter", "parse_prefix"]


class VRPFilter(NamedTuple):
    """A filter (RFC 8416 section 3.3.1): matches VRPs with this prefix or a more specific one, and of this AS."""

    prefix: str | None
    """As text; None: any."""
    asn: int | None
    """None: any."""


def parse_prefix(prefix: str) -> _rov.Prefix:
    """Give the native `struct prefix`. Raises ValueError for what is not a prefix or has host bits."""
    parsed = ffi.new("struct prefix *")
    text = prefix.encode("ascii", "replace")
    if not lib.prefix_parse(text, len(text), parsed):
        raise ValueError(f"{prefix!r} is not a prefix: expected ADDRESS/LENGTH with no bits set behind the length")
    return parsed


def packed_filter(one: VRPFilter) -> bytes:
    """Pack one. ValueError: it has neither prefix nor AS, or one that is none."""
    address, length, family = bytes(16), 0, 0
    if one.prefix is not None:
        parsed = parse_prefix(one.prefix)
        address, length, family = bytes(parsed.addr), parsed.len, parsed.family
    elif one.asn is None:
        raise ValueError("a filter needs a prefix, an AS number, or both")
    try:
        return PACKED.pack(address, one.asn or 0, length, family, one.asn is None, 0)
    except struct.error as error:
        raise ValueError(f"{one.asn} is not an AS number") from error
