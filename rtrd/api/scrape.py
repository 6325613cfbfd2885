"""The page that a Prometheus scraper asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder

from rtrd.base.turn import SharedTurn


async def page(families: Iterator[Family | None], accept: str) -> tuple[bytes, str]:
    """Print metrics, and those of the process, as a scraper's Accept asks for; give the text and its Content-Type.

    The loop turns while they are read; the text is made in a thread.
    """
    registry = CollectorRegistry()
    registry.register(await read(families))
    registry.register(_PROCESS)
    encode, content_type = choose_encoder(accept)
    return await asyncio.to_thread(encode, registry), content_type


async def read(families: Iterator[Family | None]) -> Read:
    """Read metrics, with the loop turning after each few samples."""
    found = []
    async with SharedTurn() as turn:
        for family in families:
            if family is not None:
                found.append(family)
            if turn.over:
                await turn.next()
    return Read(found)


class Read:
    """Metrics that were read before, as prometheus_client collects them."""

    def __init__(self, families: list[Family]) -> None:
        self.collect = lambda: families


_PROCESS = ProcessCollector(registry=None)
