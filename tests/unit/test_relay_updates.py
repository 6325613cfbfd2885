"""What the relay tells its server: in order, one thing at a time, coalesced, and never anything wrong."""

import asyncio
from collections.abc import Iterable
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.base.shortages import NO_THREAD
from rtrd.rtr import relay
from rtrd.rtr.relay import MOST_SINGLE, Sets, Updates
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.router_keys import KeySet
from rtrlib import aspas
from rtrlib.vrp import VRP, unpack
from rtrlib.vrp_entries import RouterKey
from rtrlib.vrp_set import VRPChanges
from tests.lab.strategies import vrps
from tests.lab.vrp_sets import packed, set_of
from tests.lab.wait import until

ONE, TWO, THREE = (VRP(f"192.0.2.{i}/32", 32, 64500) for i in range(3))
MANY = [VRP(f"10.{i >> 8}.{i & 255}.0/24", 24, 64500) for i in range(MOST_SINGLE + 1)]

KEY = RouterKey(64500, bytes(20), bytes(91))


def found(records: bytes | memoryview) -> set[VRP]:
    return {vrp for vrp, _ in unpack(bytes(records))}


class SlowServer:
    """Takes an update or a change only when it is let; `calls` is what it was told."""

    def __init__(self) -> None:
        self.served: set[VRP] | None = None
        self.keys: set[RouterKey] = set()
        self.aspas = b""
        self.calls: list[tuple[str, int]] = []
        self.let = asyncio.Semaphore(0)
        self.busy = False
        self.fails = 0
        self.short = False

    async def update(self, vrps: bytes | memoryview, keys: Iterable[RouterKey], aspa_set: bytes) -> bool:
        await self._take("update", len(found(vrps)))
        self.served, self.keys, self.aspas = found(vrps), set(keys), aspa_set
        return True

    async def change(self, announced: bytes, withdrawn: bytes, keys: frozenset[RouterKey], aspa_set: bytes) -> bool:
        assert self.served is not None, "a change before the first set"
        await self._take("change", len(found(announced) | found(withdrawn)))
        self.served, self.keys = (self.served - found(withdrawn)) | found(announced), set(keys)
        self.aspas = aspa_set
        return True

    async def _take(self, what: str, count: int) -> None:
        assert not self.busy, "two at a time"
        self.busy = True
        await self.let.acquire()
        self.busy = False
        if self.fails:
            self.fails -= 1
            raise RuntimeError("can't start new thread") if self.short else OSError("no")
        self.calls.append((what, count))


class Story:
    """A VRP set with one source, a slow server, and the task between them."""

    def __init__(self, *vrps: VRP) -> None:
        self.vrp_set = set_of(*vrps)
        self.server = SlowServer()
        self.ready = True
        self.keys = KeySet(self._others_changed)
        self.aspas = ASPASet()
        self.updates = Updates(Sets(self.vrp_set, self.keys, self.aspas), self.server, lambda: self.ready)
        self.task = asyncio.create_task(self.updates.run())

    def _others_changed(self) -> None:
        self.updates.others_changed()

    def now(self, *vrps: VRP) -> None:
        self.updates.changed(self.vrp_set.replace(0, packed(vrps)))

    def have_aspas(self, effective: bytes) -> None:
        self.aspas.effective = effective
        self.updates.others_changed()

    async def started(self) -> Self:
        """Serve what there is."""
        self.updates.became_usable()
        await self.let(1)
        return self

    async def let(self, calls: int) -> None:
        """Let the server take so many calls, and wait until it has."""
        wanted = len(self.server.calls) + calls
        for _ in range(calls):
            self.server.let.release()
        await until(lambda: len(self.server.calls) == wanted)

    async def settle(self) -> None:
        """Let the task come to where it waits."""
        for _ in range(20):
            await asyncio.sleep(0)


async def test_what_can_not_be_served_is_said_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY", 0.001)
    one = await Story(ONE).started()
    one.server.fails = 1
    one.server.short = True
    one.now(TWO)
    one.server.let.release()
    await until(lambda: one.updates.fault == NO_THREAD)
    await one.let(1)
    await until(lambda: one.updates.fault is None)
    assert one.server.served == {TWO}


async def test_nothing_is_served_before_the_set_can_be_relied_on() -> None:
    one = Story(ONE)
    one.ready = False
    one.updates.became_usable()
    one.now(ONE, TWO)
    one.server.let.release()
    await one.settle()
    assert one.server.calls == []
    one.ready = True
    one.updates.became_usable()
    await one.let(1)
    assert one.server.served == {ONE, TWO}


async def test_once_it_serves_it_goes_on_with_what_is_effective() -> None:
    """A snapshot that ran out: better nothing than what is too old."""
    one = await Story(ONE).started()
    one.ready = False
    one.now()
    await one.let(1)
    assert one.server.served == set()


async def test_what_comes_while_the_server_is_busy_goes_in_one_piece() -> None:
    one = await Story(ONE).started()
    one.now(ONE, TWO)
    await one.settle()
    one.now(TWO)
    one.now(TWO, THREE)
    one.now(ONE, TWO)
    await one.let(2)
    assert one.server.served == {ONE, TWO}
    assert one.server.calls == [("update", 1), ("change", 1), ("change", 2)]


async def test_a_big_change_goes_as_the_whole_set() -> None:
    one = await Story(ONE).started()
    one.now(*MANY)
    await one.let(1)
    assert one.server.served == set(MANY)
    assert one.server.calls[1] == ("update", len(MANY))


async def test_a_set_that_changes_while_it_is_copied_is_served_as_it_became(monkeypatch: pytest.MonkeyPatch) -> None:
    """With slices of no time, the copy lets others run after every part."""
    monkeypatch.setattr("rtrd.base.turn.TURN", 0)
    one = Story(*MANY)
    one.updates.became_usable()
    await one.settle()
    assert one.server.calls == []
    one.now(*MANY[1:], ONE)
    await one.settle()
    one.now(*MANY[2:], TWO)
    one.server.let.release()
    one.server.let.release()
    await until(lambda: one.server.served == {*MANY[2:], TWO})


async def test_aspas_and_vrps_of_one_moment_are_one_change() -> None:
    one = await Story(ONE).started()
    some, others = (aspas.union_of(aspas.numbers([(64496, providers)])) for providers in ([64497], [0]))
    one.have_aspas(some)
    await one.let(1)
    assert (one.server.served, one.server.aspas) == ({ONE}, some)
    one.now(TWO)
    one.have_aspas(others)
    await one.let(1)
    assert (one.server.served, one.server.aspas) == ({TWO}, others)


async def test_router_keys_and_vrps_of_one_moment_are_one_change() -> None:
    one = Story(ONE)
    one.keys.slurm([], [KEY])
    await one.started()
    assert one.server.keys == {KEY}
    one.now(TWO)
    one.keys.slurm([], [])
    await one.let(1)
    assert (one.server.served, one.server.keys) == ({TWO}, set())
    one.keys.slurm([], [KEY])
    await one.let(1)
    assert one.server.keys == {KEY}
    assert one.server.calls == [("update", 1), ("change", 2), ("change", 0)]


async def test_after_a_failure_the_whole_set_is_served_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY", 0)
    one = await Story(ONE).started()
    one.server.fails = 1
    one.now(TWO)
    one.server.let.release()
    await one.let(1)
    assert one.server.calls == [("update", 1), ("update", 1)]
    assert one.server.served == {TWO}


@given(st.lists(st.tuples(st.lists(vrps(), max_size=6), st.integers(0, 3), st.integers(0, 2)), max_size=12))
@settings(deadline=None, max_examples=100)
def test_however_changes_and_answers_interleave_it_ends_with_the_set(
    steps: list[tuple[list[VRP], int, int]],
) -> None:
    async def story() -> None:
        one = Story()
        one.updates.became_usable()
        for entries, turns, taken in steps:
            one.now(*entries)
            for _ in range(taken):
                one.server.let.release()
            for _ in range(turns):
                await asyncio.sleep(0)
        for _ in range(len(steps) + 2):
            one.server.let.release()
        wanted = found(b"".join(one.vrp_set.packed()))
        await until(lambda: one.server.served == wanted)

    asyncio.run(story())


async def test_an_empty_change_is_nothing() -> None:
    one = await Story(ONE).started()
    one.updates.changed(VRPChanges())
    one.server.let.release()
    await one.settle()
    assert one.server.calls == [("update", 1)]
