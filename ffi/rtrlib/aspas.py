"""Packed ASPAs: of each customer AS the ASes that may be its providers (draft-ietf-sidrops-aspa-profile).

A *set* and *changes* are octets (ffi/native/aspas/aspas.h says what is in them), so that 50,000 customers are one
megabyte and no Python objects. In a set AS 0 is a customer's only provider or is not there: it says that the customer
has none. In changes a customer without providers is withdrawn; any other list replaces the customer's whole one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, Self

from _rov import ffi, lib
from rtrlib.arguments import asn_of

__all__ = [
    "ASPA",
    "DRAFTS",
    "MOST_PROVIDERS",
    "NUMBER_SIZE",
    "ASPAIndex",
    "apply",
    "changes",
    "count",
    "limit",
    "numbers",
    "records",
    "settle",
    "union",
    "union_of",
    "unknown",
    "without",
]

DRAFTS: Final = (
    "draft-ietf-sidrops-aspa-profile-29",
    "draft-ietf-sidrops-aspa-verification-28",
    "draft-ietf-sidrops-8210bis-27",
    "draft-ietf-sidrops-aspa-slurm-04",
)
"""The texts that are followed: none of them is an RFC yet."""
MOST_PROVIDERS: Final = 10_000
"""A customer with more is left out whole (draft-ietf-sidrops-aspa-verification wants a bound of 4,000 to 10,000)."""
NUMBER_SIZE: Final = 4
"""Octets of each number in packed ASPAs."""


class ASPA(NamedTuple):
    """The providers that a customer AS names."""

    customer: int
    """AS number, 1 to 4294967295."""
    providers: tuple[int, ...]
    """AS numbers, ascending, each once; (0,): it has none. In changes: (): the customer's list is withdrawn."""


def numbers(entries: Iterable[tuple[int, Iterable[int]]]) -> bytes:
    """Give customers and their providers as octets, as they come; see `settle` and `union_of`."""
    words: list[int] = []
    for customer, providers in entries:
        listed = tuple(providers)
        words += (customer, len(listed), *listed)
    return struct.pack(f"={len(words)}I", *words)


def union_of(entries: bytes) -> bytes:
    """Make a set of lists in any order: those of one customer are joined.

    AS 0 beside others and the customer itself are left out; a customer who had nothing else is not there.
    """
    return _made(lib.aspas_pack, entries)


def settle(entries: bytes) -> bytes:
    """Make changes of lists in the order in which they came: the last one of each customer counts."""
    return _made(lib.aspas_settle, entries)


def union(one: bytes, other: bytes) -> bytes:
    """Join two sets, customer by customer; AS 0 alone gives way to any list."""
    return _joined(lib.aspas_union, one, other)


def apply(held: bytes, change: bytes) -> bytes:
    """Give the set after changes."""
    return _joined(lib.aspas_apply, held, change)


def unknown(held: bytes, change: bytes) -> int | None:
    """Give a customer whose list changes withdraw though the set has none; None: there is no such."""
    words, new = _words(held), _words(change)
    return int(lib.aspas_unknown(words, len(words), new, len(new))) or None


def changes(before: bytes, after: bytes) -> bytes:
    """Give the changes that make one set of the other."""
    return _joined(lib.aspas_changes, before, after)


def without(held: bytes, customers: Iterable[int]) -> bytes:
    """Give a set without these customers."""
    return apply(held, settle(numbers((customer, ()) for customer in customers)))


def limit(held: bytes, most: int = MOST_PROVIDERS) -> tuple[bytes, list[int]]:
    """Take customers with more than `most` providers out of a set; gives the set and their AS numbers."""
    words, out = _words(held), ffi.new("uint32_t[]", len(held) // NUMBER_SIZE)
    dropped, how_many = ffi.new("uint32_t[]", len(held) // NUMBER_SIZE // 2), ffi.new("size_t *")
    used = lib.aspas_limit(words, len(words), most, out, dropped, how_many)
    return ffi.buffer(out, used * NUMBER_SIZE)[:], ffi.unpack(dropped, how_many[0])


def records(entries: bytes) -> Iterator[ASPA]:
    """Give the customers of a set or of changes, one after the other."""
    words = memoryview(entries).cast("I")
    at = 0
    while at < len(words):
        end = at + 2 + words[at + 1]
        yield ASPA(words[at], tuple(words[at + 2 : end]))
        at = end


def count(held: bytes) -> int:
    """How many customers are in a set, or in changes."""
    words = _words(held)
    return int(lib.aspas_index(words, len(words), ffi.new("uint32_t[]", len(words) // 2)))


class ASPAIndex:
    """Finds customers in a set."""

    def __init__(self, held: bytes) -> None:
        """Look at a packed set, which stays in memory as long as this does."""
        self.held = held
        self.words = _words(held)
        """The set, for C."""
        self.begins = ffi.new("uint32_t[]", len(self.words) // 2)
        """Where each record begins, for C."""
        self.count = int(lib.aspas_index(self.words, len(self.words), self.begins))

    def __len__(self) -> int:
        """How many customers."""
        return self.count

    @classmethod
    def of(cls, records: Iterable[ASPA]) -> Self:
        """Make one of ASPAs, as a manager or a Snapshot gives them; the lists of one customer are joined.

        TypeError, ValueError: what is no AS number.
        """
        entries = []
        for record in records:
            try:
                customer, providers = record
                listed = [asn_of(each) for each in providers]
            except TypeError:
                raise TypeError(f"an ASPA is (customer, providers), not {record!r:.80}") from None
            entries.append((asn_of(customer), listed))
        return cls(union_of(numbers(entries)))

    def find(self, customer: int) -> ASPA | None:
        """Give a customer's providers; None: it names none."""
        at = lib.aspas_find(self.words, self.begins, self.count, customer)
        if at < 0:
            return None
        return ASPA(customer, tuple(self.words[at + 2 : at + 2 + self.words[at + 1]]))


def _words(entries: bytes) -> Any:
    return ffi.from_buffer("uint32_t[]", entries)


def _made(function: Any, entries: bytes) -> bytes:
    words, out = _words(entries), ffi.new("uint32_t[]", len(entries) // NUMBER_SIZE)
    return _written(function(words, len(words), out), out)


def _joined(function: Any, one: bytes, other: bytes) -> bytes:
    first, second = _words(one), _words(other)
    out = ffi.new("uint32_t[]", len(first) + len(second))
    return _written(function(first, len(first), second, len(second), out), out)


def _written(used: int, out: Any) -> bytes:
    if used < 0:
        raise MemoryError
    return ffi.buffer(out, used * NUMBER_SIZE)[:]
