"""The manager on real caches, with librtr in child processes and with its threads in this process."""

import contextlib
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from _rtrlib import lib
from rtrd.demo.lab import Lab
from rtrd.demo.ports import free_port
from rtrlib import CacheGroup, ManagerGroupStatus, RTRManager, RTRSocket, RTRSocketState, TCPServer, vrp
from rtrlib.cache import HUNG_AFTER, PING_EVERY
from tests.lab.programs import talk
from tests.lab.rtr_caches import (
    ONE,
    THREE,
    TWO,
    Cache,
    Clock,
    InForce,
    ScriptedCache,
    cache_response,
    end_of_data,
    error_report,
    manager_of,
    prefix_pdu,
    run,
)
from tests.lab.stayrtr import VRP, StayRTR
from tests.lab.wait import wait_until


def the_set(*vrps: VRP) -> frozenset[bytes]:
    """As `struct vrp`, less the flag."""
    return frozenset(vrp.pack(vrp.VRP(*one))[:-1] for one in vrps)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Starter:
    """Starts caches and managers; the managers are closed in the end."""

    def __init__(self, lab: Lab, ended: contextlib.ExitStack) -> None:
        self.clock = Clock()
        self._lab = lab
        self._ended = ended

    def stayrtr(self, name: str, *vrps: VRP) -> StayRTR:
        return self._lab.start(StayRTR(self._lab.folder, vrps, name))

    def scripted(self, answer: Callable[[int, bytes], bytes | None]) -> ScriptedCache:
        return self._lab.start(ScriptedCache(answer))

    def manager(self, *groups: Cache | Sequence[Cache], **options: Any) -> tuple[RTRManager, InForce]:
        """Open a manager with one group for each argument; what it does is in the second result."""
        manager, seen = manager_of(*groups, clock=self.clock, **options), InForce()
        self._ended.callback(manager.close)
        manager.open(seen)
        return manager, seen

    def synced(self, *vrps: VRP, **options: Any) -> tuple[RTRManager, InForce, RTRSocket]:
        """A manager with one cache that serves these, after its first sync."""
        manager, seen = self.manager(self.stayrtr("cache", *vrps), **options)
        run(manager, lambda: seen.now == the_set(*vrps), "the first sync")
        (socket,) = sockets(manager)
        return manager, seen, socket


@pytest.fixture
def start(lab: Lab) -> Iterator[Starter]:
    with contextlib.ExitStack() as ended:
        yield Starter(lab, ended)
    wait_until(lambda: lib.session_count() == 0, "librtr's threads to end")


def pid_of(socket: RTRSocket) -> int:
    assert socket.pid is not None
    return socket.pid


def sockets(manager: RTRManager) -> list[RTRSocket]:
    return [socket for group in manager.groups() for socket in group.sockets]


# -- sync and changes -------------------------------------------------------------------------------------


def test_sync_then_a_change(start: Starter, isolated: bool) -> None:
    cache = start.stayrtr("cache", ONE, TWO)
    manager, seen = start.manager(cache, isolated=isolated)
    run(manager, lambda: seen.now, "the first sync")
    assert seen.now == the_set(ONE, TWO)
    (socket,) = sockets(manager)
    assert (socket.state, socket.version, socket.in_sync) == (RTRSocketState.ESTABLISHED, 1, True)
    assert (socket.session_id is not None, socket.serial_number) == (True, 0)
    assert manager.groups()[0].status is ManagerGroupStatus.ESTABLISHED
    assert manager.active_group is manager.groups()[0]

    cache.serve([TWO, THREE])
    run(manager, lambda: seen.now != the_set(ONE, TWO), "the change")
    assert seen.now == the_set(TWO, THREE)
    assert socket.serial_number == 1
    assert frozenset() not in seen.history[2:]


def test_two_caches_of_a_group_count_together(start: Starter, isolated: bool) -> None:
    one, two = start.stayrtr("one", ONE, TWO), start.stayrtr("two", TWO, THREE)
    manager, seen = start.manager([one, two], isolated=isolated)
    run(manager, lambda: seen.now == the_set(ONE, TWO, THREE), "the union")
    assert seen.counting == {0, 1}
    one.kill()
    run(manager, lambda: not sockets(manager)[0].in_sync, "the loss of one")
    assert seen.now == the_set(ONE, TWO, THREE), "a lost cache's VRPs stay until they expire"
    assert manager.groups()[0].status is ManagerGroupStatus.ESTABLISHED


# -- failover ---------------------------------------------------------------------------------------------


def test_failover_and_return_again_and_again(start: Starter, isolated: bool) -> None:
    primary, backup = start.stayrtr("primary", ONE, TWO), start.stayrtr("backup", TWO, THREE)
    manager, seen = start.manager(primary, backup, isolated=isolated)
    first, second = manager.groups()
    run(manager, lambda: seen.now, "the primary")
    assert second.status is ManagerGroupStatus.CLOSED
    for _ in range(3):
        primary.kill()
        run(manager, lambda: manager.active_group is second, "the backup")
        assert seen.now == the_set(TWO, THREE)
        assert (first.status, second.status) == (ManagerGroupStatus.ERROR, ManagerGroupStatus.ESTABLISHED)
        primary.start()
        run(manager, lambda: manager.active_group is first, "the primary again")
        assert seen.now == the_set(ONE, TWO)
        assert second.status is ManagerGroupStatus.CLOSED
        assert second.sockets[0].pid is None
    whole = [now for now in seen.history if now]
    assert set(whole) == {the_set(ONE, TWO), the_set(TWO, THREE)}, "one set or the other, no mixture"
    assert frozenset() not in seen.history[seen.history.index(whole[0]) :], "never an empty moment"


def test_both_die_and_the_last_good_set_stays_until_it_expires(start: Starter, isolated: bool) -> None:
    primary, backup = start.stayrtr("primary", ONE), start.stayrtr("backup", TWO)
    manager, seen = start.manager(primary, backup, isolated=isolated, expire_interval=600)
    run(manager, lambda: seen.now == the_set(ONE), "the primary")
    primary.kill()
    run(manager, lambda: seen.now == the_set(TWO), "the backup")
    backup.kill()
    run(manager, lambda: manager.groups()[1].status is ManagerGroupStatus.ERROR, "its death")
    assert seen.now == the_set(TWO)
    start.clock.ahead += 590
    run(manager, lambda: sockets(manager)[1].restarts, "a last attempt with a new link")
    assert seen.now == the_set(TWO)
    start.clock.ahead += 20
    run(manager, lambda: not seen.now, "the end of its time")
    assert seen.count("expired", 1) == 1
    backup.start()
    run(manager, lambda: seen.now == the_set(TWO), "its return")


def test_a_cache_that_returns_after_expiry_replaces_all(start: Starter, isolated: bool) -> None:
    cache = start.stayrtr("cache", ONE, TWO)
    manager, seen = start.manager(cache, isolated=isolated, expire_interval=600)
    run(manager, lambda: seen.now == the_set(ONE, TWO), "the first sync")
    cache.kill()
    run(manager, lambda: not sockets(manager)[0].in_sync, "its death")
    start.clock.ahead += 601
    run(manager, lambda: not seen.now, "the end of its time")
    cache.serve([TWO, THREE])
    cache.start()
    run(manager, lambda: seen.now == the_set(TWO, THREE), "what it has now")


def test_a_name_that_does_not_resolve_and_a_port_that_refuses(start: Starter, isolated: bool) -> None:
    backup = start.stayrtr("backup", ONE)
    refusing = free_port("127.0.0.1")
    groups = [
        CacheGroup(1, [TCPServer("no-such-host.invalid", 323), TCPServer("127.0.0.1", refusing)]),
        CacheGroup(2, [TCPServer("127.0.0.1", backup.port)]),
    ]
    manager, seen = RTRManager(groups=groups, isolated=isolated, retry_interval=1), InForce()
    with contextlib.closing(manager):
        manager.open(seen)
        run(manager, lambda: seen.now == the_set(ONE), "the backup")
        nameless, closed = manager.groups()[0].sockets
        assert nameless.error
        assert re.search(r"no-such-host\.invalid does not resolve: ", nameless.error)
        assert closed.error == f"cannot connect to 127.0.0.1 port {refusing}: Connection refused"
        assert closed.state is RTRSocketState.ERROR_TRANSPORT
        with socket.create_server(("127.0.0.1", refusing)) as server:
            server.setblocking(False)

            def tried_again() -> bool:
                with contextlib.suppress(BlockingIOError):
                    server.accept()[0].close()
                    return True
                return False

            run(manager, tried_again, "another attempt")


def test_a_group_that_hangs_in_its_first_sync_does_not_hold_up_the_next(start: Starter, isolated: bool) -> None:
    silent = start.scripted(lambda _number, _query: cache_response() + prefix_pdu(b"\x0a\0\0\0", 8, 8, 1))
    manager, seen = start.manager(silent, start.stayrtr("backup", ONE), isolated=isolated)
    run(manager, lambda: sockets(manager)[0].state is RTRSocketState.SYNC, "the sync to begin")
    assert manager.groups()[1].status is ManagerGroupStatus.CLOSED
    start.clock.ahead += 31
    run(manager, lambda: seen.now == the_set(ONE), "the backup")


# -- what librtr does to its process ----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_a_child_that_dies_is_replaced_and_nothing_is_lost(start: Starter, number: signal.Signals) -> None:
    manager, seen, socket = start.synced(ONE, TWO)
    for death in range(1, 3):
        pid = pid_of(socket)
        os.kill(pid, number)
        run(manager, lambda: socket.error is not None, "its death to be seen")
        assert f"died of {number.name}" in str(socket.error)
        assert seen.now == the_set(ONE, TWO)
        run(manager, lambda: socket.in_sync, "a new one")
        assert socket.pid != pid
        assert (socket.restarts, socket.error) == (death, None)
    assert frozenset() not in seen.history[1:]


def test_a_child_that_is_stopped_is_killed_and_replaced(start: Starter) -> None:
    manager, seen, socket = start.synced(ONE, TWO)
    pid = pid_of(socket)
    os.kill(pid, signal.SIGSTOP)
    start.clock.ahead += PING_EVERY
    manager.dispatch()
    start.clock.ahead += HUNG_AFTER
    run(manager, lambda: socket.error is not None, "its silence to be noticed")
    assert socket.error == f"the cache process did not answer for {HUNG_AFTER:.0f} seconds"
    run(manager, lambda: socket.in_sync, "a new one")
    wait_until(lambda: manager.dispatch() is None or not is_alive(pid), "the stopped one to be gone")
    assert seen.now == the_set(ONE, TWO)


def test_answers_to_pings_keep_a_quiet_child(start: Starter) -> None:
    manager, _, socket = start.synced(ONE)
    for _ in range(20):
        start.clock.ahead += PING_EVERY
        manager.dispatch()  # sends the ping
        run(manager, lambda: manager._dispatcher._caches[0]._hung_at is None, "the answer")
    assert socket.restarts == 0


def test_a_child_that_outgrows_its_memory_is_a_failed_cache(start: Starter) -> None:
    many = [(f"10.{i >> 8 & 255}.{i & 255}.0/24", 24, i) for i in range(60000)]
    big, backup = start.stayrtr("big", *many), start.stayrtr("backup", ONE)
    manager, seen = start.manager(big, backup, memory_limit=64 << 20)
    run(manager, lambda: seen.now == the_set(ONE), "the backup")
    (greedy, _) = sockets(manager)
    assert greedy.error
    assert seen.count("committed", 0) == 0


def test_the_end_of_the_manager_is_the_end_of_its_children(start: Starter) -> None:
    cache = start.stayrtr("cache", ONE)
    manager, seen = start.manager([cache, cache])
    run(manager, lambda: seen.count("committed", 0) and seen.count("committed", 1), "both")
    pids = [pid_of(socket) for socket in sockets(manager)]
    os.kill(pids[1], signal.SIGSTOP)
    manager.close()
    assert not any(is_alive(pid) for pid in pids)
    # And it can begin again.
    manager.open(InForce())
    run(manager, lambda: sockets(manager)[0].in_sync, "a second life")


PROGRAM = """
import select, sys
from rtrlib import CacheGroup, RTRManager, TCPServer
from tests.lab.rtr_caches import InForce
manager = RTRManager(groups=[CacheGroup(1, [TCPServer("127.0.0.1", int(sys.argv[1]))])])
manager.open(InForce())
told = False
while True:
    select.select([manager], [], [], manager.dispatch())
    manager.dispatch()
    if manager.active_group and not told:
        told = print(manager.groups()[0].sockets[0].pid, flush=True) or True
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_the_death_of_the_program_is_the_end_of_its_children(start: Starter, stopped: bool) -> None:
    with talk([sys.executable, "-c", PROGRAM, str(start.stayrtr("cache", ONE).port)]) as program:
        pid = int(program.line())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        program.process.kill()
        wait_until(lambda: not is_alive(pid), "the child to follow its program")
        assert program.process.stderr
        assert program.process.stderr.read() == "", "librtr's debug lines stay inside"


# -- what a cache can do to librtr ------------------------------------------------------------------------


def hostile(records: bytes) -> Callable[[int, bytes], bytes]:
    return lambda _number, _query: cache_response() + records + end_of_data(1)


def test_vrps_that_are_none_arrive_as_they_are_and_kill_nothing(start: Starter, isolated: bool) -> None:
    odd = prefix_pdu(bytes(4), 0, 0, 1) + prefix_pdu(bytes(16), 0, 0, 1)
    odd += prefix_pdu(b"\xc0\0\2\1", 99, 200, 2) + prefix_pdu(b"\x20\1" + bytes(14), 200, 255, 3)
    odd += prefix_pdu(b"\xc0\0\2\xff", 24, 8, 0)
    manager, seen = start.manager(start.scripted(hostile(odd)), isolated=isolated)
    run(manager, lambda: seen.now, "the sync")
    lengths = {(record[20], record[21], record[22]) for record in seen.now}
    assert lengths == {(0, 0, 4), (0, 0, 6), (99, 200, 4), (200, 255, 6), (24, 8, 4)}


def test_no_data_is_a_failure_and_stopping_does_not_wait_for_it(start: Starter, isolated: bool) -> None:
    empty, backup = start.scripted(lambda *_: error_report(2)), start.stayrtr("backup", ONE)
    manager, seen = start.manager(empty, backup, isolated=isolated, retry_interval=7200 if isolated else 3)
    run(manager, lambda: seen.now == the_set(ONE), "the backup")
    socket = sockets(manager)[0]
    assert socket.state is RTRSocketState.ERROR_NO_DATA_AVAILABLE
    assert socket.error == "the cache has no data yet"
    manager.close()
    if not isolated:
        assert lib.session_count(), "librtr itself still sleeps; nobody waited for it"


def test_a_session_that_the_cache_forgot_is_begun_anew(start: Starter, isolated: bool) -> None:
    """librtr insists on its old session for as long as its data lives; the manager gives up on that link."""
    now = [10]

    def answer(_number: int, query: bytes) -> bytes | None:
        if query[1] == 2:  # Reset Query
            return cache_response(now[0]) + prefix_pdu(b"\xc0\0\2\0", 24, 24, now[0]) + end_of_data(1, now[0])
        # A Serial Query: answered with the session that it is now, which is an error of the cache's.
        return cache_response(now[0]) + end_of_data(2, now[0])

    cache = start.scripted(answer)
    manager, seen = start.manager(cache, isolated=isolated)
    run(manager, lambda: seen.now == the_set(("192.0.2.0/24", 24, 10)), "the first session")
    now[0] = 11
    cache.drop()
    run(manager, lambda: seen.now == the_set(("192.0.2.0/24", 24, 11)), "the second one")
    assert frozenset() not in seen.history[2:]


def test_a_sync_that_contradicts_itself_is_never_in_force(start: Starter, isolated: bool) -> None:
    good = prefix_pdu(b"\xc0\0\2\0", 24, 24, 1)
    turns = [good + good, good]

    def answer(_number: int, _query: bytes) -> bytes | None:
        return cache_response() + (turns.pop(0) if len(turns) > 1 else turns[0]) + end_of_data(1)

    manager, seen = start.manager(start.scripted(answer), isolated=isolated)
    run(manager, lambda: seen.now, "a good sync")
    assert set(seen.history) <= {frozenset(), the_set(("192.0.2.0/24", 24, 1))}
    assert seen.count("discarded", 0) >= 1


def test_the_intervals_are_those_configured_or_those_of_the_cache(start: Starter, isolated: bool) -> None:
    cache = start.scripted(hostile(prefix_pdu(b"\xc0\0\2\0", 24, 24, 1)))
    for intervals, expected in (("configured", (900, 5, 1200)), ("cache", (3600, 1, 7200))):
        options = {"refresh_interval": 900, "retry_interval": 5, "expire_interval": 1200}
        manager, _ = start.manager(cache, isolated=isolated, intervals=intervals, **options)
        (socket,) = sockets(manager)
        run(manager, partial(getattr, socket, "in_sync"), "the sync")
        assert (socket.refresh_interval, socket.retry_interval, socket.expire_interval) == expected


def test_router_keys_arrive(start: Starter, isolated: bool) -> None:
    cache = start.scripted(hostile(struct.pack(">BBBBI20sI91s", 1, 9, 1, 0, 123, bytes(20), 64500, bytes(91))))
    manager, seen = start.manager(cache, isolated=isolated)
    run(manager, lambda: seen.count("committed", 0), "the sync")
    assert seen.keys == [(64500, True)]
