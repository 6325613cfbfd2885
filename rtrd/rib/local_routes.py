"""The local routes of a router (those that it originates) and their validity: origin validation on export (RFC 8893).

These routes are shown and counted, and nothing is done about them unless a rule of the policy (`direction: out`) says
so: they are the operator's own words. No socket, no clock. The origin is that of the path as it is sent, after all that
the router does to it (section 4).

There are two sources: what the router says that it sends, which is exact, and its list of what it would send. A
neighbor of the first kind is known by having been heard of. Their paths are judged, too, as the neighbor that gets them
would judge them, by what we are to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from rtrd.policy import normal
from rtrd.rib import paths
from rtrd.rib.attributes import AttributeSet, local_key, read_octets, read_path
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.receivers import Receivers
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import Command, NeighborPolicy, RibState, Route
from rtrd.tags import VALIDITIES
from rtrlib.aspa_paths import LocalRole
from rtrlib.vrp_set import VRPSet

MOST_NEIGHBORS = 1000
"""The routes to further ones are not looked at."""
MOST_LISTED = 200_000
"""Routes of a list that are remembered one by one; of a longer one nothing is found to be missing."""


class LocalRoute(NamedTuple):
    """A local route, as it goes to one neighbor."""

    neighbor: str
    prefix: str
    """As of Update: `PREFIX`, under ADD-PATH `PREFIX PATH-ID`."""


class LocalRoutes:
    """The routes that one router announces by itself, by the neighbor that gets them: an Adj-RIB-Out without ours."""

    def __init__(
        self,
        vrp_set: VRPSet,
        receivers: Receivers,
        ours: Callable[[str, str], bool],
        acts: Callable[[str], int],
        toward: Callable[[str], tuple[LocalRole | None, int]],
    ) -> None:
        """`ours`: whether what is advertised to a neighbor for an NLRI (as of Update) is rtrd's.

        `acts`: a neighbor's bit, if invalid routes are to be withdrawn there now; else 0. `toward`: what we are to a
        neighbor (None: not known, or nothing is judged there), and our AS (0: not known).
        """
        self.withdrawn: dict[LocalRoute, bytes] = {}
        """What a rule had withdrawn, with the key of its attributes; the router announces it no more."""
        self.replaced: set[LocalRoute] = set()
        """Where rtrd had a route announced and the router has put its own instead, by the prefix alone."""
        self.sessions: dict[str, int] = {}
        """The neighbors that get such routes, with the number that each has in the table."""
        self._receivers = receivers
        self._ours = ours
        self._acts = acts
        self._toward = toward
        self._roles: dict[str, LocalRole | None] = {}
        self.table = RouteTable(vrp_set)
        """They and their validity; what changes the VRPs is told to it."""
        self.rib: RibState = self.table.state
        """What waits to be withdrawn, and what is left to do: always as of now."""
        self._acting: dict[str, int] = {}
        self._telling: set[str] = set()
        self._listed: set[LocalRoute] | None = None
        self._sent: set[LocalRoute] = set()

    # -- what the router sends

    def sent(self, update: Update) -> None:
        """Take what the router sent to a neighbor. A route of ours replaces a local route."""
        address = normal(update.neighbor)
        number = self._session(address)
        if number is None:
            return
        self._telling.add(address)
        if self._listed is not None and len(self._sent) < MOST_LISTED:
            prefixes = [*update.withdrawn, *(prefix for _, some in update.announced for prefix in some)]
            self._sent.update(LocalRoute(address, prefix) for prefix in prefixes)
        if update.withdrawn:
            # The router tells the withdraw of one that a rule had withdrawn, too; it is still shown.
            gone = [prefix for prefix in update.withdrawn if LocalRoute(address, prefix) not in self.withdrawn]
            self.table.withdraw(number, gone)
        for key, prefixes in update.announced:
            ours = [prefix for prefix in prefixes if self._ours(address, prefix)]
            local = [prefix for prefix in prefixes if prefix not in ours] if ours else prefixes
            if ours:
                self._drop(address, number, ours)
            if local:
                self._announce(address, number, key, local)

    def state(self, event: State) -> None:
        """Take a session that came up or went down: where the router tells what it sends, it tells all of it again."""
        address = normal(event.neighbor)
        if address in self._telling:
            self._end(address)

    def forget(self, address: str) -> None:
        """Take note that a neighbor is gone: no route goes there."""
        self._telling.discard(address)
        self.replaced = {route for route in self.replaced if route.neighbor != address}
        self._end(address)

    def _end(self, address: str) -> None:
        if address in self.sessions:
            self.table.retire_neighbor(self.sessions.pop(address))
            self._acting.pop(address, None)
            self._roles.pop(address, None)
            for route in [route for route in self.withdrawn if route.neighbor == address]:
                del self.withdrawn[route]

    # -- what the router lists

    def list_begins(self) -> None:
        """Take note that the router begins to list what it would send, to all neighbors."""
        self._listed = set()
        self._sent.clear()

    def listed(self, neighbor: str, prefix: str, attributes: AttributeSet, own_as: int = 0) -> None:
        """Take a route of the list that rtrd did not have it announce.

        `attributes`: as they are sent; without a path that is not judged. `own_as`: the router's AS in that session.
        """
        route = LocalRoute(normal(neighbor), prefix)
        number = self._session(route.neighbor)
        if number is None or self._listed is None:
            return
        if len(self._listed) < MOST_LISTED:
            self._listed.add(route)
        if route not in self._sent and not self._ours(route.neighbor, prefix):
            self._announce(route.neighbor, number, local_key(attributes, own_as), [prefix])

    def list_ended(self) -> list[LocalRoute]:
        """Take the end of the list: what is not in it is not announced any more.

        Gives what a rule had withdrawn that would not be withdrawn now: only the router can announce it again.
        """
        listed, self._listed = self._listed, None
        again: list[LocalRoute] = []
        if listed is None or max(len(listed), len(self._sent)) >= MOST_LISTED:
            return again
        for address, route in list(self.routes()):
            local = LocalRoute(address, nlri_of(route))
            if local in listed or local in self._sent:
                continue
            if local in self.withdrawn:
                if route.decision == "withdraw":
                    continue
                again.append(local)
            elif address in self._telling:
                continue
            self._drop(address, self.sessions[address], [local.prefix])
        return again

    # -- what is done about them

    def rules_changed(self) -> None:
        """Ask `acts` and `toward` again: the policy is another one, or something was said of a neighbor."""
        changed = False
        for address, number in self.sessions.items():
            changed |= self._set_role(address, number)
            acts = self._acts(address)
            if acts == self._acting[address]:
                continue
            self._acting[address] = acts
            self.table.set_policy(number, _policy(acts))
            changed = True
            if acts:  # what was withdrawn while it was down may have been sent all the same
                for route in [route for route in self.withdrawn if route.neighbor == address]:
                    self._announce(address, number, self.withdrawn[route], [route.prefix])
        if changed:
            self.table.revalidate()

    def next_withdraw(self, most: int) -> Command | None:
        """Give the next withdraw of at most `most` prefixes; from here on it counts as written. None: nothing waits."""
        while (command := self.table.next_command(most)) is not None or self.rib.searching:
            if command is None:
                continue
            address = next((one for one, acts in self._acting.items() if acts & command.receivers), None)
            if address is None:
                continue
            prefixes = command.nlri()
            ours = {prefix for prefix in prefixes if self._ours(address, prefix)}
            self._drop(address, self.sessions[address], ours)
            for prefix in prefixes:
                if prefix not in ours:
                    self.withdrawn[LocalRoute(address, prefix)] = self._key(self.sessions[address], prefix)
            left = [prefix.partition(" ")[0] for prefix in prefixes if prefix not in ours]
            if left:
                return command._replace(prefixes=" ".join(left), size=len(left))
        return None

    def beside(self, command: Command) -> list[Command]:
        """Give what is to be written of a command of rtrd's: of a withdraw, what takes away no local route.

        A neighbor is sent one route for an NLRI. What rtrd announces replaces the local route.
        """
        nlri = command.nlri()
        if command.announce:
            for address in self._receivers.names(command.receivers):
                if address in self.sessions:
                    self._drop(address, self.sessions[address], nlri)
                if self.replaced:
                    self.replaced.difference_update(LocalRoute(address, one.partition(" ")[0]) for one in nlri)
            return [command]
        parts: dict[tuple[str, ...], int] = {}
        for address in self._receivers.names(command.receivers):
            left = tuple(one.partition(" ")[0] for one in nlri if not self._announced_by_itself(address, one))
            parts[left] = parts.get(left, 0) | self._receivers.bit(address)
        return [
            command._replace(receivers=receivers, prefixes=" ".join(prefixes), size=len(prefixes))
            for prefixes, receivers in parts.items()
            if prefixes
        ]

    # -- questions

    def counts(self) -> dict[str, dict[str, int]]:
        """How many routes have which validity, by neighbor; what a rule had withdrawn is among them."""
        return {address: self.table.counts(number) for address, number in self.sessions.items()}

    def total(self) -> dict[str, int]:
        """How many have which validity."""
        counts = self.counts().values()
        return {validity: sum(count[validity] for count in counts) for validity in VALIDITIES}

    def routes(self, within: str | None = None, *, address: str | None = None) -> Iterator[tuple[str, Route]]:
        """Give each route with the neighbor that gets it, as those of Engine."""
        names: dict[int, str] = {}
        for route in self.table.routes(within) if address is None else self.table.routes_to(address):
            if self.sessions.get(names.get(route.neighbor, "")) != route.neighbor:
                names = {number: address for address, number in self.sessions.items()}
            if route.neighbor in names:
                yield names[route.neighbor], route

    def as_path(self, route: Route) -> str | None:
        """Give the AS_PATH with which a route is sent, as text (`paths.path_text`); None: that is not certain."""
        path = read_path(self.table.attributes_key(route.attributes))
        return paths.path_text(path) if path else None

    def path_reason(self, route: Route) -> str | None:
        """Say why the path of a route is invalid for who gets it, and why it counts as a leak; None: neither is so."""
        address = next((address for address, number in self.sessions.items() if number == route.neighbor), "")
        ours, own_as = self._toward(address) if address else (None, 0)
        if ours is None or not (route.leak or route.aspa == "invalid"):
            return None
        attributes, theirs = read_octets(self.table.attributes_key(route.attributes)), paths.THEIR_ROLE[ours]
        said = []
        if route.aspa == "invalid":
            said.append(paths.why(self.table.aspas, attributes, theirs, own_as))
        if route.leak:
            said.append(paths.why_leak(attributes, theirs, "goes to"))
        return "; ".join(said)

    # -- inside

    def _announced_by_itself(self, address: str, prefix: str) -> bool:
        number = self.sessions.get(address)
        return (
            number is not None and self.table.has(number, prefix) and LocalRoute(address, prefix) not in self.withdrawn
        ) or LocalRoute(address, prefix.partition(" ")[0]) in self.replaced

    def _session(self, address: str) -> int | None:
        number = self.sessions.get(address)
        if number is None and len(self.sessions) < MOST_NEIGHBORS:
            acts = self._acts(address)
            number = self.sessions[address] = self.table.add_neighbor(_policy(acts), b"")
            self._acting[address] = acts
            self._set_role(address, number)
        return number

    def _set_role(self, address: str, number: int) -> bool:
        """Have paths judged as the neighbor would. True: it is news."""
        ours, _ = self._toward(address)
        if address in self._roles and self._roles[address] == ours:
            return False
        self._roles[address] = ours
        self.table.set_role(number, None if ours is None else paths.THEIR_ROLE[ours])
        return True

    def _announce(self, address: str, number: int, key: bytes, prefixes: Sequence[str]) -> None:
        if self.withdrawn:  # one that is announced again is new, and may be withdrawn again
            self._drop(
                address, number, [prefix for prefix in prefixes if LocalRoute(address, prefix) in self.withdrawn]
            )
        self.table.announce(number, self.table.set_of_octets(key), prefixes)

    def _drop(self, address: str, number: int, prefixes: Iterable[str]) -> None:
        prefixes = list(prefixes)
        if prefixes:
            self.table.withdraw(number, prefixes)
        for prefix in prefixes if self.withdrawn else ():
            self.withdrawn.pop(LocalRoute(address, prefix), None)

    def _key(self, number: int, prefix: str) -> bytes:
        found = self.table.routes(prefix.partition(" ")[0])
        route = next(route for route in found if route.neighbor == number and nlri_of(route) == prefix)
        return self.table.attributes_key(route.attributes)


def nlri_of(route: Route) -> str:
    """Give a route's prefix as of Update."""
    return route.prefix if route.path_id is None else f"{route.prefix} {ipaddress.IPv4Address(route.path_id)}"


def _policy(acts: int) -> NeighborPolicy:
    """Give what is done, in the order of VALIDITIES."""
    invalid = "withdraw" if acts else "observe"
    return NeighborPolicy(acts, ("observe", "observe", invalid, "observe"), (0, 0, 0, 0), (0, 0, 0, 0))
