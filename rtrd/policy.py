"""The policy: what is done with a route of a neighbor, by its validity. No sockets, no clock.

The first rule whose `from` names the neighbor decides; a neighbor that no rule names is only observed,
which is also what happens without a policy (RFC 8481 section 4: no action that the operator did not ask for).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from rtrd.config import Action, ActionName, PolicyRule
from rtrd.tags import VALIDITIES, Tag, Validity, is_rfc8097


class Treatment(msgspec.Struct, frozen=True):
    """What is done with a route: an action and, for `announce`, what is added or set."""

    action: ActionName
    tags: tuple[Tag, ...] = ()
    local_preference: int | None = None


OBSERVE = Treatment("observe")
HOLD = Treatment("hold")

_ACTS = ("announce", "withdraw")
_REMEMBERED = 4096
"""Neighbors whose rule is remembered: their text comes from the router, which may name any number."""


class Rule:
    """One rule of the policy, each validity resolved to a treatment beforehand."""

    __slots__ = ("neighbors", "to", "treatments")

    def __init__(self, config: PolicyRule) -> None:
        named: dict[Validity, Action | None] = {
            "valid": config.valid,
            "not-found": config.not_found,
            "invalid": config.invalid,
            "unverified": config.unverified,
        }
        acts = any(action is not None and action.action in _ACTS for action in named.values())
        self.neighbors: frozenset[str] | None = None if config.from_ is None else frozenset(config.from_)
        self.to: tuple[str, ...] | None = config.to
        self.treatments: dict[Validity, Treatment] = {}
        for validity in VALIDITIES:
            action = named[validity]
            if action is not None:
                self.treatments[validity] = _treatment(action, validity)
            else:
                self.treatments[validity] = HOLD if acts and validity == "unverified" else OBSERVE

    def receivers(self, neighbors: Iterable[str], source: str) -> list[str]:
        """Return which of the neighbors get this rule's announcements of a route learned from `source`.

        `to` is followed to the letter, also when it names the source; without it every other neighbor.
        """
        if self.to is None:
            return [neighbor for neighbor in neighbors if normal(neighbor) != normal(source)]
        return [neighbor for neighbor in neighbors if normal(neighbor) in self.to]


class Policy:
    """All rules, in their order."""

    def __init__(self, rules: Iterable[PolicyRule] = ()) -> None:
        rules = tuple(rules)
        self.rules = tuple(Rule(rule) for rule in rules if rule.direction == "in")
        self.local_rules = tuple(Rule(rule) for rule in rules if rule.direction == "out")
        """For what the router announces by itself."""
        self._by_neighbor: dict[str, Rule | None] = {}
        treatments = (treatment for rule in self.rules for treatment in rule.treatments.values())
        self.our_tags = frozenset(tag for treatment in treatments for tag in treatment.tags)
        """Every tag that a rule can add; the whole range of RFC 8097 is ours, too: see `is_ours`."""

    def rule_for(self, neighbor: str) -> Rule | None:
        """Return the rule for the routes of a neighbor (an address in any spelling); None: observe them."""
        try:
            return self._by_neighbor[neighbor]
        except KeyError:
            address = normal(neighbor)
            found = next((rule for rule in self.rules if rule.neighbors is None or address in rule.neighbors), None)
            if len(self._by_neighbor) >= _REMEMBERED:
                self._by_neighbor.clear()
            self._by_neighbor[neighbor] = found
            return found

    def withdraws_local(self, neighbor: str) -> bool:
        """Tell whether invalid routes that the router itself announces to a neighbor are withdrawn there.

        The first rule for local routes whose `to` names it decides; without one they are left alone (RFC 8481).
        """
        address = normal(neighbor)
        rule = next((rule for rule in self.local_rules if rule.to is None or address in rule.to), None)
        return rule is not None and rule.treatments["invalid"].action == "withdraw"

    def is_ours(self, tag: Tag) -> bool:
        """Tell whether a received community must be removed because it could pass for a tag of ours."""
        return tag in self.our_tags or (tag.kind == "extended" and is_rfc8097(tag.value))


def normal(address: str) -> str:
    """Return the normal text of an IP address; what is none is returned as it is, and equals no address."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _treatment(action: Action, validity: Validity) -> Treatment:
    tags = (spec.tag(validity) for spec in action.tags)
    return Treatment(
        action=action.action,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag is not None)),
        local_preference=action.local_preference,
    )
