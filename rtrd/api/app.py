"""The daemon in, the application that answers for it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from rtrd.api import page
from rtrd.api.decisions import Decisions
from rtrd.api.live import Live
from rtrd.api.queries import Questions
from rtrd.api.reloads import Reloads
from rtrd.api.responses import errors, read_only
from rtrd.api.suppositions import Suppositions

if TYPE_CHECKING:
    from rtrd.api.queries import Daemon

MAX_BODY: Final = 1 << 16


def make_app(daemon: Daemon) -> web.Application:
    """Return the application; over TCP it only reads."""
    app = web.Application(middlewares=[errors, read_only], client_max_size=MAX_BODY)
    for part in (Questions(daemon), Live(daemon), Decisions(daemon), Suppositions(daemon), Reloads(daemon)):
        app.add_routes(part.routes_of_app())
    app.router.add_get("/", page.answer)
    return app
