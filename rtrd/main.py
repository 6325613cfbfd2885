"""The daemon with its API: what joins the parts to the handlers that ask them, and runs the whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import Any

from aiohttp import web

from rtrd import config
from rtrd.api import dump
from rtrd.api.app import make_app
from rtrd.api.aspa_queries import ASPAQueries
from rtrd.api.aspa_suggestion import ASPASuggestionQuery
from rtrd.api.change_monitor import ChangeMonitor
from rtrd.api.changes_api import ChangeHandlers
from rtrd.api.exempt_api import ExemptHandlers
from rtrd.api.history import HistoryQueries
from rtrd.api.live import Live
from rtrd.api.path_query import PathQuery
from rtrd.api.path_whatif import PathWhatIfQuery
from rtrd.api.queries import StateQueries, VRPQueries
from rtrd.api.route_queries import RouteQueries
from rtrd.api.server import APIServer
from rtrd.api.trend import Trend
from rtrd.api.whatif import WhatIf, WhatIfQueries
from rtrd.base import signals
from rtrd.base.ending import end_each
from rtrd.base.loop import WatchedLoop
from rtrd.daemon import DONE, Daemon
from rtrd.reload import Reloading


class Service:
    """A daemon and its API."""

    def __init__(self, daemon: Daemon, path: Path) -> None:
        """Listen nowhere yet. `path`: the file of the settings, read again at a reload."""
        self.daemon = daemon
        self.reloading = Reloading(
            path, daemon.settings, daemon.registry, daemon.notifier,
            caches=daemon.caches, relay=daemon.relay, bmp=daemon.bmp, routers=daemon.routers,
        )  # fmt: skip
        self.monitor = ChangeMonitor(daemon.event_log, daemon.caches, daemon.routers, daemon.guarding, daemon.history)
        self.trend = Trend(daemon.routers, daemon.vrp_set, daemon.clock)

    def app(self) -> web.Application:
        """Give the application: each of its handlers is given the parts that it asks."""
        daemon, registry = self.daemon, self.daemon.registry
        paths = PathQuery(daemon.vrp_set, daemon.aspas, daemon.guarding)
        whatif = WhatIf(daemon.vrp_set, daemon.slurm, daemon.exempts, daemon.routers)
        return make_app(
            (
                StateQueries(registry, daemon.health, daemon.effective, self.trend, dump=self.dump),
                VRPQueries(
                    daemon.effective, daemon.caches, daemon.slurm, daemon.exempts, daemon.guarding, daemon.aspas, paths
                ),
                ASPAQueries(daemon.aspas, daemon.caches),
                ASPASuggestionQuery(daemon.aspas, daemon.routers),
                paths,
                PathWhatIfQuery(daemon.aspas, daemon.routers),
                RouteQueries(daemon.routers),
                HistoryQueries(daemon.history),
                WhatIfQueries(whatif),
                Live(daemon.event_log, registry.status),
                ExemptHandlers(daemon.exempts, whatif, daemon.vrp_set, daemon.clock),
                ChangeHandlers(daemon.guarding, daemon.caches, self.reloading, daemon.routers.known, daemon.event_log),
            ),
            daemon.settings.http_names,
        )

    async def dump(self) -> dict[str, Any]:
        """Give all that a report of a fault should have."""
        return await dump.of(self.daemon.registry, self.reloading.in_force, self.daemon.event_log, self.trend)

    async def run(self, *, exabgp: bool) -> int:
        """Run until a signal, or until ExaBGP is gone. Gives the exit code."""
        daemon, settings = self.daemon, self.daemon.settings
        server = APIServer(self.app(), settings.control, settings.http, group=settings.control_group)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reloading.on_signal)
        if signals.hangup_came():
            self.reloading.on_signal()
        daemon.registry.problems_of(server.problems)
        await self.monitor.start()
        await daemon.start(exabgp=exabgp)
        self.trend.start()
        try:
            return await daemon.run(server.start, exabgp=exabgp)
        finally:
            await end_each(self.trend.close, self.monitor.close, daemon.close, server.close)


def run(path: Path, *, exabgp: bool) -> int:
    """Run the daemon of a configuration file in the foreground. Gives the exit code."""
    settings = config.load(path)

    # What fails there is told to the listener, too, who says it once, with all that is known of it.
    logging.getLogger("rtrlib.cache").setLevel(logging.ERROR)

    async def main() -> int:
        return await Service(Daemon(settings), path).run(exabgp=exabgp)

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=WatchedLoop) as runner:
        return runner.run(main())
    return DONE
