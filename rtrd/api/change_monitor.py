"""The running daemon in; events of its routes, VRPs, caches, groups and neighbors into the journal out.

Changes of routes are taken from the native tables, a few at a time; states are looked at five times a second and told
when they differ, so the parts that have them need know of nobody who watches.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.text import printable
from rtrd.event_log import Cause, vrp_fields, vrp_text
from rtrlib import RTRSocketState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrd.daemon import Daemon
    from rtrd.exabgp.session import ExaBGP
    from rtrlib.vrp import VRP
    from rtrlib.vrp_set import VRPChanges

EVERY: Final = 0.2
"""Seconds between two looks."""
ROOM: Final = 200
"""Changes of routes that a table keeps between two looks while nobody listens, and that are taken in one go."""
ROOM_LISTENING: Final = 5000
"""The same while somebody does."""
MOST_NAMED: Final = 1000
"""VRPs that changed at once and are remembered one by one."""
MOST_TOLD: Final = 10
"""Of these so many are in an event."""

logger = log.get("change_monitor")


class _State(NamedTuple):
    """What something is like now, and the event if that is news."""

    key: tuple[str, ...]
    value: object
    kind: str
    text: str
    fields: dict[str, Any]


class ChangeMonitor:
    """Looks at one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._states: dict[tuple[str, ...], object] = {}
        self._tables: dict[ExaBGP, dict[int, str]] = {}
        self._background = Background("change_monitor")

    def start(self) -> None:
        """Look from now on; how things are now is no news."""
        self.look(quietly=True)
        self._background.start(self._run())

    def close(self) -> None:
        """Look no more."""
        self._background.close()

    async def _run(self) -> None:
        while True:
            try:
                self.look()
                await self._take()
            except Exception:
                logger.exception("events could not be told; rtrd goes on without them")
            await asyncio.sleep(EVERY)

    # -- VRPs

    def vrps_changed(self, changes: VRPChanges, cause: str) -> int:
        """Tell of VRPs that became effective or ceased to be; give the number of the cause for the tables.

        `cause`: the cache that said so, or a few words.
        """
        daemon = self._daemon
        cache = cause if any(cause == str(one) for group in daemon.manager.groups() for one in group.sockets) else None
        named: tuple[tuple[VRP, bool], ...] = tuple(changes) if len(changes) <= MOST_NAMED else ()
        appeared = sum(added for _, added in named)
        if len(named) == 1:
            text = vrp_text(*named[0], Cause(cause, cache, ()))
        else:
            where = f"at cache {cache}" if cache is not None else f"({cause})"
            how = f": {appeared} appeared, {len(named) - appeared} disappeared" if named else ""
            text = f"{len(changes)} VRPs changed {where}{how}"
        daemon.event_log.add(
            "vrps",
            text,
            cause=cause,
            cache=cache,
            changed=len(changes),
            ipv4=daemon.vrp_set.count(4),
            ipv6=daemon.vrp_set.count(6),
            vrps=[vrp_fields(*one) for one in named[:MOST_TOLD]],
        )
        return daemon.event_log.cause(cause, cache, named)

    # -- routes

    async def _take(self) -> None:
        """Take the changes of routes from the tables, with the loop turning after each few."""
        event_log = self._daemon.event_log
        room = ROOM_LISTENING if event_log.listening else ROOM
        here = set(self._daemon.routers)
        self._tables = {router: names for router, names in self._tables.items() if router in here}
        for router in self._daemon.routers:
            table = router.engine.table
            table.listen(room)
            names = self._names(router)
            for _ in range(ROOM_LISTENING // ROOM):
                found, lost = table.take_changes(ROOM)
                if event_log.listening:
                    event_log.missed(lost)
                for change in found:
                    event_log.route(router.engine.name, names.get(change.neighbor, "a former neighbor"), change)
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
                self._daemon.event_log.add(state.kind, state.text, **state.fields)
        for key in before.keys() - self._states.keys():
            kind, router, *rest = key
            if kind == "neighbor":
                text = f"neighbor {rest[0]} is down"
                self._daemon.event_log.add("neighbor", text, router=router, neighbor=printable(rest[0]), up=False)
            elif kind == "router":
                self._daemon.event_log.add("router", f"router {router} is gone", router=router, up=False)

    def _now(self) -> Iterator[_State]:
        manager = self._daemon.manager
        for group in manager.groups():
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
        active = manager.active_group
        if active is not None:
            text = f"the VRPs of group {active.name} are in force"
            yield _State(("active", ""), active.name, "active", text, {"group": active.name})
        if self._daemon.guarding is not None:
            guard = self._daemon.guarding.status()
            text = "nothing is held" if guard["held"] is None else "a change of the VRPs is held"
            yield _State(("guard", ""), guard["state"], "guard", f"guard: {text} ({guard['state']})", guard)
        for router in self._daemon.routers:
            name = router.engine.name
            yield _State(("router", name), True, "router", f"router {name} is here", {"router": name, "up": True})
            for address, session in router.engine.sessions.items():
                fields = {"router": name, "neighbor": printable(address), "up": True}
                text = f"neighbor {address} is up"
                yield _State(("neighbor", name, address), session.number, "neighbor", text, fields)
