"""The demo's small internet, its own RFC 6811, and its table."""

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.report import WIDTH, Row, sample, summary, table
from rtrd.demo.routes import Route, internet, validity

VRPS = [VRP("192.0.2.0/24", 25, 64500), VRP("198.51.100.0/24", 24, 0), VRP("::/0", 32, 64500)]


@pytest.mark.parametrize(
    ("prefix", "path", "path_set", "expected"),
    [
        ("192.0.2.0/24", (64496, 64500), (), "valid"),
        ("192.0.2.128/25", (64496, 64500), (), "valid"),
        ("192.0.2.0/26", (64496, 64500), (), "invalid"),
        ("192.0.2.0/24", (64500, 64501), (), "invalid"),
        ("192.0.2.0/24", (64496, 64500), (64500,), "invalid"),
        ("192.0.0.0/16", (64496, 64500), (), "not-found"),
        ("198.51.100.0/24", (0,), (), "invalid"),
        ("203.0.113.0/24", (64496, 64500), (64500,), "not-found"),
        ("2001:db8::/32", (64496, 64500), (), "valid"),
        ("2001:db8::/33", (64496, 64500), (), "invalid"),
    ],
)
def test_validity_is_rfc_6811s(prefix: str, path: tuple[int, ...], path_set: tuple[int, ...], expected: str) -> None:
    assert validity(Route(prefix=prefix, next_hop="192.0.2.1", path=path, path_set=path_set), VRPS) == expected


def test_the_small_internet_has_every_kind_of_route_in_both_families() -> None:
    world = internet()
    kinds = {(validity(route, world.vrps), ":" in route.prefix) for route in world.routes}
    assert kinds == {(state, v6) for state in ("valid", "invalid", "not-found") for v6 in (True, False)}
    assert 200 < len(world.routes) < 1000
    assert len({route.prefix for route in world.routes}) == len(world.routes)
    assert any(route.path_set for route in world.routes)
    assert any(route.path[-1] == route.path[-2] for route in world.routes)
    assert internet() == world


def test_a_route_is_written_as_exabgp_reads_it() -> None:
    route = Route(
        prefix="192.0.2.0/24",
        next_hop="192.0.2.1",
        path=(64496, 64500),
        path_set=(64501, 64502),
        communities=frozenset({(64496, 2), (64496, 1)}),
        large_communities=frozenset({(1, 2, 3)}),
        med=0,
    )
    assert route.exabgp() == (
        "route 192.0.2.0/24 next-hop 192.0.2.1 "
        "attribute [ 0x02 0x40 0x02020000fbf00000fbf401020000fbf50000fbf6 ] med 0 "
        "community [ 64496:1 64496:2 ] large-community [ 1:2:3 ]"
    )


def row(number: int, validity: str = "valid", fault: str | None = None) -> Row:
    return Row(
        prefix=f"2001:db8:ffff:{number:x}::/64" if number % 2 else f"198.18.{number}.0/24",
        origin_as=None if number % 5 == 0 else 4294967295,
        validity=validity,
        reason="length: " + "x" * number,
        decision="announce",
        received="valid + 3 comm." * (number % 7),
        fault=fault,
    )


def test_no_line_is_wider_than_a_terminal() -> None:
    lines = table([row(number) for number in range(200)])
    assert max(len(line) for line in lines) <= WIDTH
    assert len(lines) == 202


def test_a_sample_shows_every_validity() -> None:
    rows = [row(number) for number in range(100)] + [row(101, "invalid"), row(102, "not-found")]
    shown = sample(rows, 24)
    assert len(shown) == 24
    assert {each.validity for each in shown} == {"valid", "invalid", "not-found"}
    assert sample(rows[:3], 24) == rows[:3]


def test_the_summary_counts_what_is_right() -> None:
    lines = summary([row(2), row(4, fault="no tag"), row(6, "invalid")])
    assert len(lines) == 2
    assert "2 routes" in lines[0]
    assert "1 right" in lines[0]
