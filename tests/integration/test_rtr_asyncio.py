"""A manager in an event loop: wait for sync, and the changes as they come."""

import asyncio
from typing import Any

import pytest

from rtrlib import ManagerGroupStatus, StatusChange, SyncTimeout, VRPChange
from tests.lab.rtr_caches import ONE, THREE, TWO, MakeStayRTR, manager_of, vrp_of
from tests.lab.stayrtr import VRP, StayRTR
from tests.lab.wait import SECONDS


@pytest.fixture
def caches(stayrtr: MakeStayRTR) -> tuple[StayRTR, StayRTR]:
    return stayrtr(ONE, TWO, name="primary"), stayrtr(TWO, THREE, name="backup")


class Mirror:
    """Reads changes until what they add up to is as wanted."""

    def __init__(self, changes: Any) -> None:
        self.held: set[VRP] = set()
        self.states: list[tuple[int, ManagerGroupStatus]] = []
        self._changes = changes

    async def until(self, *wanted: VRP) -> None:
        async with asyncio.timeout(SECONDS):
            while self.held != set(wanted):
                change = await anext(self._changes)
                if isinstance(change, VRPChange):
                    one = vrp_of(change.record)
                    assert (one in self.held) is not change.added
                    self.held ^= {one}
                elif isinstance(change, StatusChange):
                    self.states.append((change.group.preference, change.status))


async def test_changes_through_failovers_again_and_again(caches: tuple[StayRTR, StayRTR]) -> None:
    primary, backup = caches
    manager = manager_of(primary, backup)
    mirror = Mirror(manager.changes())
    manager.start(wait=False)
    try:
        await manager.wait_synced(SECONDS)
        await mirror.until(ONE, TWO)
        for _ in range(2):
            primary.kill()
            await mirror.until(TWO, THREE)
            primary.start()
            await mirror.until(ONE, TWO)
        primary.serve([ONE, THREE])
        await mirror.until(ONE, THREE)
    finally:
        manager.stop()
    assert (1, ManagerGroupStatus.ESTABLISHED) in mirror.states
    assert [change async for change in mirror._changes if isinstance(change, VRPChange)] == []


async def test_a_slow_reader_is_told_what_it_amounts_to(caches: tuple[StayRTR, StayRTR]) -> None:
    primary, _ = caches
    manager = manager_of(primary)
    changes, watch = manager.changes(), Mirror(manager.changes())
    manager.start(wait=False)
    try:
        await watch.until(ONE, TWO)
        primary.serve([TWO, THREE])
        await watch.until(TWO, THREE)
        await Mirror(changes).until(TWO, THREE)
    finally:
        await asyncio.to_thread(manager.stop)


async def test_waiting_for_a_sync_that_does_not_come(caches: tuple[StayRTR, StayRTR]) -> None:
    primary, backup = caches
    primary.kill()
    backup.kill()
    manager = manager_of(primary, backup)
    with pytest.raises(SyncTimeout, match="not started"):
        await manager.wait_synced()
    manager.start(wait=False)
    with pytest.raises(SyncTimeout, match=r"within 0\.05 seconds"):
        await manager.wait_synced(0.05)
    waiting = [asyncio.create_task(manager.wait_synced()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    await asyncio.to_thread(manager.stop)
    with pytest.raises(SyncTimeout, match="was stopped"):
        await waiting[1]


async def test_readers_that_are_dropped_cost_nothing(caches: tuple[StayRTR, StayRTR]) -> None:
    manager = manager_of(caches[0])
    kept = manager.changes()
    manager.changes()
    manager.start(wait=False)
    await manager.wait_synced(SECONDS)
    assert list(manager._readers) == [kept]
    manager.stop()
