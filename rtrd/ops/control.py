"""HTTP requests over the unix socket (and TCP, if configured) in, the application's answers (rtrd.ops.http) out.

The one API: the CLI, curl and whatever watches rtrd use the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from rtrd.config import Endpoint
from rtrd.ops import log
from rtrd.ops.http.app import make_app
from rtrd.ops.sockets import UnixListener, tcp_listener

if TYPE_CHECKING:
    from pathlib import Path

    from rtrd.ops.http.questions import Daemon

BACKLOG: Final = 128
SHUTDOWN: Final = 0.5
"""Seconds that open requests get when the daemon ends."""

logger = log.get("control")


class Control:
    """The API's listeners, from `start` to `close`."""

    def __init__(self, daemon: Daemon, socket_path: Path | None, http: Endpoint | None = None) -> None:
        self._daemon = daemon
        self._path = socket_path
        self._http = http
        self._runner: web.AppRunner | None = None
        self._listener: UnixListener | None = None
        self.http: Endpoint | None = None
        """Where TCP is really listened on, once started."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: an address is taken or not ours, or another daemon answers at the socket.

        """
        self._runner = web.AppRunner(make_app(self._daemon), access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        try:
            if self._path is not None:
                self._listener = UnixListener(self._path)
                await web.SockSite(self._runner, self._listener.socket, backlog=BACKLOG).start()
            if self._http is not None:
                listener = tcp_listener(self._http)
                self.http = Endpoint(self._http.host, listener.getsockname()[1])
                await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening, end what is open, remove the socket file if it is still ours."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._listener is not None:
            if not self._listener.close():
                logger.info("the socket file was already gone", path=str(self._path))
            self._listener = None
