"""Keeps what the BGP sessions of each ExaBGP have agreed on, over an attach and over a restart of rtrd.

ExaBGP tells OPENs once. Whoever comes later would not know how to read the UPDATEs of a session that is up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from rtrd.base.registry import Registry
from rtrd.base.state_file import StateFile
from rtrd.exabgp.bgp_sessions import MOST, BGPSessions, Kept
from rtrd.known_routers import MOST as MOST_ROUTERS

NAME: Final = "bgp-sessions.json"
_MOST_OCTETS: Final = 64 << 20

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
        self._file = None
        if folder is not None:
            self._file = StateFile(folder / NAME, _decoder, _MOST_OCTETS, self._kept, late=self._knew)
        self._here: dict[str, BGPSessions] = {}
        self._left: dict[str, list[Kept]] = {}
        """Those of routers that are not attached."""

    async def load(self) -> None:
        """Read what the previous run kept, and keep the file up to date from now on."""
        if self._file is not None:
            self._left = await self._file.load() or {}
            self._file.start()

    def _knew(self, before: dict[str, list[Kept]]) -> None:
        """Take what could be read only later: those who are here have told since."""
        self._left = {name: kept for name, kept in before.items() if name not in self._here} | self._left

    async def close(self) -> None:
        """Write them a last time."""
        if self._file is not None:
            await self._file.close()

    def arrived(self, name: str, sessions: BGPSessions) -> None:
        """Take a router that is attached."""
        sessions.restore(self._left.pop(name, ()))
        if self._file is not None:
            sessions.on_change = self._file.changed
        self._here[name] = sessions

    def left(self, name: str) -> None:
        """Take a router that is attached no more; its sessions may outlive that."""
        if (sessions := self._here.pop(name, None)) is None:
            return
        self._left[name] = sessions.kept()
        if len(self._left) > MOST_ROUTERS:
            del self._left[next(iter(self._left))]

    def register(self, registry: Registry) -> None:
        """Tell of a file that can't be kept."""
        if (file := self._file) is not None:
            registry.kept_in_state("BGP sessions", lambda: file.fault, file.again)

    def _kept(self) -> dict[str, list[Kept]]:
        return self._left | {name: sessions.kept() for name, sessions in self._here.items()}
