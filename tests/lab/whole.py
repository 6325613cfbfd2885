"""A daemon that has every part a configuration can name, not started: what documents are compared with."""

import asyncio
import tempfile
from functools import cache
from pathlib import Path

from aiohttp import web

from rtrd.base.registry import Metric
from rtrd.config import loads
from rtrd.daemon import Daemon
from rtrd.main import Service

CONFIG = """
caches: {groups: [{name: main, preference: 1, servers: [{host: 192.0.2.10}]}]}
state: state
guard: {}
rtr-server: {listen: ["127.0.0.1:0"]}
bmp: {listen: ["127.0.0.1:0"]}
bird: {}
events: {nats: "nats://127.0.0.1:4222"}
"""


@cache
def _made() -> tuple[list[Metric], frozenset[str], web.Application]:
    async def make(path: Path) -> tuple[list[Metric], frozenset[str], web.Application]:
        daemon = Daemon(loads(CONFIG, path))
        reloadable = frozenset(key for setting in daemon.registry.settings for key in setting.keys)
        return daemon.registry.metrics, reloadable, Service(daemon, path).app()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(make(Path(folder) / "rtrd.yaml"))


def metrics() -> list[Metric]:
    """All metrics."""
    return _made()[0]


def reloadable() -> frozenset[str]:
    """Every key of the configuration that a reload can change."""
    return _made()[1]


def app() -> web.Application:
    """The API."""
    return _made()[2]
