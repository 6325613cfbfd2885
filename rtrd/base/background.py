"""Tasks that run beside everything else until they are told to end; one that fails begins again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from rtrd.base import log

AGAIN: Final = 5.0
"""Seconds until what failed begins again: what the host was short of may be there then."""

logger = log.get("daemon")


class Background:
    """What runs beside everything else on the loop."""

    def __init__(self, name: str) -> None:
        """`name`: of the task, for the log."""
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Let it run from now on."""
        self._task = asyncio.create_task(lasting(self._name, work), name=self._name)

    def close(self) -> None:
        """End it; nothing happens if it does not run."""
        if self._task is not None:
            self._task.cancel()
            self._task = None


async def lasting(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work to its end; where it fails, say so, and begin it again."""
    while True:
        try:
            await work()
        except Exception:
            with contextlib.suppress(MemoryError):
                logger.exception("a background task failed; it begins again", name=name, seconds=AGAIN)
        else:
            return
        await asyncio.sleep(AGAIN)
