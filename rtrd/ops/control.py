"""HTTP requests over the unix socket (and TCP, if configured) in, the application's answers (rtrd.ops.http) out.

The one API: the CLI, curl and whatever watches rtrd use the same.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Final

from aiohttp import web

from rtrd.config import Endpoint
from rtrd.ops import log
from rtrd.ops.http.app import make_app

if TYPE_CHECKING:
    from pathlib import Path

    from rtrd.ops.http.questions import Daemon

BACKLOG: Final = 128
SHUTDOWN: Final = 0.5
"""Seconds that open requests get when the daemon ends."""

logger = log.get("control")


class ControlError(Exception):
    """The API can't listen where it should; the text says where and why."""


class Control:
    """The API's listeners, from `start` to `close`."""

    def __init__(self, daemon: Daemon, socket_path: Path | None, http: Endpoint | None = None) -> None:
        self._daemon = daemon
        self._path = socket_path
        self._http = http
        self._runner: web.AppRunner | None = None
        self._inode: int | None = None
        self.http: Endpoint | None = None
        """Where TCP is really listened on, once started."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ControlError: an address is taken or not ours, or another daemon answers at the socket.

        """
        self._runner = web.AppRunner(make_app(self._daemon), access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        try:
            if self._path is not None:
                listener = _unix_listener(self._path)
                self._inode = self._path.stat().st_ino
                await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
            if self._http is not None:
                listener = _tcp_listener(self._http)
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
        if self._path is not None and self._inode is not None:
            try:
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            except FileNotFoundError:
                logger.info("the socket file was already gone", path=str(self._path))
            self._inode = None


def _unix_listener(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # The mode has to be right from the first moment: chmod afterwards would leave the socket open to all.
        mask = os.umask(0o117)
        try:
            listener.bind(str(path))
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(mask)
    except OSError as error:
        raise ControlError(f"control: cannot listen at {path}: {error.strerror or error}") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket file of a daemon that is gone; leave anything else alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"control: {path} is there and is no socket; it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        result = probe.connect_ex(str(path))
    if result == errno.ECONNREFUSED:
        path.unlink()
    elif result != errno.ENOENT:
        raise ControlError(f"control: another rtrd answers at {path}")


def _tcp_listener(http: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((http.host, http.port))
    except OSError as error:
        listener.close()
        raise ControlError(f"http: cannot listen at {http}: {error.strerror or error}") from error
    return listener
