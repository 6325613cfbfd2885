"""An ExaBGP's list of what it would send in, its own routes out, again and again; and when they may be withdrawn. Pure.

The first list is that of the start (startup.py). ExaBGP tells nobody when it reads its configuration again, so it is
asked now and then, as long as the list is short, since it takes ExaBGP time that grows with the square of its length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.exabgp.adj_rib_text import BEGIN, read_advertised
from rtrd.exabgp.startup import ADVERTISED

if TYPE_CHECKING:
    from rtrd.exabgp.send_barrier import SendBarrier
    from rtrd.rib.engine import Engine
    from rtrd.rib.local_routes import LocalRoute

EVERY = 300.0
"""Seconds between two lists."""
AFTER_UP = 2.0
"""Seconds after a session came up: what is sent is told to those that listen to it by then."""
MOST = 5000
"""Routes that a list may have, ours among them: ExaBGP takes about a second for them, sending in between."""


class LocalRoutesList:
    """The routes of one ExaBGP's own, after the start. Times are seconds of any one clock that doesn't go back."""

    def __init__(self, engine: Engine, rounds: SendBarrier, now: float) -> None:
        self._engine = engine
        self._rounds = rounds
        self._due = now + EVERY
        self._listing = False
        self._turn = False

    # -- the list

    def asks(self, now: float) -> str | None:
        """Give what is to be written now, the start being over; what `ended` is then told."""
        if self._listing or now < self._due:
            return None
        self._due = now + EVERY
        if len(self._engine.table) * max(1, len(self._engine.receivers)) + len(self._engine.local_routes) > MOST:
            return None
        self._listing = True
        self._engine.local_routes.list_begins()
        return ADVERTISED

    def soon(self, now: float) -> None:
        """Take note that something may have changed: a session came up, or an operator reloads."""
        self._due = min(self._due, now + AFTER_UP)

    def line(self, text: str, version: str) -> bool:
        """Take a line of the list. False: it is none, or none was asked for."""
        if not self._listing or not text.startswith(BEGIN):
            return False
        advertised = read_advertised(text, version)
        if advertised is not None and not advertised.ours:
            self._engine.local_routes.listed(advertised.neighbor, advertised.prefix, advertised.origin)
        return True

    def ended(self) -> list[LocalRoute]:
        """ExaBGP has answered to the end. Gives what was withdrawn and need not be any more: ExaBGP has to reload."""
        self._listing = False
        return self._engine.local_routes.list_ended()

    # -- the withdraws that a rule wants

    def may_withdraw(self, now: float) -> bool:
        """Tell whether own routes may be withdrawn now, all that wait together, and nothing else before the round ends.

        They have a round to themselves, since one of ours may take their place (see rounds.py).
        """
        if not self._engine.local_routes.waiting:
            return False
        if not self._turn:
            self._turn = True
            self._rounds.drain(now)
        if self._rounds.draining:
            return False
        self._turn = False
        return True

    def next_deadline(self, now: float) -> float | None:
        """Give the seconds after which `asks` may say something though nothing was read."""
        return None if self._listing else max(0.05, self._due - now)
