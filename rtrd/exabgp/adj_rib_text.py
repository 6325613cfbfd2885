"""Reads a line of `show adj-rib out extensive` or `show adj-rib in extensive`, text for people, as a route of numbers.

Both versions print the same words as in a configuration, but for the brackets of an AS path: 4.2 writes an AS_SEQUENCE
in `[ ]` and an AS_SET in `( )`, 5.0 the other way around. What can't be read for certain counts as unreadable.
What rtrd itself announced is known by its ORIGIN, which it writes as octets and nobody else does: see exabgp/encode.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rtrd.rib.attributes import (
    AGGREGATOR,
    AIGP,
    AS_SEQUENCE,
    ATOMIC_AGGREGATE,
    CLUSTER_LIST,
    EGP,
    IGP,
    INCOMPLETE,
    IPV6_EXTENDED_COMMUNITIES,
    ONLY_TO_CUSTOMER,
    OPTIONAL,
    ORIGINATOR_ID,
    TRANSITIVE,
    AttributeSet,
    OtherAttribute,
    Segment,
    origin_as,
)

_LINE = re.compile(
    r"neighbor (?P<neighbor>[0-9a-fA-F.:]{2,45}) local-ip (?P<local>\S+) local-as (?P<own_as>[0-9]{1,10})"
    r" peer-as (?P<peer_as>\S+) router-id (?P<router_id>\S+) family-allowed \S+ (?P<family>ipv[46]) unicast"
    r" (?P<prefix>[0-9a-fA-F.:]{2,45}/[0-9]{1,3})"
    r"(?: path-information (?P<path_id>[0-9.]{7,15}))? next-hop (?P<next_hop>\S+)(?P<words>.*)"
)
BEGIN = "neighbor "
"""How each of these lines begins."""

_ORIGINS = {"igp": IGP, "egp": EGP, "incomplete": INCOMPLETE}
_WELL_KNOWN = {
    "no-export": (0xFFFF, 0xFF01),
    "no-advertise": (0xFFFF, 0xFF02),
    "no-export-subconfed": (0xFFFF, 0xFF03),
    "no-peer": (0xFFFF, 0xFF04),
    "blackhole": (0xFFFF, 0x029A),
}
_UNREAD = OtherAttribute(0, 0, b"")
"""An attribute of a code that there is not (RFC 4271 section 4.3), of a route whose other attributes are not known."""
_CLOSES = {"[": "]", "(": ")"}
_AIGP_TLV = b"\x01\x00\x0b"
"""Type and length of the TLV that the AIGP attribute has (RFC 7311 section 3); ExaBGP keeps no other."""


class Advertised(NamedTuple):
    """A route that ExaBGP has, from a neighbor or for one."""

    neighbor: str
    local: str
    """ExaBGP's own address in the session."""
    prefix: str
    """As the route table takes it: `PREFIX`, under ADD-PATH `PREFIX PATH-ID`."""
    attributes: AttributeSet | None
    """None: not to be read for certain."""
    ours: bool
    """It was announced by an rtrd."""
    origin: AttributeSet
    """Nothing but the family and the origin AS, which is certain also where the rest is not; NONE if it is not."""
    asns: tuple[int, int] | None = None
    """ExaBGP's and the neighbor's, as they are configured; None: they are not."""
    router_id: int = 0
    """ExaBGP's own; 0: it is not said."""

    @property
    def as_sent(self) -> tuple[AttributeSet, int]:
        """What is validated of a local route, as it goes out, and ExaBGP's AS: path and Only to Customer, if certain.

        Else as `origin`: no path, and 0.
        """
        if self.attributes is None or self.asns is None:
            return self.origin, 0
        own_as, peer_as = self.asns
        path = self.attributes.as_path
        if not path and own_as != peer_as:
            path = (Segment(AS_SEQUENCE, (own_as,)),)  # ExaBGP writes it (RFC 4271 section 5.1.2)
        others = tuple(other for other in self.attributes.others if other.code == ONLY_TO_CUSTOMER)
        return self.origin._replace(as_path=path, others=others), own_as


def is_route(text: str) -> bool:
    """Tell whether a line is one of these, of any family."""
    return text.startswith(BEGIN) and " local-ip " in text


def read_advertised(text: str, version: str) -> Advertised | None:
    """Read a line that an ExaBGP of this version printed; None: it is none of these."""
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    prefix = match["prefix"] if match["path_id"] is None else f"{match['prefix']} {match['path_id']}"
    read = _read(match["family"], match["next_hop"], match["words"], match["own_as"], version[:2])
    asns, router_id = _session(match["own_as"], match["peer_as"], match["router_id"])
    return Advertised(match["neighbor"], match["local"], prefix, *read, asns, router_id)


@lru_cache(maxsize=1024)
def _session(own_as: str, peer_as: str, router_id: str) -> tuple[tuple[int, int] | None, int]:
    asns = (int(own_as), int(peer_as)) if peer_as.isdecimal() and len(peer_as) <= 10 else None
    try:
        return asns, int(ipaddress.IPv4Address(router_id))
    except ValueError:
        return asns, 0


@lru_cache(maxsize=4096)
def _read(
    family: str, next_hop: str, words: str, own_as: str, version: str
) -> tuple[AttributeSet | None, bool, AttributeSet]:
    """Read what the routes of one attribute set share, as the last fields of Advertised."""
    ours = " attribute [ 0x01 0x40 " in words
    sequence = "[" if version == "4." else "("
    origin = AttributeSet(4 if family == "ipv4" else 6, None, IGP, (), _origin_as(words, sequence, own_as))
    fields = _Fields(sequence)
    try:
        fields.read(iter(words.split()))
        attributes = AttributeSet(
            family=4 if family == "ipv4" else 6,
            next_hop=str(ipaddress.ip_address(next_hop)),
            origin=fields.origin,
            as_path=fields.path,
            origin_as=origin_as(fields.path, int(own_as)),
            med=fields.med,
            local_preference=fields.local_preference,
            communities=tuple(fields.communities),
            large_communities=tuple(fields.large),
            extended_communities=tuple(fields.extended),
            others=tuple(sorted(fields.others)),
        )
    except (ValueError, StopIteration, KeyError):
        return (_partly(fields, origin, next_hop) if ours else None), ours, origin
    return attributes, ours, origin._replace(origin_as=attributes.origin_as)


def _partly(fields: _Fields, origin: AttributeSet, next_hop: str) -> AttributeSet | None:
    """Give what was read of a route of ours: enough to withdraw it, and to announce it anew, as it is like no other."""
    try:
        address = str(ipaddress.ip_address(next_hop))
    except ValueError:
        address = None
    path = fields.path
    return origin._replace(next_hop=address, origin=fields.origin, as_path=path, others=(_UNREAD,))


def _origin_as(words: str, sequence: str, own_as: str) -> int | None:
    """Give the origin AS by the path alone: of one AS_SEQUENCE or none; of all else NONE."""
    path = re.search(r" as-path ([^a-z]*)", words)
    if path is None:
        return int(own_as) if " attribute [ 0x02 " not in words else None
    begin, *asns, end = path[1].split() or [""] * 2
    if begin != sequence or end != _CLOSES[sequence] or not all(map(str.isdigit, asns)):
        return None
    return int(asns[-1]) if asns else int(own_as)


class _Fields:
    """The attributes, word after word."""

    def __init__(self, sequence: str) -> None:
        self.origin = IGP
        self.path: tuple[Segment, ...] = ()
        self.med: int | None = None
        self.local_preference: int | None = None
        self.communities: list[tuple[int, int]] = []
        self.large: list[tuple[int, int, int]] = []
        self.extended: list[int] = []
        self.others: list[OtherAttribute] = []
        self._sequence = sequence

    def read(self, words: Iterator[str]) -> None:
        """Read all words. Raises ValueError, KeyError or StopIteration at what is not known for certain."""
        keywords: dict[str, Callable[[Iterator[str]], None]] = {
            "origin": self._origin,
            "as-path": self._path,
            "med": self._med,
            "local-preference": self._local_preference,
            "community": self._community,
            "large-community": self._large,
            "extended-community": self._extended,
            "attribute": self._generic,
            "atomic-aggregate": lambda _: self.others.append(OtherAttribute(ATOMIC_AGGREGATE, TRANSITIVE, b"")),
            "aggregator": self._aggregator,
            "originator-id": lambda words: self._router_ids(ORIGINATOR_ID, words),
            "cluster-list": lambda words: self._router_ids(CLUSTER_LIST, words),
            "extended-community-ipv6": lambda words: self._ipv6_extended(OPTIONAL | TRANSITIVE, words),
            "aigp": self._aigp,
        }
        for word in words:
            keywords[word](words)

    def _origin(self, words: Iterator[str]) -> None:
        self.origin = _ORIGINS[next(words)]

    def _med(self, words: Iterator[str]) -> None:
        self.med = _number(next(words), 32)

    def _local_preference(self, words: Iterator[str]) -> None:
        self.local_preference = _number(next(words), 32)

    def _path(self, words: Iterator[str]) -> None:
        if next(words) != self._sequence:
            raise ValueError("the path begins with no AS_SEQUENCE")
        asns = tuple(_number(word, 32) for word in _until(words, _CLOSES[self._sequence]))
        self.path = (Segment(AS_SEQUENCE, asns),) if asns else ()

    def _community(self, words: Iterator[str]) -> None:
        for word in _values(words):
            known = _WELL_KNOWN.get(word)
            if known is None:
                first, second = (_number(part, 16) for part in word.split(":"))
                known = first, second
            self.communities.append(known)

    def _large(self, words: Iterator[str]) -> None:
        for word in _values(words):
            first, second, third = (_number(part, 32) for part in word.split(":"))
            self.large.append((first, second, third))

    def _extended(self, words: Iterator[str]) -> None:
        for word in _values(words):
            if not re.fullmatch("0x[0-9A-Fa-f]{16}", word):
                raise ValueError("an extended community by a name, which doesn't say its type for certain")
            self.extended.append(int(word, 16))

    def _aggregator(self, words: Iterator[str]) -> None:
        asn, _, address = " ".join(_until(words, ")")).removeprefix("( ").partition(":")
        value = _number(asn, 32).to_bytes(4) + ipaddress.IPv4Address(address).packed
        self.others.append(OtherAttribute(AGGREGATOR, OPTIONAL | TRANSITIVE, value))

    def _router_ids(self, code: int, words: Iterator[str]) -> None:
        value = b"".join(ipaddress.IPv4Address(word).packed for word in _values(words))
        self.others.append(OtherAttribute(code, OPTIONAL, value))

    def _ipv6_extended(self, flags: int, words: Iterator[str]) -> None:
        value = b""
        for word in _values(words):
            if not re.fullmatch("0x[0-9A-Fa-f]+", word):
                raise ValueError("an extended community by a name")
            digits = word.removeprefix("0x").zfill(40)  # 4.2 leaves out zeros at the front
            if len(digits) % 40:
                raise ValueError("octets of no such communities")
            value += bytes.fromhex(digits)
        self.others.append(OtherAttribute(IPV6_EXTENDED_COMMUNITIES, flags, value))

    def _aigp(self, words: Iterator[str]) -> None:
        if not re.fullmatch("0x[0-9a-f]{16}", metric := next(words)):
            raise ValueError("no metric")
        self.others.append(OtherAttribute(AIGP, OPTIONAL, _AIGP_TLV + bytes.fromhex(metric[2:])))

    def _generic(self, words: Iterator[str]) -> None:
        if next(words) != "[":
            raise ValueError("an attribute without octets")
        code, flags = next(words), next(words)
        if int(code, 16) == IPV6_EXTENDED_COMMUNITIES:  # which 4.2 lists within the brackets
            self._ipv6_extended(int(flags, 16) & ~0x10, words)
            if next(words) != "]":
                raise ValueError("it does not end there")
            return
        data = bytes.fromhex("".join(_until(words, "]")).removeprefix("0x"))
        match int(code, 16):
            case 1 if len(data) == 1 and data[0] <= INCOMPLETE:
                self.origin = data[0]
            case 2:
                self.path = tuple(_segments(data))
            case 16 if len(data) % 8 == 0:
                self.extended += (int.from_bytes(data[at : at + 8]) for at in range(0, len(data), 8))
            case 1 | 2 | 16:
                raise ValueError("octets of no such attribute")
            case other:
                self.others.append(OtherAttribute(other, int(flags, 16) & ~0x10, data))


def _segments(data: bytes) -> Iterator[Segment]:
    """RFC 4271 section 4.3, with ASNs of four octets. Segments that only 255 ASNs keep apart are one."""
    whole: list[Segment] = []
    while data:
        kind, size = data[0], 2 + 4 * data[1]
        if not 1 <= kind <= 4 or len(data) < size:
            raise ValueError("no AS path")
        asns = tuple(int.from_bytes(data[at : at + 4]) for at in range(2, size, 4))
        if whole and whole[-1].kind == kind and len(whole[-1].asns) % 255 == 0:
            asns = whole.pop().asns + asns
        whole.append(Segment(kind, asns))
        data = data[size:]
    return iter(whole)


def _number(word: str, bits: int) -> int:
    if not re.fullmatch("[0-9]{1,10}", word) or int(word) >> bits:
        raise ValueError("no number")
    return int(word)


def _values(words: Iterator[str]) -> Iterator[str]:
    first = next(words)
    return _until(words, "]") if first == "[" else iter((first,))


def _until(words: Iterator[str], end: str) -> Iterator[str]:
    read = []
    while (word := next(words)) != end:
        read.append(word)
    return iter(read)
