"""Waiting for what no event tells: looked at again and again, and an error that says what did not come."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 30
"""Generous: for what takes milliseconds on an idle machine."""


def wait_until(holds: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """Return the first result of `holds` that is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
    return found


async def until(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """The same in an event loop, for what other tasks or processes bring about."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - that is what it is for
            await asyncio.sleep(0.002)
