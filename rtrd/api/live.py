"""Events as they happen, as lines of JSON or as server-sent events, until the client hangs up.

Who reads slowly holds up nobody: what waits for one client is bounded (rtrd.event_log), and when it is full the oldest
is lost, which is said.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get, number
from rtrd.api.responses import encoded, error, is_local
from rtrd.event_log import MOST_LISTENERS, EventLog, Listener, TooManyListenersError

LOOK: Final = 2.0
"""Seconds between two looks whether the client is still there."""
STATUS_EVERY: Final = 1.0
"""Seconds at least between two states of the daemon in /live, which are longer than events."""
MOST_OVER_TCP: Final = MOST_LISTENERS // 2
"""Listeners over TCP at a time; the rest is kept for the control socket, so that nobody is shut out there."""
SSE: Final = "text/event-stream"


class Live:
    """Handlers that answer for long."""

    def __init__(self, event_log: EventLog, status: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        """`status`: gives that of the daemon."""
        self._event_log = event_log
        self._status = status
        self._over_tcp = 0

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/events", self._follow, "last"), get("/live", self._follow, "last")]

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        status = request.path == "/live"
        sse = status or SSE in request.headers.get("Accept", "")
        last = number(request, "last", 0, 99_999, least=0)
        over_tcp = not is_local(request)
        if request.method == "HEAD":
            return web.Response(headers=_headers(sse=sse))  # there is no event in it: nobody listens
        if over_tcp and self._over_tcp >= MOST_OVER_TCP:
            return error(503, f"{MOST_OVER_TCP} others already listen over TCP")
        try:
            listening = self._event_log.listen(last)
        except TooManyListenersError as why:
            return error(503, str(why))
        self._over_tcp += over_tcp
        try:
            return await self._write(request, listening, sse=sse, status=status)
        finally:
            self._over_tcp -= over_tcp

    async def _write(self, request: web.Request, listening: Listener, *, sse: bool, status: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(sse=sse))
        with listening as listener, contextlib.suppress(ConnectionError):  # hanging up is how this ends
            await response.prepare(request)
            if sse:
                await response.write(b"retry: 3000\n\n")
            told = b""
            due = 0.0
            while not _gone(request):
                if status and time.monotonic() >= due:
                    due = time.monotonic() + STATUS_EVERY
                    now = await encoded(await self._status())
                    if now != told:
                        told = now
                        await response.write(b"event: status\ndata: " + now + b"\n\n")
                lines = await listener.take(LOOK)
                if sse:
                    # A comment keeps the connection alive where something between counts silent seconds.
                    data = b"".join(b"data: " + line + b"\n\n" for line in lines) or b":\n\n"
                else:
                    data = b"".join(line + b"\n" for line in lines)
                if data:
                    await response.write(data)
        return response


def _headers(*, sse: bool) -> dict[str, str]:
    return {"Content-Type": SSE if sse else "application/x-ndjson", "Cache-Control": "no-store"}


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
