"""Checks of the rules of a policy, each and together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rtrd.base.faults import Report
from rtrd.config.path_checks import PATH_ACTIONS, check_otc, check_path_actions
from rtrd.config.types import Match, covering
from rtrd.config.when import check_as_sets, check_conditions, check_rules_of_neighbors
from rtrd.config.yaml_reader import FAULTY, Node

ACTIONS: Final = ("valid", "not-found", "invalid", "unverified")
"""The keys of a rule that say what is done, by the validity of the origin."""


class _Asked(NamedTuple):
    """What a rule with `when` takes."""

    when: Any
    whom: frozenset[str] | None
    """Its neighbors; None: any."""
    line: int


def check_action(found: Node, report: Report) -> None:
    """Want tags and a local preference only where there is an announcement."""
    action = found.get("action")
    if action in (FAULTY, "announce"):
        return
    for key in ("tags", "local-preference"):
        if key in found.keys:
            report(found.line_of(key), f"{found.path}.{key}: only for action announce, not {action}")


def check_rule(found: Node, report: Report) -> None:
    """Want `as-set` to agree, and only what can be done with local routes."""
    check_as_sets(found, ACTIONS, report)
    if found.get("direction", "in") != "out":
        return
    if "from" in found.keys:
        report(found.line_of("from"), f"{found.path}.from: not for direction out, whose routes no neighbor sent")
    for key in ("when", "as-set", *PATH_ACTIONS, "otc"):
        if key in found.keys:
            report(found.line_of(key), f"{found.path}.{key}: not for direction out")
    for validity in ACTIONS:
        if validity not in found.keys:
            continue
        action = found.keys[validity].get("action")
        able = ("observe", "withdraw") if validity == "invalid" else ("observe",)
        if action not in (FAULTY, *able):
            what = f"not possible for local routes: {action}; possible: {' or '.join(able)}"
            report(found.line_of(validity), f"{found.path}.{validity}: {what}")


def check_policy(rules: Sequence[Node], root: Node, report: Report) -> None:
    """Warn of rules that never act, and want what one has to agree with the rest of the file."""
    _check_rules_act(rules, report)
    for direction, key in (("in", "from"), ("out", "to")):
        _check_shadows([rule for rule in rules if rule.get("direction", "in") == direction], key, report)
    check_conditions(rules, report)
    check_rules_of_neighbors(rules, report)
    check_path_actions(rules, root, report)
    check_otc(rules, root, report)


def announcing_rules(root: Node) -> Iterator[tuple[Node, Node]]:
    """Give each rule that announces learned routes, with the first of its actions that does."""
    for rule in root.keys["policy"].items if "policy" in root.keys else ():
        actions = (rule.keys[key] for key in (*ACTIONS, *PATH_ACTIONS) if key in rule.keys)
        first = next((each for each in sorted(actions, key=_line) if each.get("action") == "announce"), None)
        if first is not None and rule.get("direction", "in") == "in":
            yield rule, first


def _line(found: Node) -> int:
    return found.line


def _check_rules_act(rules: Iterable[Node], report: Report) -> None:
    for rule in rules:
        if not {*ACTIONS, *PATH_ACTIONS} & rule.keys.keys():
            what = f"no action ({', '.join(ACTIONS)}): the routes of these neighbors are only observed"
            report(rule.line, f"{rule.path}: {what}", "warning")


def _check_shadows(rules: Iterable[Node], key: str, report: Report) -> None:
    """Warn of a rule, or of a neighbor in it, that an earlier rule takes; `key` names the neighbors of a rule."""
    taken: dict[Match, int] = {}
    everything: int | None = None
    asked: list[_Asked] = []
    for rule in rules:
        if everything is not None:
            what = f"never acts: the rule on line {everything} is for any neighbor"
            report(rule.line, f"{rule.path}: {what}", "warning")
            continue
        asks = "when" in rule.keys  # it takes some routes of its neighbors, and leaves the rest
        if asks and (line := _asked_before(rule, key, asked)) is not None:
            what = f"never acts: the rule on line {line} asks the same of all of its neighbors"
            report(rule.line, f"{rule.path}: {what}", "warning")
            continue
        if key not in rule.keys:
            everything = None if asks else rule.line
            continue
        neighbors = [each for each in rule.keys[key].items if each.value is not FAULTY]
        before = [_taken(each, taken) for each in neighbors]
        if neighbors and None not in before:
            lines = sorted(set(filter(None, before)))
            who = (
                f"the rule on line {lines[0]} takes" if len(lines) == 1 else f"the rules on lines {listed(lines)} take"
            )
            report(rule.line, f"{rule.path}: never acts: {who} all of its neighbors", "warning")
            continue
        _check_twice(neighbors, taken, report)
        for each in () if asks else neighbors:
            taken.setdefault(covering(str(each.value))[0], rule.line)


def _asked_before(rule: Node, key: str, asked: list[_Asked]) -> int | None:
    """Give the line of an earlier rule with the same `when` and all neighbors of this one; None: none has."""
    when = rule.keys["when"].value
    whom = frozenset(str(each.value) for each in rule.keys[key].items) if key in rule.keys else None
    if when is FAULTY or (whom is not None and str(FAULTY) in whom):
        return None
    for earlier, its, line in asked:
        if earlier == when and (its is None or (whom is not None and whom <= its)):
            return line
    asked.append(_Asked(when, whom, rule.line))
    return None


def _taken(neighbor: Node, taken: Mapping[Match, int]) -> int | None:
    """Give the line of an earlier rule that takes a neighbor, by itself or by a prefix that covers it; None: none."""
    return next((taken[name] for name in covering(str(neighbor.value)) if name in taken), None)


def _check_twice(neighbors: Iterable[Node], taken: Mapping[Match, int], report: Report) -> None:
    """Warn of neighbors of a rule that are given twice, or that an earlier rule takes."""
    here: set[object] = set()
    for each in neighbors:
        if (line := _taken(each, taken)) is not None:
            what = f"{each.value} has no effect here: the rule on line {line} takes this neighbor"
            report(each.line, f"{each.path}: {what}", "warning")
        elif each.value in here:
            report(each.line, f"{each.path}: {each.value} is given twice", "warning")
        here.add(each.value)


def listed(lines: Iterable[int]) -> str:
    """Give lines of the file as people list them: "5, 6 and 8"."""
    *most, last = map(str, lines)
    return f"{', '.join(most)} and {last}" if most else last
