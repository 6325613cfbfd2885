"""Lists of the VRPs in force: as of one moment however slowly they are read, or one that says that it is not."""

import asyncio
from collections.abc import Iterator

import pytest

from rtrd.vrps import listing
from rtrd.vrps.listing import Listing, Listings
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet
from tests.lab.vrp_sets import set_of

OLD = [VRP(f"10.{n >> 8}.{n & 255}.0/24", 24, 64500) for n in range(5000)]
NEW = [VRP("192.0.2.0/24", 24, 64501)]


def change(vrp_set: VRPSet, vrps: list[VRP]) -> None:
    vrp_set.replace(0, b"".join(map(pack, vrps)))


def rest(items: Iterator[object]) -> set[VRP]:
    return {found.vrp for found in items if found is not None}  # type: ignore[attr-defined]


def test_a_list_is_of_one_moment_whatever_comes_into_force_while_it_is_read() -> None:
    vrp_set = set_of(*OLD)
    taken = asyncio.run(Listings(vrp_set).take())
    items = iter(taken)
    first = next(items)
    change(vrp_set, NEW)
    assert rest(items) | ({first.vrp} if first else set()) == set(OLD)
    assert taken.one_moment


def test_who_asks_for_the_same_gets_the_same_and_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST", 1)
    vrp_set = set_of(*OLD)
    listings = Listings(vrp_set)

    async def take(prefix: str | None = None) -> Listing:
        return await listings.take(prefix)

    async def together() -> list[Listing]:
        return await asyncio.gather(*(take() for _ in range(5)))

    assert len(set(asyncio.run(together()))) == 1
    kept = asyncio.run(take())
    assert asyncio.run(take()) is kept
    change(vrp_set, NEW)
    live = asyncio.run(take())
    assert rest(iter(live)) == set(NEW)
    assert live.one_moment, "nothing came into force while it was read"
    items = iter(live)
    next(items)
    change(vrp_set, OLD)
    assert not live.one_moment
    assert rest(iter(kept)) == set(OLD)
    del kept
    assert asyncio.run(take()) is not live
    assert rest(iter(asyncio.run(take("10.0.0.0/22")))) == set(OLD[:4])
    assert rest(iter(asyncio.run(take("10.0.0.0/25")))) == set(OLD[:1])


def test_where_vrps_come_into_force_all_the_time_a_list_says_that_it_is_not_of_one_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtrd.base.turn.TURN", 0)
    vrp_set = set_of(*OLD)

    async def story() -> Listing:
        async def churn() -> None:
            for n in range(100_000):
                change(vrp_set, [*OLD, VRP("192.0.2.0/24", 24, n)])
                await asyncio.sleep(0)

        churning = asyncio.create_task(churn())
        taken = await Listings(vrp_set).take()
        churning.cancel()
        return taken

    taken = asyncio.run(story())
    change(vrp_set, OLD)
    assert rest(iter(taken)) == set(OLD)
    assert not taken.one_moment
