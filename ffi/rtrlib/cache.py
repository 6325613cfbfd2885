"""The life of one cache: connecting, syncing, expiring (RFC 8210 section 6), and connecting again after a failure.

The link (rtrlib.link) is disposable. One over librtr begins with a complete sync, so its first commit replaces all that
the cache had, and every later one is a change; a native one takes up the session of the one before if it can, and says
when a full set follows. What a link says is believed only as far as it can be checked; what goes wrong costs the link,
never what was committed before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from rtrlib import aspas
from rtrlib.faults import Fault, FaultError, LastFault
from rtrlib.link import (
    ASPAs,
    ASPAsLeftOut,
    Ended,
    Event,
    Failure,
    FullSet,
    Heard,
    Link,
    LinkEnded,
    Resume,
    RouterKeyEvent,
    SessionState,
    VRPs,
)
from rtrlib.listener import VRPListener
from rtrlib.rtr_pdus import ASPA_VERSION
from rtrlib.rtr_socket import RTRSocket, RTRSocketState
from rtrlib.servers import EXPIRE_RANGE, Intervals, Server

__all__ = ["Cache", "CacheOwner"]

log = logging.getLogger("rtrlib")
failures = logging.getLogger("rtrlib.cache")  # of which a listener is told, too

PING_EVERY: Final = 5.0
HUNG_AFTER: Final = 15.0
"""Seconds that a child may leave a ping unanswered."""
SYNC_LIMIT: Final = 600.0
"""Seconds that a sync may take; librtr has a time-out for each PDU but none for the whole."""
STALE_PART: Final = 0.9
"""Part of the expire interval without a sync after which a new link is tried while the data still counts."""
BARREN_LIMIT: Final = 2
"""Sessions in a row without End of Data after which librtr's own idea of session and serial is given up."""
BACKOFF_FIRST: Final = 1.0

FAILURES: Final = {
    RTRSocketState.ERROR_FATAL: (Fault.PROCESS, "librtr ended the session and does not say why"),
    RTRSocketState.ERROR_TRANSPORT: (Fault.SILENT, "nothing came from the cache for 60 seconds"),
    RTRSocketState.ERROR_NO_DATA_AVAILABLE: (Fault.NO_DATA, "the cache has no data yet"),
}
"""What a failure is when nothing else was said of it."""
STATES: Final = {
    Fault.UNREACHABLE: RTRSocketState.ERROR_TRANSPORT,
    Fault.CLOSED: RTRSocketState.ERROR_TRANSPORT,
    Fault.SILENT: RTRSocketState.ERROR_TRANSPORT,
    Fault.NO_DATA: RTRSocketState.ERROR_NO_DATA_AVAILABLE,
}
"""In which a failure leaves a cache; else it is ERROR_FATAL."""
WAITING: Final = {RTRSocketState.CONNECTING, RTRSocketState.RESET}
"""What librtr says as soon as it begins to wait for its retry interval."""


class CacheOwner(Protocol):
    """What a cache needs of its dispatcher."""

    listener: VRPListener

    def in_sync(self, cache: RTRSocket) -> None:
        """See Failover."""

    def failed(self, cache: RTRSocket) -> None:
        """See Failover."""

    def opened(self, cache: Cache) -> None:
        """Watch the descriptors of its link, which was just opened."""

    def closing(self, cache: Cache) -> None:
        """Stop watching them: the link is about to be closed."""


class Cache:
    """One cache between `start` and `stop`. All times are seconds of the caller's clock."""

    def __init__(
        self,
        index: int,
        server: Server,
        intervals: Intervals,
        owner: CacheOwner,
        connect: Callable[[Server, Intervals, Resume], Link],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall`: seconds since 1970, for what is shown; everything is measured by the caller's own clock."""
        self.socket = RTRSocket(index, server)
        self.link: Link | None = None
        self._intervals = intervals
        self._owner = owner
        self._connect = connect
        self._wall = wall
        self.started = False
        self._resume = Resume()
        self._fresh = True
        """The next commit is of a full set."""
        self._had_data = False
        self._staged = False
        self._sessions_barren = 0
        self._session_open = False
        self._fault: tuple[Fault, str] | None = None
        """What the connection says of itself, until the state that it led to."""
        self._backoff = BACKOFF_FIRST
        self._short_sessions = 0
        """How many of them, one after the other, ended within the retry interval."""
        self._established_at: float | None = None
        """When the link committed for the first time."""
        self._reopen_at: float | None = None
        self._sync_ends: float | None = None
        self._expires_at: float | None = None
        self._aspas_expire_at: float | None = None
        """When its ASPAs are too old: with the VRPs, or before them, since it speaks a version without ASPAs now."""
        self._stale_at: float | None = None
        self._ping_at = 0.0
        self._hung_at: float | None = None
        self._set_intervals()

    def start(self, now: float) -> None:
        """Connect."""
        self.started = True
        self.socket.write(since=int(self._wall()), has_received_pdus=False)
        self._backoff = BACKOFF_FIRST
        self._open(now)

    def stop(self) -> None:
        """Disconnect; what the cache said is no longer needed."""
        self.socket.write(error=None, fault=None)
        self.release()
        self._drop_data()

    def clock_was_set(self, seconds: int) -> None:
        """Show the same moments, now that the wall clock was set forward by so many seconds, or back."""
        moments = (
            "last_sync",
            "last_update",
            "since",
            "next_attempt",
            "expires",
            "aspas_expire",
            "lower_version_until",
        )
        shown = {name: getattr(self.socket, name) for name in moments}
        self.socket.write(**{name: moment + seconds for name, moment in shown.items() if moment})
        if (last := self.socket.last_fault) is not None:
            self.socket.write(last_fault=last._replace(time=last.time + seconds))

    def release(self) -> None:
        """Disconnect for good; what the cache said counts until it expires, or `stop`."""
        self.started = False
        self._close()
        self._reopen_at = None
        self.socket.write(state=RTRSocketState.CLOSED, next_attempt=None)
        self._owner.listener.changed(self.socket)

    def change_intervals(self, intervals: Intervals, now: float) -> None:
        """Use other intervals, with a new link; what the cache said counts meanwhile, and it is no failure."""
        if self._expires_at is not None and not intervals.follow_cache:
            longer = intervals.expire - self.socket.expire_interval
            self._expires_at += longer
            self._stale_at = self._expires_at - (1 - STALE_PART) * intervals.expire
            if self._aspas_expire_at is not None:
                self._aspas_expire_at += longer
            self.socket.write(expires=int(self._wall() + self._expires_at - now))
            self._show_aspas(now)
        self._intervals = intervals
        self._set_intervals()
        if self.link is not None:
            self.reconnect(now)

    def reconnect(self, now: float) -> None:
        """Ask it now, with a new link; what it said counts meanwhile, and it is no failure."""
        self._backoff = BACKOFF_FIRST
        self._resume.version_until = 0.0  # whoever asks for it may have replaced a cache that misled
        self._resume.misled = False
        self._show_version(now)
        self._close()
        self._open(now)

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest."""
        times = [self._reopen_at, self._expires_at, self._aspas_expire_at]
        if self.link is not None:
            times += [self._sync_ends, self._stale_at, self._hung_at, self.link.deadline()]
            if self.link.pid is not None:
                times.append(self._ping_at)
        return min((time for time in times if time is not None), default=None)

    def readable(self, now: float, limit: int) -> int:
        """Handle about `limit` bytes of what the link has; returns how many it were."""
        link = self.link
        if link is None:
            return 0
        try:
            octets, events = link.read(limit, now)
            if octets:
                self._hung_at = None  # whoever sends is alive
                self._heard(link.direct)
            self._take(link, events, now)
        except FaultError as fault:
            if self.link is link:
                self._replace(now, *(self._fault or (fault.kind, str(fault))))
            return 0
        return octets

    def _take(self, link: Link, events: list[Event], now: float) -> None:
        """Do what a link tells, as long as it is the one."""
        for event in events:
            if self.link is not link:
                break
            self._event(event, now)

    def tick(self, now: float) -> None:
        """Do what is due. To be called after everything readable was read: silence is judged here."""
        overdue = self._overdue(now)
        if _due(self._expires_at, now):
            self._drop_data()
        elif _due(self._aspas_expire_at, now):
            self._drop_aspas()
        if self.link is not None and overdue is not None:
            self._replace(now, *overdue)
        if self.link is not None:
            self._take(self.link, self.link.tick(now), now)
        if self.link is None and _due(self._reopen_at, now):
            self._open(now)
        if self.link is not None and self.link.pid is not None and now >= self._ping_at:
            self.link.ping()
            self._ping_at = now + PING_EVERY
            if self._hung_at is None:
                self._hung_at = now + HUNG_AFTER

    def _overdue(self, now: float) -> tuple[Fault, str] | None:
        """Say what a link should have done by now and has not."""
        if _due(self._expires_at, now):
            return Fault.STALE, "no complete sync within the expire interval"
        if _due(self._hung_at, now):
            return Fault.PROCESS, f"the cache process did not answer for {HUNG_AFTER:.0f} seconds"
        if _due(self._sync_ends, now):
            return Fault.ENDLESS, f"no End of Data within {SYNC_LIMIT:.0f} seconds"
        if _due(self._stale_at, now) and not self._fresh:
            return Fault.STALE, "no complete sync for most of the expire interval"
        return None

    def _open(self, now: float) -> None:
        self._reopen_at = None
        self._had_data = False
        self._staged = False
        self._established_at = None
        self._sessions_barren = 0
        self._session_open = False
        self._fault = None
        self._sync_ends = None
        self._hung_at = None
        self._ping_at = now + PING_EVERY
        self._set_intervals()
        self.socket.write(state=RTRSocketState.CONNECTING, next_attempt=None)
        try:
            # While what it said counts it is asked again soon, also by a link that never reached it.
            soon = self._expires_at is not None
            self.link = self._connect(self.socket.server, replace(self._intervals, soon=soon), self._resume)
        except LinkEnded as fault:
            self._retry(now, fault.kind, str(fault))
            return
        if not self.link.resumes or self._resume.session_id is None:
            self._fresh = True
        self.socket.write(pid=self.link.pid)
        self._owner.opened(self)
        self._owner.listener.changed(self.socket)

    def _close(self) -> None:
        """Throw the link away, and what it staged."""
        if self.link is None:
            return
        if self._staged:
            self._resume.forget()  # what the listener has staged is half of a change
        again = self.link.resumes and self._resume.session_id is not None
        self._owner.closing(self)
        self.link.close()
        self.link = None
        self.socket.write(pid=None)
        self._out_of_sync()
        self._staged = False
        if not again:
            self._fresh = True
            self._owner.listener.discarded(self.socket)

    def _replace(self, now: float, kind: Fault, why: str) -> None:
        """Throw the link away and try a new one after a while."""
        self._close()
        self._retry(now, kind, why)

    def _retry(self, now: float, kind: Fault, why: str, wait: float = 0.0) -> None:
        """Try again after a while; `wait`: seconds, at least."""
        self.socket.write(restarts=self.socket.restarts + 1)
        if kind is Fault.CLOSED and self.socket.state is RTRSocketState.ERROR_NO_DATA_AVAILABLE:
            kind, why = Fault.NO_DATA, self.socket.error or why  # it closed since it has none: that says more
        if self._established_at is not None:
            # After a good session it is asked again soon; one that ends each session at once, less and less often.
            if now - self._established_at >= self._intervals.retry:
                self._short_sessions = 0
            self._backoff = min(BACKOFF_FIRST * 2**self._short_sessions, float(self._intervals.retry))
            self._short_sessions = min(self._short_sessions + 1, 20)
        elif kind is Fault.UNREACHABLE and not self.socket.last_sync:
            self._backoff = float(self._intervals.retry)  # it was never reached
        wait = max(wait, self._backoff)
        self._reopen_at = now + wait
        self.socket.write(next_attempt=int(self._wall() + wait))
        failures.warning("cache %s: %s; next attempt in %.0f s", self.socket, why, wait)
        self._backoff = min(2 * self._backoff, float(self._intervals.retry))
        self._fail(STATES.get(kind, RTRSocketState.ERROR_FATAL), kind, why)

    def _fail(self, state: RTRSocketState, kind: Fault, why: str) -> None:
        self.socket.write(state=state, error=why, fault=kind)
        self._count(kind, why)
        self._out_of_sync()
        self._sync_ends = None
        self._owner.listener.changed(self.socket)
        self._owner.failed(self.socket)

    def _note(self, kind: Fault, why: str) -> None:
        """Count and say what is wrong, and no reason to give the cache up."""
        log.warning("cache %s: %s", self.socket, why)
        self._count(kind, why)

    def _count(self, kind: Fault, why: str) -> None:
        self.socket.faults[kind] += 1
        self.socket.write(last_fault=LastFault(kind, why, int(self._wall())))

    def _out_of_sync(self) -> None:
        if self.socket.in_sync:
            self.socket.write(in_sync=False, since=int(self._wall()))

    def speak_lower(self, seconds: float, now: float) -> None:
        """Speak version 1 with it for so long, from the next connection on: version 2 misleads, an earlier run saw."""
        self._resume.mislead(now + seconds)
        self._show_version(now)

    def _show_version(self, now: float) -> None:
        """Show until when a lower version is spoken with it since version 2 misled us."""
        resume = self._resume
        until = int(self._wall() + resume.version_until - now) if resume.misled else None
        shown = self.socket.lower_version_until
        if until is None or shown is None or abs(until - shown) > 1:  # it is rounded
            self.socket.write(lower_version_until=until)

    def _drop_aspas(self) -> None:
        """Let go of what a cache said in a version that it does not speak any more."""
        self._aspas_expire_at = None
        self._resume.aspas = b""
        self.socket.write(aspas=0, aspas_expire=None)
        log.info("cache %s: the ASPAs that it had in version %d of RTR are too old", self.socket, ASPA_VERSION)
        if (tell := getattr(self._owner.listener, "aspas_expired", None)) is not None:
            tell(self.socket)

    def _show_aspas(self, now: float) -> None:
        """Show when its ASPAs expire, if that is not when its VRPs do."""
        at = self._aspas_expire_at
        apart = at is not None and at != self._expires_at
        self.socket.write(aspas_expire=int(self._wall() + at - now) if at is not None and apart else None)

    def _drop_data(self, *, flush: bool = False) -> None:
        """Let go of all that it said: it is too old, or no longer needed; `flush`: the cache wants that."""
        if self._expires_at is None:
            return
        self._expires_at = self._aspas_expire_at = None
        self._resume.aspas = b""
        self.socket.write(expires=None, last_update=0, aspas=0, aspas_expire=None)
        self._stale_at = None
        self._resume.forget()
        self.socket.write(flushed=flush)
        self._owner.listener.expired(self.socket)

    def _event(self, event: Event, now: float) -> None:
        match event:
            case VRPs() | ASPAs() | RouterKeyEvent():
                self._stage(event)
            case ASPAsLeftOut(counts):
                self.socket.aspas_left_out.update(counts)
            case FullSet():
                self._begin_full_set()
            case SessionState():
                self._state(event, now)
            case Failure(kind, why):
                self._fault = kind, why
            case Ended():
                self._end(now, event)
            case Heard():
                self._heard(True)

    def _stage(self, event: VRPs | ASPAs | RouterKeyEvent) -> None:
        self._staged = True
        match event:
            case VRPs(records):
                self._owner.listener.staged(self.socket, records)
            case ASPAs(held):
                self.socket.write(aspas=aspas.count(held))
                if (tell := getattr(self._owner.listener, "aspas", None)) is not None:
                    tell(self.socket, held)
            case RouterKeyEvent(asn, ski, spki, announce):
                self._owner.listener.router_key(self.socket, asn, ski, spki, announce)

    def _heard(self, heard: bool) -> None:
        if heard and not self.socket.has_received_pdus:
            self.socket.write(has_received_pdus=True)

    def _begin_full_set(self) -> None:
        if not self._fresh:
            self._fresh = True
            self._owner.listener.discarded(self.socket)

    def _end(self, now: float, event: Ended) -> None:
        if event.again:
            if event.kind is Fault.OLD_DRAFT:
                self._note(event.kind, event.why)
                self._show_version(now)
            else:
                log.info("cache %s: %s", self.socket, event.why)
            self._close()
            self._open(now)
            return
        self._close()
        if event.drop:
            self._drop_data(flush=True)
        self._retry(now, event.kind, event.why, event.wait)

    def _state(self, frame: SessionState, now: float) -> None:
        try:
            state = RTRSocketState(frame.state)
        except ValueError:
            raise LinkEnded(f"unknown socket state {frame.state}") from None
        socket = self.socket
        socket.write(version=frame.version)
        self._show_version(now)
        self._set_intervals(frame)
        if self._had_data and not frame.has_data:
            # Its own expiry. It says so for each VRP but for no router key, so what we hold would differ.
            self._replace(now, Fault.STALE, "librtr dropped its data as too old")
            return
        self._had_data = bool(frame.has_data)
        if state is RTRSocketState.SYNC:
            self._session_open = True
            if self._sync_ends is None:
                self._sync_ends = now + SYNC_LIMIT
        if state in FAILURES:
            self._session_failed(state, now)
            return
        self._fault = None  # librtr continued in spite of it
        if state is RTRSocketState.ESTABLISHED:
            socket.write(state=state)
            self._commit(frame, now)
        elif not (state in WAITING and socket.error):  # the failure says more
            socket.write(state=state)
            self._owner.listener.changed(socket)

    def _session_failed(self, state: RTRSocketState, now: float) -> None:
        kind, why = self._fault or self._excuse() or FAILURES[state]
        self._fault = None
        if self._session_open and state is not RTRSocketState.ERROR_NO_DATA_AVAILABLE:
            self._sessions_barren += 1
        self._session_open = False
        # librtr takes a sync that failed half way back record by record; and sessions that never get to End
        # of Data may be its own fault (it insists on one that the cache has given up). A new link ends both.
        if self._staged or self._sessions_barren >= BARREN_LIMIT:
            self._replace(now, kind, why)
        else:
            failures.warning("cache %s: %s", self.socket, why)
            self.socket.write(next_attempt=int(self._wall() + self.socket.retry_interval))
            self._fail(state, kind, why)

    def _excuse(self) -> tuple[Fault, str] | None:
        """Give what the link printed of a failed connection: SSH's reasons come that way."""
        said = None if self.link is None else self.link.excuse()
        return None if said is None else (Fault.UNREACHABLE, said)

    def _commit(self, frame: SessionState, now: float) -> None:
        socket = self.socket
        same = not self._fresh and socket.session_id == frame.session_id
        if same and _is_back(socket.serial_number or 0, frame.serial):
            what = f"the serial went back from {socket.serial_number} to {frame.serial} in one session"
            self._note(Fault.PROTOCOL, what)
        full, self._fresh, self._staged = self._fresh, False, False
        self._sessions_barren = 0
        if self._established_at is None:
            self._established_at = now
        self._sync_ends = None
        self._expires_at = now + socket.expire_interval
        self._stale_at = now + STALE_PART * socket.expire_interval
        if frame.version >= ASPA_VERSION:
            self._aspas_expire_at = self._expires_at
        elif self._aspas_expire_at is not None and not self._resume.aspas:
            self._aspas_expire_at = None
        self._show_aspas(now)
        wall = int(self._wall())
        socket.write(
            error=None,
            fault=None,
            session_id=frame.session_id,
            serial_number=frame.serial,
            last_sync=wall,
            last_update=wall,
            expires=wall + socket.expire_interval,
            next_attempt=None,
            has_received_pdus=True,
            since=socket.since if socket.in_sync else wall,
            in_sync=True,
            flushed=False,
        )
        self._owner.listener.committed(socket, full)
        self._owner.listener.changed(socket)
        self._owner.in_sync(socket)

    def _set_intervals(self, frame: SessionState | None = None) -> None:
        """Show what librtr uses; its expire interval, which matters here, is held to the RFC's range."""
        socket = self.socket
        if frame is None:
            refresh, retry, expire = self._intervals.refresh, self._intervals.retry, self._intervals.expire
        else:
            low, high = EXPIRE_RANGE
            refresh, retry, expire = frame.refresh, frame.retry, max(low, min(high, frame.expire))
        socket.write(refresh_interval=refresh, retry_interval=retry, expire_interval=expire)


def _is_back(before: int, serial: int) -> bool:
    """Tell whether a serial is before the last one (RFC 1982: half of all numbers are)."""
    return (serial - before) % (1 << 32) >= 1 << 31


def _due(time: float | None, now: float) -> bool:
    return time is not None and now >= time
