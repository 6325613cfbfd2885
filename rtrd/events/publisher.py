"""Publishes the events of a daemon: takes them as they happen, keeps what waits, and sends it when it can.

Three tasks: one takes events, one has files written and read, one speaks with the server. None waits for another: what
the server does not take stays in the spool, and what the spool can't keep is lost, counted, and told.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.clock import Clock, timestamp
from rtrd.base.file_thread import LONG, PATIENCE, in_thread
from rtrd.base.registry import Registry
from rtrd.base.shortages import shortage
from rtrd.config import Events
from rtrd.events import spool_files
from rtrd.events.client import NotTakenError
from rtrd.events.connection import Connection, connect
from rtrd.events.delivery import Delivery
from rtrd.events.messages import Messages
from rtrd.events.spool import Spool

SUMMARY: Final = 30.0
"""Seconds between two summaries."""
TOGETHER: Final = 128
"""Messages that are under way at once."""
TOGETHER_OCTETS: Final = 256 << 10
KEEP: Final = 1.0
"""Seconds after which what was not acknowledged is written to a file."""
AGAIN: Final = 3.0
"""Seconds at most until the server is asked again."""
SETTLE: Final = 2.0
"""Seconds that subscribers have to connect, too, to a server that is back and keeps nothing for them."""
LOOK_UP: Final = 60.0
"""Seconds after which a stream is looked for again, while none keeps what we publish."""
LAST: Final = 2.0
"""Seconds at the end to send what waits."""
_MIB: Final = 1 << 20

logger = log.get("events")


class Listener(Protocol):
    """Gives events: rtrd.event_log.Listener."""

    async def take(self, seconds: float, most: int = 100) -> list[bytes]:
        """Give up to `most` events, waiting for the first up to `seconds`."""


Listen = Callable[[], AbstractContextManager[Listener]]
"""Gives the events from now on."""


class Publisher:
    """Publishes for one daemon, if it is configured to."""

    def __init__(
        self,
        state: Path | None,
        host: str,
        clock: Clock,
        *,
        listen: Listen,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
    ) -> None:
        """`host`: by which it is known unless the settings say; `status`: gives the whole status of the daemon."""
        self._folder = None if state is None else state / spool_files.FOLDER
        self._host = host
        self._clock = clock
        self._listen = listen
        self._status = status
        self._settings: Events | None = None
        self._spool = Spool(0, on_disk=self._folder is not None)
        self._messages = Messages(secrets.token_hex(8), host, "")
        self._found = False
        self._lost_kept = 0
        self._file_fault: str | None = None
        self._connection: Connection | None = None
        self._delivery = Delivery(clock, self._spool, host)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        """Nothing waits that can be sent now."""
        self._files = asyncio.Event()
        self._at_files: asyncio.Future[None] | None = None
        """What it does at files now."""
        self._tasks = [Background(f"events {name}") for name in ("take", "summaries", "keep", "send")]

    # -- life

    async def start(self, settings: Events | None) -> None:
        """Publish from now on as the settings say; None: nothing."""
        self._settings = settings
        if settings is None:
            self._delivery.settings = None
            return
        self._spool.most = settings.max_spool * _MIB
        self._messages.subject = str(settings.subject)
        self._messages.host = self._host if settings.name is None else str(settings.name)
        self._delivery.name = self._messages.host
        self._delivery.begin(settings)
        if not self._found:
            await self._find()
        for task, work in zip(self._tasks, (self._take, self._summaries, self._keep, self._send), strict=True):
            task.start(work)
        await asyncio.sleep(0)  # it takes what happens from here on

    async def change(self, settings: Events | None) -> None:
        """Publish as other settings say; what waits goes to the new server."""
        await self.close()
        await self.start(settings)

    async def close(self) -> None:
        """Send what can be sent soon, keep the rest, and end."""
        if self._settings is None:
            return
        for task in self._tasks[:3]:
            task.close()
        if self._delivery.is_connected:
            self._idle.clear()
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), LAST)
        self._tasks[3].close()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        self._delivery.disconnected()
        if self._at_files is not None:
            await self._at_files
        await self._files_once(last=True)
        self._settings = self._delivery.settings = None

    # -- what comes

    async def _take(self) -> None:
        with self._listen() as listener:
            while True:
                for line in await listener.take(60.0):
                    self._spool.put(self._messages.of(line))
                self._delivery.note_lost()
                self._wake.set()
                await asyncio.sleep(0)

    async def _summaries(self) -> None:
        # Many hosts that start at once don't speak at once.
        await asyncio.sleep(random.uniform(1, 3))  # noqa: S311 - no secret
        while True:
            try:
                self._spool.put(self._messages.summary(self._now(), await self._status()))
            except Exception:
                logger.exception("no summary could be made; rtrd continues without it")
            self._wake.set()
            await asyncio.sleep(SUMMARY)

    def _now(self) -> str:
        return timestamp(self._clock.wall(), "milliseconds")

    # -- files

    async def _find(self) -> None:
        """Look what the last run left."""
        self._found = True
        if self._folder is None:
            return
        try:
            segments, lost = await in_thread(LONG, spool_files.find, self._folder)
        except OSError as error:
            self._fault("read", error)
            return
        self._spool.found(segments, lost)
        self._lost_kept = lost
        if self._spool.waiting:
            logger.info("events of the last run wait to be published", events=self._spool.waiting)

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._files.wait(), KEEP)
            self._files.clear()
            # What a thread has begun goes on, whatever becomes of us: the end waits for it.
            self._at_files = asyncio.ensure_future(self._files_once())
            await asyncio.shield(self._at_files)

    async def _files_once(self, *, last: bool = False) -> None:
        """Have files follow the spool: one thing after the other, for each is told to the spool when it is done."""
        folder = self._folder
        if folder is None:
            return
        try:
            if gone := self._spool.gone():
                await self._remove(folder, gone)
            if (write := self._spool.to_write(all_of_it=last)) is not None:
                self._spool.written(write, await in_thread(PATIENCE, spool_files.write, folder, write))
                self._delivery.note_lost()
            if self._spool.lost != self._lost_kept:
                lost = self._spool.lost
                await in_thread(PATIENCE, spool_files.keep_lost, folder, lost)
                self._lost_kept = lost
            # Only now, for what was written goes on where the file ended; without this some are sent twice.
            if last and (rest := self._spool.rest_of_oldest()) is not None:
                await in_thread(PATIENCE, spool_files.make_anew, folder, *rest)
            if (wanted := self._spool.wanted) is not None and self._connection is not None:
                self._spool.loaded(wanted, await in_thread(PATIENCE, spool_files.read, folder, wanted))
                self._wake.set()
        except OSError as error:
            self._fault("kept", error)
            return
        self._file_fault = None

    async def _remove(self, folder: Path, gone: list[int]) -> None:
        try:
            await in_thread(PATIENCE, spool_files.remove, folder, gone)
        except OSError:
            self._spool.not_gone(gone)
            raise

    def _fault(self, what: str, error: OSError) -> None:
        self._file_fault = f"{self._folder}: cannot be {what}: {error.strerror or error}"

    # -- the server

    async def _send(self) -> None:
        assert self._settings is not None
        pause = 0.5
        while True:
            try:
                self._connection = await connect(self._settings, f"rtrd {self._messages.host}")
                await self._look_up(self._connection)
                self._delivery.connected(self._connection)
                pause = 0.5
                if not self._connection.acknowledges:
                    await asyncio.sleep(SETTLE)
                await self._send_all(self._connection)
            except NotTakenError as error:
                self._delivery.not_taken(str(error), lasting=error.lasting)
            except Exception as error:
                logger.exception("events could not be published; rtrd tries again")
                self._delivery.not_taken(shortage(error) or f"rtrd has a fault: {error}", lasting=True)
            self._delivery.disconnected()
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()
            self._spool.sent(0)
            pause = min(AGAIN, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.75, 1))  # noqa: S311 - no secret

    async def _look_up(self, connection: Connection) -> None:
        """Ask who keeps what is published, unless nobody should. NotTakenError."""
        assert self._settings is not None
        if self._settings.jetstream:
            await connection.look_up(self._messages.subject_of_all())

    async def _send_all(self, connection: Connection) -> None:
        """Send what waits and what comes, until that fails. NotTakenError."""
        looked = self._clock.steady()
        while True:
            if self._spool.wanted is not None:
                self._files.set()
            if not await self._send_some(connection):
                self._idle.set()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), KEEP)
            if connection.closed:
                raise NotTakenError("it has ended the connection")
            if not connection.acknowledges and self._clock.steady() - looked > LOOK_UP:
                looked = self._clock.steady()
                await self._look_up(connection)
                self._delivery.look_at_stream(connection)

    async def _send_some(self, connection: Connection) -> bool:
        """Send a few; tell whether there were any. NotTakenError."""
        spool = self._spool
        if spool.lost and spool.wanted is None:
            lost = spool.lost
            outcome = await connection.publish([self._messages.lost(self._now(), lost, spool.lost_ever)])
            if outcome.why is None:
                spool.told(lost)
                self._delivery.acknowledged(connection, 1 - len(outcome.refused), 0)
        messages = list(map(self._messages.readdressed, spool.next(TOGETHER, TOGETHER_OCTETS)))
        if not messages:
            return False
        outcome = await connection.publish(messages)
        spool.sent(outcome.done)
        refused = len(outcome.refused)
        self._delivery.acknowledged(connection, outcome.done - refused, refused)
        if outcome.why is not None:
            raise NotTakenError(outcome.why, lasting=True)
        self._delivery.taken()
        return True

    # -- what is known

    def register(self, registry: Registry) -> None:
        """Offer how it goes, and its settings."""
        registry.on_reload(self.change, "events")
        registry.kept_in_state("events", lambda: self._file_fault, self._files.set)
        self._delivery.register(registry)

    def status(self) -> dict[str, Any] | None:
        """Give how it goes, as `events` of the status has it; None: nothing is published."""
        return self._delivery.status()
