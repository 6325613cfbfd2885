"""Asks ExaBGP again and again which routes it would send: its local routes (RFC 8893), and those that rtrd announced.

What rtrd announced somebody else may have withdrawn: an operator, or another process. Then it is announced again. Or
somebody else announced the prefix, too: that one stands, is left alone, and is said. Pure.

The first list is that of the start (startup.py). ExaBGP tells nobody when it reads its configuration again, so it is
asked now and then, as long as the list is short, since it takes ExaBGP time that grows with the square of its length.
"""

from __future__ import annotations

from rtrd.exabgp.adj_rib_text import BEGIN, read_advertised
from rtrd.exabgp.startup import ADVERTISED
from rtrd.policy import normal
from rtrd.rib.engine import Engine
from rtrd.rib.local_routes import LocalRoute
from rtrd.rib.terms import Command

EVERY = 300.0
"""Seconds between two lists."""
AFTER_UP = 2.0
"""Seconds after a session came up: what is sent is told to those that listen to it by then."""
MOST = 5000
"""Routes that a list may have, ours among them: ExaBGP takes about a second for them, sending in between."""


class LocalRoutesList:
    """The lists of one ExaBGP, after the first. Times are seconds of any one clock that doesn't go back."""

    def __init__(self, engine: Engine, now: float) -> None:
        self.due: float | None = now + EVERY
        """When the next list may be asked for; None: one is being read."""
        self.forgetful: frozenset[str] = frozenset()
        """Neighbors of which ExaBGP does not keep what it sends (`adj-rib-out false`)."""
        self._engine = engine
        self._next = now + EVERY
        self._listed: set[LocalRoute] = set()
        self._ours: set[LocalRoute] = set()  # of these, with a route that rtrd announced
        self._written: set[str] = set()  # prefixes of which a command was written since the list was asked for
        self._missing: set[LocalRoute] = set()  # in the last list
        self._of_others: set[LocalRoute] = set()  # in the last list, instead of ours

    @property
    def replaced(self) -> set[LocalRoute]:
        """What rtrd announced, and somebody else has announced over it."""
        return self._engine.local_routes.replaced

    def asks(self, now: float) -> str | None:
        """Give what is to be written now, the start being over; what `ended` is then told."""
        if self.due is None or now < self.due:
            return None
        self.due = self._next = now + EVERY
        if len(self._engine.table) * max(1, len(self._engine.receivers)) + self._engine.local_routes.rib.routes > MOST:
            self._engine.local_routes.replaced = set()  # nobody looks any more
            return None
        self.due = None
        self._listed, self._ours = set(), set()
        self._written = set()
        self._engine.local_routes.list_begins()
        return ADVERTISED

    def soon(self, now: float) -> None:
        """Take note that something may have changed: a session came up, or an operator reloads."""
        self._next = min(self._next, now + AFTER_UP)
        if self.due is not None:
            self.due = self._next

    def line(self, text: str, version: str) -> bool:
        """Take a line of the list. False: it is none, or none was asked for."""
        if self.due is not None or not text.startswith(BEGIN):
            return False
        advertised = read_advertised(text, version)
        if advertised is not None:
            route = LocalRoute(normal(advertised.neighbor), advertised.prefix.partition(" ")[0])
            self._listed.add(route)
            if advertised.ours:
                self._ours.add(route)
        if advertised is not None and not advertised.ours:
            self._engine.local_routes.listed(advertised.neighbor, advertised.prefix, *advertised.as_sent)
        return True

    def wrote(self, command: Command) -> None:
        """Take note of a command while a list is read: what that says of its prefixes may be older."""
        self._written.update(command.prefixes.split(" "))

    def removed(self, now: float) -> list[LocalRoute]:
        """Give what rtrd announced and two lists in a row do not have, the last of which is whole and has just ended.

        From here on it counts as not announced. The path ids of a prefix are not told apart.
        """
        if len(self._engine.table) > MOST:
            return []
        announced = {route for route in self._announced() if route.prefix not in self._written}
        missing = announced - self._listed
        of_others = announced & self._listed - self._ours
        replaced = self._engine.local_routes.replaced = of_others & (self._of_others | self.replaced)
        self._of_others = of_others
        removed = missing & self._missing
        self._missing = missing - removed
        if self._missing or of_others - replaced:
            self.soon(now)
        for neighbor, prefix in removed:
            self._engine.removed(neighbor, prefix)
        return sorted(removed)

    def _announced(self) -> set[LocalRoute]:
        bits = {one: bit for one, bit in self._engine.receivers.bits.items() if one not in self.forgetful}
        return {
            LocalRoute(one, route.prefix)
            for _, route in self._engine.routes()
            if route.advertised
            for one, bit in bits.items()
            if route.advertised & bit
        }

    def ended(self) -> list[LocalRoute]:
        """ExaBGP has answered to the end. Gives what was withdrawn and need not be any more: ExaBGP has to reload."""
        self.due = self._next
        return self._engine.local_routes.list_ended()
