"""The snapshot in the state folder: loaded at the start, kept up to date while caches are in sync."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from rtrd.base import log
from rtrd.base.background import lasting
from rtrd.base.clock import Clock
from rtrd.base.file_thread import LONG, PATIENCE, in_thread
from rtrd.base.registry import Registry
from rtrd.base.shortages import shortage
from rtrd.vrps import snapshot
from rtrd.vrps.copying import copy
from rtrd.vrps.effective import EffectiveVRPs
from rtrd.vrps.snapshot import Age, Schedule, Snapshot, SnapshotError, ToComeError
from rtrlib import aspas
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import SNAPSHOT

POLL: Final = 1.0
"""Seconds between two looks at what is to be done."""
_SLICE: Final = 10_000 * PACKED.size
"""Octets that are staged in one go: a millisecond."""

logger = log.get("snapshot")


class SnapshotKeeper:
    """Keeps the snapshot of one state folder."""

    def __init__(self, folder: Path, effective: EffectiveVRPs, expire: float, clock: Clock) -> None:
        """Read and write nothing yet. `expire`: seconds that VRPs count without news from caches."""
        self._clock = clock
        self._path = folder / snapshot.NAME
        self._effective = effective
        self._expire = expire
        self._schedule = Schedule(expire)
        self._date: int | None = None  # of what is on the disk
        self._used: Age | None = None  # of the VRPs that were loaded, while the VRP set still has them
        self._aspas_used: Age | None = None  # of the ASPAs that are used
        self._to_come: int | None = None  # the date of one that was refused, and may be good once the clock is right
        self._fault: str | None = None
        self._gone = False  # the folder, or what may be done there
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Let the VRPs of the previous run count, if they still may; say why not. To be called before caches are."""
        try:
            found = await in_thread(LONG, snapshot.read, self._path, self._clock.wall(), self._expire)
        except (SnapshotError, OSError) as error:
            self._to_come = error.date if isinstance(error, ToComeError) else None
            self._fault = _said(self._path, error)
            logger.error("the snapshot is not used; rtrd starts without VRPs", why=self._fault)  # noqa: TRY400
            return
        await self._use(found)

    async def _use(self, found: Snapshot | None) -> None:
        if found is None:
            logger.info("no snapshot yet", path=str(self._path))
            return
        vrp_set = self._effective.vrp_set
        records = memoryview(found.records)
        for at in range(0, len(records), _SLICE):
            vrp_set.stage(SNAPSHOT, records[at : at + _SLICE])
            await asyncio.sleep(0)
        if found.aspas:
            self._aspas_used = self._age_of(found.aspas_date)
            self._effective.aspa_set.sources.stage(SNAPSHOT, aspas.union_of(bytes(found.aspas)))
        self._date = found.date
        self._used = self._age_of(found.date)
        self._effective.snapshot_expires = found.date + self._expire
        if self._effective.guard is not None:
            self._effective.guard.confirmed(SNAPSHOT, self._expire - self._old(self._used))
        logger.info("the snapshot is used until caches answer", age=self._age(), path=str(self._path))
        self._effective.use_snapshot()
        await self._effective.task_queue.done()

    def start(self) -> None:
        """Keep the snapshot up to date from now on."""
        self._task = asyncio.create_task(lasting("snapshot", self._run), name="snapshot")

    async def close(self) -> None:
        """Write it a last time if it is not what is in force."""
        self._stop.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=PATIENCE)
        if not self._task.done():  # the disk does not answer
            self._task.cancel()
            return
        await self._effective.task_queue.done()
        found = self._effective.to_keep()
        if found is not None and self._schedule.stale(self._generation(), found[1]):
            await self._write(*found)

    def register(self, registry: Registry) -> None:
        """Offer how old the snapshot is."""
        registry.on_reload(self.change_expire, "caches.expire")
        registry.status_of(snapshot=self.status)
        registry.kept_in_state("snapshot", lambda: self._fault, self._schedule.forget)
        registry.metric(
            "rtrd_snapshot_timestamp_seconds", "Date of the VRPs in the snapshot on the disk.", lambda: self._date
        )

    def change_expire(self, expire: float) -> None:
        """Change for how many seconds VRPs count without news from caches."""
        self._expire = expire
        self._schedule.change_expire(expire)
        if self._used is not None:
            self._expired(self._used)

    def status(self) -> dict[str, Any]:
        """Say whether VRPs are the snapshot's, how old (seconds) the snapshot is, and what is wrong with it."""
        return {"used": self._effective.snapshot_used, "age": self._age(), "fault": self._fault}

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await self._look()
            except Exception as error:
                self._fault = shortage(error) or "rtrd failed to write it; its log says why"
                logger.exception("the snapshot could not be written; rtrd will try again")
            try:
                await asyncio.wait_for(self._stop.wait(), POLL)
            except TimeoutError:
                continue

    async def _look_at_folder(self) -> None:
        """See at once that the folder was taken away, and when it is back begin anew."""
        try:
            why = await in_thread(PATIENCE, snapshot.why_no_folder, self._path.parent)
        except OSError as error:
            why = _said(self._path.parent, error)
        if why is not None:
            self._fault, self._gone = why, True
        elif self._gone:
            self._gone = False
            self._schedule.forget()
            if self._effective.to_keep() is None:  # else the fault is over when it is written
                self._fault = None

    async def _look(self) -> None:
        await self._look_at_folder()
        effective = self._effective
        if self._to_come is not None and self._clock.wall() >= self._to_come - snapshot.SKEW:
            await self._look_again()
        if self._used is not None:
            if not effective.snapshot_used:
                self._used = self._aspas_used = None
                effective.forget_snapshot()
            elif self._expired(self._used):
                effective.snapshot_expired()
            elif self._aspas_used is not None and self._old(self._aspas_used) >= self._expire:
                self._aspas_used = None
                effective.snapshot_aspas_expired()
        found = effective.to_keep()
        if found is not None and self._schedule.due(self._clock.steady(), self._generation(), found[1]):
            await self._write(*found)

    async def _look_again(self) -> None:
        """Use a snapshot that was dated ahead of the clock, when that was set since, and nothing else counts."""
        self._to_come = None
        if self._effective.has_begun:
            return
        try:
            found = await in_thread(LONG, snapshot.read, self._path, self._clock.wall(), self._expire)
        except (SnapshotError, OSError) as error:
            self._fault = _said(self._path, error)
            logger.error("the snapshot is not used now that the clock was set", why=self._fault)  # noqa: TRY400
            return
        self._fault = None
        await self._use(found)

    def _age_of(self, date: int) -> Age:
        return Age(date, self._clock.wall(), self._clock.steady())

    def _old(self, age: Age) -> float:
        return age.now(self._clock.wall(), self._clock.steady())

    def _expired(self, used: Age) -> bool:
        """Tell whether VRPs are too old; say when they will be, which is another time when the clock was set."""
        left, wall = self._expire - self._old(used), self._clock.wall()
        said = self._effective.snapshot_expires
        if said is None or abs(wall + left - said) > 1:
            self._effective.snapshot_expires = wall + left
        return left <= 0

    async def _write(self, sources: list[int], date: int) -> None:
        self._schedule.tried(self._clock.steady())
        records = await copy(self._effective.vrp_set, sources)
        held, aspas_date = self._effective.aspas_to_keep(sources, date)
        generation = self._generation()
        try:
            await in_thread(LONG, snapshot.write, self._path, Snapshot(records, date, held, aspas_date))
        except (SnapshotError, OSError) as error:
            self._fault = _said(self._path, error)
            return
        self._schedule.written(generation, date)
        self._date = date
        self._fault = None

    def _generation(self) -> int:
        """Give another number after each change of what would be written."""
        return self._effective.vrp_set.generation + self._effective.aspa_set.generation

    def _age(self) -> int | None:
        return None if self._date is None else max(0, round(self._clock.wall() - self._date))


def _said(path: Path, error: SnapshotError | OSError) -> str:
    """Say what is wrong: an OSError is that of a file system that does not answer."""
    return f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
