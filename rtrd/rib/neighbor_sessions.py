"""A router's sessions with its neighbors, as the route table knows them: what the policy says of the routes of each.

What a neighbor is to the router follows from the AS numbers of its sessions, and from the configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import _rov
from rtrd.policy import Kind, Policy, Rule, normal
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.policy_numbers import Conditions, Treatments
from rtrd.rib.receivers import Receivers, packed
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import NeighborPolicy
from rtrd.rib.update_octets import native_session
from rtrd.tags import VALIDITIES
from rtrlib.aspa_paths import LocalRole

MOST_SESSIONS = 64
"""Sessions with one neighbor of which the AS numbers are remembered."""
MOST_NEIGHBORS = 4096
"""Neighbors of which they are."""


@dataclass(slots=True)
class NeighborSession:
    """A session from which routes are learned, in the route table. Whether it is up the router's door knows."""

    number: int
    rules: tuple[Rule, ...]
    """Of the policy, for its routes; the first one that is for a route counts."""
    address: str
    """The neighbor's."""
    agreed: BGPSession | None = None
    """By what it agreed on its last UPDATE was read."""
    native: _rov.BgpSession | None = None
    """The same with what is configured of it, as the core wants it; None: it is to be made."""
    learned: bool = True
    """Its routes are what the neighbor announces."""
    said_role: LocalRole | None = None
    """What the router says it is to the neighbor; what is configured comes before that."""


class NeighborSessions:
    """The sessions from which routes are learned, by name.

    The name is the neighbor's address; of further sessions with it that, a blank, and the router's own address.
    """

    def __init__(self, policy: Policy, conditions: Conditions, receivers: Receivers, table: RouteTable) -> None:
        self.by_name: dict[str, NeighborSession] = {}
        self.addresses: dict[int, str] = {}
        """Of the neighbors on sessions by number, also of those that ended: until another one has the number."""
        self._by_number: dict[int, str] = {}
        self._names: dict[str, dict[str, None]] = {}
        self.treatments = Treatments()
        self._policy = policy
        self._conditions = conditions
        self._receivers = receivers
        self._table = table
        self._asns: dict[str, dict[str, tuple[int, int]]] = {}  # of each neighbor's sessions: ours and theirs

    def add(self, name: str, *, learned: bool = True, said_role: LocalRole | None = None) -> NeighborSession:
        """Take a session that is new. `learned`: its routes are what the neighbor announces; else no path is judged.

        `said_role`: what the router says it is to the neighbor.
        """
        address = name.partition(" ")[0]
        rules = self._rules_of(name)
        number = self._table.add_neighbor(self._native_policies(name, rules), packed(address))
        known = self.by_name[name] = NeighborSession(number, rules, address, learned=learned, said_role=said_role)
        self._by_number[number] = name
        self.addresses[number] = address
        self._names.setdefault(address, {})[name] = None
        self._set_role(name)
        return known

    def end(self, name: str) -> None:
        """End a session: its routes go."""
        known = self.by_name.pop(name, None)
        if known is not None:
            self._by_number.pop(known.number, None)
            del self._names[known.address][name]
            if not self._names[known.address]:
                del self._names[known.address]
            self._table.retire_neighbor(known.number)

    def is_down(self, name: str) -> None:
        """Take note that a session is over: what the other ones with its neighbor are counts."""
        address = name.partition(" ")[0]
        asns = self._asns.get(address, {})
        if len(asns) > 1:
            asns.pop(name, None)
            self._set_kind(address)

    def forget(self, address: str) -> None:
        """Take note that one is no neighbor any more."""
        self._asns.pop(address, None)

    def asns(self, name: str) -> tuple[int, int] | None:
        """Give the AS numbers of a session, ours and the neighbor's; None: nothing has told."""
        return self._asns.get(name.partition(" ")[0], {}).get(name)

    def neighbors(self) -> Collection[str]:
        """Give the addresses of those with a session."""
        return self._names.keys()

    def names(self, address: str) -> tuple[str, ...]:
        """Give the names of a neighbor's sessions."""
        return tuple(self._names.get(address, ()))

    # -- the policy

    def set_policy(self, policy: Policy) -> None:
        """Take what is configured of the neighbors from now on; its rules count after `rules_changed`."""
        self._policy = policy
        self._look_up_again(self.by_name)

    def rules_changed(self) -> None:
        """Let the rules of the policy count."""
        for name, known in self.by_name.items():
            known.rules = self._rules_of(name)
            self._set_role(name)
        for address in {*self._asns, *self._receivers}:
            self._set_kind(address)

    def new_policies(self) -> None:
        """Give the table what the rules say by the receivers of now."""
        for name, known in self.by_name.items():
            self._table.set_policy(known.number, self._native_policies(name, known.rules))
        if self.by_name:
            self._table.revalidate()

    def _native_policies(self, name: str, rules: tuple[Rule, ...]) -> list[NeighborPolicy]:
        neighbor = name.partition(" ")[0]
        enforce = self.kind(neighbor).enforce_first_as
        otc_as = self._otc_as(name) if any(rule.otc for rule in rules) else 0
        found = []
        for rule in rules:
            to = sum(map(self._receivers.bit, rule.receivers(self._receivers, neighbor))) & ~self._receivers.turning
            bit = self._conditions.bit(rule.communities)
            found.append(self.treatments.policy(rule, to, bit, enforce_first_as=enforce, otc_as=otc_as))
        if not rules or not rules[-1].for_all:
            found.append(self.treatments.policy(None, 0))
        return found

    # -- what neighbors are

    def speaks(self, name: str, session: BGPSession) -> _rov.BgpSession:
        """Take note of what a session has agreed on; give that, with what is configured of it, as the core wants it."""
        if name not in self._asns.get(name.partition(" ")[0], ()):
            self.spoken(name, session.local_as, session.peer_as)
        known = self.by_name[name]
        known.agreed, known.native = session, native_session(self.configured(known.address, session))
        return known.native

    def configured(self, address: str, session: BGPSession) -> BGPSession:
        """Give what a session with a neighbor has agreed on, with what is configured of it."""
        return session._replace(confederation=True) if self.kind(address).confederation else session

    def spoken(self, name: str, local_as: int, peer_as: int) -> None:
        """Take note of the AS numbers of a session (by its name) with a neighbor."""
        address = normal(name.partition(" ")[0])
        asns = self._asns.get(address)
        if asns is None and len(self._asns) < MOST_NEIGHBORS:
            asns = self._asns[address] = {}
        if asns is None or asns.get(name) == (local_as, peer_as) or (name not in asns and len(asns) == MOST_SESSIONS):
            return
        before = self.kind(address)
        asns[name] = local_as, peer_as
        self._set_kind(address)
        names = self.names(address)
        is_other = self.kind(address) != before
        if is_other:
            self._look_up_again(names)
        for each in names:
            self._set_role(each)
            known, rules = self.by_name[each], self._rules_of(each)
            if is_other or rules != known.rules or any(rule.otc for rule in rules):
                known.rules = rules
                self._table.set_policy(known.number, self._native_policies(each, rules))
                self._table.revalidate()

    def _look_up_again(self, names: Iterable[str]) -> None:
        for name in names:
            self.by_name[name].native = None

    def _rules_of(self, name: str) -> tuple[Rule, ...]:
        """Give the rules for the routes of a session, by its name."""
        asns = self.asns(name)
        return self._policy.rules_for(name.partition(" ")[0], None if asns is None else asns[1])

    def kind(self, address: str) -> Kind:
        """Give what is configured of a neighbor."""
        asns = self._asns.get(address)
        return self._policy.kind(address, next(iter(asns.values()))[1] if asns else None)

    def relation(self, address: str) -> str | None:
        """Give what a neighbor is to the router, one of KINDS; None: nobody said its AS yet.

        Of several sessions with it, none gets what only another may have.
        """
        asns = self._asns.get(normal(address))
        if not asns:
            return None
        if all(ours == theirs for ours, theirs in asns.values()):
            return "internal"
        kind = self.kind(normal(address))
        return "confederation" if kind.confederation else "client" if kind.client else "external"

    def address_of(self, number: int) -> str:
        """Give the address of the neighbor on the session of a number; of one that went, nothing."""
        known = self.by_name.get(self._by_number.get(number, ""))
        return known.address if known else ""

    # -- paths

    def judged(self, number: int) -> tuple[LocalRole, int] | None:
        """Give what we are on the session of a number, and the neighbor's AS; None: its paths are not judged."""
        name = self._by_number.get(number, "")
        role, asns = self.role(name), self.asns(name)
        return None if role is None or asns is None else (role, asns[1])

    def role(self, name: str) -> LocalRole | None:
        """Give what we are on a session, if its paths are judged; else None."""
        return self._role(name) if self.why_unjudged(name) is None else None

    def _role(self, name: str) -> LocalRole | None:
        known = self.by_name.get(name)
        return self.kind(name.partition(" ")[0]).role or (None if known is None else known.said_role)

    def why_unjudged(self, name: str) -> str | None:
        """Say why no path of a session is judged; None: they are.

        draft-ietf-sidrops-aspa-verification section 5: paths are judged where they enter the AS.
        """
        kind = self.kind(name.partition(" ")[0])
        asns = self.asns(name)
        if name in self.by_name and not self.by_name[name].learned:
            return "the neighbor does not announce these routes"
        if asns is not None and asns[0] == asns[1]:
            return "the neighbor is of our own AS: paths are judged where they enter it"
        if kind.confederation:
            return "the neighbor is of our confederation: paths are judged where they enter it"
        if self._role(name) is None:
            return "no local-role is configured for the neighbor"
        return None if asns is not None else "the neighbor's AS is not known yet"

    def _set_role(self, name: str) -> None:
        if name in self.by_name:
            self._table.set_role(self.by_name[name].number, self.role(name))

    def _set_kind(self, address: str) -> None:
        if self.tell_receiver(address):
            self._table.revalidate()

    def tell_receiver(self, address: str) -> bool:
        """Have the receivers know what a neighbor is. True: it is news."""
        address = normal(address)
        news = self._receivers.kind(address, self.relation(address))
        given = self._receivers.only_to_customer(address, *self.toward(address))
        return news or given

    def toward(self, address: str) -> tuple[LocalRole | None, int]:
        """Give what is configured that we are to a neighbor, and our AS there.

        None: nothing is, or it is within our AS or confederation; 0: it is not known, or not the same on all sessions.
        """
        asns, kind = set(self._asns.get(address, {}).values()), self.kind(address)
        inside = kind.confederation or (bool(asns) and all(ours == theirs for ours, theirs in asns))
        own = {ours for ours, _ in asns}
        return None if inside else kind.role, own.pop() if len(own) == 1 else 0

    def _otc_as(self, name: str) -> int:
        """Give the AS of the Only to Customer that routes of a session have here if they came without; 0: none.

        RFC 9234 section 5: the neighbor's, if it is a provider, a peer or a route server.
        """
        asns = self.asns(name)
        return asns[1] if asns is not None and self.role(name) in ("customer", "peer", "rs-client") else 0

    # -- questions

    def counts_by_neighbor(self) -> dict[str, dict[str, int]]:
        """How many routes of each neighbor have which validity."""
        found: dict[str, dict[str, int]] = {}
        for session in self.by_name.values():
            counts = self._table.counts(session.number)
            before = found.get(session.address, {})
            found[session.address] = {each: count + before.get(each, 0) for each, count in counts.items()}
        return found

    def counts(self) -> dict[str, int]:
        """How many routes have which validity, over all neighbors."""
        total: dict[str, int] = dict.fromkeys(VALIDITIES, 0)
        for session in self.by_name.values():
            for validity, count in self._table.counts(session.number).items():
                total[validity] += count
        return total
