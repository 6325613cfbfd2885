"""The loop drives the manager of the caches, also after a fault."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rtrd import caches
from rtrd.base.clock import Clock
from rtrd.config import loads
from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.vrp_set import VRPSet

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
