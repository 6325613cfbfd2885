"""The path attributes that routes share, and the summary of them that the route table needs.

Neutral between dialects: exabgp/attributes.py makes it, exabgp/encode.py prints it. Everything is a number or
an address that was parsed: no text of BGP gets past this point.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from hashlib import blake2b
from secrets import token_bytes
from typing import NamedTuple

import msgspec

from rtrd.policy import Treatment
from rtrd.rib.terms import FIT, FIT_EXTENDED_NEXT_HOP, UNFIT, AttributeSummary
from rtrd.tags import Tag

AS_SET, AS_SEQUENCE, AS_CONFED_SEQUENCE, AS_CONFED_SET = 1, 2, 3, 4
"""Segment types of RFC 4271 section 4.3 and RFC 5065 section 3."""

IGP, EGP, INCOMPLETE = 0, 1, 2

OPTIONAL, TRANSITIVE, PARTIAL = 0x80, 0x40, 0x20
"""Attribute flags of RFC 4271 section 4.3."""

UNDERSTOOD = frozenset({6, 7, 8, 16, 25, 32, 35})
"""Transitive attributes that are passed on by their own rules; others get the Partial bit (RFC 4271 section 5)."""
INTERNAL = frozenset({9, 10, 26})
"""ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 section 8), AIGP (RFC 7311 section 3.1): no external receiver must get them.
Who is external is not known here, so nobody does."""

DEFAULT_LOCAL_PREFERENCE = 100

NUMBERS = b"\xff"
"""How a key begins that has numbers; no JSON does."""

MOST_OCTETS = 3800
"""Of an attribute set: with tags, next hop and a prefix it fits an UPDATE of 4096 octets (RFC 4271 section 4.1).

ExaBGP answers `done` for one that doesn't, sends nothing, and what it sent before stays.
"""

_KEY = token_bytes(16)  # so that nobody outside can choose attribute sets whose digests are equal


class Segment(NamedTuple):
    """A segment of an AS_PATH."""

    kind: int
    asns: tuple[int, ...]


class Other(NamedTuple):
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
    malformed: bool = False
    """The attributes can't be trusted: the route is not announced (RFC 7606 section 2: treat-as-withdraw)."""
    others: tuple[Other, ...] = ()
    """In the order of their codes."""

    def summary(self) -> AttributeSummary:
        """Give what the route table must know."""
        return AttributeSummary(
            announced_hash=int.from_bytes(_digest(self)),
            origin=-1 if self.origin_as is None else self.origin_as,
            local_preference=(DEFAULT_LOCAL_PREFERENCE if self.local_preference is None else self.local_preference),
            path_length=sum(_weight(segment) for segment in self.as_path),
            origin_code=INCOMPLETE if self.origin is None else self.origin,
            fitness=self._fitness(),
            identity=self._identity(),
        )

    def _identity(self) -> int:
        """Next hop and path, hashed as in exabgp/attributes.c: a route that is learned again has them in common."""
        hop = b"" if self.next_hop is None else ipaddress.ip_address(self.next_hop).packed
        halves = hop.ljust(16, b"\0")
        words = [16 | (4 if len(hop) == 4 else 6) << 8 | self.family << 16]
        words += (int.from_bytes(halves[at : at + 8], sys.byteorder) for at in (0, 8))
        for segment in self.as_path:
            words += (segment.kind | len(segment.asns) << 8, *segment.asns)
        identity = 0
        for word in words:
            identity = (identity ^ word) * 0xD6E8FEB86659FD93 & (1 << 64) - 1
            identity ^= identity >> 32
        return identity

    def without(self, owns: Callable[[Tag], bool]) -> AttributeSet:
        """Give it without the communities for which `owns` is true."""
        return self._replace(
            communities=tuple(one for one in self.communities if not owns(Tag("standard", one))),
            large_communities=tuple(one for one in self.large_communities if not owns(Tag("large", one))),
            extended_communities=tuple(one for one in self.extended_communities if not owns(Tag("extended", (one,)))),
        )

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
        )

    def _fitness(self) -> int:
        """Where it can be announced. ExaBGP would send any next hop with any family (docs/exabgp.md)."""
        if self.malformed or self.next_hop is None or self._octets() > MOST_OCTETS:
            return UNFIT
        if self.family == 4:
            return FIT_EXTENDED_NEXT_HOP if ":" in self.next_hop else FIT  # RFC 8950 section 4
        return FIT if ":" in self.next_hop else UNFIT

    def _octets(self) -> int:
        """Octets in an UPDATE, without NLRI and next hop; a little more where attributes are absent."""
        path = sum(2 * -(-len(segment.asns) // 255) + 4 * len(segment.asns) for segment in self.as_path)
        lists = 4 * len(self.communities) + 12 * len(self.large_communities) + 8 * len(self.extended_communities)
        others = sum(4 + len(other.value) for other in self.others)
        return 34 + path + lists + others  # ORIGIN 4, MULTI_EXIT_DISC 7, LOCAL_PREF 7, four headers of 4


def key_of(attributes: AttributeSet) -> bytes:
    """Give the key under which the route table has an attribute set that came as numbers."""
    return NUMBERS + msgspec.msgpack.encode(attributes)


def read_key(key: bytes) -> AttributeSet | None:
    """Give back the attribute set of a key; None: the dialect made it."""
    return msgspec.msgpack.decode(key[1:], type=AttributeSet) if key[:1] == NUMBERS else None


def with_treatment(attributes: AttributeSet, treatment: Treatment) -> AttributeSet:
    """Give the attribute set as it is announced: with the tags and the local preference of the policy."""
    tags = treatment.tags
    standard = [tag.numbers for tag in tags if tag.kind == "standard"]
    large = [tag.numbers for tag in tags if tag.kind == "large"]
    extended = [tag.numbers[0] for tag in tags if tag.kind == "extended"]
    return attributes._replace(
        local_preference=(
            attributes.local_preference if treatment.local_preference is None else treatment.local_preference
        ),
        communities=tuple(dict.fromkeys((*attributes.communities, *((a, b) for a, b in standard)))),
        large_communities=tuple(dict.fromkeys((*attributes.large_communities, *((a, b, c) for a, b, c in large)))),
        extended_communities=tuple(dict.fromkeys((*attributes.extended_communities, *extended))),
    )


def _digest(value: object) -> bytes:
    return blake2b(msgspec.msgpack.encode(value), digest_size=8, key=_KEY).digest()


def _weight(segment: Segment) -> int:
    """RFC 4271 section 9.1.2.2 (a set counts as one), RFC 5065 section 5.3 (confederation segments as none)."""
    if segment.kind == AS_SEQUENCE:
        return len(segment.asns)
    return int(segment.kind == AS_SET)


def origin_as(path: tuple[Segment, ...], own_as: int) -> int | None:
    """Give the origin AS of a path (RFC 6811 section 2), `own_as` being the speaker's; None: NONE.

    The last AS of a final AS_SEQUENCE; none for a final AS_SET; the speaker's own for an empty path or
    confederation segments alone.
    """
    real = [segment for segment in path if segment.asns and segment.kind in (AS_SET, AS_SEQUENCE)]
    if not real:
        return own_as
    return real[-1].asns[-1] if real[-1].kind == AS_SEQUENCE else None
