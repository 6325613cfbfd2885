"""Keeps what the BGP sessions of each ExaBGP have agreed on, over an attach and over a restart of rtrd.

ExaBGP tells OPENs once. Whoever comes later would not know how to read the UPDATEs of a session that is up.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec

from rtrd.base import atomic_file, log
from rtrd.base.background import Background
from rtrd.base.files import read_file
from rtrd.base.registry import Registry
from rtrd.exabgp.bgp_sessions import MOST, BGPSessions, Kept
from rtrd.known_routers import MOST as MOST_ROUTERS

NAME: Final = "bgp-sessions.json"
AGAIN: Final = 30.0
"""Seconds until the file is written again after that failed."""
_MOST_OCTETS: Final = 64 << 20

logger = log.get("attach")
_decoder: Final[msgspec.json.Decoder[dict[str, list[Kept]]]] = msgspec.json.Decoder(
    Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[list[Kept], msgspec.Meta(max_length=MOST)]],
        msgspec.Meta(max_length=MOST_ROUTERS),
    ]
)


class KeptSessions:
    """The sessions of one daemon's routers, by the router's name."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where they are kept over a restart; None: nowhere."""
        self._path = None if folder is None else folder / NAME
        self._here: dict[str, BGPSessions] = {}
        self._left: dict[str, list[Kept]] = {}
        """Those of routers that are not attached."""
        self._fault: str | None = None
        self._changed = asyncio.Event()
        self._background = Background("kept_sessions")

    async def load(self) -> None:
        """Read what the previous run kept, and keep the file up to date from now on."""
        if self._path is None:
            return
        try:
            self._left = await asyncio.to_thread(_read, self._path)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._fail(f"{self._path}: cannot be read: {getattr(error, 'strerror', None) or error}")
        self._background.start(self._keep(self._path))

    async def close(self) -> None:
        """Write them a last time."""
        self._background.close()
        if self._path is not None and self._changed.is_set():
            await self._write(self._path)

    def arrived(self, name: str, sessions: BGPSessions) -> None:
        """Take a router that is attached."""
        sessions.restore(self._left.pop(name, ()))
        sessions.on_change = self._changed.set
        self._here[name] = sessions

    def left(self, name: str) -> None:
        """Take a router that is attached no more; its sessions may outlive that."""
        self._left[name] = self._here.pop(name).kept()
        if len(self._left) > MOST_ROUTERS:
            del self._left[next(iter(self._left))]

    def register(self, registry: Registry) -> None:
        """Tell of a file that can't be kept."""
        if self._path is not None:
            registry.kept_in_state("BGP sessions", lambda: self._fault)

    async def _keep(self, path: Path) -> None:
        while True:
            await self._changed.wait()
            if not await self._write(path):
                await asyncio.sleep(AGAIN)

    async def _write(self, path: Path) -> bool:
        self._changed.clear()
        kept = self._left | {name: sessions.kept() for name, sessions in self._here.items()}
        try:
            await asyncio.to_thread(lambda: atomic_file.replace(path, msgspec.json.encode(kept)))
        except OSError as error:
            self._fail(f"{path}: cannot be written: {error.strerror}")
            self._changed.set()
            return False
        self._fault = None
        return True

    def _fail(self, why: str) -> None:
        if why != self._fault:
            logger.error("BGP sessions are not kept; after a restart, routes may wait for the next ones", why=why)
        self._fault = why


def _read(path: Path) -> dict[str, list[Kept]]:
    try:
        return _decoder.decode(read_file(path, _MOST_OCTETS))
    except FileNotFoundError:
        return {}
