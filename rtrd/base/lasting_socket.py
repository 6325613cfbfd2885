"""A unix socket that stays at its path: whoever removes its file shuts everybody out, so it is made again."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.base.registry import Problem
from rtrd.base.sockets import ListenError, UnixListener

LOOK: Final = 1.0
"""Seconds between two looks at the file."""
TOLD: Final = 600.0
"""Seconds for which the status says that it was made again."""

logger = log.get("control")


class LastingSocket:
    """Listens on a unix socket, from `start` to `close`."""

    def __init__(
        self,
        path: Path,
        listen: Callable[[socket.socket], None],
        unlisten: Callable[[], None],
        *,
        kind: socket.SocketKind = socket.SOCK_STREAM,
        what: str = "control",
        group: str | None = None,
    ) -> None:
        """`listen` takes a bound socket, `unlisten` lets go of the last one, which `listen` may have closed."""
        self._path, self._kind, self._what, self._group = path, kind, what, group
        self._listen, self._unlisten = listen, unlisten
        self._listener: UnixListener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._made_again: float | None = None
        self._why_not: tuple[str, float] | None = None

    def start(self) -> None:
        """Listen. Raises ListenError."""
        self._listener = self._bind()
        self._listen(self._listener.socket)
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def close(self) -> None:
        """Stop; the file is removed if it is still ours."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listener is not None:
            self._unlisten()
            if not self._listener.close():
                logger.info("the socket file was already gone", path=str(self._path))
            self._listener = None

    def problems(self) -> Iterator[Problem]:
        """Say what became of the file, for a while."""
        if self._why_not is not None:
            why, since = self._why_not
            what = f"{self._path} was removed, and can't be made again: {why}"
            yield Problem(what, Clock().date_of(since), "warning", self._what)
        elif self._made_again is not None and time.monotonic() - self._made_again < TOLD:
            since = Clock().date_of(self._made_again)
            yield Problem(f"{self._path} was removed; it was made again", since, "warning", self._what)

    def _bind(self) -> UnixListener:
        return UnixListener(self._path, self._kind, self._what, group=self._group)

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        assert self._listener is not None
        if self._listener.is_there():
            self._why_not = None
            return
        try:
            new = self._bind()
        except ListenError as error:
            if self._why_not is None:
                logger.warning("the socket is gone, and can't be made again", path=str(self._path), why=str(error))
            self._why_not = str(error), time.monotonic() if self._why_not is None else self._why_not[1]
            return
        old, self._listener = self._listener, new
        self._unlisten()
        old.close()
        self._listen(new.socket)
        self._why_not, self._made_again = None, time.monotonic()
        logger.warning("the socket's file was removed; it was made again", path=str(self._path))
