"""The loop drives the manager of the caches, also after a fault."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from rtrd import caches
from rtrd.base.clock import Clock
from rtrd.config import loads
from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.vrp_set import VRPSet
from tests.lab.wait import until

CONFIG = "caches: {groups: [{name: main, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}]}\n"


async def test_after_a_fault_the_manager_is_driven_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nothing would expire and no cache be pinged or connected to, unless one sent something by chance."""
    monkeypatch.setattr(caches, "AFTER_FAULT", 0.001)
    driven = asyncio.Event()
    faults: list[dict[str, Any]] = []

    def dispatch() -> float | None:
        if not faults:
            raise RuntimeError("a fault of ours")
        driven.set()
        return None

    loop = asyncio.get_running_loop()
    effective = EffectiveVRPs(VRPSet(), "keep", lambda _: None, lambda: None, lambda: None)
    loop.set_exception_handler(lambda _, context: faults.append(context))
    one = caches.Caches(loads(CONFIG, tmp_path / "rtrd.yaml").caches, effective, Clock())
    monkeypatch.setattr(one.manager, "dispatch", dispatch)
    loop.call_soon(one.look)
    await asyncio.wait_for(driven.wait(), 30)
    assert [str(fault["exception"]) for fault in faults] == ["a fault of ours"]


async def test_what_can_not_be_read_for_a_fault_is_no_reason_to_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "AFTER_FAULT", 1000.0)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    effective = EffectiveVRPs(VRPSet(), "keep", lambda _: None, lambda: None, lambda: None)
    one = caches.Caches(loads(CONFIG, tmp_path / "rtrd.yaml").caches, effective, Clock())
    reading, writing = os.pipe()
    os.write(writing, b"x")  # and nobody reads it
    looks = 0

    def dispatch() -> float | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise RuntimeError("a fault of ours")
        return None

    for name, what in (("open", lambda _: None), ("fileno", lambda: reading), ("dispatch", dispatch)):
        monkeypatch.setattr(one.manager, name, what)
    one.open()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert looks == 2
    one.look()
    await until(lambda: looks > 4)
    one.close()
    os.close(reading)
    os.close(writing)


async def test_where_memory_ends_while_caches_speak_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cache said may be lost by half: the daemon ends then, and another one asks for all."""
    effective = EffectiveVRPs(VRPSet(), "keep", lambda _: None, lambda: None, lambda: None)
    lost: list[None] = []
    effective.task_queue.lost = lambda: lost.append(None)
    one = caches.Caches(loads(CONFIG, tmp_path / "rtrd.yaml").caches, effective, Clock())

    def short() -> None:
        raise MemoryError

    monkeypatch.setattr(one.manager, "dispatch", short)
    one.look()
    assert len(lost) == 1
    with pytest.raises(MemoryError):
        effective.task_queue.call(short)
    assert len(lost) == 2
    one.close()
