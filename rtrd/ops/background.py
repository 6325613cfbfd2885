"""A coroutine that goes on until it is told to end, in; its task, started and cancelled, out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Background:
    """What runs beside everything else on the loop."""

    def __init__(self, name: str) -> None:
        """`name`: of the task, for a traceback."""
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Let it run from now on."""
        self._task = asyncio.create_task(work, name=self._name)

    def close(self) -> None:
        """End it; nothing happens if it does not run."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
