"""A POST in, over the control socket alone; the configuration read again, and what changed as JSON, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from rtrd.api.responses import json
from rtrd.base.faults import FaultyFileError

if TYPE_CHECKING:
    from rtrd.api.queries import Daemon


class Reloads:
    """Handlers that have the configuration read again."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is done where."""
        return [web.post("/reload", self.reload)]

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the configuration again; 409 with every fault when it is refused."""
        try:
            changes = await self._daemon.reload()
        except FaultyFileError as refused:
            return json({"error": str(refused), "faults": [str(fault) for fault in refused.faults]}, 409)
        return json({"changes": [{"what": change.what, "restart": change.restart} for change in changes]})
