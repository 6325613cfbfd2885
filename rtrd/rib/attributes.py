"""The path attributes that routes share, as numbers and addresses: no text of BGP gets past this point.

attribute_octets.py reads them of octets and writes them, exabgp/encode.py prints them.
"""

from __future__ import annotations

from typing import NamedTuple

from rtrd.policy import Treatment

AS_SET, AS_SEQUENCE, AS_CONFED_SEQUENCE, AS_CONFED_SET = 1, 2, 3, 4
"""Segment types of RFC 4271 section 4.3 and RFC 5065 section 3."""

IGP, EGP, INCOMPLETE = 0, 1, 2

OPTIONAL, TRANSITIVE, PARTIAL = 0x80, 0x40, 0x20
"""Attribute flags of RFC 4271 section 4.3."""

ATOMIC_AGGREGATE, AGGREGATOR, ORIGINATOR_ID, CLUSTER_LIST = 6, 7, 9, 10
UNDERSTOOD = frozenset({6, 7, 8, 16, 25, 32, 35})
"""Transitive attributes that are passed on by their own rules; others get the Partial bit (RFC 4271 section 5)."""
_REFLECTION = frozenset({ORIGINATOR_ID, CLUSTER_LIST})
"""ORIGINATOR_ID and CLUSTER_LIST: only within an AS (RFC 4456 section 8)."""
_AIGP = 26
"""Only within an AS or a confederation, as nobody enables it for other sessions (RFC 7311 section 3.3)."""
_IPV6_EXTENDED_COMMUNITIES = 25

_NON_TRANSITIVE = 0x40
"""Of an extended community's type (RFC 4360 section 2)."""


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
    others: tuple[Other, ...] = ()
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


def for_kind(attributes: AttributeSet, kind: str) -> AttributeSet:
    """Give what of an attribute set a receiver of a kind (KINDS) may get; what the policy adds comes later."""
    if kind == "internal":
        return attributes
    others = (other for other in attributes.others if other.code not in _REFLECTION)
    if kind == "confederation":
        return attributes._replace(others=tuple(others))
    return attributes._replace(
        as_path=tuple(segment for segment in attributes.as_path if segment.kind in (AS_SET, AS_SEQUENCE)),  # RFC 5065
        # RFC 4271 section 5.1.4; a route server leaves it as it is (RFC 7947 section 2.2.3)
        med=attributes.med if kind == "client" else None,
        extended_communities=tuple(one for one in attributes.extended_communities if not one >> 56 & _NON_TRANSITIVE),
        others=tuple(kept for other in others if (kept := _outside(other)) is not None),
    )


def _outside(other: Other) -> Other | None:
    """Give what of an attribute leaves the AS (RFC 4360 section 6; RFC 5701 section 2 is alike)."""
    if other.code == _AIGP:
        return None
    if other.code != _IPV6_EXTENDED_COMMUNITIES:
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
    real = [segment for segment in path if segment.asns and segment.kind in (AS_SET, AS_SEQUENCE)]
    if not real:
        return own_as
    return real[-1].asns[-1] if real[-1].kind == AS_SEQUENCE else None
