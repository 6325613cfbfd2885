"""The state folder: whether something can be kept there, seen once for all parts that keep something."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

from rtrd.base import atomic_file, file_thread, log
from rtrd.base.background import Background
from rtrd.base.clock import Clock
from rtrd.base.file_thread import in_thread
from rtrd.base.registry import Problem, Registry

POLL: Final = 1.0
"""Seconds between two looks."""
AGAIN: Final = 10.0
"""Seconds between two trials while something fails."""
PATIENCE: Final = 5
"""Looks that the parts have, after it is good again, to write what they could not."""
TRIAL: Final = bytes(1 << 16)
ROOM: Final = 1 << 20
"""Octets that became free since the last trial: then the next look is one."""
_FULL: Final = os.strerror(errno.ENOSPC)
_SAY_FULL: Final = (_FULL, os.strerror(errno.EDQUOT), "database or disk is full")

logger = log.get("health")


class StateFolder:
    """Looks at the folder of one daemon; while that is at fault, no part has a problem of its own with it."""

    def __init__(self, path: Path, registry: Registry, clock: Clock) -> None:
        """Look at nothing yet."""
        self.fault: str | None = None
        """Why nothing can be kept there, a few words; None: something can."""
        self._path = path
        self._registry = registry
        self._clock = clock
        self._examined: frozenset[str] = frozenset()
        """The parts whose faults were known at the last look."""
        self._tried: str | None = None
        self._again = 0.0
        self._room = sys.maxsize
        """Octets that were free at the last trial, or fewer that were since."""
        self._waited = 0
        self._background = Background("state folder")
        registry.state_folder(lambda: self.fault, self._explain)

    async def start(self) -> None:
        """Look, and go on looking."""
        await self.look()
        self._background.start(self._run)

    def close(self) -> None:
        """Look no more."""
        self._background.close()

    async def look(self) -> None:
        """See how it is now. A trial is only made where something failed: it would wear the disk out."""
        faults = self._registry.state_faults()
        why: str | None
        room = 0
        try:
            why, room = await in_thread(file_thread.PATIENCE, _why_unusable, self._path)
        except OSError as error:
            why = error.strerror
        more = room >= self._room + ROOM
        self._room = min(room, self._room) if faults or self.fault is not None else room
        if why is None and (faults or self.fault is not None):
            why = await self._try(faults, room if more else None)
        if why is None and self.fault is not None and faults and self._waited < PATIENCE:
            if not self._waited:
                self._registry.retry_state()
            self._waited += 1
            return
        self._waited = 0
        self.fault, self._examined = why, frozenset(faults)

    async def _try(self, faults: dict[str, str], room: int | None) -> str | None:
        """Say why a trial failed, or the last one. `room`: as there is more than then, it is time for one."""
        now = self._clock.steady()
        if faults.keys() != self._examined or now >= self._again or room is not None:
            self._again = now + AGAIN
            self._room = self._room if room is None else room
            try:
                self._tried = await in_thread(file_thread.LONG, _trial, self._path)
            except OSError as error:
                self._tried = error.strerror
        if self._tried is not None or room is not None:
            return self._tried
        # What is larger than a trial may be what finds no room.
        return _FULL if any(words in why for why in faults.values() for words in _SAY_FULL) else None

    def _explain(self, faults: dict[str, str]) -> tuple[Problem | None, dict[str, str]]:
        """Give the folder's own problem, and the faults of parts that it does not explain."""
        if self.fault is None:
            return None, {name: why for name, why in faults.items() if name in self._examined}
        what = f"state folder {self._path}: {self.fault}; nothing is kept there for the next start"
        return Problem(what, None, "warning", "state folder"), {}

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                await self.look()
            except Exception:
                logger.exception("the state folder could not be looked at; rtrd will look again")


def _why_unusable(folder: Path) -> tuple[str | None, int]:
    """Say what can be seen without writing, and how many octets are free. For a thread."""
    try:
        found = folder.stat()
        room = os.statvfs(folder)
    except FileNotFoundError:
        return "there is no such folder", 0
    except OSError as error:
        return error.strerror, 0
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder", 0
    if room.f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS), 0
    if not os.access(folder, os.W_OK | os.X_OK):
        return "rtrd may not write there", 0
    blocks, inodes = (room.f_bfree, room.f_ffree) if os.geteuid() == 0 else (room.f_bavail, room.f_favail)
    full = (room.f_blocks and not blocks) or (room.f_files and not inodes)
    return _FULL if full else None, blocks * room.f_frsize


def _trial(folder: Path) -> str | None:
    """Write a file and remove it. For a thread."""
    path = folder / "trial.new"
    try:
        try:
            atomic_file.write_new(path, TRIAL)
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror
    return None
