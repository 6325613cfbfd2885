"""Attribute sets as octets: the key of a set, which the core's decoder of UPDATEs makes (ffi/native/bgp/update.h).

The head says family, flags, the speaker's own AS and the next hop. The path attributes follow as in an UPDATE with AS
numbers of 4 octets, each once, in the order of their codes.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from rtrd.rib.attributes import OPTIONAL, TRANSITIVE, AttributeSet, Other, Segment, origin_as
from rtrd.tags import Tag, TagKind

ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITIES = 1, 2, 4, 5, 8, 16, 32
COMMUNITY: Final[Mapping[TagKind, str]] = {"standard": "!HH", "large": "!III", "extended": "!Q"}
"""The numbers of a community in octets."""
_EXTENDED_LENGTH: Final = 0x10
_HEAD: Final = struct.Struct("!BBIB")  # family, flags, own AS, length of the next hop


AS_ANNOUNCED: Final = 0x80
"""A flag of the head that the core has no use for: a previous run announced the set, with our tags."""


def key_of(attributes: AttributeSet, flags: int = 0) -> bytes:
    """Give the key of an attribute set that came as numbers."""
    hop = b"" if attributes.next_hop is None else ipaddress.ip_address(attributes.next_hop).packed
    # Our own AS is not told; it counts only where it is the origin. Elsewhere it would make the path a loop.
    own_as = (attributes.origin_as or 0) if origin_as(attributes.as_path, -1) == -1 else 0
    return _HEAD.pack(attributes.family, flags, own_as, len(hop)) + hop + written(attributes)


def written(attributes: AttributeSet) -> bytes:
    """Give the path attributes, all but the next hop, as they stand in a key and in an UPDATE."""
    values: dict[int, tuple[int, bytes]] = {other.code: other[1:] for other in attributes.others}
    values[AS_PATH] = TRANSITIVE, b"".join(path_octets(*segment) for segment in attributes.as_path)
    for code, flags, number, size in (
        (ORIGIN, TRANSITIVE, attributes.origin, 1),
        (MED, OPTIONAL, attributes.med, 4),
        (LOCAL_PREF, TRANSITIVE, attributes.local_preference, 4),
    ):
        if number is not None:
            values[code] = flags, number.to_bytes(size)
    lists: tuple[tuple[int, TagKind, Sequence[tuple[int, ...]]], ...] = (
        (COMMUNITIES, "standard", attributes.communities),
        (LARGE_COMMUNITIES, "large", attributes.large_communities),
        (EXTENDED_COMMUNITIES, "extended", [(one,) for one in attributes.extended_communities]),
    )
    for code, kind, communities in lists:
        if communities:
            values[code] = OPTIONAL | TRANSITIVE, b"".join(struct.pack(COMMUNITY[kind], *one) for one in communities)
    return b"".join(attribute(code, *values[code]) for code in sorted(values))


def attribute(code: int, flags: int, value: bytes) -> bytes:
    """Give one path attribute: flags, code, length, value (RFC 4271 section 4.3)."""
    if len(value) > 0xFF:
        return struct.pack("!BBH", flags | _EXTENDED_LENGTH, code, len(value)) + value
    return bytes((flags, code, len(value))) + value


def path_octets(kind: int, asns: tuple[int, ...]) -> bytes:
    """Give a segment of a path, or as many as it needs: one has 255 ASes at most."""
    if len(asns) > 255:
        return b"".join(path_octets(kind, asns[at : at + 255]) for at in range(0, len(asns), 255))
    return struct.pack(f"!BB{len(asns)}I", kind, len(asns), *asns)


def read_octets(key: bytes, owns: Callable[[Tag], bool]) -> AttributeSet:
    """Give the attribute set of a key, without the communities for which `owns` is true; AS_ANNOUNCED: with them."""
    family, head_flags, own_as, size = _HEAD.unpack_from(key)
    if head_flags & AS_ANNOUNCED:
        owns = _nobody
    hop = key[_HEAD.size : _HEAD.size + size]
    values: dict[int, bytes] = {}
    others = []
    for code, flags, value in _attributes(key[_HEAD.size + size :]):
        if code in (ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITIES):
            values[code] = value
        else:
            others.append(Other(code, flags, value))
    path = tuple(_segments(values[AS_PATH]))
    return AttributeSet(
        family=family,
        next_hop=str(ipaddress.ip_address(hop)) if hop else None,
        origin=_number(values.get(ORIGIN)),
        as_path=path,
        origin_as=origin_as(path, own_as),
        med=_number(values.get(MED)),
        local_preference=_number(values.get(LOCAL_PREF)),
        communities=tuple((a, b) for a, b in _list(values.get(COMMUNITIES), owns, "standard")),
        large_communities=tuple((a, b, c) for a, b, c in _list(values.get(LARGE_COMMUNITIES), owns, "large")),
        extended_communities=tuple(n for (n,) in _list(values.get(EXTENDED_COMMUNITIES), owns, "extended")),
        others=tuple(others),
    )


def _nobody(_: Tag) -> bool:
    return False


def _attributes(rest: bytes) -> Iterator[tuple[int, int, bytes]]:
    while rest:
        flags, code = rest[0], rest[1]
        head = 4 if flags & _EXTENDED_LENGTH else 3
        end = head + int.from_bytes(rest[2:head])
        yield code, flags & ~_EXTENDED_LENGTH, rest[head:end]
        rest = rest[end:]


def _segments(path: bytes) -> Iterator[Segment]:
    at = 0
    while at < len(path):
        kind, count = path[at], path[at + 1]
        yield Segment(kind, struct.unpack_from(f"!{count}I", path, at + 2))
        at += 2 + 4 * count


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


def _list(value: bytes | None, owns: Callable[[Tag], bool], kind: TagKind) -> Iterator[tuple[int, ...]]:
    return (numbers for numbers in struct.iter_unpack(COMMUNITY[kind], value or b"") if not owns(Tag(kind, numbers)))
