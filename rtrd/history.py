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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rtrd import history_store
from rtrd.base import log, threads
from rtrd.base.clock import Clock
from rtrd.base.errors import NotReadyError
from rtrd.base.registry import Registry
from rtrd.base.shortages import met
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
LOOK: Final = 2.0
"""Seconds between two looks whether the thread runs."""
ANSWER: Final = 30.0
"""Seconds that a question may wait for its answer."""
RUNS: Final = 0.1
"""Seconds between two looks at the end."""
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
        self._store = HistoryStore(path, settings.max_age, settings.max_size << 20, clock.steady)
        self._on_disk = path is not None
        self._event_log = event_log
        self.clock = clock
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._waiting: list[Batch] = []  # the thread's
        self._runs: Callable[[], bool] | None = None
        """Tells whether the thread does; None: it is not to, or none was to be had."""
        self._no_thread: str | None = None
        self._open = False
        self._again: asyncio.TimerHandle | None = None
        self.thread = 0
        """Its number, as `threading.get_ident` gives it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._taken = self._written = 0  # changes; the second is the thread's
        self._left_out = ChangesLost(0, 0)  # since the last batch
        self._not_taken = self._not_written = 0  # the second is the thread's
        self.kept = 0
        """Changes that were handed to the thread."""

    # -- life

    def start(self) -> None:
        """Take changes and answer questions from now on."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._look()

    def _look(self) -> None:
        """Have the thread run. Where there is none to be had, or it found no memory, there is another one later."""
        assert self._loop is not None
        self._again = self._loop.call_later(LOOK, self._look)
        if self._runs is not None and self._runs():
            return
        try:
            self._runs = threads.start(self._work)
        except (RuntimeError, MemoryError) as error:
            self._runs, self._no_thread = None, met(error)
        else:
            self._no_thread = None

    async def close(self) -> None:
        """Write what waits."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._open = False
        runs, self._runs = self._runs, None
        if runs is not None and runs():
            self._jobs.put(_Signal.END)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while runs() and not self._ended.is_set():  # one without memory ends without a word
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._ended.wait(), RUNS)

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

    @property
    def lost(self) -> int:
        """Changes that were not kept."""
        return self._not_taken + self._not_written

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
        self._not_taken += lost.changes

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
        if not self._open:
            raise NotReadyError("the history is not open")
        if self._no_thread is not None:
            raise NotReadyError(f"the history can't be read: {self._no_thread}")
        answer: asyncio.Future[HistoryPage] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Ask(question, answer))
        try:
            return await asyncio.wait_for(answer, ANSWER)
        except StoreError as error:
            raise NotReadyError(str(error)) from error
        except TimeoutError as error:
            raise NotReadyError("the history does not answer") from error

    def status(self) -> dict[str, Any]:
        """Say where the history is, how large (octets), how much of it was lost, and what is wrong with it."""
        fault = self._fault()
        where = "memory" if fault is not None or not self._on_disk else "disk"
        return {"where": where, "bytes": self._store.size, "lost": self.lost, "fault": fault}

    def _fault(self) -> str | None:
        if self._no_thread is not None:
            return f"it is not kept now: {self._no_thread}"
        fault = self._store.fault
        return None if fault is None else f"{printable(fault)}; it is only in memory"

    # -- the thread

    def _work(self) -> None:
        assert self._loop is not None
        self.thread = threading.get_ident()
        try:
            self._run()
        except MemoryError:
            return  # what waits is the next one's
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set)

    def _run(self) -> None:
        store, waiting = self._store, self._waiting
        self._write()  # opens the file
        due: float | None = None
        steady = self.clock.steady
        while True:
            try:
                job = self._jobs.get(timeout=60.0 if due is None else max(0.0, due - steady()))
            except queue.Empty:
                self._write()
                due = None
                continue
            if isinstance(job, Batch):
                waiting.append(job)
                due = steady() + TOGETHER if due is None else due
                continue
            if job is _Signal.AGAIN:
                store.try_again()
            self._write()
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

    def _write(self) -> None:
        waiting = self._waiting
        try:
            self._store.write(waiting, self.clock.wall())
        except Exception:
            self._not_written += sum(len(batch.records) for batch in waiting) // CHANGE_SIZE
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
