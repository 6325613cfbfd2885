"""What an operator changes, over the control socket alone: a held change of the VRPs, the configuration, caches."""

from __future__ import annotations

from aiohttp import web

from rtrd.api.requests import post
from rtrd.api.responses import json, who_asks
from rtrd.base.errors import ConflictError
from rtrd.base.faults import FaultyFileError
from rtrd.caches import Caches
from rtrd.event_log import EventLog
from rtrd.known_routers import KnownRouters
from rtrd.reload import Reloading
from rtrd.vrps.guard import NothingHeldError
from rtrd.vrps.guarding import Guarding


class ChangeHandlers:
    """Handlers that change something."""

    def __init__(
        self, guarding: Guarding, caches: Caches, reloading: Reloading, known: KnownRouters, event_log: EventLog
    ) -> None:
        self._guarding = guarding
        self._caches = caches
        self._reloading = reloading
        self._known = known
        self._event_log = event_log

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is done where."""
        return [
            post("/accept", self._decide),
            post("/reject", self._decide),
            post("/reload", self.reload),
            post("/reconnect", self.reconnect, "cache"),
            post("/forget", self._forget, "router"),
        ]

    async def _decide(self, request: web.Request) -> web.Response:
        if not self._guarding.enabled:
            raise ConflictError("no guard is configured: every change of the VRPs is in force at once")
        by = await who_asks(request)
        decision = "accepted" if request.path == "/accept" else "rejected"
        try:
            (self._guarding.accept if decision == "accepted" else self._guarding.reject)(by)
        except NothingHeldError as error:
            raise ConflictError(str(error)) from error
        status = self._guarding.status()
        text = f"the held change is {decision} by {by}"
        self._event_log.add("guard", text, **status, decision=decision, by=by)
        return json(status)

    async def _forget(self, request: web.Request) -> web.Response:
        name = request.query.get("router")
        if name is None:
            raise ValueError("expected /forget?router=NAME")
        self._known.forget(name)
        return json({"forgotten": name})

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the configuration again; 409 with every fault when it is refused."""
        try:
            done = await self._reloading.reload()
        except FaultyFileError as refused:
            return json({"error": str(refused), "faults": [str(fault) for fault in refused.faults]}, 409)
        changes = [change._asdict() for change in done.changes]
        return json({"file": done.file, "changes": changes, "reconnected": done.reconnected})

    async def reconnect(self, request: web.Request) -> web.Response:
        """Ask caches now; give which."""
        return json({"reconnected": list(map(str, self._caches.reconnect(request.query.getall("cache", []))))})
