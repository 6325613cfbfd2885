"""Checks of what the policy says of paths: whether something can come of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtrd.base.faults import Report
from rtrd.config.types import covering
from rtrd.config.yaml_reader import FAULTY, Node

PATH_ACTIONS: Final = ("aspa-invalid", "leak")
"""The keys of a rule that say what is done because of the path."""


def check_path_actions(rules: Iterable[Node], found: Node, report: Report) -> None:
    """Warn of what is done because of paths that nobody judges, and of what would be said of them to others."""
    neighbors = found.keys["neighbors"].items if "neighbors" in found.keys else ()
    judged = any("local-role" in each.keys for each in neighbors)
    for rule in rules:
        for key in PATH_ACTIONS:
            action = rule.keys.get(key)
            if action is None:
                continue
            if not judged:
                what = "never acts: no neighbor has a local-role, without which paths are not judged"
                report(action.line, f"{action.path}: {what}", "warning")
            if "tags" in action.keys:
                what = "neighbors of your own AS alone get them: others should not be told what a path is"
                report(
                    action.line_of("tags"),
                    f"{action.path}.tags: {what} (draft-ietf-sidrops-avoid-rpki-state-in-bgp)",
                    "warning",
                )


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
