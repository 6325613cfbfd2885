"""The ASPAs of a VRP file: those of one customer joined, and cleaned of what no router should be told."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from rtrlib import aspas

_LOOK: Final = 1 << 20
"""Numbers after which those of one customer are joined, so that what is repeated takes no memory."""
_MOST: Final = 1 << 22
"""A file with more customers and providers is refused: the real ones have some 10,000."""
_NAMED: Final = 5


class TooManyASPAsError(Exception):
    """The file has more providers than any."""


class ASPAEntries:
    """Collects the ASPAs of a file while it is read."""

    def __init__(self) -> None:
        self._numbers = bytearray()
        self._look_at = _LOOK
        self._too_many: set[int] = set()
        self._with_as_0: set[int] = set()
        self._themselves: set[int] = set()

    def add(self, customer: int, providers: Iterable[int]) -> None:
        """Take one list; ValueError says what is wrong with it. TooManyASPAsError: so it is with the file."""
        listed = set(providers)
        if not customer:
            raise ValueError("AS 0 can't be a customer")
        if not listed:
            raise ValueError(f"AS{customer} names no provider; one without providers names AS 0")
        if customer in self._too_many:
            return
        if 0 in listed:
            self._with_as_0.add(customer)
        if customer in listed:
            self._themselves.add(customer)
        self._numbers += struct.pack(f"={2 + len(listed)}I", customer, len(listed), *listed)
        if len(self._numbers) >= 4 * self._look_at:
            self._join()

    def _join(self) -> bytes:
        joined, dropped = aspas.limit(aspas.union_of(bytes(self._numbers)))
        self._too_many.update(dropped)
        if len(joined) > 4 * _MOST:
            raise TooManyASPAsError(f"more than {_MOST} providers: this is not a VRP file")
        self._numbers = bytearray(joined)
        self._look_at = len(joined) // 4 + _LOOK
        return joined

    def joined(self) -> bytes:
        """Give them as a packed set (rtrlib.aspas)."""
        joined = self._join()
        return aspas.without(joined, self._too_many) if self._too_many else joined

    def notes(self, joined: bytes) -> list[str]:
        """Say what was cleaned. `joined`: what there is now."""
        index = aspas.ASPAIndex(joined)
        mixed = [each for each in self._with_as_0 if (found := index.find(each)) and found.providers != (0,)]
        said = (
            (self._too_many, f"left out whole, for more than {aspas.MOST_PROVIDERS} providers"),
            (mixed, "AS 0 beside other providers left out"),
            (self._themselves, "the customer among its own providers left out"),
        )
        return [f"aspas: {what}: {_named(customers)}" for customers, what in said if customers]


def _named(customers: Iterable[int]) -> str:
    ordered = sorted(customers)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(f"AS{each}" for each in ordered[:_NAMED]) + more
