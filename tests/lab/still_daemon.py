"""A daemon that is not started and connected to nobody, with one router: told of routes and VRPs, and asked."""

import os
from pathlib import Path
from typing import Self

from rtrd.api.server import APIServer
from rtrd.base.clock import Clock
from rtrd.base.endpoint import Endpoint
from rtrd.config import load
from rtrd.daemon import Daemon
from rtrd.main import Service
from rtrlib.vrp import VRP
from tests.lab.engine_story import tell, update
from tests.lab.vrp_sets import packed

CONFIG = """
caches: {groups: [{name: main, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}]}
policy: [{valid: {action: announce}, invalid: {action: withdraw}}]
"""
CACHE = "192.0.2.10:323"


class StillDaemon:
    """The daemon, its service and its router, until the end of the context. It needs a running loop."""

    def __init__(
        self, folder: Path, config: str = CONFIG, *, router: str = "exabgp", clock: Clock | None = None
    ) -> None:
        file = folder / "rtrd.yaml"
        file.write_text(config)
        self.daemon = Daemon(load(file), clock or Clock())
        self.service = Service(self.daemon, file)
        self.daemon.vrp_set.activate([0])
        self._ends = os.pipe()
        self.router = self.daemon.routers.add(router, self._ends[0], os.open(os.devnull, os.O_WRONLY), lambda: None)
        self.engine = self.router.engine
        self.socket = folder / "rtrd.sock"
        self.port = 0
        self._server: APIServer | None = None

    def announce(self, *prefixes: str, origin: int = 64500, neighbor: str = "192.0.2.1") -> None:
        tell(self.engine, update(neighbor, *prefixes, origin=origin))

    def vrps(self, *vrps: VRP, cause: str = CACHE) -> None:
        """Put exactly these into force."""
        self.daemon.effective.cause = cause
        self.daemon._vrps_changed(self.daemon.vrp_set.replace(0, packed(vrps)))

    async def serve(self) -> None:
        """Answer at the socket and at a port of 127.0.0.1, that of before when it is served again."""
        self._server = APIServer(self.service.app(), self.socket, Endpoint("127.0.0.1", self.port))
        await self._server.start()
        assert self._server.http is not None
        self.port = self._server.http.port

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            await self._server.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.service.monitor.close()
        await self.daemon.history.close()
        self.daemon.routers.close()
        os.close(self._ends[1])
