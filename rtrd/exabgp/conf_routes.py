"""The routes in ExaBGP's configuration, of `static`, `announce` and `flow`: it refuses a file with a wrong one. Pure.

The parsers of 4.2 and 5.0 are the oracle: a test compares. Labels, VPNs and L2VPN are not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from rtrd.base.faults import Report, Severity
from rtrd.base.text import meant
from rtrd.exabgp.conf_file import Section, Statement, shown
from rtrd.exabgp.conf_grammar import IPV4_FAMILIES, Rule, address, number, one_of, some

MOST_REPORTS: Final = 50
"""Of a file's routes: more would say nothing new, and looking for what was meant takes time."""


_NUMBER: Final[tuple[Rule, str]] = (number(0, 0xFFFFFFFF), "a number")
_EACH: Final[dict[str, tuple[Rule, str]]] = {
    "next-hop": (lambda words: one_of("self")(words) or address(words), "an IP address, or self"),
    "origin": (one_of("igp", "egp", "incomplete"), "igp, egp or incomplete"),
    "med": _NUMBER,
    "local-preference": _NUMBER,
}
"""Attributes whose value is one word, with the rule for it."""
_LISTS: Final = (
    *("as-path", "aggregator", "originator-id", "cluster-list", "community", "large-community", "extended-community"),
    *("aigp", "attribute", "name", "split", "watchdog", "path-information"),
)
_ALONE: Final = ("atomic-aggregate", "withdraw")
_OF_LABELS: Final = ("label", "rd", "route-distinguisher", "bgp-prefix-sid", "bgp-prefix-sid-srv6")
_KNOWN: Final = (*_EACH, *_LISTS, *_ALONE)
_STATIC: Final = ("route", "attributes", "attribute")
_FLOW: Final = {
    "match": (
        *("source", "source-ipv4", "source-ipv6", "destination", "destination-ipv4", "destination-ipv6", "protocol"),
        *("next-header", "port", "destination-port", "source-port", "icmp-type", "icmp-code", "tcp-flags"),
        *("packet-length", "dscp", "traffic-class", "fragment", "flow-label"),
    ),
    "then": (
        *("accept", "discard", "rate-limit", "redirect", "redirect-to-nexthop", "redirect-to-nexthop-ietf", "copy"),
        *("mark", "action", "community", "large-community", "extended-community"),
    ),
}
_CLOSES: Final = {"[": "]", "(": ")"}


class Routes:
    """Looks at routes one after the other, and keeps none."""

    def __init__(self, report: Report) -> None:
        """`report` is told what ExaBGP would refuse."""
        self._report = report
        self._left = MOST_REPORTS
        self._of_ipv4 = False
        """The neighbor of the route is an IPv4 address."""

    def look(self, within: Sequence[Section], what: Statement | Section) -> None:
        """Look at a statement or the head of a section; `within`: the neighbor, then the sections of routes."""
        if not what.words or self._left <= 0:
            return
        neighbor, *sections = within
        self._of_ipv4 = "." in neighbor.name and ":" not in neighbor.name
        kinds = [section.kind for section in sections]
        if kinds == ["static"]:
            self._static(what)
        elif kinds == ["static", "route"]:
            self._attributes(what.words, what.line, "static: route", labels=True)
        elif kinds == ["announce"]:
            self._one_of(what, ("ipv4", "ipv6", "l2vpn"), "announce", section=True)
        elif kinds in (["announce", "ipv4"], ["announce", "ipv6"]):
            self._announce(what, f"announce: {kinds[1]}")
        elif kinds[:2] == ["flow", "route"] and len(kinds) == 3 and kinds[2] in _FLOW:
            self._one_of(what, _FLOW[kinds[2]], f"flow: route: {kinds[2]}", section=False)
        elif kinds == ["flow", "route"] and isinstance(what, Section):
            self._one_of(what, ("match", "then", "scope"), "flow: route", section=True)

    def _tell(self, line: int, what: str, severity: Severity = "fault") -> None:
        self._left -= 1
        if self._left >= 0:
            self._report(line, what, severity)

    def _one_of(self, what: Statement | Section, known: Sequence[str], where: str, *, section: bool) -> bool:
        """Tell whether a word is known there, and report it if not."""
        word = what.words[0]
        if word not in known:
            self._unknown(word, what.line, known, where)
            return False
        if isinstance(what, Section) != section:
            form = f"`{word} {{ ... }}`" if section else f"`{word} ...;`"
            self._tell(what.line, f"{where}: write {form}")
            return False
        return True

    def _unknown(self, word: str, line: int, known: Sequence[str], where: str) -> None:
        near = meant(word, known)
        hint = f"; did you mean {near!r}?" if near else ", and refuses the file"
        self._tell(line, f"{where}: ExaBGP doesn't know {shown([word])!r} here{hint}")

    def _static(self, what: Statement | Section) -> None:
        word, following = what.words[0], what.words[1:]
        is_section = isinstance(what, Section)
        if word not in (known := _STATIC[:1] if is_section else _STATIC):
            self._unknown(word, what.line, known, "static")
        elif word != "route":
            before, prefixes = _split(following, "nlri")
            self._attributes(before, what.line, f"static: {word}", labels=True)
            if not prefixes:
                self._tell(what.line, f"static: {word}: expected `nlri PREFIX ...` at the end")
            for prefix in prefixes:
                self._prefix([prefix], what.line, f"static: {word}")
        elif self._prefix(following, what.line, "static: route"):
            good = self._attributes(following[1:], what.line, "static: route", labels=True)
            if good and not is_section:
                self._next_hop(following, what.line, "static: route")

    def _announce(self, what: Statement | Section, where: str) -> None:
        if not self._one_of(what, IPV4_FAMILIES, where, section=False):
            return
        word, following = what.words[0], what.words[1:]
        where = f"{where}: {word}"
        if (
            word in ("unicast", "multicast")
            and self._prefix(following, what.line, where)
            and self._attributes(following[1:], what.line, where, labels=False)
        ):
            self._next_hop(following, what.line, where)

    def _next_hop(self, words: Sequence[str], line: int, where: str) -> None:
        if "next-hop" not in words:
            self._tell(line, f"{where} {shown(words[:1])}: `next-hop` is missing: ExaBGP refuses the file")

    def _prefix(self, words: Sequence[str], line: int, where: str) -> bool:
        """Tell whether the first word is a prefix as ExaBGP takes it: a whole address, no bits beyond the length."""
        word = words[0] if words else ""
        found = f"found {shown([word])!r}" if word else "found nothing"
        try:
            network = ipaddress.ip_network(word)
        except ValueError:
            try:
                hint = f"; did you mean {ipaddress.ip_network(word, strict=False)}?" if word else ""
            except ValueError:
                hint = ""
            self._tell(line, f"{where}: expected a prefix, {found}{hint}")
            return False
        if network.version == 6 and network.prefixlen == 32 and self._of_ipv4:
            what = "an IPv6 route of length 32 has ExaBGP take an IPv4 neighbor for a range, and refuse the file"
            self._tell(line, f"{where}: {shown([word])}: {what}: write the two of length 33")
            return False
        return True

    def _attributes(self, words: Sequence[str], line: int, where: str, *, labels: bool) -> bool:
        """Look at a chain of attributes, each with its value; tell whether it is good, as far as it is looked at."""
        at = 0
        while at < len(words):
            word = words[at]
            if word in _OF_LABELS and labels:
                return True
            if word not in _KNOWN:
                self._unknown(word, line, _KNOWN, where)
                return False
            at += 1
            if word in _ALONE:
                continue
            end = _end(words, at)
            value = words[at:end]
            rule, expected = _EACH.get(word, (some, "a value"))
            if not rule(value):
                found = f"found {shown(value)!r}" if value else "found nothing"
                self._tell(line, f"{where}: {word}: expected {expected}, {found}")
                return False
            if word == "as-path" and value[0] != "[":
                self._tell(line, f"{where}: as-path: write `[ ... ]`: ExaBGP 5.0 takes nothing else", "warning")
            at = end
        return True


def _split(words: Sequence[str], word: str) -> tuple[Sequence[str], Sequence[str]]:
    """Give what stands before a word, and what behind."""
    at = words.index(word) if word in words else len(words)
    return words[:at], words[at + 1 :]


def _end(words: Sequence[str], at: int) -> int:
    """Give where the value that begins there ends."""
    closes = _CLOSES.get(words[at]) if at < len(words) else None
    if closes is None:
        return at + 1
    return next((number + 1 for number in range(at, len(words)) if words[number] == closes), len(words))
