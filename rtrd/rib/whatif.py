"""Which routes of a table would change validity if other VRPs were in force, found in slices of work.

Native (ffi/native/rib/whatif.h). Neither the set nor the table is changed, and both may change meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import _rov
from _rov import ffi, lib
from rtrd.rib.native_terms import prefix_text
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, LEARNED, AttributeSummary, NeighborPolicy
from rtrlib.vrp_set import VALIDITIES, VRPChanges, VRPSet

COVERS = ("unreachable", "covered-by-valid", "covered-by-not-found")
"""How the prefix of a newly invalid route would still be reached, by the native core's numbers.

By another route of the same prefix or a less specific one that is not invalid; a valid one tells more.
"""


class View(NamedTuple):
    """A VRP set as it would be."""

    vrp_set: VRPSet | None = None
    """What it has in force; None: nothing."""
    due: bool = False
    """What is pending in it counts, too."""
    without: VRPSet | None = None
    """Less what this one has in force."""
    and_with: VRPSet | None = None
    """And what this one has in force."""


class Changed(NamedTuple):
    """A route that would change."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    """Origin AS; None: NONE."""
    now: str
    then: str
    cover: str | None
    """One of COVERS, for a newly invalid one, when it was asked for."""


class Counts(NamedTuple):
    """How much there is to tell, so far."""

    routes: int
    """Looked at."""
    moved: dict[tuple[str, str], int]
    """Routes that would change, by validity now and then."""
    covers: dict[str, int]
    """Newly invalid ones, by COVERS, if asked for."""

    @property
    def newly_invalid(self) -> int:
        """Routes that would be invalid and are not."""
        return sum(count for (_, then), count in self.moved.items() if then == "invalid")


class TableWhatIf:
    """One table under one other set."""

    def __init__(
        self, table: RouteTable, then: View, ranges: VRPChanges | None = None, *, covers: bool = False
    ) -> None:
        """Ask of the routes that some VRPs cover (few: they are sorted at once), or of all.

        `covers`: tell how newly invalid ones are still reached. MemoryError.
        """
        self._keep = (table, then)  # what the native one points to
        view = ffi.new(
            "struct vrp_view *",
            {
                "set": _native(then.vrp_set),
                "due": then.due,
                "without": _native(then.without),
                "with": _native(then.and_with),
            },
        )
        native = lib.whatif_new(table.native, view, ffi.NULL if ranges is None else ranges.native, covers)
        if native == ffi.NULL:
            raise MemoryError("no memory for a question")
        self._native = ffi.gc(native, lib.whatif_free)
        self._covers = covers

    def work(self, budget: int) -> bool:
        """Count up to some `budget` routes. True: there are more."""
        return lib.whatif_work(self._native, budget, ffi.NULL, 0, ffi.new("size_t *"))

    def rows(self, budget: int, most: int, then: str | None = None) -> tuple[list[Changed], bool]:
        """Do the same and give at most so many of those that would change; the others are only counted.

        `then`: of these, only those that would have this validity.
        """
        rows = ffi.new("struct whatif_row[]", most)
        count = ffi.new("size_t *")
        more = lib.whatif_work(self._native, budget, rows, most, count)
        wanted = range(len(VALIDITIES)) if then is None else (VALIDITIES.index(then),)
        return [self._row(row) for row in ffi.unpack(rows, count[0]) if row.then in wanted], more

    @property
    def newly_invalid(self) -> int:
        """How many of those looked at would become invalid."""
        return self.counts().newly_invalid

    def counts(self) -> Counts:
        """Give what was found so far."""
        native = lib.whatif_counted(self._native)
        moved = {
            (now, then): int(native.moved[i][j])
            for i, now in enumerate(VALIDITIES)
            for j, then in enumerate(VALIDITIES)
            if native.moved[i][j]
        }
        return Counts(int(native.routes), moved, dict(zip(COVERS, map(int, native.covers), strict=True)))

    def _row(self, row: _rov.WhatifRow) -> Changed:
        newly_invalid = VALIDITIES[row.then] == "invalid"
        return Changed(
            prefix=prefix_text(row.prefix),
            path_id=row.path_id if row.has_path_id else None,
            neighbor=row.neighbor,
            origin=None if row.origin < 0 else row.origin,
            now=VALIDITIES[row.now],
            then=VALIDITIES[row.then],
            cover=COVERS[row.cover] if newly_invalid and self._covers else None,
        )


class Question(Protocol):
    """What is asked of one table."""

    def work(self, budget: int) -> bool:
        """Look at about `budget` more routes. True: there are more."""

    @property
    def newly_invalid(self) -> int:
        """How many of those looked at would become invalid."""


class Impact:
    """What a pending change would do to the routes of some tables (rtrd.vrps.guarding)."""

    def __init__(self, tables: Iterable[RouteTable], ask: Callable[[RouteTable], Question]) -> None:
        """`ask` gives the question to a table."""
        self._tables = list(tables)
        self._questions = list(map(ask, self._tables))
        self._left = list(self._questions)

    def work(self, budget: int) -> bool:
        """Look at about `budget` more routes. True: there are more."""
        if self._left and not self._left[0].work(budget):
            del self._left[0]
        return bool(self._left)

    @property
    def routes(self) -> int:
        """How many routes the tables have."""
        return sum(map(len, self._tables))

    @property
    def newly_invalid(self) -> int:
        """How many of those looked at would become invalid."""
        return sum(question.newly_invalid for question in self._questions)


def vrp_impact(vrp_set: VRPSet, tables: Iterable[RouteTable], pending: VRPChanges | None) -> Impact:
    """Ask what all that is pending in a VRP set would do to the routes that these VRPs cover; None: to all."""
    return Impact(tables, lambda table: TableWhatIf(table, View(vrp_set, due=True), pending))


def validity_then(vrp_set: VRPSet, prefix: str, asn: int | None) -> str:
    """Give the validity that a route would have if all that is pending in the set were in force.

    `asn`: None is the origin NONE.
    """
    table = RouteTable(vrp_set)
    neighbor = table.add_neighbor(NeighborPolicy(0, ("observe",) * 4, (0,) * 4, (LEARNED,) * 4), b"")
    attributes = table.add_attributes(b"", AttributeSummary(1, -1 if asn is None else asn, 0, 1, 0, FIT))
    table.announce(neighbor, attributes, [prefix])
    [route] = table.routes()
    question, more = TableWhatIf(table, View(vrp_set, due=True)), True
    while more:
        changed, more = question.rows(1000, 1)
        if changed:
            return changed[0].then
    return route.validity


def _native(vrp_set: VRPSet | None) -> _rov.Vrpset:
    return ffi.NULL if vrp_set is None else vrp_set.native
