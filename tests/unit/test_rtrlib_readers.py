"""Who hears of changes may join while they are told, from any thread, and misses nothing."""

import asyncio
import sys
import threading
from typing import Any

import pytest

from rtrlib import Changes, OptionTypeError, RTRManager, Snapshot
from rtrlib.listener import WANTED
from rtrlib.readers import Readers


async def test_readers_join_while_they_are_listed() -> None:
    readers, kept = Readers(), [Changes() for _ in range(500)]
    for reader in kept:
        readers.add(reader)
    faults: list[RuntimeError] = []
    begun, done = threading.Event(), threading.Event()

    def tell() -> None:
        while not done.is_set():
            try:
                readers.listed()
            except RuntimeError as fault:
                faults.append(fault)
                break
            begun.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    telling = threading.Thread(target=tell)
    telling.start()
    try:
        assert begun.wait(20)
        for _ in range(3000):
            readers.add(Changes())
    finally:
        done.set()
        telling.join()
        sys.setswitchinterval(before)
    assert not faults
    del reader
    assert set(readers.listed()) == set(kept), "those that nobody holds are gone"


async def test_who_subscribes_while_it_is_started_gets_what_the_start_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = RTRManager("127.0.0.1", 1, engine="native")
    add = manager._readers.add

    def started_meanwhile(reader: Any) -> None:
        monkeypatch.setattr(manager._readers, "add", add)
        manager.start(wait=False)
        add(reader)

    monkeypatch.setattr(manager._readers, "add", started_meanwhile)
    reader = manager.subscribe()
    async with asyncio.timeout(20):
        assert isinstance(await anext(reader), Snapshot)
        while reader not in manager._readers.listed():  # noqa: ASYNC110 - a thread makes it known, behind the Snapshot
            await asyncio.sleep(0)
    await manager.astop()


async def test_who_is_canceled_while_it_starts_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = RTRManager("127.0.0.1", 1, engine="native")
    start, begun, go, done = manager.start, threading.Event(), threading.Event(), threading.Event()

    def slow_start(**options: Any) -> None:
        begun.set()
        assert go.wait(20)
        start(**options)
        done.set()

    async def use() -> None:
        async with manager:
            pass

    monkeypatch.setattr(manager, "start", slow_start)
    using = asyncio.create_task(use())
    await asyncio.to_thread(begun.wait, 20)
    using.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    await asyncio.to_thread(done.wait, 20)
    assert manager._driver is None, "it was stopped after it was started"


def test_a_listener_without_a_method_is_refused() -> None:
    class Listener:
        def method(self, *_: object) -> None: ...

    for name in WANTED:
        setattr(Listener, name, Listener.method)
    manager = RTRManager("127.0.0.1", 1, engine="native")
    for name in WANTED:
        listener: Any = type("Lacking", (Listener,), {name: None})()
        with pytest.raises(OptionTypeError, match=f"Lacking has no {name}"):
            manager.open(listener)
    whole: Any = Listener()
    manager.open(whole)
    manager.close()
