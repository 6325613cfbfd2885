"""The event log: what happened and why, the last of it and as it happens.

An event is one line of JSON: `time`, `kind`, `text`, and what belongs to the kind (docs/commands.md). Who reads slowly
loses events, which is counted and said; the daemon never waits for anyone.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from rtrd.base.clock import Clock, timestamp
from rtrd.base.json_text import encode
from rtrd.base.registry import Registry
from rtrd.base.text import counted, printable
from rtrd.rib.terms import SESSION, UPDATE, RouteChange
from rtrlib import aspas
from rtrlib.vrp import VRP
from rtrlib.vrp_set import VRPChanges, VRPSet

MOST_RECENT: Final = 200
"""Events that are kept for those who ask later: as many of routes and VRPs, and as many others."""
MOST_WAITING: Final = 2000
"""Events that wait for one listener; the oldest go first."""
MOST_LISTENERS: Final = 64
MOST_CAUSES: Final = 256
"""Causes that are remembered; the events of a change follow it within seconds."""
MOST_CAUSES_VRPS: Final = 2000
"""VRPs that are remembered with them, the latest: 300 bytes each."""
MOST_NAMED: Final = 1000
"""VRPs that changed at once and are remembered one by one."""
MOST_TOLD: Final = 10
"""Of these so many are in an event."""
MOST_SAID: Final = 3
"""Customers whose new providers are in the text of an event."""


class TooManyListenersError(Exception):
    """Nobody else can listen; the text says so."""


class Cause(NamedTuple):
    """Why VRPs changed."""

    text: str
    cache: str | None
    """The cache that said so, if it was one."""
    vrps: tuple[tuple[VRP, bool], ...]
    """Each VRP and whether it appeared; none when there were many."""


_MANY = ("route", "vrps", "aspas", "lost")
"""Kinds of events that come in floods, and must not displace the others."""
_UNKNOWN = Cause("VRPs changed", None, ())


class EventLog:
    """The events of one daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=MOST_RECENT)
        self._recent_states: deque[tuple[int, bytes]] = deque(maxlen=MOST_RECENT)
        self._number = 0
        self._listeners: set[Listener] = set()
        self._causes: OrderedDict[int, Cause] = OrderedDict()
        self._last_cause = UPDATE
        self.counts: dict[str, int] = {}
        """Events so far, by kind."""
        self.lost = 0
        """Events that listeners were too slow for, or that came faster than they are taken from the tables."""
        self.last_change: str | None = None
        """Time of the last change of a route or of VRPs."""

    def register(self, registry: Registry) -> None:
        """Offer how many events there were."""
        registry.status_of(last_change=lambda: self.last_change)
        counts = self.counts
        registry.metric(
            "rtrd_events_total", "Events told, by kind.",
            lambda: [((kind,), counts[kind]) for kind in sorted(counts)], ("kind",),
        )  # fmt: skip
        registry.metric(
            "rtrd_events_lost_total", "Events that came faster than they are taken or read.", lambda: self.lost
        )

    # -- what happens

    def cause(self, text: str, cache: str | None = None, vrps: tuple[tuple[VRP, bool], ...] = ()) -> int:
        """Take note of why VRPs change; give the number by which changes of routes name it."""
        self._last_cause = self._last_cause % (SESSION - 1) + 1
        self._causes[self._last_cause] = Cause(text, cache, vrps)
        if len(self._causes) > MOST_CAUSES:
            self._causes.popitem(last=False)
        room = MOST_CAUSES_VRPS
        for number, known in reversed(self._causes.items()):
            room -= len(known.vrps)
            if room < 0 and known.vrps:
                self._causes[number] = known._replace(vrps=())
        return self._last_cause

    def cause_of(self, number: int) -> Cause | None:
        """Give why VRPs or the policy changed, by the number of a change of a route; None: an UPDATE, or not known."""
        return self._causes.get(number)

    def add(self, kind: str, text: str, **fields: Any) -> None:
        """Take an event. Texts of others are made printable here."""
        now = timestamp(self._clock.wall(), "milliseconds")
        line = encode({"time": now, "kind": kind, "text": printable(text), **fields})
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind in ("route", "vrps", "aspas"):
            self.last_change = now
        self._number += 1
        recent = self._recent if kind in _MANY else self._recent_states
        recent.append((self._number, line))
        for listener in self._listeners:
            listener.put(line)

    def vrps(self, changes: VRPChanges, text: str, cache: str | None, vrp_set: VRPSet) -> int:
        """Take a change of the VRPs in force; give the number by which changes of routes name it.

        `text`: the cache that said so, or a few words; `cache`: the cache, if it was one.
        """
        named: tuple[tuple[VRP, bool], ...] = tuple(changes) if len(changes) <= MOST_NAMED else ()
        appeared = sum(added for _, added in named)
        if len(named) == 1:
            what = vrp_text(*named[0], Cause(text, cache, ()))
        else:
            where = f"at cache {cache}" if cache is not None else f"({text})"
            how = f": {appeared} appeared, {len(named) - appeared} disappeared" if named else ""
            what = f"{counted(len(changes), 'VRP')} changed {where}{how}"
        self.add(
            "vrps",
            what,
            cause=text,
            cache=cache,
            changed=len(changes),
            ipv4=vrp_set.count(4),
            ipv6=vrp_set.count(6),
            vrps=[vrp_fields(*one) for one in named[:MOST_TOLD]],
        )
        return self.cause(text, cache, named)

    def aspas(self, changes: bytes, in_force: int, text: str) -> int:
        """Take a change of the ASPAs in force; give the number by which changes of routes name it.

        `text`: the cache that said so, or a few words.
        """
        changed = aspas.count(changes)
        first = list(itertools.islice(aspas.records(changes), MOST_TOLD))
        more = f"; and {changed - MOST_SAID} more" if changed > MOST_SAID else ""
        what = "; ".join(map(aspa_text, first[:MOST_SAID])) + more
        self.add(
            "aspas",
            f"{what} ({text})",
            cause=text,
            changed=changed,
            aspas=in_force,
            customers=[{"customer_asid": each.customer, "providers": each.providers} for each in first],
        )
        return self.cause(what)

    def route(self, router: str, neighbor: str, change: RouteChange, path_reason: str | None = None) -> None:
        """Take a change of a route's validity, and say why it changed.

        `path_reason`: why its path is invalid or a leak.
        """
        cause = None if change.cause == UPDATE else self._causes.get(change.cause, _UNKNOWN)
        vrp = change.vrp if cause is None else explanation(change, cause)
        origin = "no origin AS" if change.origin is None else f"AS{change.origin}"
        was = " (new)" if change.was is None else f" (was {change.was})" if change.was != change.validity else ""
        self.add(
            "route",
            f"{change.prefix} of {origin} from {neighbor}: {change.validity}{was}{path_text(change)},"
            f" {change.decision}: {reason(change, cause, vrp)}" + (f"; {path_reason}" if path_reason else ""),
            router=router,
            neighbor=printable(neighbor),
            prefix=change.prefix,
            path_id=change.path_id,
            origin_as=change.origin,
            was=change.was,
            validity=change.validity,
            aspa_was=change.aspa_was,
            aspa=change.aspa,
            leak_was=change.leak_was,
            leak=change.leak,
            path_reason=path_reason,
            decision=change.decision,
            cause="update" if cause is None else cause.text,
            cache=None if cause is None else cause.cache,
            vrp=None if vrp is None else vrp_fields(*vrp),
        )

    def missed(self, count: int) -> None:
        """Take note that so many changes of routes came faster than they could be taken."""
        if count:
            self.lost += count
            self.add("lost", f"{counted(count, 'change')} of routes came too fast to be reported", count=count)

    # -- who listens

    @property
    def listening(self) -> bool:
        """Whether anyone does."""
        return bool(self._listeners)

    def recent(self, most: int = 2 * MOST_RECENT) -> list[bytes]:
        """Give the last events, the oldest of them first."""
        lines = [line for _, line in heapq.merge(self._recent, self._recent_states)]
        return lines[-most:] if most > 0 else []

    def listen(self, last: int = 0) -> Listener:
        """Give all events from now on, after the `last` ones of before; use it in a `with`.

        Raises:
            TooManyListenersError: there are MOST_LISTENERS.

        """
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListenersError(f"{MOST_LISTENERS} others already listen")
        return Listener(self, self._listeners, self.recent(last))


class Listener:
    """One who listens, from `with` to its end."""

    def __init__(self, event_log: EventLog, listeners: set[Listener], lines: list[bytes]) -> None:
        self._event_log = event_log
        self._listeners = listeners
        self._lines = deque(lines)
        self._lost = 0
        self._wake = asyncio.Event()

    def __enter__(self) -> Self:
        self._listeners.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listeners.discard(self)

    def put(self, line: bytes) -> None:
        """Take an event; when too many wait, the oldest is lost."""
        if len(self._lines) >= MOST_WAITING:
            self._lines.popleft()
            self._lost += 1
            self._event_log.lost += 1
        self._lines.append(line)
        self._wake.set()

    async def take(self, seconds: float, most: int = 100) -> list[bytes]:
        """Give up to `most` events, waiting for the first up to `seconds`; what was lost is said before them."""
        if not self._lines:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                return []
        taken = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
        if self._lost:
            text = f"{counted(self._lost, 'event', 'was', 'were')} lost: not read fast enough"
            taken.insert(0, encode({"time": None, "kind": "lost", "text": text, "count": self._lost}))
            self._lost = 0
        return taken


def aspa_text(aspa: aspas.ASPA) -> str:
    """Say in words what became of an ASPA; one without providers is withdrawn."""
    if not aspa.providers:
        return f"AS{aspa.customer} has no ASPA any more"
    if aspa.providers == (0,):
        return f"AS{aspa.customer} now names no provider (AS 0)"
    more = len(aspa.providers) - MOST_TOLD
    named = ", ".join(map(str, aspa.providers[:MOST_TOLD]))
    return f"AS{aspa.customer} now names {named}" + (f" and {more} more" if more > 0 else "")


def vrp_fields(vrp: VRP, appeared: bool) -> dict[str, Any]:
    """Give a VRP of an event, as a VRP file has it."""
    return {"asn": vrp.asn, "prefix": vrp.prefix, "maxLength": vrp.max_length, "appeared": appeared}


def explanation(change: RouteChange, cause: Cause) -> tuple[VRP, bool] | None:
    """Give the VRP that explains a change of validity, if one alone does, or else the one that was looked at.

    When VRPs come and go in one piece, the table sees the treatment of all while it looks at one.
    """
    if change.vrp is None or _explains(change, *change.vrp):
        return change.vrp
    covering = (one for one in cause.vrps if _covers(one[0].prefix, change.prefix))
    return next((one for one in covering if _explains(change, *one)), change.vrp)


def _explains(change: RouteChange, vrp: VRP, appeared: bool) -> bool:
    matches = vrp.asn == change.origin and vrp.asn != 0 and int(change.prefix.partition("/")[2]) <= vrp.max_length
    if change.validity == change.was:
        return False
    if change.validity == "valid":
        return appeared and matches
    if change.validity == "invalid" and change.was == "not-found":
        return appeared and not matches
    return not appeared and (change.was != "valid" or matches)


def _covers(outer: str, inner: str) -> bool:
    # Imported here: it takes as long as half of the module, and is needed only for a change of several VRPs at once.
    import ipaddress  # noqa: PLC0415

    one, other = ipaddress.ip_network(outer), ipaddress.ip_network(inner)
    return one.version == other.version and other.subnet_of(one)  # type: ignore[arg-type]


def reason(change: RouteChange, cause: Cause | None, vrp: tuple[VRP, bool] | None) -> str:
    """Say in words why a route changed."""
    if cause is None:
        if change.was is None:
            return "newly announced"
        return f"announced with another {'path' if change.was == change.validity else 'origin AS'}"
    if vrp is None:
        return cause.text if cause.cache is None else f"cache {cause.cache} has other VRPs"
    return vrp_text(*vrp, cause)


def path_text(change: RouteChange) -> str:
    """Say in words what became of the path of a route."""
    said = ""
    if change.aspa is not None:
        was = "" if change.aspa == change.aspa_was else f" (was {change.aspa_was or 'not judged'})"
        said = f", path {change.aspa}{was if change.was is not None else ''}"
    return said + (", a leak" if change.leak else "")


def vrp_text(vrp: VRP, appeared: bool, cause: Cause) -> str:
    """Say in words what happened to a VRP."""
    where = f"at cache {cause.cache}" if cause.cache is not None else f"({cause.text})"
    return f"AS{vrp.asn}'s VRP {vrp.prefix}-{vrp.max_length} {'appeared' if appeared else 'disappeared'} {where}"
