"""Which routes of a table would have another outcome of their path by other ASPAs, found in slices of work.

Native (ffi/native/rib/whatif.h). Neither the set in force nor the table is changed; the table may change meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import _rov
from _rov import ffi, lib
from rtrd.base.notation import parse_asn, said
from rtrd.rib.native_terms import prefix_text
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import PATH_OUTCOMES
from rtrd.rib.whatif import COVERS, Impact
from rtrlib import aspas
from rtrlib.aspa_paths import native_set
from rtrlib.aspas import ASPA, ASPAIndex

MOST_PROVIDERS: Final = 1000
"""Of one ASPA that is asked for."""
MOST_NAMED: Final = 4096
"""Customers that are looked for in each path; where more differ, all paths are judged."""


class ChangedPath(NamedTuple):
    """A route whose path would be something else."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    attributes: int
    now: str | None
    then: str | None
    cover: str | None
    """One of COVERS, for a newly invalid one, when it was asked for."""


def parse_aspa(text: str) -> ASPA:
    """Parse `CUSTOMER:PROVIDER,...`; `CUSTOMER:` is one that vanishes, `CUSTOMER:0` one without providers.

    Raises:
        ValueError: with a sentence.

    """
    customer, colon, rest = text.partition(":")
    if not colon:
        raise ValueError(f"{said(text)} is not an ASPA: expected CUSTOMER:PROVIDER,PROVIDER, as 64496:64497,64498")
    words = [word for word in rest.split(",") if word.strip()]
    if len(words) > MOST_PROVIDERS:
        raise ValueError(f"an ASPA of {len(words)} providers, at most {MOST_PROVIDERS} are possible")
    providers = tuple(parse_asn(word.strip()) for word in words)
    number = parse_asn(customer.strip())
    if number == 0 or number in providers:
        raise ValueError(f"{said(text)} is not an ASPA: {'AS 0 is no customer' if not number else 'it names itself'}")
    return ASPA(number, providers)


def parse_aspa_edit(text: str) -> ASPA | None:
    """Parse `+CUSTOMER:PROVIDER,...`, one as it would be, or `-CUSTOMER`, one that vanishes; None: it is neither.

    Raises:
        ValueError: with a sentence, where it is meant to be one and isn't.

    """
    found = re.fullmatch(r"([+-])((?:AS)?[0-9]{1,10})(:[^/@]*)?", text, re.IGNORECASE | re.ASCII)
    if found is None:
        return None
    sign, customer, providers = found.groups()
    if sign == "-":
        if providers:
            raise ValueError(f"{said(text)}: an ASPA vanishes as a whole: -{customer}")
        return parse_aspa(f"{customer}:")
    if not (providers or "").strip(": "):
        raise ValueError(f"{said(text)} names no providers: expected +{customer}:PROVIDER,PROVIDER")
    return parse_aspa(f"{customer}{providers}")


def with_changes(held: bytes, edits: Iterable[ASPA]) -> bytes:
    """Give a set with other ASPAs of these customers; of one without providers none."""
    last = {edit.customer: edit for edit in edits}
    kept = aspas.without(held, last)
    return aspas.union(kept, aspas.union_of(aspas.numbers(edit for edit in last.values() if edit.providers)))


class PathWhatIf:
    """One table under other ASPAs."""

    def __init__(
        self, table: RouteTable, then: ASPAIndex, customers: Iterable[int] | None, *, covers: bool = False
    ) -> None:
        """Ask of all routes. `customers`: all whose ASPAs would be other ones; None: any may.

        `covers`: tell how the prefixes of newly invalid ones are still reached.
        """
        self._covers = covers
        self._table = table
        self._then = then  # what the native one points to
        self._native = native_set(then)
        self._count = 0
        self._customers: Any = ffi.NULL
        if customers is not None:
            ordered = sorted(customers)
            self._count, self._customers = len(ordered), ffi.new("uint32_t[]", ordered)
        self._walk = ffi.new("struct walk *")
        self._counts = ffi.new("struct path_counts *")
        lib.walk_begin(self._walk, ffi.NULL)

    def rows(self, budget: int, most: int) -> tuple[list[ChangedPath], bool]:
        """Look at up to some `budget` routes; give at most so many that would change, and whether there is more."""
        rows, count = ffi.new("struct path_row[]", most), ffi.new("size_t *")
        more = lib.whatif_paths(
            self._table.native, self._walk, self._native, self._customers, self._count, self._covers, budget,
            self._counts, rows, most, count,
        )  # fmt: skip
        return [self._changed(row) for row in ffi.unpack(rows, count[0])], bool(more)

    def work(self, budget: int) -> bool:
        """Count up to some `budget` routes. True: there are more."""
        return self.rows(budget, 0)[1]

    @property
    def routes(self) -> int:
        """How many were looked at so far whose paths are judged."""
        return int(self._counts.routes)

    @property
    def newly_invalid(self) -> int:
        """How many of them would be invalid and are not."""
        return sum(count for (_, then), count in self.moved.items() if then == "invalid")

    @property
    def moved(self) -> Mapping[tuple[str, str], int]:
        """How many of them would change, by outcome now and then."""
        return {
            (str(now), str(then)): int(self._counts.moved[i][j])
            for i, now in enumerate(PATH_OUTCOMES)
            for j, then in enumerate(PATH_OUTCOMES)
            if self._counts.moved[i][j]
        }

    @property
    def covers(self) -> Mapping[str, int]:
        """How many of those that would be invalid and are not are reached how, if it was asked for."""
        return dict(zip(COVERS, map(int, self._counts.covers), strict=True))

    def _changed(self, row: _rov.PathRow) -> ChangedPath:
        then = PATH_OUTCOMES[row.then]
        return ChangedPath(
            prefix=prefix_text(row.prefix),
            path_id=row.path_id if row.has_path_id else None,
            neighbor=row.neighbor,
            origin=None if row.origin < 0 else row.origin,
            attributes=row.attrs,
            now=PATH_OUTCOMES[row.now],
            then=then,
            cover=COVERS[row.cover] if self._covers and then == "invalid" else None,
        )


def path_impact(tables: Iterable[RouteTable], due: bytes, change: bytes) -> Impact:
    """Ask what changes of ASPAs that are pending would do to the paths of some tables.

    `due`: the set as it would be; `change`: what differs from the one in force (rtrlib.aspas).
    """
    few = aspas.count(change) <= MOST_NAMED
    customers = [one.customer for one in aspas.records(change)] if few else None
    then = ASPAIndex(due)
    return Impact(tables, lambda table: PathWhatIf(table, then, customers))
