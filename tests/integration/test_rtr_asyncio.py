"""A manager in an event loop: wait for sync, and the changes as they come."""

import asyncio
from typing import Any

import pytest

from rtrlib import ManagerGroupStatus, RTRManager, Snapshot, StatusChange, Subscription, SyncTimeout, VRPChange
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
    assert manager._readers.listed() == [kept]
    manager.stop()


async def follow(items: Subscription, held: set[VRP], *wanted: VRP) -> None:
    """Keep a mirror until it is as wanted; a change that does not fit fails."""
    async with asyncio.timeout(SECONDS):
        while held != set(wanted):
            item = await anext(items)
            if isinstance(item, Snapshot):
                assert not held
                assert len(item.records) == len(set(item.records))
                held |= set(map(vrp_of, item.records))
            elif isinstance(item, VRPChange):
                assert (vrp_of(item.record) in held) is not item.added
                held ^= {vrp_of(item.record)}


@pytest.mark.parametrize("engine", ["native", "librtr"])
async def test_a_subscription_begins_with_all_and_follows(caches: tuple[StayRTR, StayRTR], engine: Any) -> None:
    primary, backup = caches
    manager = manager_of(primary, backup, engine=engine, sync_timeout=SECONDS)
    early, early_held = manager.subscribe(), set[VRP]()
    first = await anext(early)
    assert isinstance(first, Snapshot)
    assert (len(first.records), list(first.router_keys)) == (0, [])
    async with manager:
        late, late_held = manager.subscribe(), set[VRP]()
        async with manager:  # the outer one started it
            await follow(late, late_held, ONE, TWO)
        assert manager.is_synced()
        await follow(early, early_held, ONE, TWO)
        primary.kill()
        await asyncio.gather(follow(late, late_held, TWO, THREE), follow(early, early_held, TWO, THREE))
        waiting = asyncio.create_task(anext(late))
        await asyncio.sleep(0)
        waiting.cancel()
        primary.start()
        await asyncio.gather(follow(late, late_held, ONE, TWO), follow(early, early_held, ONE, TWO))
        assert {vrp_of(record) for record in manager} == late_held
        dropped = manager.subscribe()
        del dropped
    async with asyncio.timeout(SECONDS):
        assert not [item async for item in late if isinstance(item, VRPChange | Snapshot)], "it ends"
        assert not [item async for item in early if isinstance(item, VRPChange | Snapshot)]
    assert not manager.is_synced()
    again = manager.subscribe()
    assert isinstance(await anext(again), Snapshot)


async def test_astart_and_with_say_when_nothing_comes() -> None:
    manager = RTRManager("127.0.0.1", 1, sync_timeout=0.1)
    with pytest.raises(SyncTimeout):
        async with manager:
            raise AssertionError
    assert not manager.groups()[0].sockets[0].in_sync
    with pytest.raises(SyncTimeout):
        await manager.astart(timeout=0.1)
    await manager.astop()
    await manager.astop()
    task = asyncio.create_task(manager.astart(timeout=None))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await manager.astop()
