"""The page of all hosts, and the JSON that it shows; it asks only us, and runs only its own script."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Any, Final

from aiohttp import web

from rtrd.api.host import KnownHosts
from rtrd.api.responses import errors, read_only
from rtrd.base.endpoint import Endpoint
from rtrd.base.json_text import encode
from rtrd.base.sockets import why_not
from rtrd.cli import CommandError

FRESH: Final = 2.0
"""Seconds for which an answer is given again: to make it of a thousand hosts is work."""


@cache
def made() -> tuple[bytes, str]:
    """Give the page and its Content-Security-Policy, which names style and script by their digests."""
    page = (resources.files("rtrd.fleet") / "page.html").read_text(encoding="utf-8")
    style, script = (re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("style", "script"))
    assert style
    assert script
    policy = (
        f"default-src 'none'; script-src '{_digest(script[1])}'; style-src '{_digest(style[1])}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    return page.encode(), policy


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class _Page:
    """What is answered."""

    def __init__(self, view: Callable[[], dict[str, Any]]) -> None:
        self._view = view
        self._made = b""
        self._at = float("-inf")

    async def page(self, _request: web.Request) -> web.Response:
        """Answer /."""
        page, policy = made()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return web.Response(body=page, headers=headers)

    async def json(self, _request: web.Request) -> web.Response:
        """Answer /fleet."""
        if time.monotonic() - self._at > FRESH:
            self._made, self._at = encode(self._view()), time.monotonic()
        return web.Response(body=self._made, content_type="application/json", headers={"Cache-Control": "no-store"})


@asynccontextmanager
async def serve(where: Endpoint, view: Callable[[], dict[str, Any]]) -> AsyncIterator[Endpoint]:
    """Listen meanwhile; gives where. `view`: gives what is shown. Raises CommandError."""
    page = _Page(view)
    hosts = KnownHosts(mend="ask by an address")
    app = web.Application(middlewares=[errors, hosts, read_only], client_max_size=1 << 12)
    app.add_routes([web.get("/", page.page), web.get("/fleet", page.json)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, where.host, where.port).start()
        except OSError as error:
            raise CommandError(f"cannot listen on {where}: {why_not(error)}") from None
        yield Endpoint(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
