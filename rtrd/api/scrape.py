"""The page that a Prometheus scraper asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder


async def page(families: Iterator[Family], accept: str) -> tuple[bytes, str]:
    """Print metrics, and those of the process, as a scraper's Accept asks for; give the text and its Content-Type.

    The loop turns after each metric is read; the text is made in a thread.
    """
    read = []
    for family in families:
        read.append(family)
        await asyncio.sleep(0)
    registry = CollectorRegistry()
    registry.register(Read(read))
    registry.register(_PROCESS)
    encode, content_type = choose_encoder(accept)
    return await asyncio.to_thread(encode, registry), content_type


class Read:
    """Metrics that were read before, as prometheus_client collects them."""

    def __init__(self, families: list[Family]) -> None:
        self.collect = lambda: families


_PROCESS = ProcessCollector(registry=None)
