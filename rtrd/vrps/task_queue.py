"""Tasks in steps in; each done after the one before it, a step in each turn of the event loop, out.

What changes the whole VRP set takes long, and what follows of it must not overtake it: a cache's next change, a switch
to other caches, an operator's word. A task that is done in its first step is done at once, also without a loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    Task = Generator[None, None, object]


class TaskQueue:
    """The tasks of one event loop."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._idle = asyncio.Event()
        self._running = False
        self._next: asyncio.Handle | None = None

    @property
    def busy(self) -> bool:
        """Some task is not done."""
        return bool(self._tasks)

    def do(self, task: Task) -> None:
        """Do a task when those before it are done: now, if there are none. What it raises then is raised here."""
        self._tasks.append(task)
        if not self._running and self._next is None:
            self._go_on()

    async def done(self) -> None:
        """Return when every task is done."""
        if self._tasks:
            self._idle.clear()
            await self._idle.wait()

    def _go_on(self) -> None:
        self._next = None
        self._running = True
        try:
            while self._tasks:
                try:
                    next(self._tasks[0])
                except StopIteration:
                    self._tasks.popleft()
                except BaseException:
                    self._tasks.popleft()
                    raise
                else:
                    break
        finally:
            self._running = False
            if self._tasks:
                self._next = asyncio.get_running_loop().call_soon(self._go_on)
            else:
                self._idle.set()
