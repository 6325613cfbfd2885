"""Changes that wait for a reader: nothing is lost, and however slow the reader is, the memory is that of the set."""

import asyncio
import threading
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrlib.changes import Backlog, Changes, RouterKeyChange, StatusChange, VRPChange, net
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import TCPServer
from rtrlib.vrp import PACKED


def vrp(number: int, *, added: bool = True) -> bytes:
    return PACKED.pack(bytes([10, number, 0, 0]), 64500, 16, 16, 4, added)


def apply(held: set[bytes], packed: bytes) -> None:
    """Do the changes. KeyError, AssertionError: they are no changes of this set."""
    for at in range(0, len(packed), 24):
        record = packed[at : at + 23]
        if packed[at + 23]:
            assert record not in held
            held.add(record)
        else:
            held.remove(record)


def flips(numbers: list[int], held: set[int]) -> bytes:
    """Each number comes if it is away and goes if it is there."""
    packed = b""
    for number in numbers:
        packed += vrp(number, added=number not in held)
        held ^= {number}
    return packed


def add(backlog: Backlog, packed: bytes) -> None:
    if waiting := backlog.add([packed]):
        backlog.put_back(net(waiting))


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 4), st.booleans()), max_size=30),
    st.integers(0, 9),
)
def test_what_is_taken_adds_up_to_what_was_told_at_any_time(
    steps: list[tuple[list[int], int, bool]], keep: int
) -> None:
    """Also while what cancels out is just being worked out, which some steps leave for later."""
    backlog, there, seen = Backlog(keep), set[int](), set[bytes]()
    waiting: list[bytes | memoryview] = []
    for numbers, taken, later in steps:
        waiting = backlog.add([flips(numbers, there)]) or waiting
        if waiting and not later:
            backlog.put_back(net(waiting))
            waiting = []
        apply(seen, backlog.take(taken * 24))
    if waiting:
        backlog.put_back(net(waiting))
    while packed := backlog.take(24):
        apply(seen, packed)
    assert seen == {vrp(number)[:23] for number in there}
    assert len(backlog) == 0


def test_a_reader_that_never_reads_costs_one_set() -> None:
    backlog, there = Backlog(keep=10), set[int]()
    most = 0
    for _ in range(1000):
        add(backlog, flips(list(range(100)), there))
        most = max(most, len(backlog))
    assert most <= 300


async def test_an_event_loop_never_waits_for_what_cancels_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads is told the rest once it is worked out, also when the manager stopped meanwhile."""
    reader, there = Changes(), set[int]()
    begun, done = threading.Event(), threading.Event()

    def slow_net(chunks: Iterable[bytes | memoryview]) -> bytes:
        begun.set()
        done.wait()
        return net(chunks)

    monkeypatch.setattr("rtrlib.changes.net", slow_net)
    monkeypatch.setattr(reader, "_vrps", Backlog(keep=2))
    reader.vrps([flips([1], there)])
    telling = threading.Thread(target=reader.vrps, args=([flips([2, 3, 2, 3, 4], there)],))
    telling.start()
    assert begun.wait(20)
    reader.end()
    reading = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    assert not reading.done()
    done.set()
    seen = {await reading} | {change async for change in reader}
    telling.join()
    assert {change.record.prefix for change in seen if isinstance(change, VRPChange)} == {"10.1.0.0", "10.4.0.0"}


def test_few_changes_are_all_told() -> None:
    backlog, there = Backlog(keep=10), set[int]()
    add(backlog, flips([1, 1, 1], there))
    add(backlog, flips([1], there))
    assert backlog.take() + backlog.take() == vrp(1) + vrp(1, added=False) + vrp(1) + vrp(1, added=False)


def test_net() -> None:
    assert net([vrp(1) + vrp(2), vrp(1, added=False)]) == vrp(2)
    assert net([vrp(1, added=False), vrp(1)]) == b""
    assert net([]) == b""


def group() -> ManagerGroup:
    return ManagerGroup("one", 1, [RTRSocket(0, TCPServer("127.0.0.1", 323))])


def status(state: ManagerGroupStatus) -> StatusChange:
    one = group()
    one.write(status=state)
    return StatusChange(one, state, one.sockets[0])


async def test_a_reader_gets_vrps_then_keys_then_the_last_state() -> None:
    record = SPKIRecord(64500, b"k" * 20, b"s" * 91)
    prefix = PFXRecord(64500, "10.1.0.0", 16, 16)
    last = status(ManagerGroupStatus.ESTABLISHED)
    changes = Changes()
    changes.vrps([vrp(1) + vrp(1, added=False)])
    changes.status(status(ManagerGroupStatus.CONNECTING))
    changes.router_key(RouterKeyChange(record, added=True))
    changes.router_key(RouterKeyChange(record, added=False))
    changes.status(last)
    changes.router_key(RouterKeyChange(record, added=True))
    changes.end()
    assert [change async for change in changes] == [
        VRPChange(prefix, added=True),
        VRPChange(prefix, added=False),
        RouterKeyChange(record, added=True),
        last,
    ]


async def test_what_comes_just_before_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's thread goes on while the reader sees that there is nothing."""

    class LastWord:
        """A lock behind which, as soon as the reader lets go of it, another thread says the last thing and ends."""

        def __init__(self, changes: Changes) -> None:
            self.said = False
            self._changes = changes

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            if not self.said:
                self.said = True
                self._changes.vrps([vrp(1)])
                self._changes.end()

    changes = Changes()
    monkeypatch.setattr(changes, "_lock", lock := LastWord(changes))
    told = [change async for change in changes]
    assert told == [VRPChange(PFXRecord(64500, "10.1.0.0", 16, 16), added=True)]
    assert lock.said


async def test_a_long_table_leaves_the_loop_time_for_others() -> None:
    changes, turns = Changes(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    changes.vrps([b"".join(vrp(number % 250) for number in range(20_000))])
    changes.end()
    assert len([None async for _ in changes]) == 20_000
    task.cancel()
    assert turns >= 20


def test_a_loop_that_is_closed_is_no_reader() -> None:
    async def make() -> Changes:
        return Changes()

    changes = asyncio.run(make())
    changes.vrps([vrp(1)])
    changes.end()


def test_outside_of_a_loop_there_is_no_reader() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Changes()
