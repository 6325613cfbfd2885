"""Callbacks of a manager with a thread of its own: in order, never on librtr's threads, and free to do anything."""

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rtrlib import (
    ManagerGroup,
    ManagerGroupStatus,
    PFXRecord,
    PfxvState,
    RTRManager,
    RTRSocket,
    RTRSocketState,
    SyncTimeout,
)
from tests.lab.rtr_caches import ONE, THREE, TWO, Heard, MakeStayRTR, manager_of, vrp_of
from tests.lab.stayrtr import VRP, StayRTR
from tests.lab.wait import SECONDS, wait_until


def boxed(cache: StayRTR, update: Callable[[PFXRecord, bool, Any], None]) -> RTRManager:
    """A manager whose callback finds it in its data, a list."""
    box: list[RTRManager] = []
    box.append(RTRManager("127.0.0.1", cache.port, pfx_update_callback=update, pfx_update_callback_data=box))
    return box[0]


def test_states_are_told_in_order_each_as_it_was(cache: StayRTR) -> None:
    told = []

    def status(group: ManagerGroup, group_status: ManagerGroupStatus, socket: RTRSocket, _data: Any) -> None:
        told.append((group.status, group_status, socket.state, socket in group.sockets))

    with RTRManager("127.0.0.1", cache.port, status_callback=status):
        pass
    assert all(of_group is given and known for of_group, given, _, known in told)
    assert [state for *_, state, _ in told if state is not RTRSocketState.RESET] == [
        RTRSocketState.CONNECTING,
        RTRSocketState.CONNECTING,
        RTRSocketState.SYNC,
        RTRSocketState.ESTABLISHED,
        RTRSocketState.ESTABLISHED,
        RTRSocketState.SHUTDOWN,
    ]
    assert [told[0][0], told[1][0], told[-2][0], told[-1][0]] == [
        ManagerGroupStatus.CLOSED,
        ManagerGroupStatus.CONNECTING,
        ManagerGroupStatus.ESTABLISHED,
        ManagerGroupStatus.CLOSED,
    ]


def test_every_method_works_inside_a_callback(cache: StayRTR, isolated: bool) -> None:
    box: list[RTRManager] = []
    results: list[Any] = []
    done = threading.Event()

    def ask(*_: Any) -> None:
        manager = box[0]
        if results or not manager.is_synced():
            return
        records: list[VRP] = []
        manager.wait_for_sync(0)
        manager.start(timeout=0)
        manager.for_each_ipv4_record(lambda record, data: data.append(vrp_of(record)), records)
        manager.for_each_ipv6_record(lambda record, data: data.append(vrp_of(record)), records)
        results.extend(
            [
                manager.validate(64500, "192.0.2.0", 24).state,
                manager.validate_many([(64501, "192.0.2.0", 24)]),
                records,
                [*map(vrp_of, manager.ipv4_records()), *map(vrp_of, manager.ipv6_records())],
                [group.status for group in manager.groups()],
            ]
        )
        done.set()

    manager = manager_of(cache, status_callback=ask, isolated=isolated)
    box.append(manager)
    with manager:
        assert done.wait(SECONDS)
    assert results == [PfxvState.valid, [PfxvState.invalid], [ONE, TWO], [ONE, TWO], [ManagerGroupStatus.ESTABLISHED]]


def test_in_a_removal_callback_the_vrp_is_gone(cache: StayRTR) -> None:
    """librtr's own table is locked there: a validate ends in a hang."""
    states = []
    heard = Heard()

    def update(record: PFXRecord, added: bool, data: Any) -> None:
        states.append((vrp_of(record), added, data[0].validate(record.asn, record.prefix, record.min_len).state))
        heard.update(record, added, None)

    manager = boxed(cache, update)
    with manager:
        cache.serve([TWO])
        heard.wait(lambda: heard.records == {ONE: False, TWO: True})
    assert (ONE, True, PfxvState.valid) in states
    assert (ONE, False, PfxvState.not_found) in states
    assert states[-1] == (TWO, False, PfxvState.not_found), "told by stop, when nothing is in force any more"


def test_stop_inside_a_callback_is_a_stop(cache: StayRTR) -> None:
    stopped = threading.Event()

    def stop(_record: PFXRecord, added: bool, data: Any) -> None:
        if added:
            data[0].stop()
            assert not data[0].is_synced()
            assert data[0].validate(*ONE[2:], "192.0.2.0", 24).not_found
            assert list(data[0].ipv4_records()) == []
            stopped.set()

    manager = boxed(cache, stop)
    manager.start(wait=False)
    assert stopped.wait(SECONDS)
    assert not manager.is_synced()
    assert all(group.status is ManagerGroupStatus.CLOSED for group in manager.groups())
    with pytest.raises(SyncTimeout, match="not started"):
        manager.wait_for_sync()


def test_stop_and_start_inside_a_callback_wait_for_sync_there(cache: StayRTR) -> None:
    heard = Heard()
    box: list[RTRManager] = []
    restarted: list[object] = []

    def status(group: ManagerGroup, group_status: ManagerGroupStatus, socket: RTRSocket, data: Any) -> None:
        heard.status(group, group_status, socket, data)
        if group_status is ManagerGroupStatus.ESTABLISHED and not restarted:
            restarted.append(threading.current_thread().name)
            box[0].stop()
            box[0].start(timeout=SECONDS)
            restarted.append(box[0].is_synced())

    manager = RTRManager("127.0.0.1", cache.port, status_callback=status, pfx_update_callback=heard.update)
    box.append(manager)
    manager.start(wait=False)
    heard.wait(lambda: [told for _, told, *_ in heard.statuses].count(ManagerGroupStatus.ESTABLISHED) == 2)
    manager.wait_for_sync(SECONDS)
    assert restarted == ["rtrlib", True]
    assert heard.threads == {"rtrlib"}
    assert heard.records == {ONE: True, TWO: True}
    manager.stop()
    assert heard.records == {ONE: False, TWO: False}


def test_what_fails_in_a_callback_is_logged_with_its_trace(cache: StayRTR, caplog: pytest.LogCaptureFixture) -> None:
    def fails(record: PFXRecord, added: bool, _data: Any) -> None:
        if not added:
            sys.exit("no reason to go on")
        raise LookupError(f"nothing known of {record}")

    manager = RTRManager("127.0.0.1", cache.port, pfx_update_callback=fails)
    with caplog.at_level(logging.ERROR, "rtrlib"), manager:
        assert manager.is_synced()
    assert ["in fails" in str(record.exc_text) for record in caplog.records] == [True, True, False, False]
    assert "pfx_update_callback raised LookupError 2 times so far" in caplog.text
    assert "pfx_update_callback raised SystemExit 2 times so far" in caplog.text
    assert "LookupError: nothing known of 192.0.2.0/24-24 64500" in caplog.text
    assert "SystemExit: no reason to go on" in caplog.text


def test_a_callback_that_takes_its_time_holds_up_no_failover(cache: StayRTR, stayrtr: MakeStayRTR) -> None:
    backup = stayrtr(THREE, name="backup")
    entered, leave, told = threading.Event(), threading.Event(), []

    def slow(record: PFXRecord, added: bool, _data: Any) -> None:
        entered.set()
        assert leave.wait(SECONDS)
        told.append((vrp_of(record), added))

    manager = manager_of(cache, backup, pfx_update_callback=slow)
    try:
        manager.start(wait=False)
        assert entered.wait(SECONDS)
        assert not manager.is_synced(), "not before the callbacks know"
        cache.kill()
        wait_until(lambda: manager.active_group is manager.groups()[1], "the failover")
        assert manager.validate(THREE[2], "198.51.100.0", 22).is_valid
        leave.set()
        manager.wait_for_sync(SECONDS)
    finally:
        leave.set()
        manager.stop()
    net = {one: sum(1 if added else -1 for which, added in told if which == one) for one in (ONE, TWO, THREE)}
    assert net == {ONE: 0, TWO: 0, THREE: 0}
    assert [added for which, added in told if which == ONE] == [True, False]


def test_records_stay_what_they_were_after_everything(cache: StayRTR) -> None:
    kept = []
    manager = RTRManager("127.0.0.1", cache.port, pfx_update_callback=lambda one, added, _: kept.append((one, added)))
    with manager:
        pass
    assert sorted((str(record), added) for record, added in kept) == [
        ("192.0.2.0/24-24 64500", False),
        ("192.0.2.0/24-24 64500", True),
        ("2001:db8::/32-48 64501", False),
        ("2001:db8::/32-48 64501", True),
    ]
    assert {(one.socket.host, one.socket.port) for one, _ in kept if one.socket} == {("127.0.0.1", cache.port)}
    assert kept[0][0].socket is manager.groups()[0].sockets[0]


def test_a_manager_that_nobody_holds_lets_go(cache: StayRTR) -> None:
    manager = RTRManager("127.0.0.1", cache.port)
    manager.start(timeout=SECONDS)
    (thread,) = [one for one in threading.enumerate() if one.name == "rtrlib caches"]
    del manager
    thread.join(SECONDS)
    assert not thread.is_alive()
