"""Keeps which caches are spoken to in a lower version of RTR, and until when, over a restart of rtrd.

A cache that speaks version 2 as an old draft has it misleads whoever asks in that version. A new run would find that
out by another session that ends badly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from rtrd.base.clock import Clock
from rtrd.base.registry import Registry
from rtrd.base.state_file import StateFile
from rtrlib import RTRManager, RTRSocket
from rtrlib.native_session import LOWER_VERSION_FOR
from rtrlib.servers import MAX_CACHES

NAME: Final = "cache-versions.json"
_MOST_OCTETS: Final = 1 << 16

_decoder: Final[msgspec.json.Decoder[dict[str, float]]] = msgspec.json.Decoder(
    Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=300)], Annotated[float, msgspec.Meta(ge=0, le=1 << 40)]],
        msgspec.Meta(max_length=MAX_CACHES),
    ]
)


class KeptVersions:
    """Until when (Unix time) the caches of one daemon, by their names, are spoken to in a lower version."""

    def __init__(self, folder: Path | None = None, clock: Clock | None = None) -> None:
        """`folder`: where that is kept over a restart; None: nowhere."""
        self._file = None
        if folder is not None:
            self._file = StateFile(folder / NAME, _decoder, _MOST_OCTETS, lambda: dict(self._until), late=self._knew)
        self._clock = clock or Clock()
        self._until: dict[str, float] = {}
        self._manager: RTRManager | None = None

    async def load(self, manager: RTRManager) -> None:
        """Tell a manager that is not open yet what the previous run kept; keep the file up to date from now on."""
        if self._file is None:
            return
        self._manager = manager
        self._knew(await self._file.load() or {})
        self._file.start()

    def _knew(self, before: dict[str, float]) -> None:
        self._until = before | self._until
        if self._manager is not None:
            self.restore(self._manager)

    def restore(self, manager: RTRManager) -> None:
        """Tell a manager of its caches what is known of those that it does not know it of."""
        now = self._clock.wall()
        for cache in _all(manager):
            # Who set the clock, or wrote the file, does not pin a cache for longer than we would.
            seconds = min(self._until.get(cache.name, 0.0) - now, LOWER_VERSION_FOR)
            if cache.lower_version_until is None and seconds > 0:
                manager.speak_lower(cache, seconds)

    def look(self, manager: RTRManager) -> None:
        """Take note of what is so now; microseconds where nothing is to be noted."""
        found = {
            cache.name: float(cache.lower_version_until)
            for cache in _all(manager)
            if cache.lower_version_until is not None
        }
        if found != self._until:
            self._until = found
            if self._file is not None:
                self._file.changed()

    async def close(self) -> None:
        """Write it a last time."""
        if self._file is not None:
            await self._file.close()

    def register(self, registry: Registry) -> None:
        """Tell of a file that can't be kept."""
        if (file := self._file) is not None:
            registry.kept_in_state("versions of caches", lambda: file.fault, file.again)


def _all(manager: RTRManager) -> Iterable[RTRSocket]:
    return (cache for group in manager.groups() for cache in group.sockets)
