"""The audit of a BIRD that says what it is told to: every route is judged as RFC 6811 says, however tables look."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.bird import audit
from rtrd.bird.replies import BirdError, Line
from rtrd.bird.tables import Protocol
from rtrlib.vrp import VRP
from tests.lab.rfc6811 import validity
from tests.lab.strategies import prefixes, vrps
from tests.lab.vrp_sets import packed, set_of

ONE = [Protocol("up", "BGP", "up", 65000, (("ipv4", "master4"), ("roa4", "r4")))]


class Said:
    """A BIRD whose one IP table and one ROA table hold these."""

    def __init__(self, routes: Sequence[tuple[str, int | None]], roas: Sequence[VRP] = ()) -> None:
        self.asked: list[str] = []
        self._routes = routes
        self._roas = roas

    def ask(self, command: str) -> Iterator[Line]:
        self.asked.append(command)
        if "r4" in command.rsplit(maxsplit=1)[-1][:2]:
            for vrp in self._roas:
                yield Line(1007, f"{vrp.prefix}-{vrp.max_length} AS{vrp.asn}  [x 07:00:00.000] * (100)", last=False)
        else:
            last = ""
            for prefix, origin in self._routes:
                shown = "" if prefix == last else prefix
                last = prefix
                yield Line(1007, f"{shown:<20} unreachable [up 07:00:00.000 from 192.0.2.1] * (100/-) [i]", last=False)
                path = "{1 2}" if origin is None else origin
                yield Line(1012, f"\tBGP.as_path: 64496 {path}", last=False)
        yield Line(0, "", last=True)


def audited(routes: Sequence[tuple[str, int | None]], *entries: VRP, most: int = 1000) -> audit.Audit:
    bird: Any = Said(routes)
    return audit.audit(bird, ONE, set_of(*entries), most=most)


def test_the_three_ways_of_an_invalid_route() -> None:
    vrp = VRP("192.0.2.0/24", 24, 64500)
    bad = ("192.0.2.0/25", 64501)
    for others, cover in (
        ([], "unreachable"),
        ([("192.0.2.0/24", 64501)], "unreachable"),
        ([("0.0.0.0/0", 1)], "covered-by-not-found"),
        ([("0.0.0.0/0", 1), ("192.0.2.0/24", 64500)], "covered-by-valid"),
    ):
        found = audited(sorted([bad, *others]), vrp)
        assert [one.cover for one in found.invalid if one.prefix == bad[0]] == [cover]
        assert found.covers[cover] >= 1


def test_several_routes_of_one_prefix_are_each_judged() -> None:
    found = audited(
        [("192.0.2.0/24", 64500), ("192.0.2.0/24", 64501), ("192.0.2.0/24", None)], VRP("192.0.2.0/24", 24, 64500)
    )
    assert found.routes == {"valid": 1, "not-found": 0, "invalid": 2}
    assert {(one.origin_as, one.cover) for one in found.invalid} == {
        (64501, "covered-by-valid"),
        (None, "covered-by-valid"),
    }


def test_all_are_counted_and_as_many_told_as_were_asked_for() -> None:
    routes = [(f"10.{i >> 8}.{i & 255}.0/24", 64501) for i in range(10_000)]
    found = audited(routes, VRP("10.0.0.0/8", 8, 64500), most=7)
    assert (found.routes["invalid"], len(found.invalid)) == (10_000, 7)


def test_a_prefix_that_is_none_ends_the_audit() -> None:
    with pytest.raises(BirdError, match="1 entries of master4 are not prefixes"):
        audited([("192.0.2.1/24", 1)])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(prefixes(), st.none() | st.integers(64500, 64503)), max_size=20), st.lists(vrps(), max_size=10)
)
def test_every_route_is_what_rfc_6811_says(routes: list[tuple[str, int | None]], entries: list[VRP]) -> None:
    ordered = sorted(routes, key=lambda one: (ipaddress.ip_network(one[0]).version, one[0]))
    found = audited(ordered, *entries)
    wanted = [validity(entries, prefix, origin) for prefix, origin in ordered]
    assert found.routes == {word: wanted.count(word) for word in ("valid", "not-found", "invalid")}
    assert len(found.invalid) == wanted.count("invalid")
    assert sum(found.covers.values()) == wanted.count("invalid")


@settings(deadline=None)  # a loaded machine is no fault
@given(st.lists(vrps(), max_size=10), st.lists(vrps(), max_size=10))
def test_check_is_the_difference_of_two_sets(ours: list[VRP], theirs: list[VRP]) -> None:
    bird: Any = Said((), theirs)
    found = audit.check(bird, ONE, packed(ours))
    same = {(one.prefix, one.max_length, one.asn) for one in ours} == {
        (one.prefix, one.max_length, one.asn) for one in theirs
    }
    assert set(found.missing) == set(ours) - set(theirs)
    assert set(found.extra) == set(theirs) - set(ours)
    assert found.same == same
