"""A task that runs beside everything else until it is told to end; a failure is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from rtrd.base import log

logger = log.get("daemon")


class Background:
    """What runs beside everything else on the loop."""

    def __init__(self, name: str) -> None:
        """`name`: of the task, for the log."""
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Let it run from now on."""
        self._task = asyncio.create_task(work, name=self._name)
        self._task.add_done_callback(self._ended)

    def close(self) -> None:
        """End it; nothing happens if it does not run."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Say so when it failed: asyncio would only when nobody holds the task any more."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("a background task failed, and does not run any more", name=self._name, exc_info=error)
