"""The raw path attributes of an ExaBGP line in, an AttributeSet of numbers out. Both dialects, told apart by shape.

5.0 writes the AS_PATH as an object of segments. 4.2 writes one list for all AS_SEQUENCEs and others for sets
and confederations: their order is lost, so with a set in it the origin AS can't be told (NONE).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import msgspec

from rtrd.routes.attributes import (
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


class _Segment(msgspec.Struct):
    element: str
    value: list[int]


class _Extended(msgspec.Struct):
    value: int


class _Attributes(msgspec.Struct):
    origin: str | None = None
    as_path: dict[str, _Segment] | list[int] = msgspec.field(name="as-path", default_factory=list)
    as_set: list[int] = msgspec.field(name="as-set", default_factory=list)
    confederation_path: list[int] = msgspec.field(name="confederation-path", default_factory=list)
    confederation_set: list[int] = msgspec.field(name="confederation-set", default_factory=list)
    med: int | None = None
    local_preference: int | None = msgspec.field(name="local-preference", default=None)
    community: list[tuple[int, int]] = msgspec.field(default_factory=list)
    large_community: list[tuple[int, int, int]] = msgspec.field(name="large-community", default_factory=list)
    extended_community: list[_Extended] = msgspec.field(name="extended-community", default_factory=list)


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
            med=_optional_u32(attributes.med),
            local_preference=_optional_u32(attributes.local_preference),
            communities=tuple(_kept("standard", attributes.community, 0xFFFF, owns)),
            large_communities=tuple(_kept("large", attributes.large_community, 0xFFFFFFFF, owns)),
            extended_communities=tuple(
                values[0]
                for values in _kept(
                    "extended", ((entry.value,) for entry in attributes.extended_community), (1 << 64) - 1, owns
                )
            ),
        )
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
        return UNREADABLE


def _path(attributes: _Attributes, own_as: int) -> tuple[tuple[Segment, ...], int | None]:
    if isinstance(attributes.as_path, dict):
        segments = tuple(
            Segment(_SEGMENTS[segment.element], _asns(segment.value))
            for _, segment in sorted(attributes.as_path.items(), key=lambda item: int(item[0]))
            if segment.value
        )
        _check_length(segments)
        return segments, origin_as(segments, own_as)
    # The order that paths nearly always have: confederations first (RFC 5065 section 5.3), aggregated ASes last.
    parts = (
        (AS_CONFED_SEQUENCE, attributes.confederation_path),
        (AS_CONFED_SET, attributes.confederation_set),
        (AS_SEQUENCE, attributes.as_path),
        (AS_SET, attributes.as_set),
    )
    segments = tuple(Segment(kind, _asns(asns)) for kind, asns in parts if asns)
    _check_length(segments)
    return segments, None if attributes.as_set else origin_as(segments, own_as)


def _check_length(segments: tuple[Segment, ...]) -> None:
    if sum(len(segment.asns) for segment in segments) > _MOST_ASNS:
        raise ValueError("AS_PATH too long")


def _u32(value: int) -> int:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError("a number past 32 bits")
    return value


def _optional_u32(value: int | None) -> int | None:
    return None if value is None else _u32(value)


def _asns(values: list[int]) -> tuple[int, ...]:
    return tuple(_u32(value) for value in values)


def _next_hop(text: str) -> str | None:
    """Give the normal text of an address that can be announced as a next hop; None for any other."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None  # ExaBGP says "no-nexthop" for an UPDATE without one
    if address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local):
        return None
    return str(address) if "%" not in text else None


def _kept(kind: Any, entries: Iterable[Any], most: int, owns: Callable[[Tag], bool]) -> Iterable[Any]:
    for entry in entries:
        if not all(0 <= number <= most for number in entry):
            raise ValueError("a community whose numbers are out of range")
        if not owns(Tag(kind, tuple(entry))):
            yield tuple(entry)
