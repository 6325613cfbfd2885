"""What a router sends to its neighbours in, less what rtrd had it send; validity of its own routes out (RFC 8893).

These routes are shown and counted, and nothing is ever done about them: they are the operator's own words. No socket,
no clock. The origin is that of the path as it is sent, after all that the router does to it (section 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.policy import OBSERVE, normal
from rtrd.routes.table import NeighborPolicy, RouteTable
from rtrd.tags import VALIDITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtrd.exabgp.decode import State, Update
    from rtrd.routes.attributes import AttributeSet
    from rtrd.routes.table import Route
    from rtrlib.vrp_set import Changes, VRPSet

_WATCHED = NeighborPolicy(0, (OBSERVE.action,) * 4, (0, 0, 0, 0), (0, 0, 0, 0))
MOST_NEIGHBORS = 1000
"""The routes to further ones are not looked at."""


class Egress:
    """The routes that one router announces by itself, by the neighbour that gets them: an Adj-RIB-Out without ours."""

    def __init__(
        self,
        vrp_set: VRPSet,
        ours: Callable[[str, str], bool],
        attributes: Callable[[bytes], AttributeSet],
    ) -> None:
        """`ours`: whether what stands at a neighbour for a prefix (as of Update) is rtrd's. `attributes`: of a key."""
        self._ours = ours
        self._attributes = attributes
        self._table = RouteTable(vrp_set)
        self._sessions: dict[str, int] = {}

    def sent(self, update: Update) -> None:
        """Take what the router sent to a neighbour. A route of ours takes the place of the router's own."""
        address = normal(update.neighbor)
        number = self._session(address)
        if number is None:
            return
        if update.withdrawn:
            self._table.withdraw(number, update.withdrawn)
        for key, prefixes in update.announced:
            ours = [prefix for prefix in prefixes if self._ours(address, prefix)]
            own = [prefix for prefix in prefixes if prefix not in ours] if ours else prefixes
            if ours:
                self._table.withdraw(number, ours)
            if own:
                attributes = self._table.find_attributes(key)
                if attributes is None:
                    attributes = self._table.add_attributes(key, self._attributes(key).facts())
                self._table.announce(number, attributes, own)

    def state(self, event: State) -> None:
        """Take a session that came up or went down: nothing stands there any more."""
        number = self._sessions.pop(normal(event.neighbor), None)
        if number is not None:
            self._table.retire_neighbor(number)

    def vrps_changed(self, changes: Changes) -> None:
        """Have the routes that these VRPs cover validated again, in `work`."""
        self._table.vrps_changed(changes)

    def revalidate(self) -> None:
        """Have every route validated again, in `work`."""
        self._table.reconsider()

    def work(self, budget: int) -> bool:
        """Do up to `budget` routes of what waits. True: there is more."""
        return self._table.work(budget)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many routes have which validity, by neighbour."""
        return {address: self._table.counts(number) for address, number in self._sessions.items()}

    def total(self) -> dict[str, int]:
        """How many have which validity."""
        counts = self.counts().values()
        return {validity: sum(count[validity] for count in counts) for validity in VALIDITIES}

    def routes(self, within: str | None = None) -> Iterator[tuple[str, Route]]:
        """Give each route with the neighbour that gets it, in order of prefix, also while they change."""
        for route in self._table.routes(within):
            names = {number: address for address, number in self._sessions.items()}
            if route.neighbor in names:
                yield names[route.neighbor], route

    def _session(self, address: str) -> int | None:
        number = self._sessions.get(address)
        if number is None and len(self._sessions) < MOST_NEIGHBORS:
            number = self._sessions[address] = self._table.add_neighbor(_WATCHED, b"")
        return number
