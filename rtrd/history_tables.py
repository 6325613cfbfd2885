"""The history's tables in SQLite: what is kept of changes, how they are written and found again.

A change lies as the route table gave it (rtrd.rib.table), so writing one costs a copy; one statement, in which the
interpreter is not held, writes a batch. There is no index: a question reads all, which takes a second at most, and is
seldom. Identifiers grow with time, over all tables and restarts.
"""

# ruff: noqa: S608 - what is put into SQL here are names of ours

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from rtrd.base.json_text import encode
from rtrd.base.notation import Prefix
from rtrd.event_log import Cause
from rtrd.rib.native_terms import CHANGE_SIZE, column_of
from rtrlib.vrp import pack, unpack

FORMAT: Final = 1 if sys.byteorder == "little" else 2
"""Of the database; changes are in the byte order of this host."""
_CAUSES: Final = 1024

_NAMES: Final = ("batches", "causes", "changes", "path_reasons")
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS {0}.batches(id INTEGER PRIMARY KEY, time REAL NOT NULL, router TEXT NOT NULL,
    neighbors TEXT NOT NULL, causes TEXT NOT NULL, first_cause INTEGER, lost INTEGER NOT NULL, others INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS {0}.causes(id INTEGER PRIMARY KEY, text TEXT NOT NULL, cache TEXT, vrps BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {0}.changes(id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {0}.path_reasons(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
"""
_WRITE: Final = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
INSERT INTO {{0}}.changes SELECT :first + i, :batch, substr(:records, 1 + i * {CHANGE_SIZE}, {CHANGE_SIZE}) FROM n
"""
_WITHIN: Final = """substr(record, 18, 1) = :family AND substr(record, 1, 16) BETWEEN :first AND :last
    AND substr(record, 17, 1) >= :length"""


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
    path_reasons: dict[int, str] = {}  # noqa: RUF012 - a tuple's default, which nobody changes
    """Why the paths of some of them are invalid or leaks, by the change's place in `records`."""


class HistoryQuery(NamedTuple):
    """Which changes are asked for."""

    prefix: Prefix
    covering: bool
    """Those of prefixes that cover it; else of those at or under it."""
    before: int
    """Only those with a lower identifier."""
    most: int


class HistoryPage(NamedTuple):
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


class Tables:
    """The tables of a connection: in each of its databases (`main`, `disk`) the same."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Make nothing yet."""
        self._last = 0  # the identifier that was given last
        self._db = db
        self._known: OrderedDict[tuple[int, str], int] = OrderedDict()  # causes that are written, by number and text

    def create(self, schema: str) -> None:
        """Make those tables of a database that it does not have, all or none.

        `path_reasons`, with the identifiers of their changes, came later than the others.
        """
        version = f"PRAGMA {schema}.user_version = {FORMAT};"
        self._db.executescript(f"BEGIN; {_TABLES.format(schema)} {version} COMMIT;")

    def go_on(self, schema: str) -> None:
        """Give no identifier that a database has."""
        for table in _NAMES:
            last = self._db.execute(f"SELECT max(id) FROM {schema}.{table}").fetchone()[0]
            self._last = max(self._last, last or 0)

    def move(self, source: str, to: str) -> None:
        """Move all that is in a database into another one."""
        with self._transaction():
            for table in _NAMES:
                self._db.execute(f"INSERT OR IGNORE INTO {to}.{table} SELECT * FROM {source}.{table}")
        for table in _NAMES:
            self._db.execute(f"DELETE FROM {source}.{table}")
        self._known.clear()

    def insert(self, schema: str, batches: Sequence[Batch]) -> None:
        """Write batches, all or none."""
        with self._transaction():
            for batch in batches:
                number = self._identifier()
                causes = {name: self._cause(schema, name, cause) for name, cause in batch.causes.items()}
                self._db.execute(
                    f"INSERT INTO {schema}.batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        number, batch.time, batch.router, encode(batch.neighbors).decode(),
                        encode(causes).decode(), min(causes.values(), default=None),
                        batch.lost, batch.others,
                    ),
                )  # fmt: skip
                count = len(batch.records) // CHANGE_SIZE
                if count:
                    first = self._identifier()
                    self._last = first + count - 1
                    given = {"count": count, "first": first, "batch": number, "records": batch.records}
                    self._db.execute(_WRITE.format(schema), given)
                    reasons = ((first + place, text) for place, text in batch.path_reasons.items())
                    self._db.executemany(f"INSERT INTO {schema}.path_reasons VALUES (?, ?)", reasons)

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

    def drop_older(self, schema: str, than: float, most: int) -> None:
        """Drop changes from before a Unix time, no more than `most`.

        What came after a change that is not so old is younger, whatever the clock said when it came.
        """
        first = f"SELECT id, time FROM {schema}.batches ORDER BY id LIMIT 1000"
        young = f"SELECT ifnull(min(id), {1 << 62}) FROM ({first}) WHERE time >= ?"
        old = self._db.execute(f"SELECT max(id) FROM ({first}) WHERE id < ({young})", (than,)).fetchone()[0]
        if old is not None:
            with self._transaction():
                after = self._db.execute(f"SELECT min(id) FROM {schema}.batches WHERE id > ?", (old,)).fetchone()[0]
                self._drop(schema, self._last + 1 if after is None else after, most)

    def drop_oldest(self, schema: str, most: int) -> int:
        """Drop the oldest changes, no more than `most`; give how many."""
        end = self._db.execute(f"SELECT id FROM {schema}.changes ORDER BY id LIMIT 1 OFFSET {most}").fetchone()
        with self._transaction():
            return self._drop(schema, self._last + 1 if end is None else end[0], most)

    def _drop(self, schema: str, before: int, most: int) -> int:
        last = self._db.execute(
            f"SELECT max(id) FROM (SELECT id FROM {schema}.changes WHERE id < ? ORDER BY id LIMIT ?)",
            (before, most),
        ).fetchone()[0]
        dropped = 0
        if last is not None:
            dropped = self._db.execute(f"DELETE FROM {schema}.changes WHERE id <= ?", (last,)).rowcount
            self._db.execute(f"DELETE FROM {schema}.path_reasons WHERE id <= ?", (last,))
        first = self._db.execute(f"SELECT batch FROM {schema}.changes ORDER BY id LIMIT 1").fetchone()
        keep = before if first is None else first[0]
        self._db.execute(f"DELETE FROM {schema}.batches WHERE id < ?", (keep,))
        cause = self._db.execute(f"SELECT min(first_cause) FROM {schema}.batches").fetchone()[0]
        self._db.execute(f"DELETE FROM {schema}.causes WHERE id < ?", (keep if cause is None else min(cause, keep),))
        return dropped

    def find(self, schemas: Sequence[str], question: HistoryQuery) -> HistoryPage:
        """Find changes in some of the databases."""
        condition, given = _condition(question.prefix, covering=question.covering)
        rows: list[tuple[int, bytes, str, int]] = []
        more = lost = others = 0
        since: float | None = None
        for schema in schemas:
            rows += self._db.execute(
                f"SELECT id, record, '{schema}', batch FROM {schema}.changes WHERE id < :before AND {condition}"
                " ORDER BY id DESC LIMIT :most",
                {**given, "before": question.before, "most": question.most},
            )
        rows = sorted(rows, reverse=True)[: question.most]
        last = rows[-1][0] if rows else question.before
        for schema in schemas:
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
        batches = [
            self._batch(schema, batch, known)._replace(records=record, path_reasons=self._path_reason(schema, number))
            for number, record, schema, batch in rows
        ]
        return HistoryPage([row[0] for row in rows], batches, more, since, lost, others)

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

    def _path_reason(self, schema: str, number: int) -> dict[int, str]:
        row = self._db.execute(f"SELECT text FROM {schema}.path_reasons WHERE id = ?", (number,)).fetchone()
        return {} if row is None else {0: row[0]}

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
