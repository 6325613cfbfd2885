"""The daemon in, the application that answers for it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from rtrd.ops.http import page
from rtrd.ops.http.decisions import Decisions
from rtrd.ops.http.live import Live
from rtrd.ops.http.questions import Questions
from rtrd.ops.http.reloads import Reloads
from rtrd.ops.http.responses import errors, read_only
from rtrd.ops.http.suppositions import Suppositions

if TYPE_CHECKING:
    from rtrd.ops.http.questions import Daemon

MAX_BODY: Final = 1 << 16


def make_app(daemon: Daemon) -> web.Application:
    """Return the application; over TCP it only reads."""
    app = web.Application(middlewares=[errors, read_only], client_max_size=MAX_BODY)
    for part in (Questions(daemon), Live(daemon), Decisions(daemon), Suppositions(daemon), Reloads(daemon)):
        app.add_routes(part.routes_of_app())
    app.router.add_get("/", page.answer)
    return app
