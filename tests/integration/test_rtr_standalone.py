"""The manager with a thread of its own: start, wait, callbacks, stop."""

import threading
from typing import Any

import pytest

from rtrlib import CacheGroup, ManagerGroupStatus, PfxvState, RTRInitError, RTRManager, SyncTimeout, TCPServer
from tests.lab.rtr_caches import ONE, THREE, TWO, Heard, InForce, MakeStayRTR, manager_of, vrp_of
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS


def test_start_waits_and_callbacks_tell_what_changes(cache: StayRTR) -> None:
    heard = Heard()
    manager = RTRManager(
        "127.0.0.1",
        cache.port,
        status_callback=heard.status,
        status_callback_data="s",
        pfx_update_callback=heard.update,
        pfx_update_callback_data="p",
        sync_timeout=SECONDS,
    )
    assert not manager.is_synced()
    with manager:
        assert manager.is_synced()
        assert heard.records == {ONE: True, TWO: True}
        cache.serve([TWO, THREE])
        heard.wait(lambda: heard.records == {ONE: False, TWO: True, THREE: True})
        heard.wait(lambda: (1, ManagerGroupStatus.ESTABLISHED, cache.port, "s") in heard.statuses)
        assert (heard.threads, heard.data) == ({"rtrlib"}, {"p"})
    assert not manager.is_synced()
    assert heard.records == {ONE: False, TWO: False, THREE: False}, "stop tells that everything went"
    assert heard.statuses[-1] == (1, ManagerGroupStatus.CLOSED, cache.port, "s")


def test_a_cache_that_is_not_there_times_out_and_is_found_later(cache: StayRTR) -> None:
    cache.kill()
    manager = RTRManager("127.0.0.1", cache.port, retry_interval=1, sync_timeout=SECONDS)
    with pytest.raises(SyncTimeout, match=r"within 0\.1 seconds"):
        manager.start(timeout=0.1)
    assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.not_found
    cache.start()
    with manager:  # it is started already: this waits, and does not stop it
        assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.valid
    assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.valid
    manager.stop()


@pytest.mark.parametrize("engine", ["librtr", "native"])
def test_nobody_inside_of_a_with_asks_an_empty_table(cache: StayRTR, engine: Any) -> None:
    manager = RTRManager("127.0.0.1", cache.port, engine=engine, sync_timeout=SECONDS)
    seen: list[tuple[bool, PfxvState]] = []

    def ask() -> None:
        with manager:
            seen.append((manager.is_synced(), manager.validate(64500, "192.0.2.0", 24).state))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(True, PfxvState.valid)] * 6
    assert not manager.is_synced(), "the last one stopped it"


def test_a_with_inside_that_waits_in_vain_stops_nothing(cache: StayRTR) -> None:
    cache.kill()
    manager = RTRManager("127.0.0.1", cache.port, retry_interval=1, sync_timeout=0.1)
    manager.start(wait=False)
    with pytest.raises(SyncTimeout, match=r"within 0\.1 seconds"), manager:
        pass
    cache.start()
    manager.wait_for_sync(SECONDS)
    manager.stop()


def test_a_failover_to_the_same_vrps_calls_nobody(cache: StayRTR, stayrtr: MakeStayRTR) -> None:
    backup = stayrtr(ONE, TWO, name="backup")
    heard = Heard()
    calls: list[tuple[object, ...]] = []
    manager = manager_of(
        cache,
        backup,
        status_callback=heard.status,
        pfx_update_callback=lambda *it: calls.append(it),
        sync_timeout=SECONDS,
    )
    with manager:
        assert len(calls) == 2
        cache.kill()
        heard.wait(lambda: (1, ManagerGroupStatus.ESTABLISHED, backup.port, None) in heard.statuses)
        assert manager.active_group is manager.groups()[1]
        assert len(calls) == 2


def test_misuse_is_said(cache: StayRTR) -> None:
    with pytest.raises(RTRInitError, match="a host and a port, or groups"):
        RTRManager()
    with pytest.raises(RTRInitError, match="but not both"):
        RTRManager("127.0.0.1", cache.port, groups=[CacheGroup(1, [TCPServer("127.0.0.1", cache.port)])])
    manager = RTRManager("127.0.0.1", cache.port)
    with pytest.raises(SyncTimeout, match="not started"):
        manager.wait_for_sync()


def test_failovers_and_returns_and_a_restart(cache: StayRTR, stayrtr: MakeStayRTR, isolated: bool) -> None:
    backup = stayrtr(TWO, THREE, name="backup")
    heard = Heard()
    manager = manager_of(cache, backup, pfx_update_callback=heard.update, isolated=isolated)
    try:
        for _ in range(2):
            manager.start(timeout=SECONDS)
            for _ in range(2):
                heard.wait(lambda: heard.in_force == {ONE, TWO})
                assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.valid
                assert manager.active_group is manager.groups()[0]
                cache.kill()
                heard.wait(lambda: heard.in_force == {TWO, THREE})
                assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.not_found
                assert manager.validate(THREE[2], "198.51.100.0", 24) == PfxvState.valid
                cache.start()
            heard.wait(lambda: heard.in_force == {ONE, TWO})
            manager.stop()
            assert heard.in_force == set()
    finally:
        manager.stop()


def test_caches_of_a_group_count_together(cache: StayRTR, stayrtr: MakeStayRTR) -> None:
    other = stayrtr(TWO, THREE, name="other")
    heard = Heard()
    with manager_of([cache, other], pfx_update_callback=heard.update) as manager:
        heard.wait(lambda: heard.in_force == {ONE, TWO, THREE})
        one, two = manager.groups()[0].sockets
        records = [*manager.ipv4_records(), *manager.ipv6_records()]
        assert {vrp_of(record): record.socket for record in records} == {ONE: one, TWO: one, THREE: two}
        assert len(records) == 3
        (reason,) = manager.validate(TWO[2], "2001:db8::", 32).reason
        assert reason.record.socket is one
        (reason,) = manager.validate(1, "198.51.100.0", 22).reason
        assert reason.record.socket is two
        cache.serve([ONE])
        other.serve([THREE])
        heard.wait(lambda: heard.in_force == {ONE, THREE})


def test_a_listing_is_of_one_moment(cache: StayRTR) -> None:
    """The cache changes between two sets while they are listed: never a mixture, however slowly one reads."""
    odd = [(f"10.{n}.0.0/16", 16, 64500) for n in range(0, 200, 2)]
    even = [(f"10.{n}.0.0/16", 16, 64500) for n in range(1, 200, 2)]
    cache.serve(odd)
    heard = Heard()
    manager = RTRManager("127.0.0.1", cache.port, pfx_update_callback=heard.update)
    with manager:
        heard.wait(lambda: heard.in_force == set(odd))
        begun = manager.ipv4_records()
        first = next(begun)
        cache.serve(even)
        heard.wait(lambda: heard.in_force == set(even))
        assert set(map(vrp_of, (first, *begun))) == set(odd)
        assert set(map(vrp_of, manager.ipv4_records())) == set(even)
        assert list(manager.ipv6_records()) == []


def test_one_manager_is_driven_by_one_loop(cache: StayRTR) -> None:
    manager = RTRManager("127.0.0.1", cache.port)
    with manager, pytest.raises(RTRInitError, match="is started"):
        manager.open(InForce())
    manager.open(InForce())
    with pytest.raises(RTRInitError, match="in a loop of the caller"):
        manager.start()
    manager.close()
    manager.start(timeout=SECONDS)
    manager.stop()
