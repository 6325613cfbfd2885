"""Checks of what the policy says of paths: whether something can come of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from rtrd.base.faults import Report
from rtrd.config.types import covering
from rtrd.config.yaml_reader import FAULTY, Node

PATH_ACTIONS: Final = ("aspa-invalid", "leak")
"""The keys of a rule that say what is done because of the path."""
_BY_VALIDITY: Final = ("valid", "not-found", "invalid")
_ANNOUNCING: Final = (*_BY_VALIDITY, "unverified", *PATH_ACTIONS)


def check_path_actions(rules: Iterable[Node], found: Node, report: Report) -> None:
    """Warn of what is done because of paths that nobody judges."""
    roles = _roles(found)
    for rule in rules:
        may_be = _roles_of(rule, roles)
        for key in PATH_ACTIONS:
            action = rule.keys.get(key)
            if action is None:
                continue
            if (never := _never(key, roles, may_be)) is not None:
                report(action.line, f"{action.path}: never acts: {never}", "warning")
            elif (odd := _odd(rule, action)) is not None:
                report(action.line, f"{action.path}: {odd}", "warning")


_Roles: TypeAlias = list[tuple[str, object]]
"""Of neighbors: which are meant, and what we are to them."""


def _roles(found: Node) -> _Roles:
    entries = found.keys["neighbors"].items if "neighbors" in found.keys else ()
    return [
        (str(each.value), entry.get("local-role", None))
        for entry in entries
        if "local-role" in entry.keys and "match" in entry.keys
        for each in entry.keys["match"].items
        if each.value is not FAULTY
    ]


def _roles_of(rule: Node, roles: _Roles) -> set[object]:
    """Give what we may be to the neighbors of a rule."""
    if "from" not in rule.keys:
        return {role for _, role in roles}
    named = [str(each.value) for each in rule.keys["from"].items if each.value is not FAULTY]
    return {role for match, role in roles for each in named if _may_be_one(each, match)}


def _may_be_one(one: str, other: str) -> bool:
    """Tell whether a neighbor may be one of both; what AS an address is of nobody knows here."""
    is_as = [each.startswith("AS") for each in (one, other)]
    if any(is_as):
        return one == other or not all(is_as)
    networks = [ipaddress.ip_network(each) for each in (one, other)]
    return networks[0].version == networks[1].version and networks[0].overlaps(networks[1])


def _never(key: str, roles: _Roles, may_be: set[object]) -> str | None:
    if not roles:
        return "no neighbor has a local-role, without which paths are not judged"
    if not may_be:
        return "no neighbor of 'from' has a local-role, without which paths are not judged"
    if key == "leak" and may_be <= {"customer", "rs-client"}:
        return "what comes from a provider or a route server is no leak (RFC 9234 section 5)"
    return None


def _odd(rule: Node, action: Node) -> str | None:
    """Say what comes of a path's action and those of the validities, where nobody can mean it."""
    others = {rule.keys[key].get("action", None) if key in rule.keys else "observe" for key in _BY_VALIDITY}
    if action.get("action", None) != "announce" or "announce" in others or FAULTY in others:
        return None
    if "observe" in others:
        return "announces such routes, and the rule announces no others: give 'valid' and 'not-found' their actions"
    return "never counts: what the validities ask for is more severe"


def check_otc(rules: Iterable[Node], found: Node, report: Report) -> None:
    """Warn of `otc` where no neighbor of the rule has a role, without which nothing is done (RFC 9234 section 5)."""
    neighbors = found.keys["neighbors"].items if "neighbors" in found.keys else ()
    roles = {
        covering(str(each.value))[0]
        for entry in neighbors
        if "local-role" in entry.keys and "match" in entry.keys
        for each in entry.keys["match"].items
        if each.value is not FAULTY
    }
    for rule in rules:
        if rule.get("otc", False) is not True:
            continue
        named = [each for key in ("from", "to") if key in rule.keys for each in rule.keys[key].items]
        some = any(each.value is not FAULTY and roles.intersection(covering(str(each.value))) for each in named)
        by_as = any(match[0] == 0 for match in roles)  # nobody knows here what AS an address is of
        if not roles or (len({"from", "to"} & rule.keys.keys()) == 2 and not some and not by_as):
            who = "no neighbor has" if not roles else "no neighbor of 'from' and 'to' has"
            what = f"never acts: {who} a local-role, without which nothing is done about Only to Customer"
            report(rule.line_of("otc"), f"{rule.path}.otc: {what}", "warning")
        elif not any(rule.keys[key].get("action", None) == "announce" for key in _ANNOUNCING if key in rule.keys):
            report(rule.line_of("otc"), f"{rule.path}.otc: never acts: the rule announces nothing", "warning")
