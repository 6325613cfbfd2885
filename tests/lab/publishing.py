"""What publishes events to a NATS server, in the loop of a test, with an event log of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rtrd.base.clock import Clock
from rtrd.base.registry import Registry
from rtrd.config import Events
from rtrd.config.nats import parse_nats_server, parse_subject
from rtrd.event_log import EventLog
from rtrd.events import client, connection, publisher
from rtrd.events.publisher import Publisher
from tests.lab.wait import until

STATUS: dict[str, Any] = {
    "version": "1", "started": "2026-01-01T00:00:00Z", "ready": True, "active_group": "main", "groups": [],
    "routers": [], "vrps": {"ipv4": 1, "ipv6": 0}, "problems": [], "health": {"status": "ok", "summary": "ready"},
}  # fmt: skip


async def status() -> dict[str, Any]:
    return STATUS


class Site:
    """What publishes, with its event log."""

    def __init__(self, folder: Path | None) -> None:
        self.log = EventLog(Clock())
        self.registry = Registry()
        self.publisher = Publisher(folder, "host.example", Clock(), listen=self.log.listen, status=status)
        self.publisher.register(self.registry)
        self.happened = 0

    def happens(self, count: int = 1, size: int = 0) -> None:
        for _ in range(count):
            self.happened += 1
            self.log.add("router", str(self.happened), router="edge 1.example", up=True, more="x" * size)

    @property
    def status(self) -> dict[str, Any]:
        return self.publisher.status() or {}

    async def all_sent(self) -> None:
        listeners = self.log._listeners
        await until(
            lambda: (
                self.status["connected"]
                and not self.status["waiting"]
                and not any(listener._lines for listener in listeners)
            )
        )


@asynccontextmanager
async def site(url: str, folder: Path | None = None, **settings: Any) -> AsyncIterator[Site]:
    one = Site(folder)
    await one.publisher.start(events(url, **settings))
    try:
        await asyncio.sleep(0)  # its task listens now
        yield one
    finally:
        await one.publisher.close()


def events(url: str, subject: str = "test.events", **settings: Any) -> Events:
    return Events(nats=parse_nats_server(url), subject=parse_subject(subject), **settings)


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be slow."""
    monkeypatch.setattr(publisher, "AGAIN", 0.2)
    monkeypatch.setattr(publisher, "KEEP", 0.1)
    monkeypatch.setattr(publisher, "SETTLE", 0.0)
    monkeypatch.setattr(client, "ANSWER", 2.0)
    monkeypatch.setattr(connection, "ANSWER", 2.0)
