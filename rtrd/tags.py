"""Communities that say the validity (RFC 8097, RFC 8092, RFC 1997), as text of the policy and as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Validity = Literal["valid", "not-found", "invalid", "unverified"]
VALIDITIES: tuple[Validity, ...] = ("valid", "not-found", "invalid", "unverified")

TagKind = Literal["standard", "large", "extended"]

RFC8097_BASE = 0x4300_0000_0000_0000
"""Opaque, non-transitive extended community of the origin validation state (RFC 8097 section 2)."""

RFC8097_LAST_OCTET: dict[Validity, int] = {"valid": 0, "not-found": 1, "invalid": 2}

EXPECTED = "expected rfc8097, community:A:B, large:A:B:C or extended:0x... (1 to 16 hex digits)"


class Tag(msgspec.Struct, frozen=True, order=True):
    """A community as numbers, the only form in which one is written to a router.

    `numbers` is (a, b) of 16 bits each for `standard` (RFC 1997), (a, b, c) of 32 bits each for `large`
    (RFC 8092), and one number of 64 bits for `extended` (RFC 4360).
    """

    kind: TagKind
    numbers: tuple[int, ...]

    @property
    def value(self) -> int:
        """The 64 bits of an extended community; of no use for the other kinds."""
        return self.numbers[0]

    def __str__(self) -> str:
        if self.kind == "extended":
            return f"extended:0x{self.value:016x}"
        name = "community" if self.kind == "standard" else self.kind
        return ":".join((name, *map(str, self.numbers)))


class Ours(NamedTuple):
    """Tags of ours by their kind, as numbers: received communities among them must be removed."""

    standard: frozenset[tuple[int, ...]] = frozenset()
    large: frozenset[tuple[int, ...]] = frozenset()
    extended: frozenset[tuple[int, ...]] = frozenset()
    rfc8097: bool = False
    """Also every origin validation state."""


def ours_of(tags: Iterable[Tag]) -> Ours:
    """Give these tags by their kind, with all of RFC 8097: each of its values could pass for one of ours."""
    standard, large, extended = (
        frozenset(tag.numbers for tag in tags if tag.kind == kind) for kind in ("standard", "large", "extended")
    )
    return Ours(standard, large, extended, rfc8097=True)


class TagSpec(msgspec.Struct, frozen=True):
    """A tag as the policy names it: fixed numbers, or `rfc8097`, whose numbers depend on the validity."""

    text: str
    fixed: Tag | None = None

    def tag(self, validity: Validity) -> Tag | None:
        """Return the tag for a route of this validity; None: RFC 8097 has no value for `unverified`."""
        return self.fixed or rfc8097_tag(validity)

    def __str__(self) -> str:
        return self.text


def rfc8097_tag(validity: Validity) -> Tag | None:
    """Return the origin validation state of a validity, RFC 8097 section 2; None for `unverified`."""
    octet = RFC8097_LAST_OCTET.get(validity)
    return None if octet is None else Tag("extended", (RFC8097_BASE | octet,))


def is_rfc8097(value: int) -> bool:
    """Tell whether these 64 bits are an origin validation state, whatever the octets after the type say."""
    return value >> 48 == RFC8097_BASE >> 48


def parse_tag(text: str) -> TagSpec:
    """Parse a tag of the policy.

    Raises:
        ValueError: with a sentence that says what was expected.

    """
    if text == "rfc8097":
        return TagSpec(text)
    kind, _, rest = text.partition(":")
    if kind == "community":
        return TagSpec(text, Tag("standard", _numbers(rest, count=2, bits=16)))
    if kind == "large":
        return TagSpec(text, Tag("large", _numbers(rest, count=3, bits=32)))
    if kind == "extended" and re.fullmatch("0x[0-9a-fA-F]{1,16}", rest):
        return TagSpec(text, Tag("extended", (int(rest, 16),)))
    raise ValueError(EXPECTED)


def parse_community(text: str) -> Tag:
    """Parse a community that the policy asks for: `A:B` (RFC 1997), `A:B:C` (RFC 8092), or as a tag.

    Raises:
        ValueError: with a sentence that says what was expected.

    """
    parts = text.count(":")
    if re.fullmatch("[0-9:]+", text) and parts in (1, 2):
        text = f"{'community' if parts == 1 else 'large'}:{text}"
    try:
        tag = parse_tag(text).fixed
    except ValueError as error:
        if str(error) != EXPECTED:
            raise
        tag = None
    if tag is None:
        raise ValueError("expected A:B, large A:B:C, or extended:0x... (1 to 16 hex digits)")
    return tag


def _numbers(text: str, *, count: int, bits: int) -> tuple[int, ...]:
    parts = text.split(":")
    if len(parts) != count or not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
        raise ValueError(EXPECTED)
    numbers = tuple(int(part) for part in parts)
    limit = (1 << bits) - 1
    for number in numbers:
        if number > limit:
            raise ValueError(f"{number} is more than {limit}")
    return numbers
