"""How publishing goes, and what is said of it: in the status, as problems, as metrics. Pure but for a clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rtrd.base import log
from rtrd.base.clock import Clock, timestamp
from rtrd.base.registry import Problem, Registry
from rtrd.base.text import counted, printable
from rtrd.config import Events
from rtrd.events.client import NotTakenError
from rtrd.events.connection import Connection
from rtrd.events.spool import Spool

LONG_AWAY: Final = 60.0
"""Seconds after which a server that is away is a problem."""
REMEMBERED: Final = 3600.0
"""Seconds for which lost events are a problem."""
QUIET: Final = 1.0
"""Seconds between two lines in the log about events that are lost."""

logger = log.get("events")


class Delivery:
    """How it goes for one daemon."""

    def __init__(self, clock: Clock, spool: Spool, name: str) -> None:
        """`name`: by which this rtrd is known there."""
        self.settings: Events | None = None
        """None: nothing is published."""
        self.name = name
        self.connection: Connection | None = None
        """One over which events are published; None: there is none now."""
        self.published = 0
        self.too_large = 0
        self._clock = clock
        self._spool = spool
        self._why: str | None = None
        """Why the server is away, or takes nothing; None: it takes all."""
        self._lasting = False
        self._away_since = clock.steady()
        self._acknowledged: float | None = None
        self._unkept_since: float | None = None
        self._kept_by: str | None = None
        self._lost_at: float | None = None
        self._lost_seen = 0

    # -- what happens

    def begin(self, settings: Events) -> None:
        """Publish as these settings say."""
        self.settings = settings
        self._why, self._lasting, self._away_since = None, False, self._clock.steady()
        self._unkept_since = self._kept_by = None

    def connected(self, connection: Connection) -> None:
        """Take note of a connection. NotTakenError: no stream keeps our events any more, as one did."""
        self.look_at_stream(connection)
        self.connection = connection
        if not self._spool.waiting:
            self.taken()

    def disconnected(self) -> None:
        """Take note that it is of no use any more."""
        self.connection = None

    def look_at_stream(self, connection: Connection) -> None:
        """Take note who keeps our events. NotTakenError: no stream any more, as one did, so that they must wait."""
        assert self.settings is not None
        if connection.stream is not None:
            self._kept_by = connection.stream
        if connection.acknowledges or not self.settings.jetstream:
            self._unkept_since = None
            return
        if self._kept_by is not None:
            none = connection.without_stream
            raise NotTakenError(f"{none}, though {self._kept_by} did: events wait for a stream", lasting=True)
        if self._unkept_since is None:
            self._unkept_since = self._clock.steady()

    def acknowledged(self, connection: Connection, taken: int, refused: int) -> None:
        """Take note that the server has taken so many, and will never take so many others."""
        assert self.settings is not None
        if taken:
            self._acknowledged = self._clock.wall()
        self.published += taken
        if connection.stream is not None:
            self.look_at_stream(connection)
        if refused:
            self.too_large += refused
            self._spool.lose(refused)
            self.note_lost()
            logger.warning("events are lost: larger than the server takes", events=refused, octets=connection.most)

    def taken(self) -> None:
        """Take note that all that was sent is taken."""
        if self._why is not None:
            logger.info("the NATS server takes events", server=str(self._server), waiting=self._spool.waiting)
        self._why, self._lasting = None, False

    def not_taken(self, why: str, *, lasting: bool) -> None:
        """Take note that nothing is taken. `lasting`: that does not pass by itself, and is a problem at once."""
        if self._why is None:
            self._away_since = self._clock.steady()
        if why != self._why:
            logger.warning("the NATS server takes no events", server=str(self._server), why=why)
        self._why, self._lasting = why, lasting

    def note_lost(self) -> None:
        """Look whether the spool has lost events."""
        if self._spool.lost_ever > self._lost_seen:
            if self._lost_at is None or self._clock.steady() - self._lost_at > QUIET:
                logger.warning("events are lost: more came than the spool may keep", lost=self._spool.lost_ever)
            self._lost_seen, self._lost_at = self._spool.lost_ever, self._clock.steady()

    # -- what is said

    @property
    def _server(self) -> object:
        return None if self.settings is None else self.settings.nats

    @property
    def is_connected(self) -> bool:
        """A server takes events."""
        return self.connection is not None and self._why is None

    def register(self, registry: Registry) -> None:
        """Offer how it goes."""
        registry.status_of(events=self.status)
        registry.problems_of(self.problems)
        registry.metric(
            "rtrd_nats_connected", "1 while a NATS server takes events.",
            lambda: None if self.settings is None else self.is_connected,
        )  # fmt: skip
        registry.metric(
            "rtrd_nats_kept", "1 while a stream of JetStream keeps what is published.",
            lambda: None if self.settings is None else self.is_connected and self._is_kept,
        )  # fmt: skip
        registry.metric(
            "rtrd_nats_last_acknowledged_timestamp_seconds", "When the server last took events.",
            lambda: self._acknowledged,
        )  # fmt: skip
        registry.metric("rtrd_nats_published_total", "Events and summaries published.", lambda: self.published)
        registry.metric("rtrd_nats_waiting", "Events that wait to be published.", lambda: self._spool.waiting)
        registry.metric("rtrd_nats_spool_bytes", "Size of those that wait in files.", lambda: self._spool.octets)
        registry.metric("rtrd_nats_lost_total", "Events never published.", lambda: self._spool.lost_ever)

    @property
    def _is_kept(self) -> bool:
        return self.connection is not None and self.connection.acknowledges

    def status(self) -> dict[str, Any] | None:
        """Give how it goes, as `events` of the status has it; None: nothing is published."""
        if self.settings is None:
            return None
        connection = self.connection
        return {
            "nats": str(self.settings.nats),
            "name": self.name,
            "subject": str(self.settings.subject),
            "connected": self.is_connected,
            "why": self._why,
            "server": None if connection is None else connection.server,
            "address": None if connection is None else connection.address,
            "stream": None if connection is None else connection.stream,
            "acknowledged": self._is_kept,
            "last_acknowledged": None if self._acknowledged is None else timestamp(self._acknowledged),
            "published": self.published,
            "waiting": self._spool.waiting,
            "spool": self._spool.octets,
            "lost": self._spool.lost_ever,
            "too_large": self.too_large,
        }

    def problems(self) -> Iterator[Problem]:
        """Give what is wrong."""
        if self.settings is None:
            return
        now, server = self._clock.steady(), f"NATS server {self.settings.nats}"
        if self._why is not None and (self._lasting or now - self._away_since >= LONG_AWAY):
            what = f"{server} takes no events: {printable(self._why)}"
            yield Problem(what, self._clock.date_of(self._away_since), "warning", "events server", logged=True)
        elif self._unkept_since is not None and self.connection is not None:
            what = f"{server}: {self.connection.without_stream}: events reach only who listens when they happen"
            yield Problem(what, self._clock.date_of(self._unkept_since), "warning", "events stream")
        if self._lost_at is not None and now - self._lost_at < REMEMBERED:
            what = f"{counted(self._spool.lost_ever, 'event', 'was', 'were')} lost before the NATS server took them"
            yield Problem(what, self._clock.date_of(self._lost_at), "warning", "events lost", logged=True)
