"""The history's database: changes of routes in SQLite, in the state folder, and in memory while that can't be written.

For one thread, which waits for the disk; nothing here knows the loop. What is in it, rtrd.history_tables says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rtrd.base.clock import SettledClock
from rtrd.history_tables import FORMAT, Batch, HistoryPage, HistoryQuery, Tables

NAME: Final = "history.sqlite"
IN_MEMORY: Final = 4 << 20
"""Octets of changes that are kept while they are on no disk."""
AGAIN: Final = 10.0
"""Seconds between two tries to write to a disk that failed."""
TIDY: Final = 60.0
"""Seconds between two looks at age and size."""
MOST_DROPPED: Final = 10_000
"""Changes that are dropped in one go, at most."""
MOST_SECONDS: Final = 10.0
"""That a question may take."""
_APPLICATION: Final = 0x72747264


class StoreError(Exception):
    """The database can't be used; the text says which and why."""


class HistoryStore:
    """The database of one state folder, or only memory."""

    def __init__(
        self, path: Path | None, max_age: float, max_size: int, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """Open nothing yet. `path`: of the file; None: only in memory. Seconds and octets that are kept at most.

        `steady`: seconds that never go back.
        """
        self._steady = steady
        self._settled = SettledClock()
        self.limits = (max_age, max_size)
        self.fault: str | None = None
        """Why changes are not written to the disk; None: they are, or are not to be."""
        self.size = 0
        """Octets of the file, less what is free in it."""
        self.dropped = 0
        """Changes that were too many for the memory, while the disk could not be written."""
        self._path = path
        self._inode: tuple[int, int] | None = None  # of the file, while it is attached
        self._failed = -AGAIN
        self._tidied = 0.0
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, timeout=0.5)
        self._tables = Tables(self._db)
        self._tables.create("main")

    def close(self) -> None:
        """Write what is in memory, if that is possible, and let go of the file."""
        steady = self._steady()
        self._see_whether_it_is_there(steady)
        self.try_again()
        self._recover(steady)
        self._detach()
        self._db.close()

    # -- writing

    def write(self, batches: Sequence[Batch], now: float) -> None:
        """Keep changes; `now`: Unix time, by which old ones are dropped once it is settled.

        Never fails: what can't be on the disk is in memory.
        """
        steady = self._steady()
        now = self._settled.now(now, steady)
        self._see_whether_it_is_there(steady)
        self._recover(steady)
        if self._on_disk:
            try:
                self._tables.insert("disk", batches)
            except sqlite3.Error as error:
                self._fail(error, steady)
        if not self._on_disk:
            self._tables.insert("main", batches)
            dropped = self._shrink("main", IN_MEMORY)
            self.dropped += dropped if self._path is not None else 0
        if steady - self._tidied >= TIDY or self.size > self.limits[1]:
            self._tidied = steady
            self._tidy(now)

    def try_again(self) -> None:
        """Try the disk at the next write, however short ago that failed."""
        self._failed = -AGAIN

    @property
    def _on_disk(self) -> bool:
        return self._inode is not None and self.fault is None

    # -- the disk

    def _recover(self, steady: float) -> None:
        """Open the file if it is not open, and move what is in memory there."""
        if self._path is None or self._on_disk or steady - self._failed < AGAIN:
            return
        try:
            if self._inode is None:
                self._attach(self._path)
            self._tables.move("main", "disk")
            self.fault = None
        except (sqlite3.Error, StoreError) as error:
            self._fail(error, steady)

    def _see_whether_it_is_there(self, steady: float) -> None:
        """Let go of a file that somebody took away, or replaced: what is written there ends with us."""
        if self._path is not None and self._inode not in (None, _inode(self._path)):
            self._detach()
            self._fail(StoreError(f"{self._path}: the file was taken away"), steady)

    def _attach(self, path: Path) -> None:
        self._inode = _made_ready(path)
        try:
            self._db.execute("ATTACH ? AS disk", (str(path),))
            for pragma in ("locking_mode = EXCLUSIVE", "auto_vacuum = INCREMENTAL"):
                self._db.execute(f"PRAGMA disk.{pragma}")
            empty = self._db.execute("SELECT count(*) FROM disk.sqlite_schema").fetchone()[0] == 0
            if empty and self._number("disk.application_id") == 0:
                self._db.execute(f"PRAGMA disk.application_id = {_APPLICATION}")
            elif self._number("disk.application_id") != _APPLICATION:
                raise StoreError(f"{path}: this is not a history of rtrd")  # noqa: TRY301 - closed below
            self._db.execute("PRAGMA disk.journal_mode = WAL")
            self._db.execute("PRAGMA disk.synchronous = NORMAL")
            self._db.execute("PRAGMA disk.journal_size_limit = 4194304")
            found = self._number("disk.user_version")
            if found not in (0, FORMAT):
                raise StoreError(f"{path}: it has another format ({found}) than this rtrd ({FORMAT})")  # noqa: TRY301
            self._tables.create("disk")
            self._tables.go_on("disk")
            self._measure()
        except BaseException:
            self._detach()
            raise

    def _detach(self) -> None:
        self._inode = None
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._db.execute("DETACH disk")

    def _fail(self, error: Exception, steady: float) -> None:
        """Go on in memory; what is on the disk is read as long as it can be."""
        self._failed = steady
        self.fault = str(error) if isinstance(error, StoreError) else f"{self._path}: {_words(error)}"
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int) and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._detach()

    # -- what is kept

    def _tidy(self, now: float) -> None:
        """Drop what is too old, or too much."""
        steady = self._steady()
        try:
            self._tables.drop_older("disk" if self._on_disk else "main", now - self.limits[0], MOST_DROPPED)
            if self._on_disk:
                self._shrink("disk", self.limits[1])
                self._db.executescript("PRAGMA disk.incremental_vacuum(2000)")  # execute() would free one page of it
                self._measure()
        except sqlite3.Error as error:
            self._fail(error, steady)

    def _shrink(self, schema: str, most: int) -> int:
        """Drop the oldest changes while they are too many; give how many."""
        dropped = 0
        while self._used(schema) > most and (some := self._tables.drop_oldest(schema, MOST_DROPPED)):
            dropped += some
        return dropped

    def _measure(self) -> None:
        self.size = self._used("disk")

    def _used(self, schema: str) -> int:
        pages = self._number(f"{schema}.page_count") - self._number(f"{schema}.freelist_count")
        return pages * self._number(f"{schema}.page_size")

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    # -- reading

    def find(self, question: HistoryQuery) -> HistoryPage:
        """Find changes, in memory and on the disk. Raises StoreError when that takes too long."""
        end = time.monotonic() + MOST_SECONDS
        self._db.set_progress_handler(lambda: time.monotonic() > end, 2_000_000)
        try:
            found = self._find(question)
        except sqlite3.Error as error:
            if self._inode is None or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StoreError(f"the history can't be read: {_words(error)}") from error
            self._fail(error, self._steady())
            self._detach()
            found = self._find(question)
        finally:
            self._db.set_progress_handler(None, 0)
        return found._replace(lost=found.lost + self.dropped)

    def _find(self, question: HistoryQuery) -> HistoryPage:
        return self._tables.find(("main", "disk") if self._inode is not None else ("main",), question)


def _made_ready(path: Path) -> tuple[int, int]:
    """Create the file for its owner alone if it is not there, and see that SQLite would open nothing but files.

    Gives the file's identity. Raises StoreError.
    """
    for suffix in ("-wal", "-shm", "-journal", ""):
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (0 if suffix else os.O_CREAT)
        try:
            fd = os.open(f"{path}{suffix}", flags, 0o600)
        except FileNotFoundError as error:
            if suffix:
                continue
            raise StoreError(f"{path.parent}: there is no such folder") from error
        except OSError as error:
            why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise StoreError(f"{path}{suffix}: cannot be opened: {why}") from error
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path}{suffix}: this is not a history of rtrd: it is not a file")
    return found.st_dev, found.st_ino


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _words(error: Exception) -> str:
    """Say what SQLite said, as an operator needs it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another process has it open"
    if code == sqlite3.SQLITE_INTERRUPT:
        return f"it took more than {MOST_SECONDS:.0f} s"
    return str(error)
