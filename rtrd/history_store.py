"""The history's database: changes of routes in SQLite, in the state folder, and in memory while that can't be written.

For one thread, which waits for the disk; nothing here knows the loop. A change lies as the route table gave it
(rtrd.rib.table), so writing one costs a copy; one statement, in which the interpreter is not held, writes a batch.
There is no index: a question reads all, which takes a second at most, and is seldom. Identifiers grow with time, over
all tables and restarts.
"""

# ruff: noqa: S608 - what is put into SQL here are names of ours

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from rtrd.base.notation import Prefix
from rtrd.event_log import Cause
from rtrd.rib.table import CHANGE_SIZE, column_of
from rtrlib.vrp import pack, unpack

NAME: Final = "history.sqlite"
FORMAT: Final = 1 if sys.byteorder == "little" else 2
"""Of the database; changes are in the byte order of this host."""
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
_CAUSES: Final = 1024

_TABLES: Final = """
CREATE TABLE {0}.batches(id INTEGER PRIMARY KEY, time REAL NOT NULL, router TEXT NOT NULL, neighbors TEXT NOT NULL,
    causes TEXT NOT NULL, first_cause INTEGER, lost INTEGER NOT NULL, others INTEGER NOT NULL);
CREATE TABLE {0}.causes(id INTEGER PRIMARY KEY, text TEXT NOT NULL, cache TEXT, vrps BLOB NOT NULL);
CREATE TABLE {0}.changes(id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, record BLOB NOT NULL);
"""
_WRITE: Final = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
INSERT INTO {{0}}.changes SELECT :first + i, :batch, substr(:records, 1 + i * {CHANGE_SIZE}, {CHANGE_SIZE}) FROM n
"""
_WITHIN: Final = """substr(record, 18, 1) = :family AND substr(record, 1, 16) BETWEEN :first AND :last
    AND substr(record, 17, 1) >= :length"""


class StoreError(Exception):
    """The database can't be used; the text says which and why."""


class Batch(NamedTuple):
    """Changes of one router that were taken together."""

    time: float
    """Unix time."""
    router: str
    neighbors: dict[int, str]
    """Addresses, by number."""
    causes: dict[int, Cause]
    """By number; those that are none of them are known by their number alone."""
    records: bytes
    """As RouteTable.take_changes gives them."""
    lost: int
    """Changes before these that were not kept."""
    others: int
    """Routes before these that came or went without being invalid, and were not kept."""


class Question(NamedTuple):
    """Which changes are asked for."""

    prefix: Prefix
    covering: bool
    """Those of prefixes that cover it; else of those at or under it."""
    before: int
    """Only those with a lower identifier."""
    most: int


class Found(NamedTuple):
    """Changes, the newest first."""

    ids: list[int]
    batches: list[Batch]
    """One for each of `ids`, with that change alone."""
    more: int
    """How many older ones there are."""
    since: float | None
    """Unix time of the oldest change of any route; None: there are none."""
    lost: int
    others: int
    """How many were not kept since then."""


class Store:
    """The database of one state folder, or only memory."""

    def __init__(self, path: Path | None, max_age: float, max_size: int) -> None:
        """Open nothing yet. `path`: of the file; None: only in memory. Seconds and octets that are kept at most."""
        self.limits = (max_age, max_size)
        self.fault: str | None = None
        """Why changes are not written to the disk; None: they are, or are not to be."""
        self.size = 0
        """Octets of the file, less what is free in it."""
        self.dropped = 0
        """Changes that were too many for the memory, while the disk could not be written."""
        self._path = path
        self._inode: tuple[int, int] | None = None  # of the file, while it is attached
        self._last = 0  # the identifier that was given last
        self._known: OrderedDict[tuple[int, str], int] = OrderedDict()  # causes that are written, by number and text
        self._failed = -AGAIN
        self._tidied = 0.0
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, timeout=0.5)
        self._db.executescript(_TABLES.format("main"))

    def close(self) -> None:
        """Write what is in memory, if that is possible, and let go of the file."""
        self._recover(time.monotonic())
        self._detach()
        self._db.close()

    # -- writing

    def write(self, batches: Sequence[Batch], now: float) -> None:
        """Keep changes; `now`: Unix time. Never fails: what can't be on the disk is in memory."""
        steady = time.monotonic()
        self._recover(steady)
        if self._on_disk:
            try:
                self._insert("disk", batches)
            except sqlite3.Error as error:
                self._fail(error, steady)
        if not self._on_disk:
            self._insert("main", batches)
            dropped = self._shrink("main", IN_MEMORY)
            self.dropped += dropped if self._path is not None else 0
        if steady - self._tidied >= TIDY or self.size > self.limits[1]:
            self._tidied = steady
            self._tidy(now)

    @property
    def _on_disk(self) -> bool:
        return self._inode is not None and self.fault is None

    def _insert(self, schema: str, batches: Sequence[Batch]) -> None:
        with self._transaction():
            for batch in batches:
                number = self._identifier()
                causes = {name: self._cause(schema, name, cause) for name, cause in batch.causes.items()}
                self._db.execute(
                    f"INSERT INTO {schema}.batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        number, batch.time, batch.router, msgspec.json.encode(batch.neighbors).decode(),
                        msgspec.json.encode(causes).decode(), min(causes.values(), default=None),
                        batch.lost, batch.others,
                    ),
                )  # fmt: skip
                count = len(batch.records) // CHANGE_SIZE
                if count:
                    first = self._identifier()
                    self._last = first + count - 1
                    given = {"count": count, "first": first, "batch": number, "records": batch.records}
                    self._db.execute(_WRITE.format(schema), given)

    def _cause(self, schema: str, number: int, cause: Cause) -> int:
        key = (number, f"{schema} {cause.text}")
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._identifier()
            vrps = b"".join(pack(vrp, announce=appeared) for vrp, appeared in cause.vrps)
            self._db.execute(
                f"INSERT INTO {schema}.causes VALUES (?, ?, ?, ?)",
                (known, cause.text, cause.cache, vrps),
            )
            if len(self._known) > _CAUSES:
                self._known.popitem(last=False)
        return known

    def _identifier(self) -> int:
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        known = self._known.copy()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._known = known
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    # -- the disk

    def _recover(self, steady: float) -> None:
        """Open the file if it is not open, and move what is in memory there."""
        if self._path is None or self._on_disk or steady - self._failed < AGAIN:
            return
        try:
            if self._inode is None:
                self._attach(self._path)
            with self._transaction():
                for table in ("batches", "causes", "changes"):
                    self._db.execute(f"INSERT OR IGNORE INTO disk.{table} SELECT * FROM main.{table}")
            for table in ("batches", "causes", "changes"):
                self._db.execute(f"DELETE FROM main.{table}")
            self._known.clear()
            self.fault = None
        except (sqlite3.Error, StoreError) as error:
            self._fail(error, steady)

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
            if found == 0:
                self._db.executescript(f"BEGIN; {_TABLES.format('disk')} PRAGMA disk.user_version = {FORMAT}; COMMIT;")
            elif found != FORMAT:
                raise StoreError(f"{path}: it has another format ({found}) than this rtrd ({FORMAT})")  # noqa: TRY301
            last = (
                self._db.execute(f"SELECT max(id) FROM disk.{table}").fetchone()[0] for table in ("batches", "changes")
            )
            self._last = max(self._last, *(number or 0 for number in last))
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
        """Drop what is too old, or too much; see whether the file is still there."""
        steady = time.monotonic()
        try:
            if self._path is not None and self._inode not in (None, _inode(self._path)):
                self._detach()
                raise StoreError(f"{self._path}: the file was taken away")  # noqa: TRY301 - as any fault
            schema = "disk" if self._on_disk else "main"
            old = self._db.execute(
                f"SELECT max(id) FROM (SELECT id, time FROM {schema}.batches ORDER BY id LIMIT 1000) WHERE time < ?",
                (now - self.limits[0],),
            ).fetchone()[0]
            if old is not None:
                with self._transaction():
                    after = self._db.execute(f"SELECT min(id) FROM {schema}.batches WHERE id > ?", (old,)).fetchone()[0]
                    self._drop(schema, self._last + 1 if after is None else after, MOST_DROPPED)
            if self._on_disk:
                self._shrink("disk", self.limits[1])
                self._db.executescript("PRAGMA disk.incremental_vacuum(2000)")  # execute() would free one page of it
                self._measure()
        except (sqlite3.Error, StoreError) as error:
            self._fail(error, steady)

    def _shrink(self, schema: str, most: int) -> int:
        """Drop the oldest changes while they are too many; give how many."""
        dropped = 0
        while self._used(schema) > most:
            end = self._db.execute(
                f"SELECT id FROM {schema}.changes ORDER BY id LIMIT 1 OFFSET {MOST_DROPPED}"
            ).fetchone()
            with self._transaction():
                some = self._drop(schema, self._last + 1 if end is None else end[0], MOST_DROPPED)
            if not some:
                break
            dropped += some
        return dropped

    def _drop(self, schema: str, before: int, most: int) -> int:
        last = self._db.execute(
            f"SELECT max(id) FROM (SELECT id FROM {schema}.changes WHERE id < ? ORDER BY id LIMIT ?)",
            (before, most),
        ).fetchone()[0]
        dropped = 0
        if last is not None:
            dropped = self._db.execute(f"DELETE FROM {schema}.changes WHERE id <= ?", (last,)).rowcount
        first = self._db.execute(f"SELECT batch FROM {schema}.changes ORDER BY id LIMIT 1").fetchone()
        keep = before if first is None else first[0]
        self._db.execute(f"DELETE FROM {schema}.batches WHERE id < ?", (keep,))
        cause = self._db.execute(f"SELECT min(first_cause) FROM {schema}.batches").fetchone()[0]
        self._db.execute(f"DELETE FROM {schema}.causes WHERE id < ?", (keep if cause is None else min(cause, keep),))
        return dropped

    def _measure(self) -> None:
        self.size = self._used("disk")

    def _used(self, schema: str) -> int:
        pages = self._number(f"{schema}.page_count") - self._number(f"{schema}.freelist_count")
        return pages * self._number(f"{schema}.page_size")

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    # -- reading

    def find(self, question: Question) -> Found:
        """Find changes, in memory and on the disk. Raises StoreError when that takes too long."""
        end = time.monotonic() + MOST_SECONDS
        self._db.set_progress_handler(lambda: time.monotonic() > end, 2_000_000)
        try:
            return self._find(question)
        except sqlite3.Error as error:
            if self._inode is None or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StoreError(f"the history can't be read: {_words(error)}") from error
            self._fail(error, time.monotonic())
            self._detach()
            return self._find(question)
        finally:
            self._db.set_progress_handler(None, 0)

    def _find(self, question: Question) -> Found:
        condition, given = _condition(question.prefix, covering=question.covering)
        rows: list[tuple[int, bytes, str, int]] = []
        more = lost = others = 0
        since: float | None = None
        for schema in ("main", "disk") if self._inode is not None else ("main",):
            rows += self._db.execute(
                f"SELECT id, record, '{schema}', batch FROM {schema}.changes WHERE id < :before AND {condition}"
                " ORDER BY id DESC LIMIT :most",
                {**given, "before": question.before, "most": question.most},
            )
        rows = sorted(rows, reverse=True)[: question.most]
        last = rows[-1][0] if rows else question.before
        for schema in ("main", "disk") if self._inode is not None else ("main",):
            if len(rows) == question.most:
                more += self._db.execute(
                    f"SELECT count(*) FROM {schema}.changes WHERE id < :before AND {condition}",
                    {**given, "before": last},
                ).fetchone()[0]
            oldest, some, other = self._db.execute(
                f"SELECT (SELECT time FROM {schema}.batches ORDER BY id LIMIT 1), sum(lost), sum(others)"
                f" FROM {schema}.batches"
            ).fetchone()
            since = oldest if since is None else since if oldest is None else min(since, oldest)
            lost, others = lost + (some or 0), others + (other or 0)
        known: dict[tuple[str, int], Batch] = {}
        batches = [self._batch(schema, batch, known)._replace(records=record) for _, record, schema, batch in rows]
        return Found([row[0] for row in rows], batches, more, since, lost + self.dropped, others)

    def _batch(self, schema: str, number: int, known: dict[tuple[str, int], Batch]) -> Batch:
        if (schema, number) not in known:
            row = self._db.execute(
                f"SELECT time, router, neighbors, causes FROM {schema}.batches WHERE id = ?",
                (number,),
            ).fetchone()
            causes = {
                name: self._read_cause(schema, one)
                for name, one in msgspec.json.decode(row[3], type=dict[int, int]).items()
            }
            neighbors = msgspec.json.decode(row[2], type=dict[int, str])
            known[schema, number] = Batch(row[0], row[1], neighbors, causes, b"", 0, 0)
        return known[schema, number]

    def _read_cause(self, schema: str, number: int) -> Cause:
        row = self._db.execute(f"SELECT text, cache, vrps FROM {schema}.causes WHERE id = ?", (number,)).fetchone()
        return Cause(row[0], row[1], tuple(unpack(row[2]))) if row else Cause("VRPs changed", None, ())


def numbers(records: bytes) -> tuple[set[int], set[int]]:
    """Give the numbers of neighbors and of causes that changes name."""
    return set(column_of(records, "neighbor")), set(column_of(records, "cause"))


def _condition(prefix: Prefix, *, covering: bool) -> tuple[str, dict[str, bytes]]:
    """Give the condition of the records that are asked for: `struct route_change` begins with its prefix."""
    family = bytes((prefix.version,))
    if not covering:
        first, last = prefix.network_address.packed, prefix.broadcast_address.packed
        bounds = {"first": first.ljust(16, b"\0"), "last": last.ljust(16, b"\0")}
        return _WITHIN, {**bounds, "family": family, "length": bytes((prefix.prefixlen,))}
    outer = (prefix.supernet(new_prefix=length) for length in range(prefix.prefixlen + 1))
    keys = {
        f"k{one.prefixlen}": one.network_address.packed.ljust(16, b"\0") + bytes((one.prefixlen,)) + family
        for one in outer
    }
    return f"substr(record, 1, 18) IN ({', '.join(f':{key}' for key in keys)})", keys


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
            why = "it is a symbolic link" if path.with_name(path.name + suffix).is_symlink() else error.strerror
            raise StoreError(f"{path}{suffix}: cannot be opened: {why}") from error
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path}{suffix}: this is not a history of rtrd: it is no file")
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
