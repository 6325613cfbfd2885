"""What-if against the brute-force rule: what would change if VRPs were others, and nothing does."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, AttributeSummary
from rtrd.rib.whatif import TableWhatIf, View
from rtrlib.vrp import VRP
from rtrlib.vrp_set import VRPSet
from tests.lab import rfc6811
from tests.lab.observed import OBSERVE
from tests.lab.strategies import ASNS, prefixes, vrps
from tests.lab.vrp_sets import packed, set_of

ROUTES = st.lists(st.tuples(prefixes(), st.none() | ASNS, st.integers(0, 1)), max_size=25)
SETS = st.lists(vrps(), max_size=20)
Route = tuple[str, int | None, int]


def table_of(vrp_set: VRPSet, routes: Iterable[Route]) -> tuple[RouteTable, set[Route]]:
    """Two neighbors' routes, and those that the table holds: the last word of each for a prefix."""
    table = RouteTable(vrp_set)
    numbers = [table.add_neighbor(OBSERVE, bytes([127, 0, 0, i])) for i in (1, 2)]
    held: dict[tuple[str, int], int | None] = {}
    for prefix, origin, neighbor in routes:
        key = repr(origin).encode()
        attributes = table.find_attributes(key)
        if attributes is None:
            attributes = table.add_attributes(
                key, AttributeSummary(1, -1 if origin is None else origin, 100, 1, 0, FIT)
            )
        table.announce(numbers[neighbor], attributes, [prefix])
        held[prefix, neighbor] = origin
    return table, {(prefix, origin, numbers[neighbor]) for (prefix, neighbor), origin in held.items()}


def cover(then: Iterable[VRP], routes: set[Route], route: Route) -> str:
    """By the rule as it reads: another route of the same or a less specific prefix that is not invalid."""
    others = {rfc6811.validity(then, p, o) for p, o, n in routes if (p, o, n) != route and rfc6811.covers(p, route[0])}
    for validity in ("valid", "not-found"):
        if validity in others:
            return f"covered-by-{validity}"
    return "unreachable"


def check(table: RouteTable, question: TableWhatIf, routes: set[Route], now: set[VRP], then: set[VRP]) -> None:
    before = sorted(map(str, table.routes()))
    found = Counter[tuple[str, int | None, int, str, str, str | None]]()
    more = True
    while more:
        rows, more = question.rows(1, 1000)
        found += Counter((row.prefix, row.origin, row.neighbor, row.now, row.then, row.cover) for row in rows)
    expected = Counter[tuple[str, int | None, int, str, str, str | None]]()
    for prefix, origin, neighbor in routes:
        was, would = rfc6811.validity(now, prefix, origin), rfc6811.validity(then, prefix, origin)
        if was != would:
            how = cover(then, routes, (prefix, origin, neighbor)) if would == "invalid" else None
            expected[prefix, origin, neighbor, was, would, how] += 1
    assert found == expected
    counts = question.counts()
    assert counts.moved == Counter((was, would) for *_, was, would, _ in expected.elements())
    assert counts.newly_invalid == sum(counts.covers.values())
    assert counts.covers == {**dict.fromkeys(counts.covers, 0), **Counter(how for *_, how in expected if how)}
    assert sorted(map(str, table.routes())) == before


@given(ROUTES, SETS, SETS, SETS)
@settings(max_examples=300, deadline=None)
def test_vrps_that_would_come_and_go(routes: list[Route], now: list[VRP], gone: list[VRP], come: list[VRP]) -> None:
    vrp_set = set_of(*now)
    table, held = table_of(vrp_set, routes)
    gone += now[::2]
    ranges = set_of().replace(0, packed(gone))
    ranges.add(set_of().replace(0, packed(come)))
    view = View(vrp_set, without=set_of(*gone), and_with=set_of(*come))
    check(table, TableWhatIf(table, view, ranges, covers=True), held, set(now), (set(now) - set(gone)) | set(come))


@given(ROUTES, SETS, SETS)
@settings(deadline=None)
def test_another_set_in_its_place(routes: list[Route], now: list[VRP], then: list[VRP]) -> None:
    table, held = table_of(set_of(*now), routes)
    check(table, TableWhatIf(table, View(and_with=set_of(*then)), covers=True), held, set(now), set(then))


@given(ROUTES, SETS, SETS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_change_that_is_only_pending(routes: list[Route], now: list[VRP], then: list[VRP], listed: bool) -> None:
    vrp_set = set_of(*now)
    table, held = table_of(vrp_set, routes)
    vrp_set.defer(defer=True)
    pending = vrp_set.replace(0, packed(then))
    question = TableWhatIf(table, View(vrp_set, due=True), pending if listed else None, covers=True)
    check(table, question, held, set(now), set(then))


def test_without_a_usable_set_nothing_would_change_but_by_another_one() -> None:
    vrp = VRP("192.0.2.0/24", 24, 64500)
    vrp_set = VRPSet()
    table, _ = table_of(vrp_set, [("192.0.2.0/24", 64501, 0)])
    question = TableWhatIf(table, View(vrp_set, and_with=set_of(vrp)))
    assert not question.work(10)
    assert question.counts().moved == {}
    question = TableWhatIf(table, View(and_with=set_of(vrp)))
    assert not question.work(10)
    assert question.counts().moved == {("unverified", "invalid"): 1}


def test_routes_that_find_no_room_are_counted() -> None:
    vrp_set = set_of()
    table, _ = table_of(vrp_set, [(f"10.0.{i}.0/24", 64500, 0) for i in range(9)])
    question = TableWhatIf(table, View(vrp_set, and_with=set_of(VRP("10.0.0.0/8", 24, 64501))))
    rows, more = question.rows(100, 4)
    assert (len(rows), more, question.counts().newly_invalid) == (4, False, 9)
