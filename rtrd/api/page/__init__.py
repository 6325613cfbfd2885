"""The status page, made of the three files beside this one: it asks only rtrd, and runs only its own script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from aiohttp import web


@cache
def made() -> tuple[bytes, str]:
    """Give the page and its Content-Security-Policy, which names style and script by their digests."""
    files = resources.files(__name__)
    page, style, script = ((files / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
    return page.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script).encode(), policy


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


async def answer(_request: web.Request) -> web.Response:
    """Answer /."""
    page, policy = made()
    return web.Response(
        body=page,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        },
    )
