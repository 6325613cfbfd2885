"""Decides whether something may be written to ExaBGP now; if not, it says what that waits for.

Everything that can keep a command back is here: ExaBGP's pipe, the window of unanswered commands (window.py), the send
barrier (send_barrier.py), the start (startup.py), a change of our tags, and routes that the next lines may bring. Pure:
it is told what happens, and times are seconds of any one clock that doesn't go back.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import NamedTuple

from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.send_barrier import SendBarrier
from rtrd.exabgp.startup import Phase, StartUp
from rtrd.exabgp.window import FENCE, Window
from rtrd.rib.terms import Command, RibState

MOST_PREFIXES = 100
"""In one command: more gains little and holds ExaBGP's loop longer (docs/exabgp.md)."""
COALESCE = 0.01
"""Seconds that a route waits for those of the next lines: one command for many costs ExaBGP far less than many for a
few each (docs/exabgp.md)."""
NEIGHBORS = "show neighbor extensive\n"
CONFIGURATION = "show neighbor configuration\n"
NEIGHBORS_EVERY = 60.0
"""Seconds between two looks at ExaBGP's neighbors, which a reload may have changed."""
LIST_SHARE = 4
"""So many times as long as a list took ExaBGP is not asked for another one, whatever happens."""
REFRESH_EVERY = 10.0
"""Seconds between two requests to one neighbor to send its routes again."""
LOOK_EVERY = 10.0
"""Seconds between two looks at the summary while a session is down that may come up unheard (no `neighbor-changes`)."""


class WaitsFor(Enum):
    """What a command waits for, as `rtrd status` says it."""

    PIPE = "room in ExaBGP's pipe"
    GREETING = "ExaBGP's first answer"
    STARTUP = "ExaBGP's list of what it announces already"
    RETAG = "the routes' attributes to be read again, for the new policy"
    ANSWERS = "ExaBGP's answers to earlier commands"
    SENT = "ExaBGP to send what it was told"
    ROUTES = "routes of the next lines"


class Do(Enum):
    """What is to be done, beside writing commands."""

    GREET = auto()
    """Say a word of the greeting: it is written past the window."""
    REFRESH = auto()
    """Have a neighbor send its routes again."""
    ASK = auto()
    """Ask a question that is answered in many lines."""
    BARRIER_FALLS = auto()
    """What was written counts as sent though that is not known."""
    FENCE = auto()


class Step(NamedTuple):
    """What is to be done next."""

    do: Do
    text: str = ""
    """What is to be written; of REFRESH: the neighbor's address."""


class Gate:
    """The way to one ExaBGP: open, or closed for one reason."""

    def __init__(
        self, rib: RibState, local_rib: RibState, startup: StartUp, local_list: LocalRoutesList, now: float
    ) -> None:
        """`rib` and `local_rib`: what waits in the tables of learned and of local routes, always as of now."""
        self.window = Window()
        self.barrier = SendBarrier()
        self.waits_for: WaitsFor | None = WaitsFor.GREETING
        """None: it is open."""
        self.since = now
        """When that began."""
        self.pipe_full = False
        """ExaBGP's pipe has no room; when it has, that is told."""
        self.retagging = False
        """What a change of our tags makes of the attribute sets is not known of all yet."""
        self.deadline: float | None = None
        """When something may be done that may not now, though nothing is read; None: only what is read helps."""
        self.neighbors_due = now
        """When ExaBGP is to be asked for its neighbors."""
        self.configuration_due: float | None = None
        """When it is to be asked which of them are configured."""
        self.listing_neighbors = False
        """ExaBGP is naming its neighbors: until it has, nothing else that is answered in many lines is asked."""
        self._list_began = now
        self._no_list_before = now
        self._look_due: float | None = None
        self._refreshes: dict[str, float] = {}
        self._refreshed: dict[str, float] = {}
        self._rib = rib
        self._local_rib = local_rib
        self._startup = startup
        self._local_list = local_list
        self._local_turn = False
        self._came: float | None = None  # the first of the routes that wait for others

    # -- what happens

    def routes_came(self, address: str, now: float) -> None:
        """Take note that a line brought routes of a neighbor."""
        if not self._startup.over:
            self._startup.heard(address, now)
        if self._came is None:
            self._came = now

    def coalesce_no_longer(self) -> None:
        """Wait for no further line: what is to be announced now did not come by lines alone."""
        self._came = None

    def wrote(self, text: str, weight: int, now: float, command: Command | None = None) -> None:
        """Take note of a line that was written: how many prefixes are in it, which command of the engine it is."""
        self.window.wrote(text, weight, now, command)
        if command is not None:
            self.barrier.wrote(now)

    # -- what may be written

    def may_write(self, now: float) -> bool:
        """Tell whether a command may be written now."""
        waits_for = self._closed_by(now)
        if waits_for is not self.waits_for:
            self.waits_for, self.since = waits_for, now
        return waits_for is None

    def _closed_by(self, now: float) -> WaitsFor | None:
        if self.pipe_full:
            return WaitsFor.PIPE
        if now < self._startup.held_until:
            return WaitsFor.GREETING if self._startup.phase is Phase.GREETING else WaitsFor.STARTUP
        if self.retagging:
            return WaitsFor.RETAG
        if not self.has_room():
            return WaitsFor.ANSWERS
        if self.barrier.draining:
            return WaitsFor.SENT
        return WaitsFor.ROUTES if self._coalesces(now) else None

    def _coalesces(self, now: float) -> bool:
        if self._came is None:
            return False
        if now < self._came + COALESCE and 0 < self._rib.waiting - self._rib.parked < 2 * MOST_PREFIXES:
            return True
        self._came = None
        return False

    def may_withdraw_local(self, now: float) -> bool:
        """Tell whether local routes may be withdrawn now: all that wait, and nothing else before the barrier falls.

        They have a barrier before and after them, since a route of ours may be announced instead of one.
        """
        if not self._local_rib.waiting or now < self._startup.held_until:
            self._local_turn = False
            return False
        if not self._local_turn:
            self._local_turn = True
            self.barrier.drain(now)
        if self.barrier.draining or not self.has_room():
            return False
        self._local_turn = False
        return True

    def has_room(self) -> bool:
        """Tell whether pipe and window take one more command, whatever it is."""
        return not (self.pipe_full or self.window.full)

    def wants_refresh(self, address: str, now: float) -> None:
        """Take note that a neighbor is to send its routes again."""
        due = max(now, self._refreshed.get(address, -math.inf) + REFRESH_EVERY)
        self._refreshes.setdefault(address, due)

    def neighbors_listed(self, now: float, *, down: bool) -> None:
        """Take note that ExaBGP has named its neighbors. `down`: some session is."""
        self.listing_neighbors = False
        self._no_list_before = now + LIST_SHARE * (now - self._list_began)
        self._look_due = now + LOOK_EVERY if down else None

    # -- what is to be done beside commands

    def next(self, now: float, *, idle: bool) -> Step | None:
        """Give what is to be done next, when all commands are written that may be; None: nothing before `deadline`.

        `idle`: there is no further command, as far as is known.
        """
        if not self.window.greeted and (text := self.window.says(now)) is not None:
            return Step(Do.GREET, text)
        if self._refreshes and (address := self._refresh(now)) is not None:
            return Step(Do.REFRESH, address)
        if self._may_ask() and (question := self._question(now)) is not None:
            return Step(Do.ASK, question)
        if self._barrier_falls(now, idle=idle):
            return Step(Do.BARRIER_FALLS)
        if self._needs_fence(now):
            return Step(Do.FENCE, FENCE)
        self.deadline = self._deadline(now)
        return None

    def _refresh(self, now: float) -> str | None:
        if not self._may_ask():
            return None  # the list says who can be asked
        address = min(self._refreshes, key=self._refreshes.__getitem__)
        if now < self._refreshes[address]:
            return None
        del self._refreshes[address]
        self._refreshed = {one: time for one, time in self._refreshed.items() if now < time + REFRESH_EVERY}
        self._refreshed[address] = now
        return address

    def _question(self, now: float) -> str | None:
        if now >= self._list_due():
            self.listing_neighbors = True
            self._list_began = now
            if self.configuration_due is not None and now >= self.configuration_due:
                self.configuration_due = None
                return CONFIGURATION
            self.neighbors_due = now + NEIGHBORS_EVERY
            return NEIGHBORS
        due = self._local_list.due
        if due is None:
            return None  # one list of routes at a time, as their lines are alike
        if not self._startup.over:
            return self._startup.asks(now)
        return self._local_list.asks(now) if now >= due else None

    def _list_due(self) -> float:
        due = self.neighbors_due if self.configuration_due is None else min(self.neighbors_due, self.configuration_due)
        return max(due, self._no_list_before)

    def _may_ask(self) -> bool:
        return not self.listing_neighbors and self.has_room()

    def _barrier_falls(self, now: float, *, idle: bool) -> bool:
        parked, full = self._rib.parked > 0, self._rib.written_set_full
        if not (parked or full or self.barrier.pending):
            return False
        self.barrier.look(now, parked=parked, full=full, idle=idle)
        return self.barrier.overdue(now, unanswered=bool(self.window.written))

    def _needs_fence(self, now: float) -> bool:
        """Whether a fence is to be written: as answers are overdue, for the barrier, or to look at the summary."""
        if self.pipe_full:
            return False
        if self.window.written or not self.window.greeted:
            return now >= self.window.fence_due
        if self._look_due is not None and now >= self._look_due:
            self._look_due = now + LOOK_EVERY
            return True
        if not self.barrier.pending or not self.barrier.asks(now):
            return False
        self.barrier.asked(now)
        return True

    def _deadline(self, now: float) -> float | None:
        self.may_write(now)
        times: list[float | None] = []
        unanswered = bool(self.window.written)
        if self.barrier.pending:
            times.append(self.barrier.deadline(unanswered=unanswered or self.pipe_full))
        if not self.pipe_full:
            times.append(self._reason_ends())
            if not self.window.greeted:
                times.append(self.window.greeting_due())
            else:
                times.append(self.window.fence_due if unanswered else self._look_due)
            if self._may_ask():
                times += self._questions_due()
                times += self._refreshes.values()
        return min([time for time in times if time is not None], default=None)

    def _reason_ends(self) -> float | None:
        if self.waits_for in (WaitsFor.GREETING, WaitsFor.STARTUP):
            return self._startup.held_until if self._startup.held_until < math.inf else None
        return self._came + COALESCE if self.waits_for is WaitsFor.ROUTES and self._came is not None else None

    def _questions_due(self) -> list[float | None]:
        due = self._local_list.due
        return [self._list_due(), due if due is None or self._startup.over else self._startup.deadline()]
