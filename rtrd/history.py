"""The history: what became of routes and why, kept across restarts, written by a thread of its own.

The loop hands batches over and never waits. What the thread can't take is counted; a disk that can't be written costs
history and nothing else, and is a problem of the status.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rtrd import history_store
from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.base.errors import NotReadyError
from rtrd.base.registry import Registry
from rtrd.base.text import printable
from rtrd.config import History as Settings
from rtrd.event_log import EventLog, explanation, reason, vrp_fields
from rtrd.history_store import HistoryStore, StoreError
from rtrd.history_tables import Batch, HistoryPage, HistoryQuery, numbers
from rtrd.rib.native_terms import CHANGE_SIZE, changes_of
from rtrd.rib.terms import SESSION, UPDATE, ChangesLost, RouteChange

MOST_WAITING: Final = 200_000
"""Changes that wait for the thread: 20 MB."""
TOGETHER: Final = 1.0
"""Seconds of changes that are written in one go."""
PATIENCE: Final = 5.0
"""Seconds that the end of the daemon waits for the last of them."""

logger = log.get("history")


class _Ask(NamedTuple):
    question: HistoryQuery
    answer: asyncio.Future[HistoryPage]


class _Signal(enum.Enum):
    """What else the thread is told."""

    END = enum.auto()
    AGAIN = enum.auto()
    """The disk may be good again."""


_Job = Batch | _Ask | Settings | _Signal


class History:
    """The history of one daemon."""

    def __init__(self, folder: Path | None, settings: Settings | None, event_log: EventLog, clock: Clock) -> None:
        """Open nothing yet. `folder`: for the database; None: the history is in memory, and ends with the daemon."""
        path = None if folder is None else folder / history_store.NAME
        settings = settings or Settings()
        self._store = HistoryStore(path, settings.max_age, settings.max_size << 20)
        self._on_disk = path is not None
        self._event_log = event_log
        self.clock = clock
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._taken = self._written = 0  # changes; the second is the thread's
        self._left_out = ChangesLost(0, 0)  # since the last batch
        self.lost = 0
        """Changes that were not kept."""
        self.kept = 0
        """Changes that were handed to the thread."""

    # -- life

    def start(self) -> None:
        """Take changes and answer questions from now on."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits."""
        if self._thread is not None:
            self._jobs.put(_Signal.END)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), PATIENCE)
            self._thread = None

    def register(self, registry: Registry) -> None:
        """Offer how much history there is, and what is wrong with it."""
        registry.on_reload(self.change_settings, "history")
        registry.status_of(history=self.status)
        if self._on_disk:
            registry.kept_in_state("history", self._fault, lambda: self._jobs.put(_Signal.AGAIN))
        registry.metric("rtrd_history_changes_total", "Changes of routes handed to the history.", lambda: self.kept)
        registry.metric(
            "rtrd_history_lost_total", "Changes of routes that the history did not keep.", lambda: self.lost
        )
        registry.metric("rtrd_history_bytes", "Size of the history on the disk.", lambda: self._store.size)

    def change_settings(self, settings: Settings | None) -> None:
        """Keep more or less from now on; None: as much as by default."""
        self._jobs.put(settings or Settings())

    # -- what the loop hands over

    def batch(self, router: str, neighbors: Mapping[int, str], records: bytes, path_reasons: dict[int, str]) -> Batch:
        """Put changes of a router, as its table gave them, together with what their numbers mean now.

        `path_reasons`: as of Batch.
        """
        named, causes = numbers(records)
        return Batch(
            self.clock.wall(), router, {number: neighbors[number] for number in named & neighbors.keys()},
            {number: cause for number in causes if (cause := self._event_log.cause_of(number)) is not None},
            records, 0, 0, path_reasons,
        )  # fmt: skip

    def left_out(self, lost: ChangesLost) -> None:
        """Take note of changes that nobody will take."""
        before = self._left_out
        self._left_out = ChangesLost(before.changes + lost.changes, before.others + lost.others)
        self.lost += lost.changes

    def take(self, batch: Batch) -> None:
        """Take changes. Waits for nothing."""
        count = len(batch.records) // CHANGE_SIZE
        if self._taken - self._written + count > MOST_WAITING:
            self.left_out(ChangesLost(count, 0))
            return
        self._jobs.put(batch._replace(lost=self._left_out.changes, others=self._left_out.others))
        self._left_out = ChangesLost(0, 0)
        self._taken += count
        self.kept += count

    # -- questions

    async def find(self, question: HistoryQuery) -> HistoryPage:
        """Find changes. Raises NotReadyError when they can't be read."""
        if self._thread is None:
            raise NotReadyError("the history is not open")
        answer: asyncio.Future[HistoryPage] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Ask(question, answer))
        try:
            return await answer
        except StoreError as error:
            raise NotReadyError(str(error)) from error

    def status(self) -> dict[str, Any]:
        """Say where the history is, how large (octets), how much of it was lost, and what is wrong with it."""
        fault = self._fault()
        where = "memory" if fault is not None or not self._on_disk else "disk"
        return {"where": where, "bytes": self._store.size, "lost": self.lost, "fault": fault}

    def _fault(self) -> str | None:
        fault = self._store.fault
        return None if fault is None else f"{printable(fault)}; it is only in memory"

    # -- the thread

    def _work(self) -> None:
        assert self._loop is not None
        try:
            self._run()
        finally:
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                self._loop.call_soon_threadsafe(self._ended.set)

    def _run(self) -> None:
        store = self._store
        store.write([], self.clock.wall())  # opens the file
        waiting: list[Batch] = []
        due: float | None = None
        steady = self.clock.steady
        while True:
            try:
                job = self._jobs.get(timeout=60.0 if due is None else max(0.0, due - steady()))
            except queue.Empty:
                self._write(waiting)
                due = None
                continue
            if isinstance(job, Batch):
                waiting.append(job)
                due = steady() + TOGETHER if due is None else due
                continue
            if job is _Signal.AGAIN:
                store.try_again()
            self._write(waiting)
            due = None
            if job is _Signal.END:
                break
            if job is _Signal.AGAIN:
                continue
            if isinstance(job, Settings):
                store.limits = (job.max_age, job.max_size << 20)
                continue
            self._answer(job)
        store.close()

    def _write(self, waiting: list[Batch]) -> None:
        try:
            self._store.write(waiting, self.clock.wall())
        except Exception:
            logger.exception("changes of routes could not be kept in the history")
        self._written += sum(len(batch.records) for batch in waiting) // CHANGE_SIZE
        waiting.clear()

    def _answer(self, job: _Ask) -> None:
        assert self._loop is not None
        try:
            found = self._store.find(job.question)
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            wrong = error if isinstance(error, StoreError) else StoreError(f"the history can't be read: {error}")
            self._loop.call_soon_threadsafe(_settle, job.answer, wrong)
        else:
            self._loop.call_soon_threadsafe(_settle, job.answer, found)


def _settle(answer: asyncio.Future[HistoryPage], what: HistoryPage | StoreError) -> None:
    if answer.done():
        return
    if isinstance(what, StoreError):
        answer.set_exception(what)
    else:
        answer.set_result(what)


def row(number: int, batch: Batch) -> dict[str, Any]:
    """Give a change as people and programs are told it; `batch` has it alone."""
    change = next(changes_of(batch.records))
    cause = batch.causes.get(change.cause)
    vrp = change.vrp if cause is None or change.vrp is None else explanation(change, cause)
    return {
        "id": number,
        "time": batch.time,
        "router": batch.router,
        "neighbor": batch.neighbors.get(change.neighbor),
        "prefix": change.prefix,
        "path_id": change.path_id,
        "origin_as": change.origin,
        "was": change.was,
        "validity": change.validity,
        "aspa_was": change.aspa_was,
        "aspa": change.aspa,
        "leak_was": change.leak_was,
        "leak": change.leak,
        "decision_was": change.did,
        "decision": change.decision,
        "cause": {UPDATE: "update", SESSION: "session"}.get(change.cause, "unknown" if cause is None else cause.text),
        "cache": None if cause is None else cause.cache,
        "vrp": None if vrp is None else vrp_fields(*vrp),
        "path_reason": batch.path_reasons.get(0),
        "judged_by": None if change.judge is None else vrp_fields(change.judge, appeared=True),
        "why": _why(change, batch, vrp),
    }


def _why(change: RouteChange, batch: Batch, vrp: Any) -> str:
    """Say why, in words: what happened, the VRP that makes the route what it is, and what is wrong with its path."""
    cause = batch.causes.get(change.cause)
    if change.cause == SESSION:
        return "the neighbor's session ended"
    if change.validity is None:
        return "withdrawn by the neighbor"
    why = reason(change, cause, vrp) if change.cause == UPDATE or cause is not None else "VRPs changed"
    judge = change.judge
    if judge is not None and (vrp is None or vrp != (judge, True)):
        name = f"AS{judge.asn}'s VRP {judge.prefix}-{judge.max_length}"
        why = f"{why}; {name} {'matches' if change.validity == 'valid' else 'covers it'}"
    path_reason = batch.path_reasons.get(0)
    return why if path_reason is None else f"{why}; {path_reason}"
