"""The handlers, each with the parts of the daemon that it asks, joined to one application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from aiohttp import web

from rtrd.api import page
from rtrd.api.host import KnownHosts
from rtrd.api.responses import errors, read_only

MAX_BODY: Final = 1 << 16


class Handlers(Protocol):
    """Handlers of one subject."""

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""


def make_app(handlers: Iterable[Handlers], names: Iterable[str] = ()) -> web.Application:
    """Return the application; over TCP it only reads. `names`: by which it may be asked there."""
    app = web.Application(middlewares=[errors, KnownHosts(names), read_only], client_max_size=MAX_BODY)
    for some in handlers:
        app.add_routes(some.routes_of_app())
    app.router.add_get("/", page.answer)
    return app
