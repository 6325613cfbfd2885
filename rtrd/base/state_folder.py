"""The state folder: whether something can be kept there, seen once for all parts that keep something."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
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
        self._waited = 0
        self._background = Background("state folder")
        registry.state_folder(lambda: self.fault, self._explain)

    async def start(self) -> None:
        """Look, and go on looking."""
        await self.look()
        self._background.start(self._run())

    def close(self) -> None:
        """Look no more."""
        self._background.close()

    async def look(self) -> None:
        """See how it is now. A trial is only made where something failed: it would wear the disk out."""
        faults = self._registry.state_faults()
        why: str | None
        try:
            why = await in_thread(file_thread.PATIENCE, _why_unusable, self._path)
        except OSError as error:
            why = error.strerror
        if why is None and (faults or self.fault is not None):
            why = await self._try(faults)
        if why is None and self.fault is not None and faults and self._waited < PATIENCE:
            if not self._waited:
                self._registry.retry_state()
            self._waited += 1
            return
        self._waited = 0
        self.fault, self._examined = why, frozenset(faults)

    async def _try(self, faults: dict[str, str]) -> str | None:
        now = self._clock.steady()
        if faults.keys() != self._examined or now >= self._again:
            self._again = now + AGAIN
            try:
                self._tried = await in_thread(file_thread.LONG, _trial, self._path)
            except OSError as error:
                self._tried = error.strerror
        # What is larger than a trial may be what finds no room.
        return self._tried or (_FULL if any(words in why for why in faults.values() for words in _SAY_FULL) else None)

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


def _why_unusable(folder: Path) -> str | None:
    """Say what can be seen without writing. For a thread."""
    try:
        found = folder.stat()
        room = os.statvfs(folder)
    except FileNotFoundError:
        return "there is no such folder"
    except OSError as error:
        return error.strerror
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if room.f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    if not os.access(folder, os.W_OK | os.X_OK):
        return "rtrd may not write there"
    blocks, inodes = (room.f_bfree, room.f_ffree) if os.geteuid() == 0 else (room.f_bavail, room.f_favail)
    return _FULL if (room.f_blocks and not blocks) or (room.f_files and not inodes) else None


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
