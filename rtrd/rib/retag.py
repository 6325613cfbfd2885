"""Finds the attribute sets that another policy may announce differently, because other tags are ours by it.

A received community that equals a tag of ours is left out of what is announced, so a change of our tags changes the
words of routes that came with one. Decoding every set would take seconds; nearly all are passed over by their octets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rtrd.policy import Policy
from rtrd.rib.attribute_octets import COMMUNITY
from rtrd.rib.table import RouteTable
from rtrd.tags import Tag


class Retag:
    """One walk over the attribute sets of a table. What is added meanwhile is read by the new rules anyway."""

    def __init__(self, before: Policy, now: Policy, table: RouteTable, unfinished: Retag | None) -> None:
        """`unfinished`: a walk that was not done when its policy was replaced in turn."""
        self.before: list[Policy] = [before] if unfinished is None else [before, *unfinished.before]
        tags: frozenset[Tag] = frozenset().union(*(policy.our_tags ^ now.our_tags for policy in self.before))
        self._octets = [struct.pack(COMMUNITY[tag.kind], *tag.numbers) for tag in tags]
        self._table = table
        self._next = 0
        self._end = table.attributes_end if tags else 0

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
            if any(octets in key for octets in self._octets):
                yield number, key
        self._next = end
