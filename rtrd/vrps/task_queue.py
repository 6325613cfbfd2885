"""What changes the whole VRP set, done in its order, a slice in each turn of the event loop.

Such a change takes long, and what follows must not overtake it: a cache's next change, a switch to other caches, an
operator's command. A task that ends in its first slice is done at once, also without a loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator

Task = Generator[None, None, object]


class TaskQueue:
    """The tasks of one event loop."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        """Those that are not done."""
        self.lost: Callable[[], None] = lambda: None
        """Told when memory ended within one: a change is done by half, and nobody knows which half."""
        self._idle = asyncio.Event()
        self._running = False
        self._next: asyncio.Handle | None = None

    def do(self, task: Task) -> None:
        """Do a task when those before it are done: now, if there are none. What it raises then is raised here."""
        self.tasks.append(task)
        if not self._running and self._next is None:
            self._go_on()

    def call(self, function: Callable[[], object]) -> None:
        """Do the same with a function."""
        self.do(_task(function))

    async def done(self) -> None:
        """Return when every task is done."""
        if self.tasks:
            self._idle.clear()
            await self._idle.wait()

    def _go_on(self) -> None:
        self._next = None
        self._running = True
        try:
            while self.tasks:
                try:
                    next(self.tasks[0])
                except StopIteration:
                    self.tasks.popleft()
                except BaseException as error:
                    self.tasks.popleft()
                    if isinstance(error, MemoryError):
                        self.lost()
                    raise
                else:
                    break
        finally:
            self._running = False
            if self.tasks:
                self._next = asyncio.get_running_loop().call_soon(self._go_on)
            else:
                self._idle.set()


def _task(function: Callable[[], object]) -> Generator[None]:
    function()
    yield from ()
