"""Whose connections are open: no source has more than its share, and none is shut out by those that have many."""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Sources(Generic[T]):
    """What is open, by source (rtrd.base.acceptor.source_of)."""

    def __init__(self, what: str, most: int, of_one: int) -> None:
        """`most`: at once; `of_one`: of one source. `what` they are called."""
        self.what, self.most, self.of_one = what, most, of_one
        self._open: dict[T, str] = {}  # in the order in which they came
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def add(self, one: T, source: str) -> None:
        """Count one more."""
        self._open[one] = source
        self._counts[source] += 1

    def discard(self, one: T) -> None:
        """Count it no more."""
        source = self._open.pop(one, None)
        if source is not None:
            self._counts[source] -= 1
            if not self._counts[source]:
                del self._counts[source]

    def refusal(self, source: str) -> str | None:
        """Say why there is no room for one more of a source, whoever gives way; None: there is."""
        if self._counts[source] >= self.of_one:
            return f"more than {self.of_one} {self.what} of {source}"
        if len(self._open) >= self.most and self._most_of_one() <= self._counts[source] + 1:
            return f"more than {self.most} {self.what}"
        return None

    def to_give_way(self) -> tuple[T, str] | None:
        """Give the one that has to go before there is room, the newest of the source that has most, and say why."""
        if len(self._open) < self.most:
            return None
        greedy, count = self._counts.most_common(1)[0]
        newest = next(one for one in reversed(self._open) if self._open[one] == greedy)
        return newest, f"gave way to another address: {count} {self.what} of {greedy}"

    def _most_of_one(self) -> int:
        return max(self._counts.values(), default=0)
