"""Events of routes, caches, groups and neighbors, found by looking at the parts that have them.

Changes of routes are taken from the native tables as soon as there are some, a few at a time; states are looked at five
times a second and told when they differ, so those parts need to know nothing of who watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.clock import Clock
from rtrd.base.text import printable
from rtrd.base.turn import Turn
from rtrd.caches import Caches
from rtrd.door import Router
from rtrd.event_log import EventLog
from rtrd.history import History
from rtrd.history_tables import Batch
from rtrd.rib.native_terms import BAD_PATH, BAD_PATH_WAS, CHANGE_SIZE, changes_of, octets_of
from rtrd.rib.terms import RouteChange
from rtrd.route_log import LINES, RouteLog
from rtrd.routers import Routers
from rtrd.vrps.guarding import Guarding
from rtrlib import RTRSocketState
from rtrlib.vrp_set import VALIDITIES

EVERY: Final = 0.2
"""Seconds between two looks at states, and at changes of routes in a flood."""
PAUSE: Final = 0.005
"""Seconds after changes of routes were taken, at least: what comes meanwhile is taken together."""
LOOKS: Final = 200
"""How often changes of routes may be taken as soon as there are some; beyond that they are taken as in a flood."""
LOOKS_EACH_SECOND: Final = 5
"""How much more often each second."""
EACH_SECOND: Final = 100
"""Changes of routes that may be taken, without end."""
ROOM: Final = int(EACH_SECOND * EVERY)
"""Changes of routes that a table keeps between two looks in a flood."""
ROOM_BURST: Final = 65536
"""The same before: a whole table may change by a reload."""
BURST: Final = 50_000
"""Changes that may be taken in one go, besides."""
TOGETHER: Final = 2000
"""Changes that are taken in one turn of the loop."""
SLICE: Final = 50
"""Events that are made in one turn of the loop."""
TOLD: Final = 200
"""Events of changes in one go while nobody listens; one more each look."""
TOLD_LISTENING: Final = 5000
"""The same in each look while somebody does."""
REASONS: Final = 1000
"""Changes of which the history gets the hops that deny their paths, in one go."""
REASONS_EACH_SECOND: Final = 5
"""How many more each second; and LINES of each turn in any case, for the log."""
REASONS_TOGETHER: Final = 50
"""The most in one turn of the loop."""
OTHERS: Final = 2000
"""Routes that may come, and as many that may go, without being invalid, and be a change; one more in four seconds."""
_NONE: Final = 255
_INVALID: Final = VALIDITIES.index("invalid")
logger = log.get("change_monitor")


class _State(NamedTuple):
    """What something is like now, and the event if that is news."""

    key: tuple[str, ...]
    value: object
    kind: str
    text: str
    fields: dict[str, Any]


class Allowance:
    """So much at once, and so much more each second."""

    def __init__(self, most: float, each_second: float, clock: Clock) -> None:
        self._most = most
        self._rate = each_second
        self._clock = clock
        self._left = most
        self._at = clock.steady()

    @property
    def left(self) -> float:
        """How much is allowed now."""
        now = self._clock.steady()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def spend(self, some: float) -> None:
        """Take note of some; more than is left may have been needed."""
        self._left = self.left - some

    def take(self) -> int:
        """Spend what whole ones are left; give how many."""
        some = int(self.left)
        self.spend(some)
        return some


def _change(records: bytes, place: int) -> RouteChange:
    return next(changes_of(records[place * CHANGE_SIZE : (place + 1) * CHANGE_SIZE]))


def _news(records: bytes) -> Iterator[int]:
    """Give which changes are events, the newest first: of validity, or a new route that is invalid.

    Also a path that is invalid or a leak, and one that no longer is.
    """
    was, now, paths = octets_of(records, "was"), octets_of(records, "now"), octets_of(records, "paths")
    for number in range(len(was) - 1, -1, -1):
        before, after, path = was[number], now[number], paths[number]
        if after == _NONE:
            continue
        validity = after != before and (before != _NONE or after == _INVALID)
        if validity or (path >> 4 != path & 15 and (BAD_PATH[path] or BAD_PATH_WAS[path])):
            yield number


class ChangeMonitor:
    """Looks at the parts of one daemon."""

    def __init__(
        self, event_log: EventLog, caches: Caches, routers: Routers, guarding: Guarding, history: History
    ) -> None:
        self._event_log = event_log
        self._history = history
        self._route_log = RouteLog(history.clock)
        self._allowed = Allowance(BURST, EACH_SECOND, history.clock)
        self._looks = Allowance(LOOKS, LOOKS_EACH_SECOND, history.clock)
        self._told = Allowance(TOLD, 1 / EVERY, history.clock)
        self._reasons = Allowance(REASONS, REASONS_EACH_SECOND, history.clock)
        self._others = Allowance(OTHERS, 0.25, history.clock)
        self._bursts = True
        self._caches = caches
        self._routers = routers
        self._guarding = guarding
        self._states: dict[tuple[str, ...], object] = {}
        self._changed: dict[Router, None] = {}
        """Those whose tables keep changes."""
        self._wake = asyncio.Event()
        """There are some."""
        self._background = Background("change_monitor")

    async def start(self) -> None:
        """Look from now on; the states of this moment are not reported."""
        await self.look(quietly=True)
        self._routers.on_add = self._begin
        for router in self._routers.all():
            self._begin(router)
        self._background.start(self._run)

    async def close(self) -> None:
        """Stop, with what is left."""
        self._background.close()
        await self.take(self._routers.all())

    async def _run(self) -> None:
        due = 0.0
        while True:
            pause = EVERY  # if it fails
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + EVERY
                    await self.look()
                    self._allow_others()
                    await self.take(self._routers.all())
                pause = 0.0  # nothing has changed: what does now is told now
                if self._changed:
                    await self.take(self._changed)
                    pause = self.pause()
            except Exception:
                logger.exception("events could not be reported; rtrd continues without them")
            await asyncio.sleep(pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), due - time.monotonic())

    def pause(self) -> float:
        """Give how long changes of routes are not taken, after some were."""
        if self._allowed.left >= ROOM and self._looks.left >= 1:
            self._looks.spend(1)
            return PAUSE
        return EVERY

    # -- routes

    def _begin(self, router: Router) -> None:
        """Have a new router's table keep its changes."""
        router.engine.table.listen(ROOM_BURST)
        router.engine.table.allow_others(OTHERS, OTHERS)
        router.engine.on_changes = partial(self._has_changes, router)

    def _has_changes(self, router: Router) -> None:
        self._changed[router] = None
        self._wake.set()

    def _allow_others(self) -> None:
        others = self._others.take()
        for router in self._routers.all():
            router.engine.table.allow_others(others, OTHERS)

    async def take(self, routers: Iterable[Router]) -> None:
        """Take the changes of routes from the tables of routers, with the loop turning after each few."""
        self._wake.clear()
        turn = Turn()
        for router in tuple(routers):
            self._changed.pop(router, None)
            await self._take_of(router)
            # After a burst little is kept, until there is room for another one.
            self._bursts = self._allowed.left >= (ROOM if self._bursts else BURST // 2)
            router.engine.table.listen(ROOM_BURST if self._bursts else ROOM)
            if turn.over:
                await turn.next()
        self._route_log.look()

    async def _take_of(self, router: Router) -> None:
        names = router.engine.sessions.addresses
        batches: list[Batch] = []
        lost_in_all = 0
        for _ in range(ROOM_BURST // TOGETHER + 1):
            records, lost = router.engine.table.take_changes(TOGETHER)
            self._history.left_out(lost)
            lost_in_all += lost.changes
            if records:
                reasons = self._path_reasons(router, records)
                batches.append(batch := self._history.batch(router.engine.name, names, records, reasons))
                self._history.take(batch)
                self._route_log.take(batch)
                self._allowed.spend(len(records) // CHANGE_SIZE)
            if len(records) < TOGETHER * CHANGE_SIZE:
                break
            await asyncio.sleep(0)
        await self._tell(router, batches, lost_in_all)

    def _path_reasons(self, router: Router, records: bytes) -> dict[int, str]:
        """Say why paths became invalid or leaks, while that can still be known, of the first ones."""
        paths = octets_of(records, "paths")
        bad, before = paths.translate(BAD_PATH), paths.translate(BAD_PATH_WAS)
        reasons = dict[int, str]()
        place, left = -1, min(max(int(self._reasons.left), LINES), REASONS_TOGETHER)
        while left and (place := bad.find(1, place + 1)) >= 0:
            if before[place] and paths[place] >> 4 == paths[place] & 15:
                continue
            left -= 1
            if (reason := router.engine.path_reason_of(_change(records, place))) is not None:
                reasons[place] = reason
        self._reasons.spend(len(reasons))
        return reasons

    async def _tell(self, router: Router, batches: list[Batch], lost: int) -> None:
        """Make events of changes of validity: all while somebody listens, else a few."""
        news = ((batch, number) for batch in reversed(batches) for number in _news(batch.records))
        listening = self._event_log.listening
        told = list(islice(news, TOLD_LISTENING if listening else int(self._told.left)))[::-1]
        if listening:
            self._event_log.missed(lost + sum(1 for _ in news))
        self._told.spend(len(told))
        for done, (batch, number) in enumerate(told):
            change = _change(batch.records, number)
            name = batch.neighbors.get(change.neighbor, "a neighbor that is gone")
            reason = batch.path_reasons.get(number) or router.engine.path_reason_of(change)
            self._event_log.route(batch.router, name, change, reason)
            if done % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    # -- states

    async def look(self, *, quietly: bool = False) -> None:
        """Tell of every state that differs from the last look, with the loop turning after each few."""
        before, now = self._states, dict[tuple[str, ...], object]()
        turn = Turn()
        for state in self._now():
            now[state.key] = state.value
            if not quietly and (state.key not in before or before[state.key] != state.value):
                self._event_log.add(state.kind, state.text, **state.fields)
            if turn.over:
                await turn.next()
        self._states = now
        for key in before:
            if key not in now:
                self._gone(*key)
            if turn.over:
                await turn.next()

    def _gone(self, kind: str, router: str, *rest: str) -> None:
        """Tell that what was there at the last look is not."""
        if kind == "neighbor":
            up = next((it.neighbors.up(rest[0]) for it in self._routers.all() if it.engine.name == router), None)
            how = "is down" if up is False else "was up, and nobody says any more whether it is"
            text = f"neighbor {rest[0]} {how}"
            self._event_log.add(
                "neighbor", text, router=router, neighbor=printable(rest[0]), up=None if up is None else False
            )
        elif kind == "router":
            self._event_log.add("router", f"router {router} is disconnected", router=router, up=False)

    def _now(self) -> Iterator[_State]:
        for group in self._caches.groups():
            for cache in group.sockets:
                closed = cache.state is RTRSocketState.CLOSED
                how = "in sync" if cache.in_sync else "failed" if cache.error else "closed" if closed else "not in sync"
                why = f": {cache.error}" if cache.error else ""
                yield _State(
                    ("cache", group.name, str(cache)),
                    (how, cache.error),
                    "cache",
                    f"cache {cache} is {how}{why}" if how != "failed" else f"cache {cache} failed{why}",
                    {"group": group.name, "cache": str(cache), "in_sync": cache.in_sync, "error": cache.error},
                )
            yield _State(
                ("group", group.name),
                group.status,
                "group",
                f"group {group.name} is {group.status.name}",
                {"group": group.name, "status": group.status.name},
            )
        active = self._caches.active_group
        if active is not None:
            # Not "in force": the guard may hold what they say.
            yield _State(("active", ""), active, "active", f"group {active} is in use", {"group": active})
        if self._guarding.enabled:
            guard = self._guarding.status()
            text = "nothing is held" if guard["held"] is None else "a change of VRPs or ASPAs is held"
            yield _State(("guard", ""), guard["state"], "guard", f"guard: {text} ({guard['state']})", guard)
        for router in self._routers.all():
            name = router.engine.name
            yield _State(("router", name), True, "router", f"router {name} is connected", {"router": name, "up": True})
            for address in filter(router.neighbors.up, router.neighbors.addresses()):
                fields = {"router": name, "neighbor": printable(address), "up": True}
                text = f"neighbor {address} is up"
                session = router.engine.sessions.by_name.get(address)
                number = None if session is None else session.number
                yield _State(("neighbor", name, address), number, "neighbor", text, fields)
