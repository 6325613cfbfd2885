"""Attribute sets as octets: what the core's decoder of UPDATEs makes a set's key of (ffi/native/bgp/update.h).

The head says family, flags, the speaker's own AS and the next hop. The path attributes follow as in an UPDATE with AS
numbers of 4 octets, each once, in the order of their codes.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator
from typing import Final

from rtrd.rib.attributes import AttributeSet, Other, Segment, origin_as
from rtrd.tags import Tag, TagKind

ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITIES = 1, 2, 4, 5, 8, 16, 32
_EXTENDED_LENGTH: Final = 0x10
_HEAD: Final = struct.Struct("!BBIB")  # family, flags, own AS, length of the next hop


def is_octets(key: bytes) -> bool:
    """Tell whether a key is of this kind: it begins with the family, as no other does."""
    return key[:1] in (b"\4", b"\6")


def read_octets(key: bytes, owns: Callable[[Tag], bool]) -> AttributeSet:
    """Give the attribute set of a key, without the communities for which `owns` is true."""
    family, _, own_as, size = _HEAD.unpack_from(key)
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
        origin=values[ORIGIN][0],
        as_path=path,
        origin_as=origin_as(path, own_as),
        med=_number(values.get(MED)),
        local_preference=_number(values.get(LOCAL_PREF)),
        communities=tuple((a, b) for a, b in _list("!HH", values.get(COMMUNITIES), owns, "standard")),
        large_communities=tuple((a, b, c) for a, b, c in _list("!III", values.get(LARGE_COMMUNITIES), owns, "large")),
        extended_communities=tuple(n for (n,) in _list("!Q", values.get(EXTENDED_COMMUNITIES), owns, "extended")),
        others=tuple(others),
    )


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


def _list(shape: str, value: bytes | None, owns: Callable[[Tag], bool], kind: TagKind) -> Iterator[tuple[int, ...]]:
    return (numbers for numbers in struct.iter_unpack(shape, value or b"") if not owns(Tag(kind, numbers)))
