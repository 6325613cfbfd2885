"""An event loop in a thread of its own: for what answers while the test waits."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from tests.lab.wait import SECONDS

T = TypeVar("T")


class LoopThread:
    """Runs from `with` to its end."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SECONDS)
        self.loop.close()

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns in the loop."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(SECONDS)
