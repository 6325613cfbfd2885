"""What an operator decides in, over the control socket alone; how the guard stands then, as JSON, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from rtrd.api.responses import json

if TYPE_CHECKING:
    from rtrd.api.queries import Daemon


class Decisions:
    """Handlers that change something."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is done where."""
        return [web.post("/accept", self.accept), web.post("/reject", self.reject)]

    async def accept(self, _request: web.Request) -> web.Response:
        """Let the held change count."""
        return json(self._daemon.decide(accept=True))

    async def reject(self, _request: web.Request) -> web.Response:
        """Keep what is in force."""
        return json(self._daemon.decide(accept=False))
