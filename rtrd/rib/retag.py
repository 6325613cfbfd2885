"""Finds the attribute sets that a new policy changes: other tags are ours, or it asks for other communities.

A received community that equals a tag of ours is left out of what is announced, so a change of our tags changes the
words of routes that came with one. Decoding every set would take seconds; nearly all are passed over by their octets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rtrd.policy import Policy
from rtrd.rib.attributes import COMMUNITY
from rtrd.rib.table import RouteTable
from rtrd.tags import Tag


class Retag:
    """One walk over the attribute sets of a table. What is added meanwhile is read by the new rules anyway."""

    def __init__(
        self, before: Policy, now: Policy, table: RouteTable, unfinished: Retag | None, *, all_sets: bool = False
    ) -> None:
        """`unfinished`: a walk that was not done when its policy was replaced in turn; `all_sets`: look at each."""
        tags: frozenset[Tag] = before.our_tags ^ now.our_tags
        tags = tags.union(*(now.asked - before.asked))
        self.tags: frozenset[Tag] = tags if unfinished is None else tags | unfinished.tags
        self.all_sets: bool = all_sets or (unfinished is not None and unfinished.all_sets)
        self._octets = [struct.pack(COMMUNITY[tag.kind], *tag.numbers) for tag in self.tags]
        self._table = table
        self._next = 0
        self._end = table.attributes_end if self.tags or self.all_sets else 0

    @property
    def done(self) -> bool:
        """True once every set has been looked at."""
        return self._next >= self._end

    def look(self, budget: int) -> Iterator[tuple[int, bytes]]:
        """Give number and key of those of the next `budget` sets in which a tag's octets occur."""
        end = min(self._end, self._next + budget)
        for number in range(self._next, end):
            try:
                key = self._table.attributes_key(number)
            except KeyError:
                continue  # a number that no set has any more
            if self.all_sets or any(octets in key for octets in self._octets):
                yield number, key
        self._next = end
