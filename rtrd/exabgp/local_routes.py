"""Asks ExaBGP again and again which routes it would send: its local routes (RFC 8893), and those that rtrd announced.

What rtrd announced somebody else may have withdrawn: an operator, or another process. Then it is announced again. Or
somebody else announced the prefix, too: that one stands, is left alone, and is said. Pure.

The first list is that of the start (startup.py). ExaBGP tells nobody when it reads its configuration again, so it is
asked now and then, as long as the list is short, since it takes ExaBGP time that grows with the square of its length.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtrd.exabgp.adj_rib_text import BEGIN, Advertised, read_advertised
from rtrd.exabgp.startup import ADVERTISED
from rtrd.policy import normal
from rtrd.rib.engine import Engine
from rtrd.rib.local_routes import LocalRoute
from rtrd.rib.terms import Command

EVERY = 300.0
"""Seconds between two lists."""
AFTER_UP = 2.0
"""Seconds after a session came up: what is sent is told to those that listen to it by then."""
WHILE_DEAF = 60.0
"""Seconds between two lists while ExaBGP does not what it is told."""
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
        self._ours: dict[LocalRoute, list[Advertised]] = {}  # of these, what rtrd announced
        self.deaf: dict[str, str] = {}
        """Neighbors at which ExaBGP does not what it is told, with a prefix of which it should be something else."""
        self._still = False  # nothing waited to be written when the list was asked for
        self._left: set[LocalRoute] = set()  # in the last list, though rtrd announces none there
        self._again: set[LocalRoute] = set()  # announced again, and not listed since
        self._in_vain: set[LocalRoute] = set()  # of these, a second time
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
            self.deaf = {}
            return None
        self.due = None
        self._listed, self._ours = set(), {}
        self._still = not self._engine.table.state.waiting and not self._engine.table.state.parked
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
                self._ours.setdefault(route, []).append(advertised)
        if advertised is not None and not advertised.ours:
            self._engine.local_routes.listed(advertised.neighbor, advertised.prefix, *advertised.as_sent)
        return True

    def wrote(self, command: Command) -> None:
        """Take note of a command while a list is read: what that says of its prefixes may be older."""
        self._written.update(command.prefixes.split(" "))

    def removed(self, now: float) -> list[LocalRoute]:
        """Give what rtrd announced and two lists in a row do not have, the last of which is whole and has just ended.

        From here on it counts as not announced. The path ids of a prefix are not told apart. What is missing again, and
        what is still there though rtrd withdrew it, says that ExaBGP is `deaf` there.
        """
        if len(self._engine.table) > MOST:
            return []
        all_announced = self._announced()
        announced = {route for route in all_announced if route.prefix not in self._written}
        missing = announced - self._listed
        of_others = announced & self._listed - self._ours.keys()
        replaced = self._engine.local_routes.replaced = of_others & (self._of_others | self.replaced)
        self._of_others = of_others
        removed = missing & self._missing
        self._missing = missing - removed
        left = self._left_over(all_announced)
        self._again &= missing
        self._in_vain = (removed | self._in_vain) & self._again
        stay = left & self._left
        self._withdraw(stay)
        deaf = sorted(stay | self._in_vain)
        self.deaf = {route.neighbor: route.prefix for route in reversed(deaf)}
        self._again |= removed
        unsure = self._missing or of_others - replaced or left - self._left
        self._left = left
        if unsure:
            self.soon(now)
        elif self.deaf:
            self.due = self._next = min(self._next, now + WHILE_DEAF)
        for neighbor, prefix in removed:
            self._engine.removed(neighbor, prefix)
        return sorted(removed)

    def _left_over(self, announced: set[LocalRoute]) -> set[LocalRoute]:
        """Give what the list has of rtrd's that rtrd has withdrawn, at neighbors that are up, if that is certain."""
        left = {route for route in self._ours.keys() - announced if route.prefix not in self._written}
        if not self._still:
            left &= self._left  # its withdraw may wait
        return {route for route in left if self._engine.receivers.up(route.neighbor)}

    def _withdraw(self, routes: Iterable[LocalRoute]) -> None:
        """Have what rtrd announced withdrawn once more: in the next session ExaBGP does what it is told."""
        for route in sorted(routes):
            for one in self._ours[route]:
                if one.attributes is not None:
                    self._engine.advertised_before(one.neighbor, one.prefix, one.attributes)
        self._engine.previous_run.release()

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
