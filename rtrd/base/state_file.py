"""A small file of the state folder that follows what is known: read at the start, written when that has changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from rtrd.base import atomic_file, log
from rtrd.base.background import Background
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.files import read_file
from rtrd.base.json_text import encode
from rtrd.base.shortages import shortage

AGAIN: Final = 30.0
"""Seconds until the file is written again after that failed, or it is looked for."""

T = TypeVar("T")

logger = log.get("daemon")


class StateFile(Generic[T]):
    """What is kept in it is JSON, of a type that is checked when it is read."""

    def __init__(
        self,
        path: Path,
        decoder: msgspec.json.Decoder[T],
        most: int,
        content: Callable[[], T],
        *,
        missed: Callable[[], bool] = lambda: False,
        late: Callable[[T], None] = lambda _: None,
    ) -> None:
        """`most`: octets; `content`: what it is to say.

        `late`: takes what could not be read at the start for want of a thread, or of the folder, when it can be.
        `missed`: tells whether a file that somebody took away is to be written again, though nothing changed.
        """
        self.fault: str | None = None
        """Why it can't be read or written, one sentence."""
        self._path = path
        self._decoder = decoder
        self._most = most
        self._content = content
        self._missed = missed
        self._late = late
        self._unread = False
        self._changed = asyncio.Event()
        self._now = asyncio.Event()
        self._background = Background(path.stem)

    async def load(self) -> T | None:
        """Give what the previous run kept; None: nothing that can be read."""
        self._unread = False
        try:
            return self._decoder.decode(await in_thread(PATIENCE, read_file, self._path, self._most))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fault = f"{self._path}: cannot be read: {getattr(error, 'strerror', None) or error}"
            self._unread = isinstance(error, OSError)
            return None

    async def _read_late(self) -> None:
        """Read it as at the start; what is known since is the owner's to prefer."""
        before = self.fault
        found = await self.load()
        if self.fault == before and not self._unread:
            self.fault = None
        if found is not None:
            self._late(found)
            logger.info("a file of the state folder could be read at last", path=str(self._path))

    def start(self) -> None:
        """Keep it up to date from now on."""
        self._background.start(self._keep)

    def changed(self) -> None:
        """Have it written, soon."""
        self._changed.set()

    def again(self) -> None:
        """Read or write it now, if that failed before."""
        self._now.set()
        if self._unread:
            self._changed.set()

    async def close(self) -> None:
        """Write it a last time, if it is not up to date."""
        self._background.close()
        if self._changed.is_set():
            await self._write()

    async def _keep(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), AGAIN)
            except TimeoutError:
                if self._unread:
                    await self._read_late()
                    continue
                if not self._missed() or await self._is_there():
                    continue
            if self._unread:
                await self._read_late()  # before it is replaced
            self._now.clear()
            if not await self._write():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._now.wait(), AGAIN)

    async def _is_there(self) -> bool:
        """Tell whether somebody took the file away; nobody did where that can't be told."""
        try:
            return await in_thread(PATIENCE, self._path.exists)
        except OSError:
            return True

    async def _write(self) -> bool:
        self._changed.clear()
        try:
            content = self._content()
            await in_thread(PATIENCE, lambda: atomic_file.replace(self._path, encode(content)))
        except (OSError, MemoryError) as error:
            self.fault = f"{self._path}: cannot be written: {shortage(error) or getattr(error, 'strerror', '')}"
            self._changed.set()
            return False
        self.fault = None
        self._unread = False
        return True
