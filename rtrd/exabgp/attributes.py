"""Decodes the path attributes of an ExaBGP line to an AttributeSet of numbers; both dialects, told apart by shape.

5.0 writes the AS_PATH as an object of segments. 4.2 writes one list for all AS_SEQUENCEs and others for sets
and confederations: their order is lost, so with a set in it the origin AS can't be told (NONE).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from rtrd.rib.attributes import (
    AS_CONFED_SEQUENCE,
    AS_CONFED_SET,
    AS_SEQUENCE,
    AS_SET,
    EGP,
    IGP,
    INCOMPLETE,
    AttributeSet,
    Segment,
    origin_as,
)
from rtrd.tags import Tag

_ORIGINS = {"igp": IGP, "egp": EGP, "incomplete": INCOMPLETE}
_SEGMENTS = {
    "as-sequence": AS_SEQUENCE,
    "as-set": AS_SET,
    "as-confed-sequence": AS_CONFED_SEQUENCE,
    "as-confed-set": AS_CONFED_SET,
    "confed-sequence": AS_CONFED_SEQUENCE,
    "confed-set": AS_CONFED_SET,
}
_MOST_ASNS = 2048
"""Longer than any UPDATE of 4096 bytes can carry, twice over."""


_U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
_U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
_Asns = Annotated[tuple[_U32, ...], Meta(max_length=_MOST_ASNS)]


class _Segment(msgspec.Struct, gc=False):
    element: str
    value: _Asns


class _Extended(msgspec.Struct, gc=False):
    value: int  # msgspec has no bound of 64 bits: checked in _extended


class _Attributes(msgspec.Struct):
    origin: str | None = None
    as_path: dict[str, _Segment] | _Asns = msgspec.field(name="as-path", default=())
    as_set: _Asns = msgspec.field(name="as-set", default=())
    confederation_path: _Asns = msgspec.field(name="confederation-path", default=())
    confederation_set: _Asns = msgspec.field(name="confederation-set", default=())
    med: _U32 | None = None
    local_preference: _U32 | None = msgspec.field(name="local-preference", default=None)
    community: tuple[tuple[_U16, _U16], ...] = ()
    large_community: tuple[tuple[_U32, _U32, _U32], ...] = msgspec.field(name="large-community", default=())
    extended_community: tuple[_Extended, ...] = msgspec.field(name="extended-community", default=())


_decoder = msgspec.json.Decoder(_Attributes)

UNREADABLE = AttributeSet(0, None, None, (), None, malformed=True)
"""What can't be read is a route all the same: of origin NONE, and never announced."""


def read_attributes(key: bytes, owns: Callable[[Tag], bool]) -> AttributeSet:
    """Read the attribute set of a key made by `decode.attribute_key`.

    Communities for which `owns` is true are left out: they could pass for tags of ours. Never raises on what BGP
    or ExaBGP put into the key: what is malformed gives an AttributeSet that says so.
    """
    raw, next_hop, own_as, family = key.rsplit(b"\0", 3)
    try:
        attributes = _decoder.decode(raw)
        path, origin = _path(attributes, int(own_as))
        return AttributeSet(
            family=int(family),
            next_hop=_next_hop(next_hop.decode("ascii")),
            origin=None if attributes.origin is None else _ORIGINS[attributes.origin],
            as_path=path,
            origin_as=origin,
            med=attributes.med,
            local_preference=attributes.local_preference,
            communities=tuple(one for one in attributes.community if not owns(Tag("standard", one))),
            large_communities=tuple(one for one in attributes.large_community if not owns(Tag("large", one))),
            extended_communities=_extended(attributes.extended_community, owns),
        )
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
        return UNREADABLE


def _path(attributes: _Attributes, own_as: int) -> tuple[tuple[Segment, ...], int | None]:
    if isinstance(attributes.as_path, dict):
        in_order = [segment for _, segment in sorted(attributes.as_path.items(), key=lambda item: int(item[0]))]
        parts = [(_SEGMENTS[segment.element], segment.value) for segment in in_order if segment.value]
    else:
        # The order that paths nearly always have: confederations first (RFC 5065 section 5.3), aggregated ASes last.
        parts = [
            (AS_CONFED_SEQUENCE, attributes.confederation_path),
            (AS_CONFED_SET, attributes.confederation_set),
            (AS_SEQUENCE, attributes.as_path),
            (AS_SET, attributes.as_set),
        ]
    segments = tuple(Segment(kind, asns) for kind, asns in parts if asns)
    if sum(len(segment.asns) for segment in segments) > _MOST_ASNS:
        raise ValueError("AS_PATH too long")
    order_lost = not isinstance(attributes.as_path, dict) and attributes.as_set
    return segments, None if order_lost else origin_as(segments, own_as)


@lru_cache(maxsize=4096)
def _next_hop(text: str) -> str | None:
    """Give the normal text of an address that can be announced as a next hop; None for any other."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None  # ExaBGP says "no-nexthop" for an UPDATE without one
    if address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local):
        return None
    return str(address) if "%" not in text else None


def _extended(entries: Iterable[_Extended], owns: Callable[[Tag], bool]) -> tuple[int, ...]:
    for entry in entries:
        if not 0 <= entry.value < 1 << 64:
            raise ValueError("an extended community that is no 64 bits")
    return tuple(entry.value for entry in entries if not owns(Tag("extended", (entry.value,))))
