"""Programs written for rtrlib-python 0.1: the calls of its documents and tools, and of who used it, unchanged.

Each is run by an interpreter of its own, as its users did. Its documents also show `from _rtrlib import lib, ffi`;
that is tests/unit/test_raw_rtrlib.py.
"""

import signal
import sys
import time

import pytest

from rtrlib.driver import STOP_LIMIT
from tests.lab.programs import run, talk
from tests.lab.rtr_caches import MakeStayRTR
from tests.lab.stayrtr import StayRTR

PROGRAMS = {
    "validate and compare with a state": (
        """
import sys
from rtrlib import RTRManager, PfxvState

cache = RTRManager(sys.argv[1], int(sys.argv[2]))
cache.start()
for origin, address, length in ((64500, '192.0.2.0', 24), (64501, '192.0.2.0', 24), (64500, '10.10.0.0', 24)):
    answer = cache.validate(origin, address, length)
    if answer == PfxvState.valid:
        print('good')
    elif answer == PfxvState.invalid:
        print('bad')
    elif answer == PfxvState.not_found:
        print('unknown')
    else:
        print('what?')
cache.stop()
""",
        ["good", "bad", "unknown"],
    ),
    "iterators": (
        """
import sys
from rtrlib import RTRManager

cache = RTRManager(sys.argv[1], sys.argv[2])
cache.start()
for record in cache.ipv4_records():
    print(record.prefix, record.min_len, record.max_len, record.asn)
for record in cache.ipv6_records():
    print(record.prefix, record.min_len, record.max_len, record.asn)
cache.stop()
""",
        ["192.0.2.0 24 25 64500", "2001:db8:: 32 48 4200000000"],
    ),
    "iteration by callback, with copies": (
        """
import sys
from rtrlib import RTRManager
from rtrlib.records import copy_pfx_record

def keep(record, kept):
    kept.append(copy_pfx_record(record))

kept = []
cache = RTRManager(sys.argv[1], sys.argv[2])
cache.start(wait=True, timeout=20)
cache.for_each_ipv4_record(keep, kept)
cache.for_each_ipv6_record(keep, kept)
cache.stop()
print(sorted(record.asn for record in kept), type(kept[0]).__name__)
""",
        ["[64500, 4200000000] PFXRecord"],
    ),
    "prefix updates": (
        """
import sys
from rtrlib import RTRManager

def changed(record, added, data):
    data.append('%s%s' % ('+' if added else '-', record.asn))

heard = []
cache = RTRManager(sys.argv[1], sys.argv[2], pfx_update_callback=changed, pfx_update_callback_data=heard)
cache.start()
print(sorted(heard))
cache.stop()
print(sorted(heard))
""",
        ["['+4200000000', '+64500']", "['+4200000000', '+64500', '-4200000000', '-64500']"],
    ),
    "everything by position": (
        """
import sys
from rtrlib import RTRManager, ManagerGroupStatus
from rtrlib.manager_group import ManagerGroup
from rtrlib.records import PFXRecord
from rtrlib.rtr_socket import RTRSocket, RTRSocketList, RTRSocketState

seen = set()

def status(group, group_status, socket, data):
    assert isinstance(group, ManagerGroup) and isinstance(socket, RTRSocket) and data == 'status'
    assert isinstance(group.sockets, RTRSocketList) and group.sockets_len == 1
    assert isinstance(group.sockets[0].state, RTRSocketState) and isinstance(group.status, ManagerGroupStatus)
    assert (group.preference, socket.refresh_interval, socket.expire_interval) == (1, 1800, 3600)
    assert (socket.retry_interval, socket.version) == (300, 1)
    if group_status == ManagerGroupStatus.ESTABLISHED:
        assert socket.has_recieved_pdus and socket.last_update > 1700000000
        seen.add('established')

def prefix(record, added, data):
    assert isinstance(record, PFXRecord) and isinstance(record.socket, RTRSocket) and data == 'prefix'
    seen.add('prefix')

def key(record, added, data):
    assert False

cache = RTRManager(sys.argv[1], sys.argv[2], 1800, 3600, 300, status, 'status', prefix, 'prefix', key, 'key')
with cache as same:
    assert same is cache and cache.is_synced()
assert not cache.is_synced()
print(sorted(seen))
""",
        ["['established', 'prefix']"],
    ),
    "a tool that polls, and reads lines": (
        """
import sys, time
from rtrlib import RTRManager, ManagerGroupStatus

class Status(object):
    error = False

def on_status(group, group_status, socket, data):
    if group_status == ManagerGroupStatus.ERROR:
        data.error = True

state = Status()
mgr = RTRManager(sys.argv[1], sys.argv[2], status_callback=on_status, status_callback_data=state)
mgr.start(wait=False)
while not mgr.is_synced():
    time.sleep(0.2)
    if state.error:
        print('Connection error')
        sys.exit()
print(str(mgr.validate(64500, '192.0.2.0', 24)))
mgr.stop()
""",
        ["192.0.2.0/24 AS64500: valid"],
    ),
    "reasons": (
        """
import sys
from rtrlib import RTRManager
from rtrlib.rtr_manager import PfxvState, Reason, ValidationResult

with RTRManager(sys.argv[1], sys.argv[2]) as mgr:
    result = mgr.validate(64501, '192.0.2.0', 26)
    assert isinstance(result, ValidationResult) and result.state == PfxvState.invalid
    assert result.is_invalid and not result.is_valid and not result.not_found
    assert result.as_invalid and result.length_invalid
    for reason in result.reason:
        assert isinstance(reason, Reason)
        print(reason.record.asn, reason.as_valid, reason.as_invalid, reason.length_valid, reason.length_invalid)
""",
        ["64500 False True False True"],
    ),
    "errors": (
        """
import sys
from rtrlib import RTRManager
from rtrlib.exceptions import IpConversionException, PFXException, RTRInitError, SyncTimeout

def tried(what, *error):
    try:
        what()
    except error as fault:
        print(type(fault).__name__)

host, port = sys.argv[1:]
tried(lambda: RTRManager(host, port, refresh_interval=0), RTRInitError)
tried(lambda: RTRManager(host, port, refresh_interval=86401), RTRInitError)
tried(lambda: RTRManager(host, port, expire_interval=599), RTRInitError)
tried(lambda: RTRManager(host, port, expire_interval=172801), RTRInitError)
tried(lambda: RTRManager(host, port, retry_interval=0), RTRInitError)
tried(lambda: RTRManager(host, port, retry_interval=7201), RTRInitError)
tried(lambda: RTRManager(host, 3.5), TypeError)
tried(lambda: RTRManager(host, 9).start(timeout=1), SyncTimeout)
mgr = RTRManager(host, port)
mgr.start()
tried(lambda: mgr.validate('64500', '192.0.2.0', 24), TypeError)
tried(lambda: mgr.validate(64500, '192.0.2.0', '24'), TypeError)
tried(lambda: mgr.validate(64500, '192.0.2.0', 33), ValueError)
tried(lambda: mgr.validate(64500, '2001:db8::', 129), ValueError)
tried(lambda: mgr.validate(64500, '192.0.2.0', -1), ValueError)
tried(lambda: mgr.validate(-1, '192.0.2.0', 24), ValueError)
tried(lambda: mgr.validate(1 << 32, '192.0.2.0', 24), ValueError)
tried(lambda: mgr.validate(64500, '300.1.1.1', 24), IpConversionException)
tried(lambda: mgr.validate(64500, '1.2.3.4xx', 24), ValueError)
mgr.stop()
""",
        ["RTRInitError"] * 6
        + ["TypeError", "SyncTimeout", "TypeError", "TypeError"]
        + ["ValueError"] * 5
        + ["IpConversionException"] * 2,
    ),
    "a table of its own": (
        """
from rtrlib import PfxTable

table = PfxTable()
for record in ((10010, '110.1.0.0', 20, 24), (10020, '120.1.0.0', 20, 32), (10030, '130::', 64, 64)):
    table.add_record(*record)
    table.add_record(*record)
for validate in (table.validate, table.validate_r):
    print(validate(10010, '110.1.8.0', 23).is_valid, validate(10010, '110.1.0.0', 18).not_found)
    print(validate(10030, '130::', 66).is_invalid, validate(10030, '130::', 66).length_invalid)
    print(validate(10011, '110.1.0.0', 20).as_invalid, validate(10011, '110.1.0.0', 20).length_invalid)
table.remove_record(10010, '110.1.0.0', 20, 24)
table.remove_record(10010, '110.1.0.0', 20, 24)
print(table.validate(10010, '110.1.0.0', 20).not_found)
table.close()
table.close()
with PfxTable() as table:
    table.add_record(1, '10.0.0.0', 8, 8)
""",
        [*["True True", "True True", "True False"] * 2, "True"],
    ),
}


@pytest.fixture
def cache(stayrtr: MakeStayRTR) -> StayRTR:
    return stayrtr(("192.0.2.0/24", 25, 64500), ("2001:db8::/32", 48, 4200000000))


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_old_program_runs_unchanged(cache: StayRTR, name: str) -> None:
    program, output = PROGRAMS[name]
    argv = [sys.executable, "-c", program, "127.0.0.1", str(cache.port)]
    done = run(*argv)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == output
    assert "Traceback" not in done.stderr


RESTARTER = """
import sys, time
from rtrlib import RTRManager

while True:
    try:
        manager = RTRManager(sys.argv[1], sys.argv[2], retry_interval=1)
        manager.start(timeout=1)
        break
    except Exception:
        print('later', flush=True)
        time.sleep(0.1)
print(manager.validate(64500, '192.0.2.0', 24).is_valid, flush=True)
"""


def test_a_service_that_makes_managers_until_one_connects_and_never_stops_one(cache: StayRTR) -> None:
    cache.kill()
    with talk([sys.executable, "-c", RESTARTER, "127.0.0.1", str(cache.port)]) as process:
        assert process.line() == "later"
        cache.start()
        assert "True" in process.lines(2)
        assert process.wait() == 0


SIGNALLED = """
import signal, sys
from rtrlib import RTRManager

manager = RTRManager(sys.argv[1], sys.argv[2], pfx_update_callback=lambda *change: None)

def end(*_):
    manager.validate(64500, '192.0.2.0', 24)
    manager.stop()
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
manager.start()
print('started', flush=True)
while True:
    manager.validate(64500, '192.0.2.0', 24)
"""


def test_a_signal_handler_may_stop_a_manager_that_is_busy(cache: StayRTR) -> None:
    argv = [sys.executable, "-c", SIGNALLED, "127.0.0.1", str(cache.port)]
    for _ in range(5):
        with talk(argv) as process:
            assert process.line() == "started"
            since = time.monotonic()
            process.process.send_signal(signal.SIGTERM)
            assert process.wait() == 7
            assert time.monotonic() - since < STOP_LIMIT, "stop waited for who waited for the handler"
