"""A small file of the state folder that follows what is known: read at the start, written when that has changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from rtrd.base import atomic_file
from rtrd.base.background import Background
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.files import read_file
from rtrd.base.json_text import encode
from rtrd.base.shortages import shortage

AGAIN: Final = 30.0
"""Seconds until the file is written again after that failed, or it is looked for."""

T = TypeVar("T")


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
    ) -> None:
        """`most`: octets; `content`: what it is to say.

        `missed`: tells whether a file that somebody took away is to be written again, though nothing changed.
        """
        self.fault: str | None = None
        """Why it can't be read or written, one sentence."""
        self._path = path
        self._decoder = decoder
        self._most = most
        self._content = content
        self._missed = missed
        self._changed = asyncio.Event()
        self._now = asyncio.Event()
        self._background = Background(path.stem)

    async def load(self) -> T | None:
        """Give what the previous run kept; None: nothing that can be read."""
        try:
            return self._decoder.decode(await in_thread(PATIENCE, read_file, self._path, self._most))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fault = f"{self._path}: cannot be read: {getattr(error, 'strerror', None) or error}"
            return None

    def start(self) -> None:
        """Keep it up to date from now on."""
        self._background.start(self._keep)

    def changed(self) -> None:
        """Have it written, soon."""
        self._changed.set()

    def again(self) -> None:
        """Write it now, if that failed before."""
        self._now.set()

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
                if not self._missed() or await in_thread(PATIENCE, self._path.exists):
                    continue
            self._now.clear()
            if not await self._write():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._now.wait(), AGAIN)

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
        return True
