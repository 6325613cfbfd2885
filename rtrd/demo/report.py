"""Lines for the terminal: what was announced, what rtrd said, what the listener received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

WIDTH = 110
VALIDITIES = ("valid", "not-found", "invalid", "unverified", "unknown")
"""`unknown`: rtrd says nothing of the route, which the demo takes for a fault."""
COLUMNS = (
    ("validity", 10),
    ("prefix", 21),
    ("origin AS", 10),
    ("reason", 24),
    ("decision", 10),
    ("the peer received", 24),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A route, from the announcement to the peer at the other end."""

    prefix: str
    origin_as: int | None
    validity: str
    reason: str
    decision: str
    received: str
    fault: str | None = None
    """What the peer should have received instead, and did not."""


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines of at most WIDTH columns, below a heading."""
    lines = [_line(name for name, _ in COLUMNS), _line("-" * width for _, width in COLUMNS)]
    for row in rows:
        origin = "NONE" if row.origin_as is None else f"AS{row.origin_as}"
        lines.append(_line((row.validity, row.prefix, origin, row.reason, row.decision, row.received)))
    return lines


def _line(cells: Iterable[str]) -> str:
    parts = [cell[:width].ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True)]
    return " ".join(parts).rstrip()[:WIDTH]


def sample(rows: Sequence[Row], count: int) -> list[Row]:
    """Return `count` rows, by validity, in which every validity, reason and family has its share."""
    kinds: dict[tuple[str, str, bool], list[int]] = {}
    for number, row in enumerate(rows):
        why = row.reason.partition(" ")[0] if row.validity == "invalid" else ""
        kinds.setdefault((row.validity, why, ":" in row.prefix), []).append(number)
    turns = zip_longest(*kinds.values())
    chosen = [number for turn in turns for number in turn if number is not None]
    order = sorted(chosen[:count], key=lambda number: (VALIDITIES.index(rows[number].validity), number))
    return [rows[number] for number in order]


def summary(rows: Sequence[Row]) -> list[str]:
    """Return one line for each validity: how many, what was decided, whether the peer received just that."""
    lines = []
    for validity in VALIDITIES:
        of_this = [row for row in rows if row.validity == validity]
        if not of_this:
            continue
        decisions = Counter(row.decision for row in of_this)
        said = ", ".join(f"{count} x {decision}" for decision, count in decisions.most_common())
        right = sum(row.fault is None for row in of_this)
        lines.append(f"  {validity:<11}{len(of_this):>4} routes   {said:<42} at the peer: {right} right")
    return lines
