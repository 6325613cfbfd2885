"""Which routes a rule of the policy is for: its `when`, and what must agree in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from msgspec import Meta

from rtrd.base.faults import Report
from rtrd.config.mapping import Mapping
from rtrd.config.types import ASNumber, Match, RoutePrefix, covering, parse_route_prefix
from rtrd.config.yaml_reader import FAULTY, Node
from rtrd.tags import Tag

MAX_CONDITIONS: Final = 32
"""A list of communities is one bit of a 32-bit word in an attribute set."""

MAX_RULES: Final = 255
"""Rules with `when` that may be for one neighbor: its routes are looked at rule by rule."""

_LENGTH = Annotated[int, Meta(ge=0, le=128)]


class PrefixLengths(Mapping, frozen=True):
    """The shortest and the longest prefix; None: no prefix of the family."""

    ipv4: tuple[Annotated[int, Meta(ge=0, le=32)], ...] | None = None
    ipv6: tuple[Annotated[int, Meta(ge=0, le=128)], ...] | None = None


class PrefixRange(Mapping, frozen=True):
    """A prefix and what it covers, of some lengths; with neither it alone, without `le` to the longest."""

    prefix: RoutePrefix
    ge: _LENGTH | None = None
    le: _LENGTH | None = None


class When(Mapping, frozen=True):
    """Which routes a rule is for; all keys must hold, in a list any."""

    communities: Annotated[tuple[Tag, ...], Meta(min_length=1)] | None = None
    prefix_length: PrefixLengths | None = None
    prefixes: Annotated[tuple[PrefixRange, ...], Meta(min_length=1)] | None = None
    origin: Annotated[tuple[ASNumber, ...], Meta(min_length=1)] | None = None
    """The origin AS; a path whose origin can't be told (NONE, RFC 6811 section 2) has none of them."""
    covered_by: Literal["valid", "not-found"] | None = None
    """Of what validity a route of the same or a less specific prefix is that would be left without this one."""
    as_set: bool | None = None
    """The path has an AS_SET or AS_CONFED_SET, or has none."""


def alone(text: str) -> PrefixRange:
    """Parse a prefix that is meant alone, without what it covers. ValueError says what is wrong."""
    return PrefixRange(prefix=parse_route_prefix(text))


def lengths_of(prefixes: PrefixRange) -> tuple[str, int, int]:
    """Give the prefix, and the shortest and the longest length that are meant."""
    network = ipaddress.ip_network(prefixes.prefix)
    shortest = network.prefixlen if prefixes.ge is None else prefixes.ge
    if prefixes.le is not None:
        return prefixes.prefix, shortest, prefixes.le
    return prefixes.prefix, shortest, network.prefixlen if prefixes.ge is None else network.max_prefixlen


# ---- checks


def check_lengths(found: Node, report: Report) -> None:
    """Want the shortest and the longest length of a prefix."""
    for key, span in found.keys.items():
        if span.value is FAULTY:
            continue
        if len(span.value) != 2 or span.value[0] > span.value[1]:
            report(span.line, f"{found.path}.{key}: expected the shortest and the longest length, as [25, 32]")
    if not found.keys:
        report(found.line, f"{found.path}: needs 'ipv4' or 'ipv6', or no prefix is meant")


def check_prefix_range(found: Node, report: Report) -> None:
    """Want lengths that prefixes within the prefix can have."""
    prefix = found.get("prefix")
    if prefix is FAULTY:
        return
    network = ipaddress.ip_network(prefix)
    ge, le = found.get("ge", None), found.get("le", None)
    for key, length in (("ge", ge), ("le", le)):
        if length in (None, FAULTY):
            continue
        if length > network.max_prefixlen:
            what = f"{length} is more than the {network.max_prefixlen} of IPv{network.version}"
            report(found.line_of(key), f"{found.path}.{key}: {what}")
        elif length < network.prefixlen:
            report(found.line_of(key), f"{found.path}.{key}: {length} is less than the length of {prefix}")
    if None not in (ge, le) and FAULTY not in (ge, le) and ge > le:
        report(found.line_of("le"), f"{found.path}: ge ({ge}) is more than le ({le})")


def check_when(found: Node, report: Report) -> None:
    """Want something that a route is asked for, and that some route can have."""
    if not found.keys:
        *most, last = (f"'{name.replace('_', '-')}'" for name in When.__struct_fields__)
        report(found.line, f"{found.path}: needs {', '.join(most)} or {last}")
    for key in ("communities", "prefixes", "origin"):
        if key in found.keys:
            _check_twice(found.keys[key].items, report)
    lengths, prefixes = found.get("prefix-length", None), found.get("prefixes", None)
    if isinstance(lengths, PrefixLengths) and isinstance(prefixes, tuple):
        spans = {4: lengths.ipv4 or (1, 0), 6: lengths.ipv6 or (1, 0)}
        for prefix, shortest, longest in map(lengths_of, prefixes):
            span = spans[6 if ":" in prefix else 4]
            if max(shortest, span[0]) <= min(longest, span[-1]):
                return
        what = "no prefix of 'prefixes' has such a length, so the rule is for no route"
        report(found.line_of("prefix-length"), f"{found.path}.prefix-length: {what}", "warning")


def _check_twice(items: Iterable[Node], report: Report) -> None:
    first: dict[object, int] = {}
    for each in items:
        if each.value is FAULTY:
            continue
        value = lengths_of(each.value) if isinstance(each.value, PrefixRange) else each.value
        if value in first:
            report(each.line, f"{each.path}: given twice, first on line {first[value]}", "warning")
        first.setdefault(value, each.line)


def check_conditions(rules: Iterable[Node], report: Report) -> None:
    """Want no more lists of communities than an attribute set has bits for."""
    known: set[object] = set()
    for rule in rules:
        communities = rule.keys["when"].keys.get("communities") if "when" in rule.keys else None
        if communities is None or communities.value is FAULTY:
            continue
        known.add(frozenset(communities.value))
        if len(known) > MAX_CONDITIONS:
            what = f"more than {MAX_CONDITIONS} different lists of communities in the policy"
            report(communities.line, f"{communities.path}: {what}")
            return


def check_rules_of_neighbors(rules: Iterable[Node], report: Report) -> None:
    """Want no neighbor that too many rules with `when` could be for, whatever its address and its AS are."""
    asking = [rule for rule in rules if "when" in rule.keys]
    if len(asking) <= MAX_RULES:
        return
    by_match: dict[Match, list[Node]] = {}
    matches: dict[Match, list[Match]] = {}
    for rule in asking:
        items = rule.keys["from"].items if "from" in rule.keys else ()
        names = [covering(str(each.value)) for each in items if each.value is not FAULTY]
        for match, *wider in names:
            matches[match] = [match, *wider]
        for match in {match for match, *_ in names}:
            by_match.setdefault(match, []).append(rule)
    of_any = [rule for rule in asking if "from" not in rule.keys]
    found = {match: [rule for one in all_ for rule in by_match.get(one, ())] for match, all_ in matches.items()}
    of_as = max((found[match] for match in found if match[0] == 0), key=len, default=[])
    of_address = max((found[match] for match in found if match[0] != 0), key=len, default=[])
    paths = {rule.path for rule in (*of_any, *of_as, *of_address)}
    most = [rule for rule in asking if rule.path in paths]
    if len(most) > MAX_RULES:
        rule = most[MAX_RULES]
        report(rule.line, f"{rule.path}: more than {MAX_RULES} rules with 'when' may be for the same neighbor")


def check_as_sets(rule: Node, acts: Iterable[str], report: Report) -> None:
    """Warn where `when` and `as-set` of a rule leave nothing to do; `acts`: its keys that may announce."""
    asked = rule.keys["when"].get("as-set", None) if "when" in rule.keys else None
    if asked is False and "as-set" in rule.keys:
        what = "has no effect: the rule is for paths without AS_SET, as its 'when' says"
        report(rule.line_of("as-set"), f"{rule.path}.as-set: {what}", "warning")
    announces = any(rule.keys[key].get("action") == "announce" for key in acts if key in rule.keys)
    if asked is True and "as-set" not in rule.keys and announces:
        what = "the rule withdraws such paths (RFC 9774) whatever else it says, unless it has 'as-set: by-validity'"
        report(rule.keys["when"].line_of("as-set"), f"{rule.path}.when.as-set: {what}", "warning")
