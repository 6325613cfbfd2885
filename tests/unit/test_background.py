"""What runs beside everything else: when it fails, that is in the log at once, and it begins again."""

import asyncio

import pytest
import structlog

from rtrd.base import background
from rtrd.base.background import Background


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [RuntimeError("a fault of ours"), MemoryError()])
async def test_a_fault_is_told_when_it_happens_and_it_begins_again(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(background, "AGAIN", 0.01)
    began = 0
    again = asyncio.Event()

    async def work() -> None:
        nonlocal began
        began += 1
        if began == 1:
            raise fault
        again.set()

    with structlog.testing.capture_logs() as logs:
        one = Background("history")
        one.start(work)
        await turns()
        (event,) = logs
        assert (event["log_level"], event["name"]) == ("error", "history")
        assert event["exc_info"]
        await asyncio.wait_for(again.wait(), 30)
        one.close()


async def test_its_end_is_none() -> None:
    with structlog.testing.capture_logs() as logs:
        one = Background("history")
        one.start(lambda: asyncio.sleep(1000))
        await turns()
        one.close()
        await turns()
    assert logs == []
