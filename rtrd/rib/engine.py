"""One router: keeps and validates the routes of its neighbors, and decides what is announced and withdrawn there.

A door tells it what happens and puts its commands into the router's words; changes of the effective VRPs come
from the side (`vrps_changed`). No sockets and no clock: whoever has them calls `work` while there is some.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import _rov
from rtrd.policy import Policy, Treatment, normal
from rtrd.rib import paths
from rtrd.rib.attributes import AttributeSet, announced, read_octets, read_path, update_body
from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.local_routes import LocalRoutes, nlri_of
from rtrd.rib.neighbor_sessions import NeighborSession, NeighborSessions
from rtrd.rib.policy_numbers import Conditions
from rtrd.rib.previous_run import PreviousRun
from rtrd.rib.receivers import Receivers
from rtrd.rib.retag import Retag
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import UNKNOWN, Command, Route, RouteChange
from rtrd.rib.update_lines import Taken, UpdateLines
from rtrd.rib.update_octets import left_out, native_session, read_update
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp_set import VRPChanges, VRPSet

_FEW = 64
"""Routes of a prefix among which one is looked for: to list more takes long."""
_ALREADY_ADVERTISED = 200
"""Commands in one go that need not be written: a few milliseconds."""
_REMEMBERED = 4096
"""Attribute sets that are remembered decoded; every other one is decoded again when it is announced."""


class Engine:
    """One router: its neighbors, their routes (the Adj-RIB-In), and what is to be announced."""

    def __init__(
        self,
        name: str,
        vrp_set: VRPSet,
        policy: Policy,
        path_id_secret: bytes = b"",
    ) -> None:
        """`name` is the router's; `path_id_secret`: by which path ids toward receivers are made, each time the same."""
        self.name = name
        self.table = RouteTable(vrp_set)
        self.table.set_our_tags(policy.our_tags)
        self.table.set_path_id_key(*struct.unpack("QQ", blake2b(path_id_secret, digest_size=16).digest()))
        self._conditions = Conditions()
        self._conditions.take(policy.asked)
        self.table.set_conditions(self._conditions)
        self.receivers = Receivers(name, self.table)
        """Neighbors that commands can name."""
        self.on_changes: Callable[[], None] = lambda: None
        """Told when the table keeps changes of routes that nobody has taken yet."""
        self.others = 0
        """Routes of families that are left alone."""
        self.sessions = NeighborSessions(policy, self._conditions, self.receivers, self.table)
        """Those from which routes are learned."""
        self.local_routes = LocalRoutes(
            vrp_set, self.receivers, self._advertises, self._withdraws_local, self.sessions.toward
        )
        """What the router announces by itself."""
        self._policy = policy
        self._remembered: dict[bytes, AttributeSet] = {}
        self._path_ids = False  # some route has one
        self.left_out: dict[str, Counter[str]] = {}
        """Routes that nobody should announce, or that are too many, by the neighbor's address and the reason."""
        self.full: set[str] = set()
        """Neighbors of whose session some routes are left out, since it has too many attribute sets."""
        self._parts: deque[Command] = deque()  # of one command
        self._interrupted = False
        self._strangers: set[str] = set()  # what the router has said is no neighbor
        self._retag: Retag | None = None
        self._policy_cause = UNKNOWN
        self.previous_run = PreviousRun(self.table)
        self._add_receivers()

    # -- the policy

    def set_policy(self, policy: Policy, cause: int = UNKNOWN) -> None:
        """Decide by another policy from now on: in `work` what differs, and only that, is written anew.

        `cause`: a number of the event log.
        """
        all_sets = self._conditions.take(policy.asked)
        self._retag = Retag(self._policy, policy, self.table, self._retag, all_sets=all_sets)
        self._policy = policy
        self.table.set_our_tags(policy.our_tags)
        self.table.set_conditions(self._conditions)
        self._remembered.clear()
        self._policy_cause = cause
        self.sessions.set_policy(policy)
        self._add_receivers()

    def _add_receivers(self) -> None:
        for rule in (*self._policy.rules, *self._policy.local_rules):
            for address in rule.to or ():
                if address not in self._strangers:
                    self.add_receiver(address)

    def _retag_sets(self, budget: int) -> None:
        """Find what a change of our tags makes of the attribute sets; then let the policy count."""
        assert self._retag is not None
        for number, key in self._retag.look(budget):
            self.table.retag(number, self.table.summary_of_octets(key))
        if self._retag.done:
            self._retag = None
            self.sessions.rules_changed()
            self.table.set_cause(self._policy_cause)
            self._new_policies()

    def set_most_attributes(self, octets: int) -> list[str]:
        """Bound the attribute sets of each neighbor. Gives those of whom routes were left out, to be sent again."""
        self.table.set_most_attributes(octets)
        again = sorted(self.full)
        self.full.clear()
        return again

    # -- neighbors

    def add_receiver(self, address: str) -> bool:
        """Take note of a neighbor of the router, to which routes can be announced. True: it was new."""
        if not self.receivers.add(address):
            return False
        self._strangers.discard(normal(address))
        self.sessions.tell_receiver(address)
        self._new_policies()
        return True

    def forget(self, addresses: Iterable[str]) -> None:
        """Take note that these are no neighbors of the router any more: their routes go, and they are told nothing."""
        bits = 0
        for address in addresses:
            for name in self.sessions.names(address):
                self._end_session(name)
            self.local_routes.forget(address)
            bits |= self.receivers.forget(address)
            self.sessions.forget(normal(address))
            self.left_out.pop(normal(address), None)
            self.full.discard(normal(address))
            self._strangers.add(address)
        if bits:
            self.table.forget_receivers(bits)
            self.local_routes.table.forget_receivers(bits)
            self._new_policies()

    def receives(self, address: str) -> bool:
        """Tell whether some rule has routes announced to a neighbor."""
        return any(rule.to is None or address in rule.to for rule in self._policy.rules)

    def _new_policies(self) -> None:
        self.sessions.new_policies()
        self.local_routes.rules_changed()

    def path_ids(self, address: str, family: int, *, taken: bool) -> None:
        """Take note whether the router sends path ids (RFC 7911) of a family to a neighbor; unknown: it does.

        To a neighbor without them it would send every path of a prefix as the same route, and the withdraw of one
        would take away all.
        """
        self.add_receiver(address)
        if not self.receivers.path_ids(address, family, taken=taken):
            return
        if self._path_ids:
            self._new_policies()  # withdrawn first, then announced in the other way
        else:
            self._turn()

    def reachable(self, address: str, *, up: bool) -> bool:
        """Take note whether a receiver's session is up; until told, it is. At one that is down nothing is announced.

        What must change meanwhile is withdrawn there, and what is to be advertised is announced when it is up. True: it
        is news.
        """
        self.add_receiver(address)
        news = self.receivers.reachable(address, up=up)
        if news:
            self.local_routes.rules_changed()
        if news and up:
            self.table.revalidate()
        return news

    def mark_not_announced(self, command: Command, receiver: str) -> None:
        """Take note that what a command announced is not advertised to a receiver after all; it is announced again."""
        bit = self.receivers.bit(receiver)
        for nlri in command.nlri():
            self.table.mark_not_announced(nlri, bit)

    def removed(self, receiver: str, prefix: str) -> None:
        """Take note that what was announced of a prefix is not advertised to a receiver any more: it will be again."""
        bit = self.receivers.bit(receiver)
        for route in self.table.at(prefix):
            if route.advertised & bit:
                self.table.mark_not_announced(nlri_of(route._replace(path_id=route.announced_path_id)), bit)

    def _turn(self) -> None:
        self.receivers.turn()
        self._new_policies()

    def state(self, event: State, name: str | None = None) -> None:
        """Take a session that came up or went down; its routes are gone in both cases (RFC 4271 section 6).

        `name`: as in `sessions`; None: the neighbor's first one.
        """
        self.local_routes.state(event)
        name = name or normal(event.neighbor)
        self._end_session(name)
        if event.up:
            self._session(name)
        else:
            self.sessions.is_down(name)

    def _end_session(self, name: str) -> None:
        self.previous_run.session_changed(name.partition(" ")[0])
        self.full.discard(name.partition(" ")[0])
        self.sessions.end(name)

    def negotiated(self, event: Negotiated) -> None:
        """Take what a session agreed on, until the next one agrees on something else."""
        self.add_receiver(event.neighbor)
        news = self.receivers.extended_next_hop(event.neighbor, agreed=event.extended_next_hop)
        self.four_octet_as(event.neighbor, agreed=event.four_octet_as)
        if news:
            self.table.revalidate()

    def four_octet_as(self, address: str, *, agreed: bool) -> None:
        """Take note whether the AS numbers of a neighbor's session have four octets (RFC 6793)."""
        if self.receivers.four_octet_as(address, agreed=agreed):
            self.table.revalidate()

    def spoken(self, name: str, local_as: int, peer_as: int) -> None:
        """Take note of the AS numbers of a session (by its name) with a neighbor."""
        self.sessions.spoken(name, local_as, peer_as)
        if self.local_routes.sessions:
            self.local_routes.rules_changed()

    def _session(self, name: str) -> NeighborSession:
        known = self.sessions.by_name.get(name)
        if known is None:
            self.add_receiver(name.partition(" ")[0])
            known = self.sessions.add(name)
        return known

    # -- routes

    def receive(self, neighbor: str, session: BGPSession, body: bytes) -> int:
        """Take an UPDATE of a neighbor (by the name of its session) in octets, without its header.

        Gives what is wrong with it (enum bgp_fault).
        """
        known = self.sessions.by_name.get(neighbor) or self._session(neighbor)
        native = known.native
        if native is None or known.agreed != session:
            native = self.sessions.speaks(neighbor, session)
            if self.local_routes.sessions:
                self.local_routes.rules_changed()
        faults = self._took(known, self.table.receive(known.number, native, body))
        if self.previous_run.lists:
            self._note_withdrawn(known, self.sessions.configured(known.address, session), body)
        return faults

    def receive_lines(self, lines: UpdateLines, text: bytes, at: int) -> Taken:
        """Take the UPDATEs of lines from `at` on, as long as each is like one that was understood."""
        if self.previous_run.lists or not lines.current(self.sessions):
            return Taken(0, 0, [])
        found = self.table.receive_lines(lines.native, text, at)
        self.others += found.others
        self._path_ids |= bool(found.path_ids)
        self._tell_changes()
        names = [lines.session(number)[0] for number in range(len(lines)) if found.came[number]]
        if not found.told:
            return Taken(found.size, found.lines, names)
        name, known = lines.session(lines.native.last)
        self._left_out(known, found.last)
        return Taken(found.size, found.lines, names, (name, int(found.last.faults)), bool(found.memory))

    def _took(self, known: NeighborSession, received: _rov.BgpReceived) -> int:
        self.others += received.others
        self._path_ids |= bool(received.path_ids)
        self._tell_changes()
        self._left_out(known, received)
        return int(received.faults)

    def _tell_changes(self) -> None:
        if self.table.state.changes:
            self.on_changes()

    def _left_out(self, known: NeighborSession, received: _rov.BgpReceived) -> None:
        if received.left_out and (known.address in self.left_out or len(self.left_out) < _REMEMBERED):
            self.left_out.setdefault(known.address, Counter()).update(dict(left_out(received)))
            if received.by_attributes:
                self.full.add(known.address)

    def _note_withdrawn(self, known: NeighborSession, session: BGPSession, body: bytes) -> None:
        """Take note of what a neighbor has no more since it sent this UPDATE: the router's list may be older."""
        update, _ = read_update(known.address, session, body)
        announced = (prefix for _, prefixes in update.announced for prefix in prefixes)
        left = [prefix for prefix in announced if not self.table.has(known.number, prefix)]
        self.previous_run.withdrawn(known.address, update.withdrawn + left)

    def attributes(self, key: bytes) -> AttributeSet:
        """Give the attribute set of a key, decoded."""
        attributes = self._remembered.get(key)
        if attributes is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            attributes = self._remembered[key] = read_octets(key, self._policy.ours)
        return attributes

    def advertised_before(self, neighbor: str, prefix: str, attributes: AttributeSet) -> None:
        """Take a route that is advertised to a neighbor, announced by a previous run."""
        if normal(neighbor) not in self._strangers:
            self.add_receiver(neighbor)
        if bit := self.receivers.bit(neighbor):
            self.previous_run.advertised(prefix, attributes, bit)

    def listed(self, name: str, prefix: str, attributes: AttributeSet, said: BGPSession) -> bool | None:
        """Take a route that the router lists, of a session by its name. True: it was not known; None: nor is its AS.

        `said`: what the list says of the session.
        """
        local_as, peer_as = self.sessions.asns(name) or (said.local_as, said.peer_as)
        if not peer_as:
            return None
        known = self._session(name)
        if not self.previous_run.counts(known.address, known.number, prefix):
            return False
        try:
            body = update_body(attributes, prefix)
        except (ValueError, struct.error):
            return False  # no prefix, or too many attributes
        session = self.sessions.configured(known.address, said._replace(local_as=local_as, peer_as=peer_as))
        self._took(known, self.table.receive(known.number, native_session(session), body))
        return self.table.has(known.number, prefix)

    def set_time(self, now: int) -> None:
        """Say what time it is (Unix), for the routes that come or change."""
        self.table.set_time(now)
        self.local_routes.table.set_time(now)

    # -- VRPs

    def vrps_changed(self, changes: VRPChanges, cause: int = UNKNOWN) -> None:
        """Have the routes that these VRPs cover validated again, in `work`; the changes of routes carry `cause`."""
        self.table.set_cause(cause)
        self.table.vrps_changed(changes)
        if self.local_routes.rib.routes:
            self.local_routes.table.vrps_changed(changes)

    def aspas_changed(self, index: ASPAIndex, changes: bytes, cause: int = UNKNOWN) -> None:
        """Have paths judged by these ASPAs, in `work`; the changes of routes carry `cause`."""
        self.table.set_cause(cause)
        self.table.aspas_changed(index, changes)
        self.local_routes.table.aspas_changed(index, changes)

    def revalidate(self, cause: int = UNKNOWN) -> None:
        """Have every route validated again, in `work`: the set became usable, or ceased to be."""
        self.table.set_cause(cause)
        self.table.revalidate()
        self.local_routes.table.revalidate()

    def work(self, budget: int) -> bool:
        """Do up to `budget` routes of what waits. True: there is more."""
        if self._retag is not None and budget:
            self._retag_sets(budget)
        if self.local_routes.rib.work:
            self.local_routes.table.work(budget)
        self.table.work(budget)
        self._tell_changes()
        return self.has_work

    @property
    def has_work(self) -> bool:
        """`work` has something to do."""
        return self.table.state.work or self.local_routes.rib.work or self._retag is not None

    # -- commands

    def next_command(self, most: int) -> Command | None:
        """Give the next command, for at most `most` prefixes; from here on it counts as executed.

        None too while it is `searching`, and while a change of our tags is half done: some sets would be announced in
        the words of the policy before. While it is `halfway`, ask again at once: what follows counts as executed, too.
        """
        self._interrupted = False
        for _ in range(_ALREADY_ADVERTISED):
            if self._parts:
                return self._parts.popleft()
            command = None if self._retag is not None else self.table.next_command(most)
            if command is None:
                if self._retag is None and self.receivers.may_turn():
                    self._turn()  # after the next work something will be advertised to them
                return None
            for part in self._parts_of(command):
                advertised = part.previous_run is not None and self._advertised_by(part.previous_run, part)
                # Its attributes are looked at here: where there is no such route, not even a call is made.
                others = self.local_routes.rib.routes or self.local_routes.replaced
                beside = self.local_routes.beside(part) if others else (part,)
                self._parts += () if advertised else beside
        self._interrupted = True
        return None

    @property
    def halfway(self) -> bool:
        """The last `next_command` gave a part of one."""
        return bool(self._parts)

    def _parts_of(self, command: Command) -> Iterable[Command]:
        """Give a command for each wording that its receivers get."""
        if not (command.by_kind or command.by_otc) or not command.receivers & command.receivers - 1:
            return (command,)  # of one receiver there is one
        alike: dict[tuple[str, int], int] = {}
        for address in self.receivers.names(command.receivers):
            bit = self.receivers.bit(address)
            kind = self.receivers.kind_of(bit) if command.by_kind else ""
            given = self.receivers.otc_given(bit) if command.by_otc else 0
            alike[kind, given] = alike.get((kind, given), 0) | bit
        return [command._replace(receivers=receivers) for receivers in alike.values()]

    @property
    def searching(self) -> bool:
        """The last `next_command` found nothing to be written among many routes: it is to be asked again."""
        return self._interrupted or self.table.state.searching

    @property
    def retagging(self) -> bool:
        """What a change of our tags makes of the attribute sets is not known of all yet."""
        return self._retag is not None

    def treatment(self, command: Command) -> Treatment:
        """Give what the policy adds to what a command announces."""
        return self.sessions.treatments.by_variant[command.variant]

    def _advertised_by(self, previous_run: int, command: Command) -> bool:
        """Whether what a previous run announced (an attribute set) is what the command announces."""
        learned = self.attributes(self.table.attributes_key(command.attributes))
        kind, given = self.receivers.kind_of(command.receivers), self.receivers.otc_given(command.receivers)
        now = announced(learned, self.treatment(command), kind, given)
        return now.same(self.attributes(self.table.attributes_key(previous_run)))

    # -- questions

    def routes(self, within: str | None = None, *, address: str | None = None) -> Iterator[tuple[str, Route]]:
        """Give each route with its neighbor, in order of prefix, also while they change.

        `within`: only those that this prefix covers; `address`: instead, only those that cover the address.
        """
        for route in self.table.routes(within) if address is None else self.table.routes_to(address):
            yield self.sessions.address_of(route.neighbor), route

    def path_reason(self, route: Route) -> str | None:
        """Say why the path of a route is invalid, and why it counts as a leak; None: neither is so."""
        judged = self.sessions.judged(route.neighbor)
        if judged is None or not (route.leak or route.aspa == "invalid"):
            return None
        said = []
        if route.aspa == "invalid":
            said.append(self.path_reason_by(self.table.aspas, route.neighbor, route.attributes))
        if route.leak:
            attributes = self.attributes(self.table.attributes_key(route.attributes))
            said.append(paths.why_leak(attributes, judged[0]))
        return "; ".join(filter(None, said))

    def path_reason_of(self, change: RouteChange) -> str | None:
        """Say the same of a route that has just changed, by the one that there is now; None too: that is another."""
        if change.aspa != "invalid" and not change.leak:
            return None
        whose = change.neighbor, change.path_id, change.aspa, change.leak
        for route in self.table.at(change.prefix, _FEW):
            if (route.neighbor, route.path_id, route.aspa, route.leak) == whose:
                return self.path_reason(route)
        return None

    def as_path(self, route: Route) -> str | None:
        """Give the AS_PATH of a route as text (`paths.path_text`)."""
        return paths.path_text(read_path(self.table.attributes_key(route.attributes)))

    def path_reason_by(self, index: ASPAIndex, neighbor: int, attributes: int) -> str | None:
        """Say why the path of an attribute set is what it is by these ASPAs; None: it is not judged."""
        judged = self.sessions.judged(neighbor)
        if judged is None:
            return None
        return paths.why(index, self.attributes(self.table.attributes_key(attributes)), *judged)

    def _withdraws_local(self, address: str) -> int:
        """Give the bit of a neighbor where invalid local routes are to be withdrawn now; else 0."""
        if not self._policy.withdraws_local(address):
            return 0
        self.add_receiver(address)
        return self.receivers.up(address)

    def _advertises(self, receiver: str, prefix: str) -> bool:
        """Whether a route of ours is advertised to a neighbor for an NLRI (as of Update)."""
        bit = self.receivers.bit(receiver)
        if not bit:
            return False
        try:
            return any(route.advertised & bit for route in self.table.at(prefix.partition(" ")[0]))
        except ValueError:
            return False  # no prefix, as the route table will find, too
