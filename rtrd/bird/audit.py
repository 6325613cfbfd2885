"""Which of BIRD's routes are invalid, and how its ROA tables differ from the VRPs in force.

All of BIRD's answers are read line by line: a full table costs 50 octets a route for as long as the audit takes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rtrd.base.text import counted
from rtrd.bird import tables
from rtrd.bird.client import Bird
from rtrd.bird.replies import BirdError, Line
from rtrd.bird.tables import BirdRoute, Protocol
from rtrd.policy import OBSERVE
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import UNFIT, AttributeSummary, NeighborPolicy
from rtrd.rib.validity import explain
from rtrd.rib.whatif import COVERS, TableWhatIf, View
from rtrlib import packed
from rtrlib.vrp import VRP, pack, unpack
from rtrlib.vrp_set import VRPSet

MOST_ROUTES: Final = 20_000_000
"""Of one table: a BIRD that prints more is not a BIRD."""
_BATCH: Final = 4096
_SLICE: Final = 4096
_ACTIONS: Final = (OBSERVE.action,) * 4
_NOTHING: Final = NeighborPolicy(0, _ACTIONS, (0, 0, 0, 0), (0, 0, 0, 0))


class Invalid(NamedTuple):
    """A route of BIRD's that is invalid."""

    table: str
    prefix: str
    protocol: str
    origin_as: int | None
    """None: NONE."""
    reason: str
    """`as` or `length`, as of rtrd.rib.validity."""
    cover: str
    """By which other routes of the table its prefix would still be reached: one of rtrd.rib.whatif.COVERS."""


class Audit(NamedTuple):
    """What BIRD's tables hold."""

    tables: list[str]
    routes: dict[str, int]
    """Accepted routes that have an AS path, by validity."""
    covers: dict[str, int]
    """Invalid ones by COVERS."""
    invalid: list[Invalid]
    """In order of prefix, at most as many as were asked for."""


class Check(NamedTuple):
    """How BIRD's ROA tables differ from the VRP set; VRPs in the order of RTR."""

    tables: list[str]
    vrps: int
    """That BIRD has."""
    missing: list[VRP]
    """What BIRD lacks."""
    extra: list[VRP]
    """What only BIRD has."""

    @property
    def same(self) -> bool:
        """BIRD has exactly the set."""
        return not (self.missing or self.extra)


def protocols(bird: Bird) -> list[Protocol]:
    """Ask for the protocols. Raises BirdError."""
    return tables.protocols(bird.ask("show protocols all"))


def _of_table(bird: Bird, command: str, name: str) -> Iterator[Line]:
    """Ask for what a table holds. Raises BirdError, also where there is no such table."""
    try:
        yield from bird.ask(f"{command} {tables.quoted(name)}")
    except BirdError as error:
        if "CF_SYM_UNDEFINED" in str(error):  # BIRD's only word for it
            raise BirdError(f"BIRD has no table {name}") from None
        raise


def audit(bird: Bird, found: list[Protocol], vrp_set: VRPSet, *, only: Iterable[str] = (), most: int) -> Audit:
    """Validate every accepted route of the tables behind BIRD's IPv4 and IPv6 channels, or of `only` these.

    `most`: how many invalid ones are described; all are counted. Raises BirdError.
    """
    names = list(only) or tables.tables_of(found, "ipv4", "ipv6")
    local = {one.name: one.local_asn for one in found if one.local_asn is not None}
    total = Audit(names, {"valid": 0, "not-found": 0, "invalid": 0}, dict.fromkeys(COVERS, 0), [])
    for name in names:
        lines = _of_table(bird, "show route all table", name)
        _audit_table(name, tables.routes(lines, local), vrp_set, total, most)
    return total


def check(bird: Bird, found: list[Protocol], vrps: bytes, *, only: Iterable[str] = ()) -> Check:
    """Compare the ROA tables of BIRD, or `only` these, with packed VRPs. Raises BirdError."""
    names = list(only) or tables.tables_of(found, "roa4", "roa6")
    records: list[bytes] = []
    for name in names:
        for prefix, max_length, asn in tables.vrps(_of_table(bird, "show route table", name)):
            if len(records) == MOST_ROUTES:
                raise BirdError(f"{name} has more than {MOST_ROUTES} VRPs")
            try:
                records.append(pack(VRP(prefix, max_length, asn)))
            except ValueError as error:
                raise BirdError(f"{name}: {error}") from error
    theirs = packed.ordered(b"".join(records))
    missing, extra = packed.diff(theirs, packed.ordered(vrps))
    return Check(names, len(theirs) // packed.VRP_SIZE, _vrps(missing), _vrps(extra))


def _vrps(ordered: bytes) -> list[VRP]:
    return [vrp for vrp, _ in unpack(packed.packed(ordered))]


def _audit_table(name: str, found: Iterator[BirdRoute], vrp_set: VRPSet, total: Audit, most: int) -> None:
    nothing = VRPSet()
    nothing.usable = True  # by which every route is not-found, so that the question tells all others
    table = RouteTable(nothing)
    names = _fill(table, found, name)
    if table.malformed:
        raise BirdError(f"{table.malformed} entries of {name} are not prefixes")
    if table.crowded:
        raise BirdError(f"{name} has {counted(table.crowded, 'route')} too many of one prefix and protocol")
    question = TableWhatIf(table, View(vrp_set), covers=True)
    more = True
    while more:
        rows, more = question.rows(_SLICE, 2 * _SLICE, then="invalid")
        for row in rows[: most - len(total.invalid)]:
            assert row.cover is not None
            reason = _reason(row.prefix, row.origin, vrp_set)
            total.invalid.append(Invalid(name, row.prefix, names[row.neighbor], row.origin, reason, row.cover))
    counts = question.counts()
    changed = {then: count for (_, then), count in counts.moved.items()}
    for validity in ("valid", "invalid"):
        total.routes[validity] += changed.get(validity, 0)
    total.routes["not-found"] += counts.routes - sum(changed.values())
    for cover, count in counts.covers.items():
        total.covers[cover] += count


def _fill(table: RouteTable, found: Iterator[BirdRoute], name: str) -> dict[int, str]:
    """Put BIRD's routes into a table, each protocol as a neighbor; gives their names by number."""
    neighbors: dict[str, int] = {}
    waiting: dict[tuple[int, int | None], list[str]] = {}
    again = 0
    last = ""
    for count, (prefix, protocol, origin) in enumerate(found, start=1):
        again = again + 1 if prefix == last else 0
        last = prefix
        neighbor = neighbors.get(protocol)
        if neighbor is None:
            address = len(neighbors).to_bytes(16, "big")
            neighbor = neighbors[protocol] = table.add_neighbor(_NOTHING, address)
        # BIRD may have several routes of one prefix from one protocol; it prints no path ids.
        text = f"{prefix} {ipaddress.IPv4Address(again)}" if again else prefix
        waiting.setdefault((neighbor, origin), []).append(text)
        if count % _BATCH == 0:
            _announce(table, waiting)
        if count > MOST_ROUTES:
            raise BirdError(f"{name} has more than {MOST_ROUTES} routes")
    _announce(table, waiting)
    return {number: protocol for protocol, number in neighbors.items()}


def _announce(table: RouteTable, waiting: dict[tuple[int, int | None], list[str]]) -> None:
    for (neighbor, origin), prefixes in waiting.items():
        key = str(origin).encode()
        number = table.find_attributes(key)
        if number is None:
            summary = AttributeSummary(0, -1 if origin is None else origin, 0, 0, 0, UNFIT)
            number = table.add_attributes(key, summary)
        table.announce(neighbor, number, prefixes)
    waiting.clear()


def _reason(prefix: str, origin: int | None, vrp_set: VRPSet) -> str:
    """Say why a route is invalid."""
    covering = (entry.vrp for entry in vrp_set.covering(prefix))
    validity = explain(ipaddress.ip_network(prefix), origin, covering)["validated_route"]["validity"]
    return str(validity["reason"])
