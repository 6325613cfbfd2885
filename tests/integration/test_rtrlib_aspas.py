"""ASPAs for programs: what a manager with the native engine knows of them, and tells."""

import asyncio
import struct
from collections.abc import Iterator

import pytest

from rtrd.demo.caches import VRP
from rtrlib import ASPA, ASPAChange, RTRInitError, RTRManager, Snapshot
from tests.lab.faulty_cache import Connection, FaultyCache, raw

GOOD = VRP("192.0.2.0/24", 24, 64500)


def aspa(customer: int, *providers: int, announce: bool = True) -> bytes:
    body = struct.pack(f">{1 + len(providers)}I", customer, *providers)
    return raw(11, body, version=2, session=announce << 8)


async def two_then_a_change(router: Connection) -> None:
    await router.query()
    await router.send(router.begin(version=2), aspa(64496, 64497, 64498), aspa(64499, 0), router.end(version=2))
    router.cache.serial += 1
    await router.send(raw(0, struct.pack(">I", router.cache.serial), version=2, session=router.cache.session))
    await router.query()
    change = aspa(64496, 64498), aspa(64499, announce=False)
    await router.send(router.begin(version=2), *change, router.end(version=2))
    await router.read()


@pytest.fixture
def cache() -> Iterator[FaultyCache]:
    with FaultyCache([GOOD]) as cache:
        cache.break_with(two_then_a_change)
        yield cache


async def test_a_subscriber_is_told_all_and_then_what_changes(cache: FaultyCache) -> None:
    told: list[tuple[ASPA, bool]] = []
    manager = RTRManager(
        "127.0.0.1", cache.port, engine="native", aspa_update_callback=lambda aspa, added: told.append((aspa, added))
    )
    held: dict[int, tuple[int, ...]] = {}
    async with asyncio.timeout(20):
        await manager.astart(wait=False)
        async for item in manager.subscribe():
            if isinstance(item, Snapshot):
                held = {one.customer: one.providers for one in item.aspas}
            elif isinstance(item, ASPAChange):
                held.pop(item.record.customer, None)
                if item.added:
                    held[item.record.customer] = item.record.providers
            if held == {64496: (64498,)}:
                break
        assert manager.aspas() == [ASPA(64496, (64498,))]
        await manager.astop()
    assert told == [
        (ASPA(64496, (64497, 64498)), True),
        (ASPA(64499, (0,)), True),
        (ASPA(64496, (64498,)), True),
        (ASPA(64499, ()), False),
        (ASPA(64496, ()), False),
    ]
    assert manager.aspas() == []


def test_librtr_says_that_it_has_none() -> None:
    manager = RTRManager("127.0.0.1", 323)
    with pytest.raises(RTRInitError, match="librtr knows no ASPAs: they need engine='native'"):
        manager.aspas()
    with pytest.raises(RTRInitError, match="librtr knows no ASPAs"):
        RTRManager("127.0.0.1", 323, aspa_update_callback=print)


def test_a_limit_of_the_version_is_checked() -> None:
    with pytest.raises(RTRInitError, match="max_version"):
        RTRManager("127.0.0.1", 323, engine="native", max_version=3)
