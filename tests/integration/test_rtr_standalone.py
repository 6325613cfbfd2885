"""The manager with a thread of its own: start, wait, callbacks, stop."""

from __future__ import annotations

import logging

import pytest

from rtrlib import CacheGroup, ManagerGroupStatus, PfxvState, RTRInitError, RTRManager, SyncTimeout, TCPServer
from tests.lab.rtr_caches import ONE, SECONDS, THREE, TWO, Heard, InForce, StayRTR, serving


@pytest.fixture
def cache(tmp_path):
    with serving(tmp_path, ONE, TWO) as cache:
        yield cache


def test_start_waits_and_callbacks_tell_what_changes(cache):
    heard = Heard()
    manager = RTRManager(
        "127.0.0.1",
        cache.port,
        status_callback=heard.status,
        status_callback_data="s",
        pfx_update_callback=heard.update,
        pfx_update_callback_data="p",
    )
    assert not manager.is_synced()
    manager.start(timeout=SECONDS)
    with manager:
        assert manager.is_synced()
        assert heard.records == {ONE: True, TWO: True}
        cache.serve(TWO, THREE)
        heard.wait(lambda: heard.records == {ONE: False, TWO: True, THREE: True})
        heard.wait(lambda: (1, ManagerGroupStatus.ESTABLISHED, cache.port, "s") in heard.statuses)
        assert (heard.threads, heard.data) == ({"rtrlib"}, {"p"})
    assert not manager.is_synced()
    assert heard.records == {ONE: False, TWO: False, THREE: False}, "stop tells that everything went"
    assert heard.statuses[-1] == (1, ManagerGroupStatus.CLOSED, cache.port, "s")


def test_a_cache_that_is_not_there_times_out_and_is_found_later(cache):
    cache.kill()
    manager = RTRManager("127.0.0.1", cache.port, retry_interval=1)
    with pytest.raises(SyncTimeout, match=r"within 0\.1 seconds"):
        manager.start(timeout=0.1)
    with manager:
        assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.not_found
        cache.start()
        manager.wait_for_sync(SECONDS)
        assert manager.validate(64500, "192.0.2.0", 24) == PfxvState.valid


def test_a_failover_to_the_same_vrps_calls_nobody(cache, tmp_path):
    backup = StayRTR(tmp_path, "backup")
    backup.serve(ONE, TWO)
    backup.start()
    servers = [TCPServer("127.0.0.1", port) for port in (cache.port, backup.port)]
    heard, calls = Heard(), []
    manager = RTRManager(
        groups=[CacheGroup(i, [server]) for i, server in enumerate(servers)],
        status_callback=heard.status,
        pfx_update_callback=lambda *change: calls.append(change),
    )
    try:
        manager.start(timeout=SECONDS)
        with manager:
            assert len(calls) == 2
            cache.kill()
            heard.wait(lambda: (1, ManagerGroupStatus.ESTABLISHED, backup.port, None) in heard.statuses)
            assert manager.active_group is manager.groups()[1]
            assert len(calls) == 2
    finally:
        backup.kill()


def test_an_exception_in_a_callback_is_logged_and_stops_nothing(cache, caplog):
    def fails(record, _added, _data):
        raise LookupError(f"nothing known of {record}")

    manager = RTRManager("127.0.0.1", cache.port, pfx_update_callback=fails)
    with caplog.at_level(logging.ERROR, "rtrlib"):
        manager.start(timeout=SECONDS)
        assert manager.is_synced()
        manager.stop()
    assert "LookupError: nothing known of 192.0.2.0/24-24 64500" in caplog.text


def test_misuse_is_said(cache):
    with pytest.raises(RTRInitError, match="a host and a port, or groups"):
        RTRManager()
    with pytest.raises(RTRInitError, match="but not both"):
        RTRManager("127.0.0.1", cache.port, groups=[CacheGroup(1, [TCPServer("127.0.0.1", cache.port)])])
    manager = RTRManager("127.0.0.1", cache.port)
    with pytest.raises(SyncTimeout, match="not started"):
        manager.wait_for_sync()


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "threads"])
def test_failover_and_return_again_and_again_and_a_restart(cache, tmp_path, isolated):
    backup = StayRTR(tmp_path, "backup")
    backup.serve(TWO, THREE)
    backup.start()
    servers = [TCPServer("127.0.0.1", port) for port in (cache.port, backup.port)]
    heard = Heard()
    manager = RTRManager(
        groups=[CacheGroup(i, [server]) for i, server in enumerate(servers)],
        retry_interval=1,
        pfx_update_callback=heard.update,
        isolated=isolated,
    )
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
        backup.kill()


def test_caches_of_a_group_count_together(cache, tmp_path):
    other = StayRTR(tmp_path, "other")
    other.serve(TWO, THREE)
    other.start()
    heard = Heard()
    servers = [TCPServer("127.0.0.1", port) for port in (cache.port, other.port)]
    manager = RTRManager(groups=[CacheGroup(1, servers)], pfx_update_callback=heard.update)
    try:
        with manager:
            heard.wait(lambda: heard.in_force == {ONE, TWO, THREE})
            one, two = manager.groups()[0].sockets
            records = [*manager.ipv4_records(), *manager.ipv6_records()]
            sources = {
                (f"{record.prefix}/{record.min_len}", record.max_len, record.asn): record.socket for record in records
            }
            assert sources == {ONE: one, TWO: one, THREE: two}
            assert len(records) == 3
            (reason,) = manager.validate(TWO[2], "2001:db8::", 32).reason
            assert reason.record.socket is one
            (reason,) = manager.validate(1, "198.51.100.0", 22).reason
            assert reason.record.socket is two
            cache.serve(ONE)
            other.serve(THREE)
            heard.wait(lambda: heard.in_force == {ONE, THREE})
    finally:
        other.kill()


def test_a_listing_is_of_one_moment(cache):
    """The cache changes between two sets while they are listed: never a mixture, however slowly one reads."""
    odd = [(f"10.{n}.0.0/16", 16, 64500) for n in range(0, 200, 2)]
    even = [(f"10.{n}.0.0/16", 16, 64500) for n in range(1, 200, 2)]
    cache.serve(*odd)
    heard = Heard()
    manager = RTRManager("127.0.0.1", cache.port, pfx_update_callback=heard.update)
    with manager:
        heard.wait(lambda: heard.in_force == set(odd))
        begun = manager.ipv4_records()
        first = next(begun)
        cache.serve(*even)
        heard.wait(lambda: heard.in_force == set(even))
        assert {(f"{r.prefix}/{r.min_len}", r.max_len, r.asn) for r in (first, *begun)} == set(odd)
        assert {(f"{r.prefix}/{r.min_len}", r.max_len, r.asn) for r in manager.ipv4_records()} == set(even)
        assert list(manager.ipv6_records()) == []


def test_one_manager_is_driven_by_one_loop(cache):
    manager = RTRManager("127.0.0.1", cache.port)
    with manager, pytest.raises(RTRInitError, match="is started"):
        manager.open(InForce())
    manager.open(InForce())
    with pytest.raises(RTRInitError, match="in a loop of the caller's"):
        manager.start()
    manager.close()
    manager.start(timeout=SECONDS)
    manager.stop()
