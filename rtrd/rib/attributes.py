"""The path attributes that routes share: as numbers, as octets, and what of them is announced to whom. No text of BGP.

As octets a set is its key in the route table, which the core's decoder of UPDATEs makes (ffi/native/bgp/update.h). The
head says family, flags, the speaker's own AS and the next hop. The path attributes follow as in an UPDATE with AS
numbers of 4 octets, each once, in the order of their codes. A door prints the numbers.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from _rov import lib
from rtrd.policy import Treatment
from rtrd.tags import Ours, TagKind, is_rfc8097

AS_SET, AS_SEQUENCE, AS_CONFED_SEQUENCE, AS_CONFED_SET = 1, 2, 3, 4
"""Segment types of RFC 4271 section 4.3 and RFC 5065 section 3."""

IGP, EGP, INCOMPLETE = 0, 1, 2

OPTIONAL, TRANSITIVE, PARTIAL = 0x80, 0x40, 0x20
"""Attribute flags of RFC 4271 section 4.3."""

ATOMIC_AGGREGATE, AGGREGATOR, ORIGINATOR_ID, CLUSTER_LIST = 6, 7, 9, 10
UNDERSTOOD = frozenset({6, 7, 8, 16, 25, 32, 35})
"""Transitive attributes that are passed on by their own rules; others get the Partial bit (RFC 4271 section 5)."""
_REAL = frozenset({AS_SET, AS_SEQUENCE})
"""Segments that are not of a confederation."""
_REFLECTION = frozenset({ORIGINATOR_ID, CLUSTER_LIST})
"""ORIGINATOR_ID and CLUSTER_LIST: only within an AS (RFC 4456 section 8)."""
AIGP = 26
"""Only within an AS or a confederation, as nobody enables it for other sessions (RFC 7311 section 3.3)."""
IPV6_EXTENDED_COMMUNITIES = 25

_NON_TRANSITIVE = 0x40
"""Of an extended community's type (RFC 4360 section 2)."""

ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITIES = 1, 2, 4, 5, 8, 16, 32
_IN_NUMBERS = frozenset({ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITIES})
ONLY_TO_CUSTOMER = 35
COMMUNITY: Final[Mapping[TagKind, str]] = {"standard": "!HH", "large": "!III", "extended": "!Q"}
"""The numbers of a community in octets."""
_STANDARD, _LARGE, _EXTENDED = map(struct.Struct, (COMMUNITY["standard"], COMMUNITY["large"], COMMUNITY["extended"]))
NOTHING: Final = Ours()
_MP_REACH_NLRI: Final = 14
EXTENDED_LENGTH: Final = 0x10
T = TypeVar("T")
_HEAD: Final = struct.Struct("!BBIB")  # family, flags, own AS, length of the next hop


_EXTERNAL: Final = int(lib.BGP_EXTERNAL)
_OTHER_FIRST_AS: Final = int(lib.BGP_OTHER_FIRST_AS)
_OTHER_OTC: Final = int(lib.BGP_OTHER_OTC)
AS_ANNOUNCED: Final = 0x80
"""A flag of the head that the core has no use for: a previous run announced the set, with our tags."""


class Segment(NamedTuple):
    """A segment of an AS_PATH."""

    kind: int
    asns: tuple[int, ...]


class OtherAttribute(NamedTuple):
    """A path attribute that rtrd passes on as octets."""

    code: int
    flags: int
    """Of RFC 4271 section 4.3, without that of the extended length."""
    value: bytes


class AttributeSet(NamedTuple):
    """The path attributes that routes share, without the communities that could pass for tags of ours."""

    family: int
    """4 or 6, of the routes."""
    next_hop: str | None
    """In normal text; None: there is none that can be announced."""
    origin: int | None
    """IGP, EGP, INCOMPLETE; None: the update had none."""
    as_path: tuple[Segment, ...]
    origin_as: int | None
    """RFC 6811 section 2; None: NONE."""
    med: int | None = None
    local_preference: int | None = None
    communities: tuple[tuple[int, int], ...] = ()
    large_communities: tuple[tuple[int, int, int], ...] = ()
    extended_communities: tuple[int, ...] = ()
    others: tuple[OtherAttribute, ...] = ()
    """In the order of their codes."""

    def same(self, other: AttributeSet) -> bool:
        """Tell whether both announce the same, whatever the order of their communities."""
        return self._sorted() == other._sorted()

    def _sorted(self) -> AttributeSet:
        return self._replace(
            origin=self.origin or IGP,
            origin_as=None,
            communities=tuple(sorted(set(self.communities))),
            large_communities=tuple(sorted(set(self.large_communities))),
            extended_communities=tuple(sorted(set(self.extended_communities))),
            others=tuple(other._replace(flags=other.flags & ~PARTIAL) for other in self.others),
        )


def announced(
    attributes: AttributeSet, treatment: Treatment, kind: str = "internal", otc_given: int = 0
) -> AttributeSet:
    """Give the attribute set as it is announced to receivers of a kind (KINDS), with what the policy adds.

    `otc_given`: the AS of the Only to Customer that they get, if the treatment leaves it to them; 0: none.
    """
    if treatment.otc is not None:
        attributes = _with_otc(attributes, treatment.otc or otc_given)
    family, hop, origin, path, origin_as, med, preference, standard, large, extended, others = attributes
    if kind != "internal":
        path, med, extended, others = _for_kind(attributes, kind)
    if treatment.local_preference is not None:
        preference = treatment.local_preference
    tags = _numbers_of(treatment, inside=kind == "internal")
    return AttributeSet(
        family, hop, origin, path, origin_as, med, preference, _joined(standard, tags.standard),
        _joined(large, tags.large), _joined(extended, tags.extended), others,
    )  # fmt: skip


class _Numbers(NamedTuple):
    """The tags of a treatment, by their kind, as an attribute set has them."""

    standard: tuple[tuple[int, int], ...]
    large: tuple[tuple[int, int, int], ...]
    extended: tuple[int, ...]


@lru_cache(maxsize=4096)
def _numbers_of(treatment: Treatment, *, inside: bool) -> _Numbers:
    tags = treatment.all_tags if inside else treatment.tags
    return _Numbers(
        tuple((a, b) for a, b in (tag.numbers for tag in tags if tag.kind == "standard")),
        tuple((a, b, c) for a, b, c in (tag.numbers for tag in tags if tag.kind == "large")),
        tuple(tag.numbers[0] for tag in tags if tag.kind == "extended"),
    )


def _joined(has: tuple[T, ...], added: tuple[T, ...]) -> tuple[T, ...]:
    """Give both, each once."""
    return tuple(dict.fromkeys(has + added)) if has or added else ()


def _with_otc(attributes: AttributeSet, asn: int) -> AttributeSet:
    """Give the attribute set with Only to Customer of an AS, unless it has one; of AS 0: as it is."""
    if not asn or any(other.code == ONLY_TO_CUSTOMER for other in attributes.others):
        return attributes
    added = OtherAttribute(ONLY_TO_CUSTOMER, OPTIONAL | TRANSITIVE, asn.to_bytes(4))
    return attributes._replace(others=tuple(sorted((*attributes.others, added))))


def _for_kind(
    attributes: AttributeSet, kind: str
) -> tuple[tuple[Segment, ...], int | None, tuple[int, ...], tuple[OtherAttribute, ...]]:
    """Give what a receiver of a kind (KINDS) that is not internal may get of path, MED, extended communities, others.

    Lists, not generators: most sets have little of all that, and this is done for each.
    """
    path, extended, others = attributes.as_path, attributes.extended_communities, attributes.others
    if others:
        others = tuple([other for other in others if other.code not in _REFLECTION])
    if kind == "confederation":
        return path, attributes.med, extended, others
    if others:
        others = tuple([kept for other in others if (kept := _outside(other)) is not None])
    return (
        tuple([segment for segment in path if segment.kind in _REAL]),  # RFC 5065
        # RFC 4271 section 5.1.4; a route server leaves it as it is (RFC 7947 section 2.2.3)
        attributes.med if kind == "client" else None,
        tuple([one for one in extended if not one >> 56 & _NON_TRANSITIVE]) if extended else (),
        others,
    )


def _outside(other: OtherAttribute) -> OtherAttribute | None:
    """Give what of an attribute leaves the AS (RFC 4360 section 6; RFC 5701 section 2 is alike)."""
    if other.code == AIGP:
        return None
    if other.code != IPV6_EXTENDED_COMMUNITIES:
        return other
    size = 20
    each = (other.value[at : at + size] for at in range(0, len(other.value), size))
    value = b"".join(one for one in each if not one[0] & _NON_TRANSITIVE)
    return other._replace(value=value) if value else None


def origin_as(path: tuple[Segment, ...], own_as: int) -> int | None:
    """Give the origin AS of a path (RFC 6811 section 2), `own_as` being the speaker's; None: NONE.

    The last AS of a final AS_SEQUENCE; none for a final AS_SET; the speaker's own for an empty path or
    confederation segments alone.
    """
    real = [segment for segment in path if segment.asns and segment.kind in _REAL]
    if not real:
        return own_as
    return real[-1].asns[-1] if real[-1].kind == AS_SEQUENCE else None


# -- as octets


def key_of(attributes: AttributeSet, flags: int = 0) -> bytes:
    """Give the key of an attribute set that came as numbers."""
    hop = b"" if attributes.next_hop is None else ipaddress.ip_address(attributes.next_hop).packed
    # Our own AS is not told; it counts only where it is the origin. Elsewhere it would make the path a loop.
    own_as = (attributes.origin_as or 0) if origin_as(attributes.as_path, -1) == -1 else 0
    return _HEAD.pack(attributes.family, flags, own_as, len(hop)) + hop + written(attributes)


def local_key(attributes: AttributeSet, own_as: int) -> bytes:
    """Give the key of what a router of this AS announces by itself, for a neighbor of another AS to look at.

    Without a path there is nothing of it to look at but its origin AS.
    """
    if not attributes.as_path:
        return _HEAD.pack(attributes.family, 0, attributes.origin_as or 0, 0)
    first = attributes.as_path[0]
    otc = [other.value for other in attributes.others if other.code == ONLY_TO_CUSTOMER]
    flags = _EXTERNAL
    flags |= _OTHER_FIRST_AS if (first.kind, first.asns[:1]) != (AS_SEQUENCE, (own_as,)) else 0
    flags |= _OTHER_OTC if otc and otc[0] != own_as.to_bytes(4) else 0
    return key_of(attributes, flags)


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
        return struct.pack("!BBH", flags | EXTENDED_LENGTH, code, len(value)) + value
    return bytes((flags, code, len(value))) + value


def update_body(attributes: AttributeSet, prefix: str) -> bytes:
    """Give an UPDATE that announces a route (`PREFIX`, or `PREFIX PATH-ID`), without its header."""
    text, _, path_id = prefix.partition(" ")
    network = ipaddress.ip_network(text)
    nlri = ipaddress.IPv4Address(path_id).packed if path_id else b""
    nlri += bytes((network.prefixlen,)) + network.network_address.packed[: (network.prefixlen + 7) // 8]
    hop = b"" if attributes.next_hop is None else ipaddress.ip_address(attributes.next_hop).packed
    head = struct.pack("!HBB", 1 if network.version == 4 else 2, 1, len(hop))
    octets = written(attributes) + attribute(_MP_REACH_NLRI, OPTIONAL, head + hop + b"\0" + nlri)
    return struct.pack("!HH", 0, len(octets)) + octets


def path_octets(kind: int, asns: tuple[int, ...]) -> bytes:
    """Give a segment of a path, or as many as it needs: one has 255 ASes at most."""
    if len(asns) > 255:
        return b"".join(path_octets(kind, asns[at : at + 255]) for at in range(0, len(asns), 255))
    return struct.pack(f"!BB{len(asns)}I", kind, len(asns), *asns)


def read_octets(key: bytes, ours: Ours = NOTHING) -> AttributeSet:
    """Give the attribute set of a key, without the communities that are ours; AS_ANNOUNCED: with them."""
    family, head_flags, own_as, size = _HEAD.unpack_from(key)
    if head_flags & AS_ANNOUNCED:
        ours = NOTHING
    values: dict[int, bytes] = {}
    others = []
    for code, flags, value in _attributes(key[_HEAD.size + size :]):
        if code in _IN_NUMBERS:
            values[code] = value
        else:
            others.append(OtherAttribute(code, flags, value))
    path, get = tuple(_segments(values[AS_PATH])), values.get
    standard, large, extended = get(COMMUNITIES), get(LARGE_COMMUNITIES), get(EXTENDED_COMMUNITIES)
    return AttributeSet(
        family,
        _address(key[_HEAD.size : _HEAD.size + size]) if size else None,
        _number(get(ORIGIN)),
        path,
        origin_as(path, own_as),
        _number(get(MED)),
        _number(get(LOCAL_PREF)),
        tuple([one for one in _STANDARD.iter_unpack(standard) if one not in ours.standard]) if standard else (),
        tuple([one for one in _LARGE.iter_unpack(large) if one not in ours.large]) if large else (),
        _extended(extended, ours) if extended else (),
        tuple(others),
    )


def read_path(key: bytes) -> tuple[Segment, ...]:
    """Give the AS_PATH of the attribute set of a key; empty: also where a local route's has none."""
    *_, size = _HEAD.unpack_from(key)
    found = (tuple(_segments(value)) for code, _, value in _attributes(key[_HEAD.size + size :]) if code == AS_PATH)
    return next(found, ())


@lru_cache(maxsize=4096)
def _address(packed: bytes) -> str:
    """Give an address as text: next hops are few."""
    return str(ipaddress.ip_address(packed))


def _attributes(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(octets):
        flags, code, size = octets[at], octets[at + 1], octets[at + 2]
        at += 3
        if flags & EXTENDED_LENGTH:
            size = size << 8 | octets[at]
            at += 1
        yield code, flags & ~EXTENDED_LENGTH, octets[at : at + size]
        at += size


def _segments(path: bytes) -> Iterator[Segment]:
    at = 0
    while at < len(path):
        kind, count = path[at], path[at + 1]
        yield Segment(kind, struct.unpack_from(f"!{count}I", path, at + 2))
        at += 2 + 4 * count


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


def _extended(value: bytes, ours: Ours) -> tuple[int, ...]:
    kept = [one for one in _EXTENDED.iter_unpack(value) if one not in ours.extended]
    return tuple([one for (one,) in kept if not (ours.rfc8097 and is_rfc8097(one))])
