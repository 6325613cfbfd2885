"""Events of routes, caches, groups and neighbors, found by looking at the parts that have them.

Changes of routes are taken from the native tables, a few at a time; states are looked at five times a second and told
when they differ, so those parts need to know nothing of who watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.text import printable
from rtrd.caches import Caches
from rtrd.event_log import EventLog
from rtrd.exabgp.session import ExaBGP
from rtrd.routers import Routers
from rtrd.vrps.guarding import Guarding
from rtrlib import RTRSocketState

EVERY: Final = 0.2
"""Seconds between two looks."""
ROOM: Final = 200
"""Changes of routes that a table keeps between two looks while nobody listens, and that are taken in one go."""
ROOM_LISTENING: Final = 5000
"""The same while somebody does."""
logger = log.get("change_monitor")


class _State(NamedTuple):
    """What something is like now, and the event if that is news."""

    key: tuple[str, ...]
    value: object
    kind: str
    text: str
    fields: dict[str, Any]


class ChangeMonitor:
    """Looks at the parts of one daemon."""

    def __init__(self, event_log: EventLog, caches: Caches, routers: Routers, guarding: Guarding) -> None:
        self._event_log = event_log
        self._caches = caches
        self._routers = routers
        self._guarding = guarding
        self._states: dict[tuple[str, ...], object] = {}
        self._tables: dict[ExaBGP, dict[int, str]] = {}
        self._background = Background("change_monitor")

    def start(self) -> None:
        """Look from now on; the states of this moment are not reported."""
        self.look(quietly=True)
        self._background.start(self._run())

    def close(self) -> None:
        """Stop."""
        self._background.close()

    async def _run(self) -> None:
        while True:
            try:
                self.look()
                await self._take()
            except Exception:
                logger.exception("events could not be reported; rtrd goes on without them")
            await asyncio.sleep(EVERY)

    # -- routes

    async def _take(self) -> None:
        """Take the changes of routes from the tables, with the loop turning after each few."""
        event_log = self._event_log
        room = ROOM_LISTENING if event_log.listening else ROOM
        here = set(self._routers)
        self._tables = {router: names for router, names in self._tables.items() if router in here}
        for router in self._routers:
            table = router.engine.table
            table.listen(room)
            names = self._names(router)
            for _ in range(ROOM_LISTENING // ROOM):
                found, lost = table.take_changes(ROOM)
                if event_log.listening:
                    event_log.missed(lost)
                for change in found:
                    event_log.route(router.engine.name, names.get(change.neighbor, "a neighbor that is gone"), change)
                if len(found) < ROOM:
                    break
                await asyncio.sleep(0)

    def _names(self, router: ExaBGP) -> dict[int, str]:
        """Give the addresses of sessions by number; those that just ended are still known once."""
        now = {session.number: address for address, session in router.engine.sessions.items()}
        before = self._tables.get(router, {})
        self._tables[router] = now
        return {**before, **now}

    # -- states

    def look(self, *, quietly: bool = False) -> None:
        """Tell of every state that differs from the last look."""
        before, self._states = self._states, {}
        for state in self._now():
            self._states[state.key] = state.value
            if not quietly and (state.key not in before or before[state.key] != state.value):
                self._event_log.add(state.kind, state.text, **state.fields)
        for key in before.keys() - self._states.keys():
            kind, router, *rest = key
            if kind == "neighbor":
                text = f"neighbor {rest[0]} is down"
                self._event_log.add("neighbor", text, router=router, neighbor=printable(rest[0]), up=False)
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
            text = f"the VRPs of group {active} are in force"
            yield _State(("active", ""), active, "active", text, {"group": active})
        if self._guarding.enabled:
            guard = self._guarding.status()
            text = "nothing is held" if guard["held"] is None else "a VRP change is held"
            yield _State(("guard", ""), guard["state"], "guard", f"guard: {text} ({guard['state']})", guard)
        for router in self._routers:
            name = router.engine.name
            yield _State(("router", name), True, "router", f"router {name} is connected", {"router": name, "up": True})
            for address in filter(router.neighbors.up, router.neighbors.addresses()):
                fields = {"router": name, "neighbor": printable(address), "up": True}
                text = f"neighbor {address} is up"
                session = router.engine.sessions.get(address)
                number = None if session is None else session.number
                yield _State(("neighbor", name, address), number, "neighbor", text, fields)
