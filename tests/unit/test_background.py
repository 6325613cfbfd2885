"""What runs beside everything else: when it ends by a fault, that is in the log at once."""

import asyncio

import structlog

from rtrd.base.background import Background


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_fault_is_told_when_it_happens() -> None:
    async def work() -> None:
        raise RuntimeError("a fault of ours")

    with structlog.testing.capture_logs() as logs:
        background = Background("history")
        background.start(work())
        await turns()
        (event,) = logs
        assert (event["log_level"], event["name"]) == ("error", "history")
        assert "a fault of ours" in repr(event["exc_info"])
        background.close()


async def test_its_end_is_none() -> None:
    with structlog.testing.capture_logs() as logs:
        background = Background("history")
        background.start(asyncio.sleep(1000))
        await turns()
        background.close()
        await turns()
    assert logs == []
