"""The end of many parts: each is ended, also where another one can't be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from rtrd.base import log

logger = log.get("daemon")

End = Callable[[], Awaitable[None] | None]


class Part(Protocol):
    """What can be ended."""

    def close(self) -> Awaitable[None] | None:
        """End it."""


async def end_each(*ends: End) -> None:
    """End parts, one after the other. What fails is said, and keeps nobody from the end that was asked for."""
    for end in ends:
        try:
            waiting = end()
            if waiting is not None:
                await waiting
        except Exception:
            logger.exception("a part of rtrd could not be ended in order", name=getattr(end, "__qualname__", ""))
