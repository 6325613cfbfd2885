"""A table of routes to which no policy is applied."""

from collections.abc import Iterable

from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, LEARNED, AttributeSummary, NeighborPolicy
from rtrlib.vrp_set import VRPSet

OBSERVE = NeighborPolicy(1, ("observe",) * 4, (0, 0, 0, 0), (LEARNED,) * 4)


class Observed:
    """The table, its neighbor, and the attributes of what the neighbor announces."""

    def __init__(self, vrp_set: VRPSet, prefixes: Iterable[str] = ()) -> None:
        self.table = RouteTable(vrp_set)
        self.neighbor = self.table.add_neighbor(OBSERVE, b"\x7f\0\0\1")
        self.attributes = self.table.add_attributes(b"a", AttributeSummary(1, 64500, 100, 1, 0, FIT))
        self.announce(prefixes)

    def announce(self, prefixes: Iterable[str]) -> None:
        self.table.announce(self.neighbor, self.attributes, list(prefixes))
