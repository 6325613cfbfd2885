"""Programs that tempt librtr's faults: `raw_*` by librtr's own names, `safe_*` with rtrlib; both say how far they got.

Each runs in a process of its own (tests/integration/test_librtr_faults.py), as it may abort or hang. `ready` is printed
before what is tried, `done` after it. The caches are scripted ones inside the program.
"""

import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from _rtrlib import ffi, lib
from rtrlib import PFXRecord, PfxvState
from tests.lab.raw_rtrlib import RawManager, add, new_table, validity
from tests.lab.rtr_caches import ScriptedCache, cache_response, end_of_data, error_report, manager_of, prefix_pdu
from tests.lab.wait import SECONDS, wait_until

GOOD = prefix_pdu(b"\x0a\0\0\0", 8, 24, 64500)
LONG = 7200
"""Seconds; librtr's longest retry interval."""


def say(word: str) -> None:
    print(word, flush=True)


class Cache(ScriptedCache):
    """Serves the same records to everyone, or hangs up at once."""

    def __init__(self, records: bytes = GOOD) -> None:
        self.is_up = True
        self._records = records
        super().__init__(self._say)
        self.start()

    def _say(self, _number: int, query: bytes) -> bytes | None:
        serial_query = query[1] == 1
        return cache_response() + self._records * (not serial_query) + end_of_data(1) if self.is_up else None

    def die(self) -> None:
        self.is_up = False
        self.drop()


def scripted(answer: Callable[[int, bytes], bytes]) -> ScriptedCache:
    cache = ScriptedCache(answer)
    cache.start()
    return cache


# -- librtr's table ---------------------------------------------------------------------------------------


def raw_default_route(ip: str) -> None:
    table = new_table()
    add(table, 1, ip, 0, 0)
    say("ready")
    validity(table, 1, ip, 8)


def raw_length_99() -> None:
    table = new_table()
    add(table, 1, "10.0.0.0", 99, 99)
    say("ready")
    validity(table, 1, "10.0.0.0", 100)


def raw_nested() -> None:
    table = new_table()
    say("ready")
    for length in range(120, 256):
        add(table, 1, "2001:db8::", length, length)


def raw_validate_in_removal() -> None:
    @ffi.def_extern()
    def pfx_update_callback(_table: Any, _record: Any, added: bool) -> None:
        if not added:
            validity(table, 1, "10.0.0.0", 8)

    table, socket = new_table(lib.pfx_update_callback), ffi.new("struct rtr_socket *")
    for ip in ("10.0.0.0", "11.0.0.0"):
        add(table, 1, ip, 8, 8, socket)
    say("ready")
    lib.pfx_table_src_remove(table, socket)
    for ip in ("10.0.0.0", "11.0.0.0"):
        add(table, 1, ip, 8, 8)


ODD = {
    "default": prefix_pdu(bytes(4), 0, 0, 1) + prefix_pdu(bytes(16), 0, 0, 1),
    "99": b"".join(prefix_pdu(b"\x0a\0\0\0", length, 200, length) for length in (99, 100, 101)),
    "nested": b"".join(prefix_pdu(b"\x20\1\x0d\xb8" + bytes(12), n, 255, n) for n in range(120, 256)),
}


def safe_odd_vrps(which: str, isolated: bool) -> None:
    """A cache announces them, next to a good one."""
    cache = Cache(GOOD + ODD[which])
    told = []
    say("ready")
    with manager_of([cache], isolated=isolated, pfx_update_callback=lambda one, *_: told.append(str(one))) as manager:
        assert manager.validate(64500, "10.0.0.0", 8) == PfxvState.valid
        by_default = PfxvState.invalid if which == "default" else PfxvState.not_found
        for ip, length in (("192.0.2.0", 24), ("192.0.2.1", 32), ("2001:db9::", 32)):
            assert manager.validate(64500, ip, length) == by_default
        manager.validate(64500, "2001:db8::", 128)
        for ip, length in (("10.0.0.0", 33), ("10.0.0.0", 100), ("2001:db8::", 129)):
            try:
                manager.validate(1, ip, length)
            except ValueError:
                continue
            raise AssertionError((ip, length))
    known = {"default": ["0.0.0.0/0-0 1", "::/0-0 1"], "99": [], "nested": []}[which]
    assert sorted(set(told)) == sorted(["10.0.0.0/8-24 64500", *known]), told


def safe_validate_in_removal(isolated: bool) -> None:
    cache, results = Cache(), []

    def update(record: PFXRecord, added: bool, data: Any) -> None:
        results.append((added, manager.validate(record.asn, record.prefix, record.min_len).state))
        assert data == "data"

    say("ready")
    callback = {"pfx_update_callback": update, "pfx_update_callback_data": "data"}
    manager = manager_of(cache, isolated=isolated, **callback)
    with manager:
        pass
    with manager:
        manager.stop()
    assert [added for added, _ in results] == [True, False] * 2, results
    assert results[0] == (True, PfxvState.valid)
    assert results[1] == (False, PfxvState.not_found)


# -- librtr's manager -------------------------------------------------------------------------------------


def raw_stop_while_another_errors() -> None:
    one, two = Cache(), Cache()

    @ffi.def_extern()
    def rtr_mgr_status_callback(_group: Any, _status: Any, socket: Any, _data: Any) -> None:
        if socket == manager.sockets[0] and socket.state == lib.RTR_SHUTDOWN:
            two.drop()  # the other socket's thread sees an error now, and wants the mutex that rtr_mgr_stop holds
            time.sleep(1)

    manager = RawManager([one.port, two.port], status=lib.rtr_mgr_status_callback)
    manager.start()
    wait_until(lambda: all(socket.state == lib.RTR_ESTABLISHED for socket in manager.sockets), "both caches")
    say("ready")
    manager.stop()


def safe_stop_while_another_errors(isolated: bool) -> None:
    one, two = Cache(), Cache()
    stopping = threading.Event()

    def busy() -> None:
        while not stopping.is_set():
            sum(range(1000))

    for _ in range(3):
        threading.Thread(target=busy).start()
    say("ready")
    for _ in range(30):
        manager = manager_of([one, two], isolated=isolated)
        manager.start(timeout=SECONDS)
        hang_up = threading.Thread(target=two.drop)
        hang_up.start()
        manager.stop()
        hang_up.join()
    stopping.set()
    wait_until(lambda: lib.session_count() == 0, "librtr's own threads to end")


def raw_stop_in_no_data() -> None:
    asked = threading.Event()

    def answer(_number: int, _query: bytes) -> bytes:
        wait_until(lambda: manager.sockets[0].state == lib.RTR_SYNC, "librtr to wait for the answer")
        asked.set()
        return error_report(2)

    manager = RawManager([scripted(answer).port], intervals=(3600, 7200, LONG))
    manager.start()
    assert asked.wait(SECONDS)
    wait_until(lambda: manager.sockets[0].state == lib.RTR_RESET, "librtr to wait for the next attempt")
    say("ready")
    manager.stop()


def safe_stop_in_no_data(isolated: bool) -> None:
    manager = manager_of([scripted(lambda *_: error_report(2))], isolated=isolated, retry_interval=LONG)
    manager.start(wait=False)
    wait_until(lambda: manager.groups()[0].sockets[0].error == "the cache has no data yet", "the state")
    say("ready")
    manager.stop()


def raw_second_failover() -> None:
    first, second = Cache(), Cache()
    manager = RawManager([first.port], [second.port])
    manager.start()

    def stand(*wanted: int) -> None:
        wait_until(lambda: tuple(socket.state for socket in manager.sockets) == wanted, f"states {wanted}")

    wait_until(lambda: manager.sockets[0].state == lib.RTR_ESTABLISHED, "the first group")
    first.die()
    wait_until(lambda: manager.sockets[1].state == lib.RTR_ESTABLISHED, "the second group")
    first.is_up = True
    stand(lib.RTR_ESTABLISHED, lib.RTR_SHUTDOWN)
    say("ready")
    first.die()
    wait_until(lambda: second.connections == 2, "the second group again")


def safe_second_failover(isolated: bool) -> None:
    first, second = Cache(), Cache()
    say("ready")
    with manager_of(first, second, isolated=isolated) as manager:
        preferred, other = manager.groups()
        for _ in range(3):
            first.die()
            wait_until(lambda: manager.active_group is other, "the second group")
            first.is_up = True
            wait_until(lambda: manager.active_group is preferred, "the first group")
    assert second.connections == 3


def raw_duplicate_preference() -> None:
    one, two = Cache(), Cache()
    say("ready")
    RawManager([one.port], [two.port], preferences=(1, 1))


def raw_empty_group() -> None:
    one = Cache()
    say("ready")
    RawManager([one.port], [])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arguments = [{"isolated": True, "threads": False}.get(text, text) for text in sys.argv[2:]]
    globals()[sys.argv[1]](*arguments)
    say("done")
    sys.exit(0)
