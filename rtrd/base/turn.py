"""A turn of the loop in which a long list is walked: so long, and then others have theirs."""

from __future__ import annotations

import asyncio
import time
from typing import Final

TURN: Final = 0.002
"""Seconds of one turn."""


class Turn:
    """Says when it is time to let the loop turn: `if turn.over: await turn.next()` after each few steps of a walk."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + TURN

    @property
    def over(self) -> bool:
        """Whether others should have their turn now."""
        return time.perf_counter() >= self._until

    async def next(self) -> None:
        """Let the loop turn."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + TURN
