"""What ExaBGP's parser takes in the sections around a neighbor: it refuses a file with any other word. Pure.

The parsers of 4.2 and 5.0 are the oracle: a test compares.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final

from rtrd.base.faults import Report
from rtrd.base.text import meant
from rtrd.exabgp.conf_file import Section, Statement, shown

Rule = Callable[[Sequence[str]], bool]
"""Whether the words behind a keyword are good."""

MOST_UNKNOWN: Final = 50
"""Unknown words of a file: from there on no more of them are looked for."""
_SWITCH: Final = frozenset({"", "true", "enable", "enabled", "false", "disable", "disabled"})
_OFF: Final = frozenset({"false", "disable", "disabled"})
_NAME: Final = re.compile(r"[A-Za-z0-9._-]*")


def _first(words: Sequence[str]) -> str:
    return words[0] if words else ""


def _text(_words: Sequence[str]) -> bool:
    return True


def some(words: Sequence[str]) -> bool:
    """Tell whether there is a word."""
    return bool(_first(words))


def _switch(words: Sequence[str]) -> bool:
    return _first(words).lower() in _SWITCH


def _off(words: Sequence[str]) -> bool:
    return _first(words).lower() in ("disable", "disabled")


def one_of(*known: str) -> Rule:
    """Give the rule for one of these words, in upper or lower case."""
    return lambda words: _first(words).lower() in known


def number(low: int, high: int, *others: str) -> Rule:
    """Give the rule for a number of this range, or one of these words."""

    def rule(words: Sequence[str]) -> bool:
        word = _first(words)
        return word in others or (re.fullmatch("[0-9]{1,10}", word) is not None and low <= int(word) <= high)

    return rule


def _as_number(words: Sequence[str]) -> bool:
    parts = _first(words).split(".")
    return len(parts) < 3 and all(
        number(0, 0xFFFF if len(parts) == 2 else 0xFFFFFFFF, "auto")([part]) for part in parts
    )


def address(words: Sequence[str]) -> bool:
    """Tell whether the first word is an IP address."""
    try:
        ipaddress.ip_address(_first(words))
    except ValueError:
        return False
    return True


def _peer(words: Sequence[str]) -> bool:
    try:
        ipaddress.ip_network(_first(words), strict=False)
    except ValueError:
        return False
    return True


def _router_id(words: Sequence[str]) -> bool:
    return address(words) and ":" not in words[0]


def _list(words: Sequence[str]) -> bool:
    return len(words) >= 2 and words[0] == "[" and "]" in words


def _one_or_list(words: Sequence[str]) -> bool:
    return len(words) == 1 or (len(words) > 2 and _list(words) and words[-1] == "]")


def _next_hop(family: str) -> Rule:
    return lambda words: len(words) > 1 and words[0] in _LABELED and words[1] == family


def _host(words: Sequence[str]) -> bool:
    return _HOST.fullmatch(_first(words)) is not None and ".." not in words[0]


_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_LABELED: Final = ("unicast", "multicast", "nlri-mpls", "mpls-vpn")
_Keywords = dict[str, tuple[Rule, str]]
_SWITCHED: Final[tuple[Rule, str]] = (_switch, "enable or disable")
_NUMBERED: Final = (number(0, 65535), "a port number")
_ADDRESS: Final = (address, "an IP address")
_AS: Final = (_as_number, "a number, without `AS`")
_TTL: Final = (number(0, 255, *_OFF), "0 to 255, or disable")
IPV4_FAMILIES: Final = ("unicast", "multicast", "nlri-mpls", "mpls-vpn", "mcast-vpn", "flow", "flow-vpn", "mup")
_IPV6: Final = tuple(each for each in IPV4_FAMILIES if each != "multicast")
_FAMILIES: Final = {
    "ipv4": (one_of(*IPV4_FAMILIES), f"one of {', '.join(IPV4_FAMILIES)}"),
    "ipv6": (one_of(*_IPV6), f"one of {', '.join(_IPV6)}"),
    "l2vpn": (one_of("vpls", "evpn"), "vpls or evpn"),
    "bgp-ls": (one_of("bgp-ls", "bgp-ls-vpn"), "bgp-ls or bgp-ls-vpn"),
    "all": (_text, ""),
}
_MESSAGES: Final[_Keywords] = dict.fromkeys(
    (*("parsed", "packets", "consolidate", "open", "update", "notification", "keepalive", "refresh", "operational"),),
    _SWITCHED,
)

STATEMENTS: Final[dict[str, _Keywords]] = {
    "process": {"run": (some, "a program"), "encoder": (one_of("text", "json"), "json"), "respawn": _SWITCHED},
    "template": {},
    "neighbor": {
        "inherit": (_one_or_list, "a name, or `[ NAME NAME ]`"),
        "description": (_text, ""),
        "host-name": (_host, "a host's name"),
        "domain-name": (_host, "a domain's name"),
        "router-id": (_router_id, "an IPv4 address"),
        "hold-time": (lambda words: number(0, 65535)(words) and int(words[0]) not in (1, 2), "0, or 3 to 65535"),
        "rate-limit": (lambda words: number(1, 0xFFFFFFFF)(words) or _off(words), "a number, or disable"),
        "local-address": (lambda words: _first(words) == "auto" or address(words), "an IP address"),
        "source-interface": (_text, ""),
        "peer-address": (_peer, "an IP address"),
        "local-as": _AS,
        "peer-as": _AS,
        "passive": _SWITCHED,
        "listen": _NUMBERED,
        "connect": _NUMBERED,
        "outgoing-ttl": _TTL,
        "incoming-ttl": _TTL,
        "md5-password": (some, "a password"),
        "md5-base64": (one_of(*_SWITCH, "auto"), "enable or disable"),
        "md5-ip": _ADDRESS,
        "group-updates": _SWITCHED,
        "auto-flush": _SWITCHED,
        "adj-rib-out": _SWITCHED,
        "adj-rib-in": _SWITCHED,
        "manual-eor": _SWITCHED,
    },
    "capability": {
        "add-path": (one_of("disable", "disabled", "receive", "send", "send/receive"), "send, receive, send/receive"),
        "graceful-restart": (number(0, 65535, "", "disable", "disabled"), "seconds, or disable"),
        **dict.fromkeys(
            (
                *("nexthop", "asn4", "multi-session", "operational", "route-refresh", "aigp", "extended-message"),
                "software-version",
            ),
            _SWITCHED,
        ),
    },
    "family": _FAMILIES,
    "add-path": _FAMILIES,
    "nexthop": {
        "ipv4": (_next_hop("ipv6"), "`unicast ipv6`, or the like"),
        "ipv6": (_next_hop("ipv4"), "`unicast ipv4`, or the like"),
    },
    "api": {
        "processes": (_list, "`[ rtrd ]`, with blanks and brackets"),
        "processes-match": (_list, "`[ rtrd ]`, with blanks and brackets"),
        **dict.fromkeys(("neighbor-changes", "negotiated", "fsm", "signal"), _SWITCHED),
    },
    "send": _MESSAGES,
    "receive": _MESSAGES,
}
"""The keywords of each section, with the rule for what follows and what is expected there."""

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "template": ("neighbor",),
    "neighbor": (
        *("family", "capability", "add-path", "nexthop", "api"),
        *("static", "flow", "l2vpn", "operational", "announce"),
    ),
    "api": ("send", "receive"),
}
"""The sections within each section; those with routes are rtrd.exabgp.conf_routes's."""

ONLY_5: Final = frozenset(
    {
        *(("neighbor", "source-interface"), ("capability", "software-version")),
    }
)
"""What 4.2 doesn't know."""
_ONLY_5_FAMILIES: Final = ("mcast-vpn", "mup")
_ELSEWHERE: Final = {
    "process": "`process` within a neighbor is syntax of ExaBGP 3: it stands at the top, and `api` names it",
    "route": "routes stand in a section `static { ... }`",
}


def _only_5(kind: str, word: str, value: str) -> bool:
    """Tell whether 4.2 refuses a statement that 5.0 takes."""
    if kind in ("family", "add-path"):
        return word == "all" or value in _ONLY_5_FAMILIES
    return (kind, word) in ONLY_5 or (
        word in ("host-name", "domain-name") and any(end.isdigit() for end in (value[0], value[-1]))
    )


class Grammar:
    """Looks at the words of sections, each of them once."""

    def __init__(self, report: Report) -> None:
        """`report` is told what ExaBGP would refuse."""
        self._report = report
        self._left = MOST_UNKNOWN
        self._names: dict[tuple[str, str], int] = {}

    def check(self, section: Section, where: str) -> None:
        """Check a section and those within; `where` is what the messages begin with."""
        kind = section.kind
        known = STATEMENTS.get(kind)
        if known is None:
            return
        seen: set[str] = set()
        for statement in section.statements:
            word = statement.words[0]
            if word not in known:
                self._unknown(kind, statement, where)
                continue
            self._statement(kind, statement, where)
            if kind in ("family", "add-path"):
                self._families(statement, seen, where)
        for each in section.sections:
            if each.kind not in SECTIONS.get(kind, ()):
                self._unknown(kind, each, where)
                continue
            if each.kind == "api":
                self.named(each, where)
            self.check(each, f"{where}: {each.kind}" if kind != "template" else f"template {shown([each.name])}")

    def named(self, section: Section, where: str) -> None:
        """Look at the name of a section, which is to be the only one of its kind."""
        name = section.name
        if not name:
            return
        if not _NAME.fullmatch(name):
            what = f"{section.kind} {shown([name])!r}: ExaBGP takes letters, digits, `.`, `_` and `-` in this name"
            self._report(section.line, f"{where}: {what}")
        if line := self._names.get((section.kind, name)):
            what = f"`{section.kind} {shown([name])}` is on line {line} already: ExaBGP takes a name only once"
            self._report(section.line, f"{where}: {what}")
        self._names.setdefault((section.kind, name), section.line)

    def _unknown(self, kind: str, what: Statement | Section, where: str) -> None:
        """Name a word that is not known there; that a section has the word of a statement is said, too."""
        if not self._left:
            return
        self._left -= 1
        word = what.words[0] if what.words else "{"
        is_section = isinstance(what, Section)
        here, other = (SECTIONS.get(kind, ()), STATEMENTS[kind])
        known, elsewhere = (here, other) if is_section else (other, here)
        if word in _ELSEWHERE and kind == "neighbor":
            self._report(what.line, f"{where}: {_ELSEWHERE[word]}")
        elif word in elsewhere:
            form = f"`{word} ...;`" if is_section else f"`{word} {{ ... }}`"
            self._report(
                what.line,
                f"{where}: write {form}: ExaBGP takes no {'section' if is_section else 'statement'} {word!r} here",
            )
        else:
            near = meant(word, [*known, *elsewhere])
            hint = f"; did you mean {near!r}?" if near else ", and refuses the file"
            self._report(what.line, f"{where}: ExaBGP doesn't know {shown([word])!r} here{hint}")

    def _statement(self, kind: str, statement: Statement, where: str) -> None:
        word, following = statement.words[0], statement.words[1:]
        rule, expected = STATEMENTS[kind][word]
        if not rule(following):
            found = f"found {shown(following)!r}" if following else "found nothing"
            self._report(statement.line, f"{where}: {word}: expected {expected}, {found}")
        elif _only_5(kind, word, _first(following)):
            what = f"ExaBGP 4.2 doesn't take `{shown(statement.words)}`, and refuses the file"
            self._report(statement.line, f"{where}: {what}", "warning")

    def _families(self, statement: Statement, seen: set[str], where: str) -> None:
        family = " ".join(statement.words[:2]).lower()
        if family in seen or (seen and "all" in (family, *seen)):
            self._report(statement.line, f"{where}: `{shown(statement.words)}`: that family is there already")
        seen.add(family)
