"""Puts the engine's commands into the words of ExaBGP's API.

Only what 4.2 and 5.0 both take and execute alike (docs/exabgp.md lists the forms that they don't): every command
names its neighbors, `announce attributes` and `withdraw attributes` with a next hop (`route` for a path id, which
4.2 takes nowhere else), lists in brackets, and for an AS_PATH that is more than one AS_SEQUENCE the generic attribute,
as the two have no common word for AS_SET. Extended communities likewise, unless all are of the few kinds that ExaBGP
neither rewrites nor stumbles over.
Everything printed is a number or an address that was parsed.

To ExaBGP 5.0, AS path and communities go as octets, too: it copies a route with its attributes for each receiver, and
octets are one piece. 4.2 is faster with words (measured by `make bench`, section chain).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from rtrd.policy import Treatment
from rtrd.rib.attributes import (
    AGGREGATOR,
    AS_SEQUENCE,
    COMMUNITIES,
    COMMUNITY,
    IGP,
    LARGE_COMMUNITIES,
    OPTIONAL,
    PARTIAL,
    TRANSITIVE,
    UNDERSTOOD,
    AttributeSet,
    OtherAttribute,
    Segment,
    announced,
    path_octets,
)
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrd.tags import RFC8097_BASE

_SEGMENT_MOST = 255
_REMEMBERED = 4096
_FEW = 8
"""Communities of a set whose words are remembered; those of more would take much memory."""
_OCTETS_OF = {
    "community": (COMMUNITIES, COMMUNITY["standard"]),
    "large-community": (LARGE_COMMUNITIES, COMMUNITY["large"]),
}

# RFC 5737 and RFC 3849: ExaBGP 4.2 drops every session after a withdraw without next hop, and reads no more of it.
_WITHDRAW_NEXT_HOP = {4: "192.0.2.1", 6: "2001:db8::1"}


class Form(Enum):
    """How attributes are written that have words."""

    WORDS = auto()
    OCTETS = auto()
    OCTETS_BUT_PATH = auto()
    """ExaBGP writes the AS path that is in words as the neighbor's session wants AS numbers (RFC 6793)."""


def form_of(version: str) -> Form:
    """Give the form that suits a version of ExaBGP."""
    return Form.OCTETS if version.startswith("5.") else Form.WORDS


class _Getting(NamedTuple):
    """What receivers are: the same is written to those of whom all of this is the same."""

    kind: str
    form: Form
    otc_given: int


class _To(NamedTuple):
    """Receivers of a command."""

    selector: str
    """The words that choose them."""
    getting: _Getting
    words: dict[tuple[bytes, int], str]
    """What is written to those who get the same, by attribute set and variant."""


class Encoder:
    """The words for one router's commands. What many have in common is put into words once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._remembered: dict[_Getting, dict[tuple[bytes, int], str]] = {}
        self._remembers = 0  # how many words these are in all
        self._to: dict[int, _To] = {}
        self._form = Form.WORDS
        self._version = engine.receivers.version

    def speak_to(self, version: str) -> None:
        """Write as suits this version of ExaBGP."""
        form = form_of(version)
        if form != self._form:
            self._form = form
            self._to.clear()

    def forget(self) -> None:
        """Forget all words: by another policy the same attributes may be announced differently."""
        self._remembered.clear()
        self._remembers = 0
        self._to.clear()

    def encode(self, command: Command) -> str:
        """Give the line for a command."""
        if self._version != self._engine.receivers.version:
            self._version = self._engine.receivers.version
            self._to.clear()
        to = self._to.get(command.receivers) or self._look_up(command.receivers)
        if not command.announce:
            return withdraw(to.selector, command.family, command.path_id, command.prefixes)
        return announce(to.selector, self._words_of(command, to), command.path_id, command.prefixes)

    def _look_up(self, receivers: int) -> _To:
        if len(self._to) >= _REMEMBERED:
            self._to.clear()
        known = self._engine.receivers
        found = select(known.spelling(address) for address, bit in known.bits.items() if receivers & bit)
        assert found, "a command without a neighbor would go to all"
        form = self._form
        if form is Form.OCTETS and not known.takes_path_octets(receivers):
            form = Form.OCTETS_BUT_PATH
        getting = _Getting(known.kind_of(receivers), form, known.otc_given(receivers))
        self._to[receivers] = to = _To(found, getting, self._remembered.setdefault(getting, {}))
        return to

    def _words_of(self, command: Command, to: _To) -> str:
        key = self._engine.table.attributes_key(command.attributes), command.variant
        words = to.words.get(key)
        if words is None:
            if self._remembers >= _REMEMBERED:
                self.forget()
                to = self._look_up(command.receivers)
            self._remembers += 1
            words = attribute_words(self._engine.attributes(key[0]), self._engine.treatment(command), *to.getting)
            to.words[key] = words
        return words


def select(neighbors: Iterable[str]) -> str:
    """Give the words that choose the neighbors of a command, in order."""
    return ", ".join(f"neighbor {address}" for address in neighbors)


def announce(selector: str, words: str, path_id: int | None, prefixes: str) -> str:
    """Give the command that announces prefixes (a blank between two) with these words (see `attribute_words`).

    With a path id it is one prefix: ExaBGP 4.2 forgets the id of what follows `nlri`.
    """
    if path_id is None:
        return f"{selector} announce attributes {words} nlri {prefixes}\n"
    return f"{selector} announce route {prefixes} {_path_information(path_id)} {words}\n"


def take_back(written: str, receiver: str) -> str:
    """Give the command that withdraws at one receiver what a written `announce` announced, whether it was sent or not.

    ExaBGP 5.0 keeps what waits to be sent by its attributes: a withdraw with others leaves the announcement there. So
    it has the very words that were written; they may be those of an earlier policy.
    """
    return f"{select([receiver])} withdraw {written.partition(' announce ')[2]}"


def withdraw(selector: str, family: int, path_id: int | None, prefixes: str) -> str:
    """Give the command that withdraws prefixes of a family; with a path id it is one prefix."""
    next_hop = _WITHDRAW_NEXT_HOP[family]
    if path_id is None:
        return f"{selector} withdraw attributes next-hop {next_hop} nlri {prefixes}\n"
    return f"{selector} withdraw route {prefixes} {_path_information(path_id)} next-hop {next_hop}\n"


def attribute_words(
    attributes: AttributeSet,
    treatment: Treatment,
    kind: str = "internal",
    form: Form = Form.WORDS,
    otc_given: int = 0,
) -> str:
    """Give the words for an attribute set, less what receivers of a kind must not get, with what the policy adds to it.

    The AS path is as learned (ExaBGP adds nothing to one that is given, also toward eBGP); only an empty one does not
    leave our AS. `attributes` must have a next hop. `otc_given`: see `announced`.
    """
    attributes = announced(attributes, treatment, kind, otc_given)
    _, next_hop, origin, as_path, _, med, preference, standard, large, extended, others = attributes
    # As octets: the same on the wire, and in what ExaBGP says of its routes the mark by which rtrd knows its own.
    words = ["next-hop", str(next_hop), _ORIGIN_IGP if not origin else _generic(0x01, 0x40, bytes([origin]))]
    if as_path or kind in ("internal", "confederation"):
        words.append(_as_path(as_path, form))  # else ExaBGP has it begin with our own AS (RFC 4271 section 5.1.2)
    if med is not None:
        words.append(f"med {med}")
    if preference is not None:
        words.append(f"local-preference {preference}")
    if standard:
        words.append((_few_communities if len(standard) <= _FEW else _communities)("community", standard, form))
    if large:
        words.append((_few_communities if len(large) <= _FEW else _communities)("large-community", large, form))
    if extended:
        words.append((_few_extended if len(extended) <= _FEW else _extended_communities)(extended, form))
    if others:
        words += map(_other, others)
    return " ".join(words)


def _other(other: OtherAttribute) -> str:
    if other.code == AGGREGATOR and len(other.value) == 8 and not other.flags & PARTIAL:
        # In words, since ExaBGP then writes it as the neighbor's session wants AS numbers (RFC 6793).
        asn, address = struct.unpack("!I4s", other.value)
        return f"aggregator ( {asn}:{socket.inet_ntoa(address)} )"
    return _generic(other.code, _passed_on(other), other.value)


def _passed_on(other: OtherAttribute) -> int:
    """Give the flags of an attribute that is passed on: one that nobody here understands is Partial (RFC 4271 s. 5)."""
    transitive = other.flags & (OPTIONAL | TRANSITIVE) == OPTIONAL | TRANSITIVE
    return other.flags | (PARTIAL if transitive and other.code not in UNDERSTOOD else 0)


def _path_information(path_id: int) -> str:
    return f"path-information {socket.inet_ntoa(struct.pack('!I', path_id))}"


def _communities(keyword: str, values: tuple[tuple[int, ...], ...], form: Form) -> str:
    if form is not Form.WORDS:
        code, fields = _OCTETS_OF[keyword]
        return _generic(code, 0xC0, b"".join([struct.pack(fields, *numbers) for numbers in values]))
    words = [":".join(map(str, numbers)) for numbers in values]
    return f"{keyword} [ {' '.join(words)} ]"


def _as_path(path: tuple[Segment, ...], form: Form) -> str:
    if not path:
        return "as-path [ ]"
    if (
        form is not Form.OCTETS
        and len(path) == 1
        and path[0].kind == AS_SEQUENCE
        and len(path[0].asns) <= _SEGMENT_MOST
    ):
        return f"as-path [ {' '.join(map(str, path[0].asns))} ]"
    return _generic(0x02, 0x40, b"".join(path_octets(*segment) for segment in path if segment.asns))


def _extended_communities(values: tuple[int, ...], form: Form) -> str:
    if form is Form.WORDS and all(map(_understood, values)):
        return f"extended-community [ {' '.join([f'0x{value:016x}' for value in values])} ]"
    return _generic(0x10, 0xC0, struct.pack(f"!{len(values)}Q", *values))


def _understood(value: int) -> bool:
    """Tell whether ExaBGP takes an extended community as it is: an origin validation state, route target or origin.

    It looks into others: a traffic rate that is no number is refused, MAC mobility loses bits, and 4.2 gives no
    answer to some of both kinds.
    """
    kind, subtype = value >> 56, value >> 48 & 0xFF
    return value >> 48 == RFC8097_BASE >> 48 or (kind <= 2 and 2 <= subtype <= 3)


def _generic(code: int, flags: int, raw: bytes) -> str:
    """Give an attribute as octets; `flags`: of RFC 4271 section 4.3, without that of the extended length."""
    return f"attribute [ 0x{code:02x} 0x{flags | (0x10 if len(raw) > 255 else 0):02x} 0x{raw.hex()} ]"


_few_communities: Final = lru_cache(maxsize=_REMEMBERED)(_communities)
_few_extended: Final = lru_cache(maxsize=_REMEMBERED)(_extended_communities)
_ORIGIN_IGP: Final = _generic(0x01, 0x40, bytes([IGP]))
