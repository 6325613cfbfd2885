"""VRPs that are supposed to be others, or caches to compare, in; what would change, or differs, as JSON out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from rtrd.api.responses import json, stream
from rtrd.vrps.notation import parse_supposed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtrd.api.queries import Daemon

MOST_ROWS: Final = 10_000
"""Routes that one answer names at most."""
ROWS: Final = 1000
"""By default."""
BODY_TIME: Final = 60.0
"""Seconds that a client may take to send a VRP file."""


class Suppositions:
    """Handlers that compare, and change nothing."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [
            web.get("/whatif", self.supposing),
            web.post("/whatif", self.replacing),
            web.get("/diff", self.diff),
        ]

    async def supposing(self, request: web.Request) -> web.Response:
        """Answer /whatif?vrp=+VRP&vrp=-VRP."""
        supposed = [parse_supposed(text) for text in request.query.getall("vrp", [])]
        if not supposed:
            raise ValueError("expected /whatif?vrp=%2BVRP or /whatif?vrp=-VRP")
        return json(await self._daemon.whatif.supposing(supposed, _rows(request)))

    async def replacing(self, request: web.Request) -> web.Response:
        """Answer /whatif for a whole set: the body is packed VRPs, which are read as they come."""
        return json(await self._daemon.whatif.replacing(_body(request), _rows(request)))

    async def diff(self, request: web.Request) -> web.StreamResponse:
        """Answer /diff."""
        return await stream(request, "vrps", self._daemon.disagreement(request.query.getall("cache", [])))


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async with asyncio.timeout(BODY_TIME):
            async for chunk in request.content.iter_chunked(1 << 16):
                yield chunk
    except TimeoutError as error:
        raise ValueError(f"the body did not come within {BODY_TIME:.0f} s") from error


def _rows(request: web.Request) -> int:
    text = request.query.get("rows", str(ROWS))
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MOST_ROWS):
        raise ValueError(f"rows: expected 0 to {MOST_ROWS}")
    return int(text)
