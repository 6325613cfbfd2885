"""Serves the API over HTTP, on the unix socket and, if configured, on TCP.

The one API: the CLI, curl and whatever watches rtrd use the same.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from rtrd.api.connections import Connections, Requests
from rtrd.api.no_http import Complaints, Tolerant
from rtrd.base import log
from rtrd.base.endpoint import Endpoint
from rtrd.base.lasting_socket import LastingSocket
from rtrd.base.registry import Problem
from rtrd.base.sockets import tcp_listener

SHUTDOWN: Final = 0.5
"""Seconds that open requests get when the daemon ends."""

logger = log.get("control")


class APIServer:
    """The API's listeners, from `start` to `close`."""

    def __init__(
        self, app: web.Application, socket_path: Path | None, http: Endpoint | None = None, *, group: str | None = None
    ) -> None:
        """Listen nowhere yet. `group`: who may use the socket; None: the process's own group."""
        self._app = app
        self._path = socket_path
        self._http = http
        self._group = group
        self._runner: web.AppRunner | None = None
        self._server: Tolerant | None = None
        self._connections: list[Connections] = []
        self._file: LastingSocket | None = None
        self._control: Connections | None = None
        self.http: Endpoint | None = None
        """Where TCP is really listened on, once started."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: an address is taken or not ours, or another daemon answers at the socket.

        """
        requests = Requests()
        self._app.middlewares.append(requests)
        logging.getLogger("aiohttp.server").filters[:] = [Complaints()]
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        assert self._runner.server is not None
        self._server = Tolerant(self._runner.server)
        try:
            if self._path is not None:
                listen = partial(self._listen_here, requests)
                self._file = LastingSocket(self._path, listen, self._unlisten_here, group=self._group)
                self._file.start()
            if self._http is not None:
                listener = tcp_listener(self._http)
                self.http = Endpoint(self._http.host, listener.getsockname()[1])
                self._listen(listener, requests)
        except BaseException:
            await self.close()
            raise
        logger.info("the API is served", control=str(self._path), http=str(self.http or "none"))

    def problems(self) -> Iterator[Problem]:
        """Say what became of the socket's file."""
        if self._file is not None:
            yield from self._file.problems()

    def _listen(self, listener: socket.socket, requests: Requests) -> Connections:
        assert self._server is not None
        connections = Connections(self._server, requests)
        self._connections.append(connections)
        connections.listen(listener)
        return connections

    def _listen_here(self, requests: Requests, listener: socket.socket) -> None:
        self._control = self._listen(listener, requests)

    def _unlisten_here(self) -> None:
        if self._control is not None and self._control in self._connections:
            self._control.close()
            self._connections.remove(self._control)

    async def close(self) -> None:
        """Stop listening, end what is open, remove the socket file if it is still ours."""
        for connections in self._connections:
            connections.close()
        self._connections.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._file is not None:
            self._file.close()
            self._file = None
