"""The policy: what is done with a route of a neighbor, by its validity. No sockets, no clock.

The first rule whose `from` names the neighbor, and whose `when` the route meets, decides; a route that no rule is for
is only observed, which is also what happens without a policy (RFC 8481 section 4: no action that the operator did not
ask for).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from rtrd.config import Action, ActionName, AsSetAction, NeighborConfig, PolicyRule
from rtrd.config.when import PrefixLengths, When, lengths_of
from rtrd.tags import VALIDITIES, Tag, Validity, ours_of
from rtrlib.aspa_paths import LocalRole


class Treatment(msgspec.Struct, frozen=True):
    """What is done with a route: an action and, for `announce`, what is added or set."""

    action: ActionName
    tags: tuple[Tag, ...] = ()
    local_preference: int | None = None
    inside_tags: tuple[Tag, ...] = ()
    """Only for neighbors of our own AS: what is thought of a path is nothing to tell others
    (draft-ietf-sidrops-avoid-rpki-state-in-bgp)."""
    otc: int | None = None
    """Only to Customer (RFC 9234 section 5) of what has none. An AS: of that one, since the route came so; 0: what each
    receiver is to get; None: it is announced as learned."""

    @property
    def all_tags(self) -> tuple[Tag, ...]:
        """Those that some receiver gets."""
        return self.tags + self.inside_tags


OBSERVE = Treatment("observe")
HOLD = Treatment("hold")

_ACTS = ("announce", "withdraw")
_REMEMBERED = 4096
"""Neighbors whose rule is remembered: their text comes from the router, which may name any number."""


ALL_LENGTHS: Final = ((0, 32), (0, 128))
_NO_LENGTH: Final = (255, 0)


class Kind(NamedTuple):
    """What the configuration says of a neighbor."""

    enforce_first_as: bool = False
    """The first AS of its paths must be its own (RFC 4271 section 6.3)."""
    confederation: bool = False
    """It is of another AS in our confederation (RFC 5065)."""
    client: bool = False
    """It is a client of the route server that we are (RFC 7947)."""
    name: str | None = None
    role: LocalRole | None = None
    """What we are to it (RFC 9234 section 3)."""


class Demands:
    """What a rule demands of a route beside its communities and its length; equal only to itself. All must hold."""

    __slots__ = ("__weakref__", "as_set", "origins", "prefixes")

    def __init__(
        self, prefixes: Iterable[tuple[str, int, int]] = (), origins: Iterable[int] = (), as_set: bool | None = None
    ) -> None:
        self.prefixes = tuple(prefixes)
        """It is within one of these prefixes, and its length is from the first number to the second; none: any."""
        self.origins = tuple(origins)
        """Its origin AS is one of these; none: any, and also where it can't be told."""
        self.as_set = as_set
        """Whether its path has an AS_SET or AS_CONFED_SET; None: either."""


class Rule:
    """One rule of the policy, each validity resolved to a treatment beforehand."""

    __slots__ = (
        "as_set",
        "aspa_invalid",
        "communities",
        "covered_by",
        "demands",
        "leak",
        "lengths",
        "neighbors",
        "otc",
        "to",
        "treatments",
    )

    def __init__(self, config: PolicyRule) -> None:
        named: dict[Validity, Action | None] = {
            "valid": config.valid,
            "not-found": config.not_found,
            "invalid": config.invalid,
            "unverified": config.unverified,
        }
        acts = any(action is not None and action.action in _ACTS for action in named.values())
        self.neighbors = None if config.from_ is None else _Matches(config.from_)
        """Whose routes it is for; None: anybody's."""
        self.to: tuple[str, ...] | None = config.to
        self.otc = config.otc
        """What it announces has Only to Customer, or is kept back, as RFC 9234 section 5 says."""
        self.as_set: ActionName | None = None
        """The action of a path with an AS_SET; None: that of the route's validity."""
        if isinstance(config.as_set, AsSetAction):
            self.as_set = config.as_set.action
        elif config.as_set is None and acts:
            self.as_set = "withdraw"  # RFC 9774
        when = config.when
        self.communities = frozenset(() if when is None else when.communities or ())
        """It is for routes that have one of them; none: for all."""
        self.lengths = ALL_LENGTHS if when is None or when.prefix_length is None else _lengths(when.prefix_length)
        """The shortest and the longest prefix that it is for, of IPv4 and of IPv6."""
        self.covered_by = None if when is None else when.covered_by
        """It is for routes without which one of this validity would be left; None: for all."""
        self.demands = None if when is None else _demands(when)
        """What else it demands of a route; None: nothing."""
        self.treatments: dict[Validity, Treatment] = {}
        for validity in VALIDITIES:
            action = named[validity]
            if action is not None:
                self.treatments[validity] = _treatment(action, validity)
            else:
                self.treatments[validity] = HOLD if acts and validity == "unverified" else OBSERVE
        self.aspa_invalid = _of_each(config.aspa_invalid)
        """What is done with paths that are invalid by ASPAs, by the validity of the origin; None: nothing."""
        self.leak = _of_each(config.leak)
        """What is done with routes that have leaked, as their Only to Customer says (RFC 9234), likewise."""

    def all_treatments(self) -> Iterator[Treatment]:
        """Give all that the rule may do with a route."""
        for treatments in (self.treatments, self.aspa_invalid, self.leak):
            yield from (treatments or {}).values()

    @property
    def for_all(self) -> bool:
        """It is for all routes of its neighbors."""
        return not self.communities and self.lengths == ALL_LENGTHS and self.demands is None and self.covered_by is None

    def receivers(self, neighbors: Iterable[str], source: str) -> list[str]:
        """Return which of the neighbors get this rule's announcements of a route learned from `source`.

        `to` is followed to the letter, also when it names the source; without it every other neighbor.
        """
        if self.to is None:
            return [neighbor for neighbor in neighbors if normal(neighbor) != normal(source)]
        return [neighbor for neighbor in neighbors if normal(neighbor) in self.to]


class Policy:
    """All rules, in their order, and what the neighbors are."""

    def __init__(self, rules: Iterable[PolicyRule] = (), neighbors: Iterable[NeighborConfig] = ()) -> None:
        rules = tuple(rules)
        self._neighbors = tuple((_Matches(each.match), _kind(each)) for each in neighbors)
        self.rules = tuple(Rule(rule) for rule in rules if rule.direction == "in")
        self.local_rules = tuple(Rule(rule) for rule in rules if rule.direction == "out")
        """For what the router announces by itself."""
        self.asked = frozenset(rule.communities for rule in self.rules if rule.communities)
        """Lists of communities that rules ask for."""
        self._by_neighbor: dict[tuple[str, int | None], tuple[Rule, ...]] = {}
        treatments = (treatment for rule in self.rules for treatment in rule.all_treatments())
        self.our_tags = frozenset(tag for treatment in treatments for tag in treatment.all_tags)
        """Every tag that a rule can add."""
        self.ours = ours_of(self.our_tags)
        """What must be removed from received communities, since it could pass for a tag of ours."""

    def observing(self) -> Policy:
        """Return one that knows the same neighbors and has no rules: for routers that are told nothing."""
        found = Policy()
        found._neighbors = self._neighbors
        return found

    def rules_for(self, neighbor: str, asn: int | None = None) -> tuple[Rule, ...]:
        """Return the rules for the routes of a neighbor (an address in any spelling), of which the first one counts.

        `asn`: its AS; None: not known yet. A route that none is for is observed.
        """
        key = neighbor, asn
        try:
            return self._by_neighbor[key]
        except KeyError:
            address = normal(neighbor)
            found = []
            for rule in self.rules:
                if rule.neighbors is None or rule.neighbors(address, asn):
                    found.append(rule)
                    if rule.for_all:
                        break
            if len(self._by_neighbor) >= _REMEMBERED:
                self._by_neighbor.clear()
            self._by_neighbor[key] = tuple(found)
            return self._by_neighbor[key]

    def kind(self, neighbor: str, asn: int | None) -> Kind:
        """Return what is configured of a neighbor; `asn`: its AS, None: not known yet."""
        return next((kind for match, kind in self._neighbors if match(neighbor, asn)), _ANY)

    def withdraws_local(self, neighbor: str) -> bool:
        """Tell whether invalid routes that the router itself announces to a neighbor are withdrawn there.

        The first rule for local routes whose `to` names it decides; without one they are left alone (RFC 8481).
        """
        address = normal(neighbor)
        rule = next((rule for rule in self.local_rules if rule.to is None or address in rule.to), None)
        return rule is not None and rule.treatments["invalid"].action == "withdraw"


class _Matches:
    """Whether a neighbor is one of those that `match` means."""

    __slots__ = ("_asns", "_networks")

    def __init__(self, match: Iterable[str]) -> None:
        self._asns = frozenset(int(each[2:]) for each in match if each.startswith("AS"))
        self._networks = tuple(ipaddress.ip_network(each) for each in match if not each.startswith("AS"))

    def __call__(self, neighbor: str, asn: int | None) -> bool:
        if asn in self._asns:
            return True
        try:
            address = ipaddress.ip_address(neighbor)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


_ANY: Final = Kind()


def _kind(config: NeighborConfig) -> Kind:
    enforce = config.enforce_first_as
    return Kind(
        config.local_role not in (None, "rs-client") if enforce is None else enforce,  # RFC 7947 section 2.2.2.1
        config.confederation,
        config.local_role == "rs",
        config.name,
        config.local_role,
    )


def _demands(when: When) -> Demands | None:
    if when.prefixes is None and when.origin is None and when.as_set is None:
        return None
    return Demands(map(lengths_of, when.prefixes or ()), map(int, when.origin or ()), when.as_set)


def _lengths(config: PrefixLengths) -> tuple[tuple[int, int], tuple[int, int]]:
    ipv4, ipv6 = config.ipv4 or _NO_LENGTH, config.ipv6 or _NO_LENGTH
    return (ipv4[0], ipv4[-1]), (ipv6[0], ipv6[-1])


@lru_cache(maxsize=16384)
def normal(address: str) -> str:
    """Return the normal text of an IP address; what is none is returned as it is, and equals no address."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _of_each(action: Action | None) -> dict[Validity, Treatment] | None:
    if action is None:
        return None
    found = {validity: _treatment(action, validity) for validity in VALIDITIES}
    return {validity: replace(each, tags=(), inside_tags=each.tags) for validity, each in found.items()}


SEVERITY: Final = ("observe", "announce", "hold", "withdraw")
"""Of two things to be done with a route the one that comes later here is done."""


def together(treatments: Iterable[Treatment]) -> Treatment:
    """Give what is done with a route for which several things are to be done.

    The most severe one; of several announcements all tags, and the least local preference that one of them sets.
    """
    found = tuple(treatments)
    action = max((each.action for each in found), key=SEVERITY.index)
    same = [each for each in found if each.action == action]
    preferences = [each.local_preference for each in same if each.local_preference is not None]
    return Treatment(
        action,
        tuple(dict.fromkeys(tag for each in same for tag in each.tags)),
        min(preferences, default=None),
        tuple(dict.fromkeys(tag for each in same for tag in each.inside_tags)),
    )


def _treatment(action: Action, validity: Validity) -> Treatment:
    tags = (spec.tag(validity) for spec in action.tags)
    return Treatment(
        action=action.action,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag is not None)),
        local_preference=action.local_preference,
    )
