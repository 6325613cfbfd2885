"""What a bug report should have, read from the running daemon, without secrets."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest

from rtrd.api.scrape import read
from rtrd.api.trend import Trend
from rtrd.base import log
from rtrd.base.registry import Registry
from rtrd.config import Config
from rtrd.event_log import EventLog

_SECRET = re.compile("pass|secret|token|credential", re.IGNORECASE)


async def of(registry: Registry, settings: Config, event_log: EventLog, trend: Trend) -> dict[str, Any]:
    """Give status, configuration, metrics, events, the last log records and the numbers of the process."""
    metrics = CollectorRegistry()
    metrics.register(await read(registry.collect()))
    return {
        "status": await registry.status(),
        "configuration": without_secrets(msgspec.to_builtins(settings, enc_hook=str)),
        "metrics": (await asyncio.to_thread(generate_latest, metrics)).decode().splitlines(),
        "events": [msgspec.json.decode(line) for line in event_log.recent()],
        "log": without_secrets(log.recent()),
        "trend": await trend.answer(),
        "process": process(),
    }


def without_secrets(value: Any) -> Any:
    """Give a configuration or log records again, with `(left out)` where a key says that it is a secret.

    Paths of keys stay.
    """
    if isinstance(value, dict):
        return {
            key: "(left out)" if _SECRET.search(str(key)) and one is not None else without_secrets(one)
            for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_secrets(one) for one in value]
    return value


def process() -> dict[str, str]:
    """Give what the kernel says of this process: memory, threads, switches."""
    wanted = ("VmPeak", "VmRSS", "VmHWM", "Threads", "FDSize", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: text.strip() for key, text in pairs if key in wanted}
