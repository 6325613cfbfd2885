"""Keeps what a previous run announced (its stale routes, RFC 4724) until it is certain what is to become of them.

That is when a neighbor's route for the NLRI is learned again, which then decides, or when none will be: so no good
route is withdrawn and no bad one left. No clock: the router's dialect says when.
"""

from __future__ import annotations

from rtrd.policy import normal
from rtrd.rib.attributes import AS_ANNOUNCED, AttributeSet, key_of
from rtrd.rib.table import RouteTable

MOST_WITHDRAWN = 200_000
"""Withdraws that are remembered while the router lists its routes; beyond that nothing is learned from the list."""


class PreviousRun:
    """What a previous run had one router announce."""

    def __init__(self, table: RouteTable) -> None:
        self.number: int | None = None
        """Of the neighbor that it is in the route table; None: nothing is advertised."""
        self.found = 0
        """Routes that were advertised, to all receivers together."""
        self.lists = False
        """The router is listing its neighbors' routes."""
        self._table = table
        self._withdrawn: set[tuple[str, str]] = set()
        self._changed: set[str] = set()

    @property
    def left(self) -> int:
        """How many routes are still advertised that no learned one has replaced."""
        return 0 if self.number is None else self._table.stale(self.number)

    def advertised(self, prefix: str, attributes: AttributeSet, receivers: int) -> None:
        """Take note of a route that is advertised to receivers (bits)."""
        if self.number is None:
            self.number = self._table.add_previous_run()
        if self._table.add_stale(
            self.number, self._table.set_of_octets(key_of(attributes, AS_ANNOUNCED)), prefix, receivers
        ):
            self.found += 1

    def release(self) -> None:
        """Nothing more will be learned again: withdraw what no learned route has replaced."""
        if self.number is not None:
            self._table.retire_neighbor(self.number)
            self.number = None

    # -- routes that a neighbor does not send again, from the router's own list of them

    def listing(self, *, begins: bool) -> None:
        """Take note that the router begins to list its neighbors' routes, or has ended."""
        self.lists = begins
        self._withdrawn.clear()
        self._changed.clear()

    def withdrawn(self, neighbor: str, prefixes: list[str]) -> None:
        """Take note of what a neighbor withdraws: the list, which is older, may still have it."""
        if self.lists and len(self._withdrawn) < MOST_WITHDRAWN:
            self._withdrawn.update((neighbor, prefix) for prefix in prefixes)

    def session_changed(self, neighbor: str) -> None:
        """Take a session that ended or began: the list may say what was before."""
        self._changed.add(normal(neighbor))

    def counts(self, neighbor: str, number: int, prefix: str) -> bool:
        """Tell whether a route of the list is to be learned: its neighbor (of this number) has not said of it since."""
        return (
            self.lists
            and len(self._withdrawn) < MOST_WITHDRAWN
            and (neighbor, prefix) not in self._withdrawn
            and neighbor not in self._changed
            and not self._table.has(number, prefix)
        )
