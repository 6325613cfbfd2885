"""Connections that are taken some at a time, by source, and never the last descriptors; turns of a shared budget."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rtrd.base import acceptor, shortages
from rtrd.base.acceptor import AT_ONCE, Acceptor, last_descriptor, source_of
from rtrd.base.shortages import NEARLY_NONE, NO_DESCRIPTOR
from rtrd.rtr.turns import BUDGET, Turns


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("2001:db8:0:1::1", 5, 0, 0), "2001:db8:0:1::/64"),
        (("2001:db8:0:1:ffff::9", 5, 0, 0), "2001:db8:0:1::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", ""),
        (b"\0name", ""),
    ],
)
def test_whose_a_connection_is(address: Any, source: str) -> None:
    assert source_of(address) == source


def test_what_is_left_to_others_of_the_descriptors() -> None:
    assert [last_descriptor(limit) for limit in (64, 512, 1024)] == [48, 416, 928]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A socket that listens nowhere yet, and connections to close at the end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    connections: list[socket.socket] = []
    try:
        yield listener, connections
    finally:
        for one in connections:
            one.close()


def dial(listener: socket.socket, connections: list[socket.socket], count: int) -> None:
    connections += [socket.create_connection(listener.getsockname()) for _ in range(count)]


async def turn() -> None:
    """Until the loop has looked at its descriptors."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_some_at_a_time() -> None:
    with listening() as (listener, connections):
        taken: list[Any] = []
        taking = Acceptor(listener, lambda one, peer: taken.append(peer) or connections.append(one))  # type: ignore[func-returns-value]
        taking.start(64)
        dial(listener, connections, AT_ONCE + 3)
        await turn()
        assert len(taken) == AT_ONCE
        await turn()
        assert len(taken) == AT_ONCE + 3
        taking.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_the_last_descriptors_are_for_whoever_may_have_them(
    monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    monkeypatch.setattr(acceptor, "last_descriptor", lambda: 3)  # as if nearly all were taken
    with listening() as (listener, connections):
        taken, refused = [], []  # type: ignore[var-annotated]

        def take(one: socket.socket, peer: Any) -> None:
            connections.append(one)
            taken.append(peer)

        taking = Acceptor(listener, take, refused.append if kept else None)
        taking.start(64)
        dial(listener, connections, 2)
        await turn()
        assert (len(taken), len(refused)) == ((0, 2) if kept else (2, 0))
        assert [why for why, _ in shortages.noted()] == ([NEARLY_NONE] if kept else [])
        taking.close()


async def test_without_a_descriptor_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PAUSE", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as (listener, connections):
        came = asyncio.Event()

        def take(one: socket.socket, _: Any) -> None:
            connections.append(one)
            came.set()

        spared: list[None] = []
        taking = Acceptor(listener, take, make_room=lambda: spared.append(None))
        taking.start(64)
        dial(listener, connections, 1)
        first_free = os.dup(listener.fileno())
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 1, hard))
        try:
            await turn()
            assert not came.is_set()
            assert spared
            assert NO_DESCRIPTOR in [why for why, _ in shortages.noted()]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(first_free)
        await asyncio.wait_for(came.wait(), 20)
        taking.close()


class Worker:
    """Has something to do for some turns."""

    def __init__(self, name: str, turns: int, done: list[str]) -> None:
        self.name, self.left, self.done = name, turns, done

    def turn(self) -> bool:
        self.done.append(self.name)
        self.left -= 1
        return self.left > 0


async def test_all_have_a_turn_before_one_has_two() -> None:
    turns, done = Turns(), []  # type: ignore[var-annotated]
    for worker in (Worker("a", 3, done), Worker("b", 1, done), Worker("c", 2, done)):
        turns.want(worker)
        turns.want(worker)
    await turn()
    assert "".join(done) == "abcaca"


async def test_the_budget_is_of_all_together() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += BUDGET / 4
        return now[0]

    turns, done = Turns(clock), []  # type: ignore[var-annotated]
    for number in range(9):
        turns.want(Worker(str(number), 1, done))
    await asyncio.sleep(0)
    assert "".join(done) == "0123"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "".join(done) == "012345678"
