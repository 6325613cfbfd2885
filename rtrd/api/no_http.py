"""Clients that send something other than HTTP, or no URL: answered in JSON like all others, and hardly logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from yarl import URL

from rtrd.api.responses import error
from rtrd.base import log
from rtrd.base.text import printable

MOST_OF_LINE: Final = 1 << 17
"""Octets of a request line: `rtrd whatif` may ask of 1000 VRPs."""


class Complaints(logging.Filter):
    """What aiohttp logs of clients that send no HTTP: a line a minute, with no traceback and nothing of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self._limiter = log.RateLimiter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass, shortened, or not."""
        more = self._limiter.rate_limited("complaint")
        if more is None:
            return False
        error = record.exc_info[1] if record.exc_info else None
        why = "" if error is None else f": {type(error).__name__}"
        record.msg = f"a client sent something other than HTTP{why}{''.join(f' ({text})' for text in more.values())}"
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


class Connection(RequestHandler):
    """A connection; of anything but HTTP it says so as the API says everything: in JSON."""

    __slots__ = ("unread",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unread: float | None = None
        """Since when its client has not read what waits for it; None: nothing does."""

    def force_close(self) -> None:
        """End it now, also while something waits for a client that does not read it."""
        if self.unread is not None and self.transport is not None:
            self.transport.abort()
        super().force_close()

    def pause_writing(self) -> None:
        """Take that the client does not read as fast as we write."""
        super().pause_writing()
        self.unread = time.monotonic()

    def resume_writing(self) -> None:
        """Take that it has read most of what waited."""
        super().resume_writing()
        self.unread = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log it, and give the answer."""
        super().handle_error(request, status, exc, message)
        why = next((line.strip(" :") for line in (message or "").splitlines() if line.strip()), "")
        answer = error(status, f"this is not an HTTP request{f': {printable(why, 100)}' if why else ''}")
        answer.force_close()
        return answer


class Tolerant:
    """A server of aiohttp, which makes handlers of that kind."""

    def __init__(self, server: web.Server) -> None:
        server.request_factory = _readable(server.request_factory)
        self._server = server

    @property
    def connections(self) -> list[Connection]:
        """Give those that it knows."""
        return [each for each in self._server.connections if isinstance(each, Connection)]

    def __call__(self) -> Connection:
        """Make the handler of a new connection."""
        loop = asyncio.get_running_loop()
        return Connection(
            self._server,
            loop=loop,
            access_log=None,  # as AppRunner passes it on
            max_line_size=MOST_OF_LINE,
        )


def _readable(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Wrap what makes a request: of one whose host can't be decoded (`http://xn--/`) only the text is looked at."""

    def request(message: Any, *more: Any) -> web.BaseRequest:
        try:
            return make(message, *more)
        except ValueError:
            return make(message._replace(url=URL.build(path=f"/{printable(message.path, 100)}")), *more)

    return request
