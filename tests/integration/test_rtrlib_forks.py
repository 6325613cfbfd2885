"""Forked children and abandoned managers, in programs of their own, with every engine: the parent notices nothing."""

import gc
import re
import sys
from collections.abc import Callable
from typing import TypeAlias

import pytest

from _rov import ffi, lib
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_table import VRPTable
from tests.lab.programs import run, talk
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS

ENGINES = {
    "librtr": {"isolated": True},
    "librtr's threads": {"isolated": False},
    "native": {"engine": "native"},
}
VRPS = (("192.0.2.0/24", 24, 64500), ("2001:db8::/32", 48, 64501))
Program: TypeAlias = Callable[[str], list[str]]

SHARED = """
import gc, os, sys, threading
from rtrlib import CacheGroup, PfxTable, RTRManager, SyncTimeout, TCPServer

port, options = sys.argv[1], eval(sys.argv[2])

def manager_of(**more):
    return RTRManager("127.0.0.1", port, retry_interval=1, **options, **more)

def descriptors():
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}

def in_child(work):
    # What a child printed is "done" when it did all of its work.
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except SystemExit:
            raise
        except BaseException as error:
            print("child:", type(error).__name__, error, flush=True)
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0

def is_valid(one, asn=64500):
    return one.validate(asn, "192.0.2.0", 24).is_valid

def until(condition):
    while not condition():
        moved.wait(0.05)

moved = threading.Event()
"""


@pytest.fixture(params=ENGINES)
def program(request: pytest.FixtureRequest, stayrtr: Callable[..., StayRTR]) -> Program:
    """Run a program with a cache and an engine; give what it printed."""
    cache, options = stayrtr(*VRPS), ENGINES[request.param]

    def begin(text: str) -> list[str]:
        with talk([sys.executable, "-c", SHARED + text, str(cache.port), repr(options)]) as process:
            assert (first := process.line()) == "ready", (first, process.end())
            cache.serve((*VRPS, ("198.51.100.0/24", 24, 64502)))
            process.say("go")
            said, errors = process.process.communicate(timeout=SECONDS)
            assert process.process.returncode == 0, errors
            return said.splitlines()

    return begin


CHILDREN = """
before = descriptors()
told, busy = [], threading.Event()
manager = manager_of(pfx_update_callback=lambda record, added, data: told.append(record))
table = PfxTable()
table.add_record(64500, "192.0.2.0", 24, 24)
manager.start(timeout=20)

def validate():
    while not busy.is_set():
        is_valid(manager), is_valid(table)

def change():
    while not busy.is_set():
        table.add_record(64501, "198.51.100.0", 24, 24)
        table.remove_record(64501, "198.51.100.0", 24, 24)

threads = [threading.Thread(target=one, daemon=True) for one in (validate, validate, change)]
for thread in threads:
    thread.start()

def inherited():
    assert descriptors() == before, "nothing of the parent's is open here"
    assert manager.stale and not manager.is_synced() and is_valid(manager)
    assert len(list(manager.ipv4_records())) == 1
    assert [group.status.name for group in manager.groups()] == ["CLOSED"] and manager.active_group is None
    table.add_record(64500, "203.0.113.0", 24, 24)
    assert is_valid(table) and table.validate(64500, "203.0.113.0", 24).is_valid
    try:
        manager.wait_for_sync(20)
    except SyncTimeout as fault:
        assert "not started" in str(fault)
    else:
        raise AssertionError

def stopped():
    manager.stop()
    assert not manager.stale and not is_valid(manager)

def restarted():
    heard = len(told)
    manager.start(wait=False)
    assert manager.stale or manager.is_synced() or is_valid(manager)
    manager.wait_for_sync(20)
    assert not manager.stale and manager.is_synced() and is_valid(manager)
    assert len(told) >= heard + 2, "the callbacks hear of the child's own session"
    in_child(inherited_again)
    assert manager.is_synced()
    manager.stop()
    assert not manager.stale and not is_valid(manager)

def inherited_again():
    assert manager.stale and is_valid(manager)

def leave():
    sys.exit(0)

for _ in range(5):
    for work in (inherited, stopped, leave):
        in_child(work)
in_child(restarted)
busy.set()
for thread in threads:
    thread.join()

def session():
    (socket,) = manager.groups()[0].sockets
    return socket.in_sync, socket.restarts, socket.session_id

assert manager.is_synced() and not manager.stale and session()[:2] == (True, 0)
since = os.times()
moved.wait(0.5)  # what would wake the parent all the time shows as CPU
assert sum(os.times()[:2]) - sum(since[:2]) < 0.25
print("ready", flush=True)
sys.stdin.readline()
until(lambda: manager.validate(64502, "198.51.100.0", 24).is_valid)
assert session()[:2] == (True, 0)
manager.stop()
print("done", flush=True)
"""


def test_children_leave_the_parents_session_alone(program: Program) -> None:
    assert program(CHILDREN) == ["done"]


CALLBACK = """
def changed(record, added, data):
    if added and record.asn == 64500:
        in_child(lambda: is_valid(manager) or sys.exit(3))
    if added and record.asn == 64501:
        pid = os.fork()
        if pid == 0:
            return  # into our own thread, which ends
        forked.append(pid)

forked = []
manager = manager_of(pfx_update_callback=changed)
manager.start(timeout=20)
print("ready", flush=True)
sys.stdin.readline()
until(lambda: manager.validate(64502, "198.51.100.0", 24).is_valid)
assert os.waitpid(forked[0], 0)[1] == 0
with manager:
    in_child(lambda: manager.__exit__(None, None, None))
print("done", flush=True)
"""


def test_a_callback_may_fork(program: Program) -> None:
    assert program(CALLBACK) == ["done"]


MIRRORS = """
class Mirror:
    def __init__(self):
        self.held = set()
        self.manager = manager_of(
            status_callback=self.told, pfx_update_callback=self.changed, pfx_update_callback_data=self
        )
        self.manager.start(timeout=20)

    def told(self, *state):
        pass

    def changed(self, record, added, data):
        (self.held.add if added else self.held.discard)(record)

def children():
    tasks = (open(f"/proc/self/task/{task}/children").read() for task in os.listdir("/proc/self/task"))
    return " ".join(tasks).split()

before = descriptors()
for _ in range(3):
    assert Mirror().held
print("ready", flush=True)
sys.stdin.readline()
until(lambda: gc.collect() >= 0 and threading.active_count() == 1 and not children() and descriptors() == before)
print("done", flush=True)
"""


def test_what_nobody_holds_ends_though_its_callbacks_refer_back(program: Program) -> None:
    assert program(MIRRORS) == ["done"]


def test_a_fork_while_a_name_is_resolved() -> None:
    text = """
manager = RTRManager("cache.example.invalid", 323, engine="native")
manager.start(wait=False)
in_child(lambda: (manager.stop(), manager.start(wait=False), manager.stop()))
manager.stop()
print("done")
"""
    done = run(sys.executable, "-c", SHARED + text, "0", "{}")
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


BEFORE = """
import atexit, os, threading

def look():
    left = [thread.name for thread in threading.enumerate() if thread.name == "rtrlib caches"]
    os.write(1, f"{len(left)} at work".encode())

atexit.register(look)  # what was registered later is called before it
"""
ENDS = """
import logging
logging.basicConfig(level=logging.WARNING)

class Owner:
    def __init__(self):
        self.manager = manager_of(status_callback=self.told, pfx_update_callback=self.told)
        self.manager.start(wait=bool(int(sys.argv[3])), timeout=20)

    def told(self, *what):
        if what[1] is False:  # a VRP went
            os.write(1, b"a callback at the end")

owner = Owner()
"""


@pytest.mark.parametrize("wait", ["0", "1"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_may_end_without_stop(stayrtr: Callable[..., StayRTR], engine: str, wait: str) -> None:
    """In good order: nothing is said, no callback is called, and nothing is at work any more."""
    cache = stayrtr(*VRPS)
    for _ in range(5):
        done = run(sys.executable, "-c", BEFORE + SHARED + ENDS, str(cache.port), repr(ENGINES[engine]), wait)
        assert (done.returncode, done.stdout) == (0, "0 at work")
        if engine == "librtr's threads":  # which say what they do, several at once
            assert not re.search("Traceback|Exception|Fatal", done.stderr)
        else:
            # StayRTR 0.6 may refuse version 2 without a word.
            assert re.sub(r"WARNING:rtrlib\.cache:.* without a word; .*\n", "", done.stderr) == ""


def test_a_set_that_was_being_changed_is_never_freed_in_a_child() -> None:
    """In the middle of a change it may name memory that is free already."""
    freed = list[object]()
    table = VRPTable()
    table.activate({0: None})
    changed = table._sets[lib.vrp_twins_other(table._twins)]
    changed.native = ffi.gc(changed.native, freed.append)
    del changed
    writing = table._write()
    writing.__enter__()  # as another thread of the parent, which is not there in the child
    table.forked()
    table.stage(0, pack(VRP("192.0.2.0/24", 24, 64500)))
    table.commit(0, full=False)
    gc.collect()
    assert (len(table), freed) == (1, [])
    del table, writing
    gc.collect()
    assert freed == []
