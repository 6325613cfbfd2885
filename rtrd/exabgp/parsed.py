"""Writes what a line of ExaBGP's `parsed` mode says of routes as BGP UPDATEs: the core reads nothing else. Pure.

Both dialects, 4.2 and 5.0, are told apart by their shape. 5.0 writes the AS_PATH as an object of segments; 4.2 writes
one list for all AS_SEQUENCEs and others for sets and confederations, so their order is lost: with a set in it there is
no origin AS. What else the JSON loses is lost here, too (docs/exabgp.md).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from socket import AF_INET, AF_INET6, inet_pton
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from rtrd.rib.attributes import (
    AS_CONFED_SEQUENCE,
    AS_CONFED_SET,
    AS_PATH,
    AS_SEQUENCE,
    AS_SET,
    COMMUNITIES,
    EXTENDED_COMMUNITIES,
    EXTENDED_LENGTH,
    LARGE_COMMUNITIES,
    LOCAL_PREF,
    MED,
    ONLY_TO_CUSTOMER,
    OPTIONAL,
    ORIGIN,
    TRANSITIVE,
    attribute,
    path_octets,
)
from rtrd.rib.bgp_session import BGPSession

_MP_REACH_NLRI, _MP_UNREACH_NLRI = 14, 15
_PASSED_ON = OPTIONAL | TRANSITIVE
_ORIGINS = {"igp": b"\0", "egp": b"\1", "incomplete": b"\2"}
_NO_ORIGIN: Final = b"\xff"  # of no meaning, as ExaBGP says of one like it
_SEGMENTS = {
    "as-sequence": AS_SEQUENCE,
    "as-set": AS_SET,
    "as-confed-sequence": AS_CONFED_SEQUENCE,
    "as-confed-set": AS_CONFED_SET,
    "confed-sequence": AS_CONFED_SEQUENCE,
    "confed-set": AS_CONFED_SET,
}
_OTC: Final = b'"attribute-0x23-'
_MOST_ATTRIBUTES: Final = 32_000
"""Octets of one route's attributes; with more it counts as malformed."""
_MOST_ROUTES: Final = 32_000
"""Octets of the routes in one UPDATE."""
_REMEMBERED: Final = 4096
"""As many attribute sets are remembered, none of which is longer: many routes of one come in a row."""
_NO_FAMILIES: Final[frozenset[int]] = frozenset()
_ALL_FAMILIES: Final = frozenset({4, 6})

_U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
_U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
_Asns = tuple[_U32, ...]


class _Segment(msgspec.Struct, gc=False):
    element: str
    value: _Asns


class _Extended(msgspec.Struct, gc=False):
    value: int  # msgspec has no bound of 64 bits; whoever writes it has


class _Said(msgspec.Struct):
    origin: str | None = None
    as_path: dict[str, _Segment] | _Asns = msgspec.field(name="as-path", default=())
    as_set: _Asns = msgspec.field(name="as-set", default=())
    confederation_path: _Asns = msgspec.field(name="confederation-path", default=())
    confederation_set: _Asns = msgspec.field(name="confederation-set", default=())
    med: _U32 | None = None
    local_preference: _U32 | None = msgspec.field(name="local-preference", default=None)
    community: tuple[tuple[_U16, _U16], ...] = ()
    large_community: tuple[tuple[_U32, _U32, _U32], ...] = msgspec.field(name="large-community", default=())
    extended_community: tuple[_Extended, ...] = msgspec.field(name="extended-community", default=())


class Nlri(msgspec.Struct, gc=False):
    """One route."""

    nlri: str = ""  # other families have other keys
    path_information: str | None = msgspec.field(name="path-information", default=None)


class Message(msgspec.Struct):
    """`message.update` of a line."""

    attribute: msgspec.Raw = msgspec.Raw(b"{}")
    # exabgp.api.compact writes a prefix without path id as a string
    announce: dict[str, dict[str, list[Nlri | str]]] = {}
    withdraw: dict[str, list[Nlri | str]] = {}


class Parsed(NamedTuple):
    """An UPDATE that ExaBGP has decoded, in octets again."""

    neighbor: str
    local: str
    """ExaBGP's own address; empty: it is not told."""
    direction: str
    """`receive` or `send`."""
    updates: list[tuple[BGPSession, bytes]]
    """Each is one family's routes, withdrawn or announced with one next hop; and how it is to be read."""
    no_prefixes: int
    """How many routes are none."""
    others: int
    """How many are of other families; they are left alone."""


class _Family(NamedTuple):
    socket: int
    header: bytes
    """AFI and SAFI."""
    lengths: dict[str, tuple[bytes, int]]
    """Of each length that a prefix can have, as text: its octet, and the octets of the address that follow."""


def _family(afi: int, socket: int, bits: int) -> _Family:
    return _Family(socket, bytes((0, afi, 1)), {str(n): (bytes((n,)), n + 7 >> 3) for n in range(bits + 1)})


_FAMILIES: Final = {"ipv4 unicast": _family(1, AF_INET, 32), "ipv6 unicast": _family(2, AF_INET6, 128)}
_is_link_local = re.compile("fe[89ab][0-9a-f]:", re.IGNORECASE).match  # fe80::/10


def parsed(neighbor: str, local: str, direction: str, asns: tuple[int, int], update: Message) -> Parsed:
    """Give the UPDATEs of a line; `asns`: ExaBGP's and the neighbor's."""
    # What ExaBGP sends is read as the neighbor would.
    made = _Maker(*(asns[::-1] if direction == "send" else asns), (neighbor, local))
    for name, entries in update.withdraw.items():
        made.withdraw(_FAMILIES.get(name), entries)
    for name, next_hops in update.announce.items():
        made.announce(_FAMILIES.get(name), next_hops, bytes(update.attribute))
    return Parsed(neighbor, local, direction, made.updates, made.no_prefixes, made.others)


class _Maker:
    """The UPDATEs of one line."""

    def __init__(self, local_as: int, peer_as: int, addresses: tuple[str, str]) -> None:
        self.updates: list[tuple[BGPSession, bytes]] = []
        self.no_prefixes = 0
        self.others = 0
        self._speakers = local_as, peer_as, addresses

    def withdraw(self, family: _Family | None, entries: list[Nlri | str]) -> None:
        if family is None:
            self.others += len(entries)
        else:
            self._add(family, entries, b"", _MP_UNREACH_NLRI, family.header)

    def announce(self, family: _Family | None, next_hops: dict[str, list[Nlri | str]], attributes: bytes) -> None:
        if family is None:
            self.others += sum(map(len, next_hops.values()))
            return
        octets = (_remembered if len(attributes) <= _REMEMBERED else attributes_of)(attributes)
        # An IPv6 next hop with a link-local one beside it (RFC 2545 section 3): ExaBGP names the same routes twice.
        beside = len(next_hops) > 1 and not all(map(_is_link_local, next_hops))
        for next_hop, entries in next_hops.items():
            if not (beside and _is_link_local(next_hop)):
                hop = _next_hop(next_hop)
                head = family.header + bytes((len(hop),)) + hop + b"\0"
                self._add(family, entries, octets, _MP_REACH_NLRI, head)

    def _add(self, family: _Family, entries: list[Nlri | str], attributes: bytes, code: int, head: bytes) -> None:
        without, with_ids = self._routes(family, entries)
        for path_ids, routes in ((_NO_FAMILIES, without), (_ALL_FAMILIES, with_ids)):
            if routes:
                session = _session(*self._speakers, path_ids)
                self.updates += ((session, _body(attributes, code, head + part)) for part in _parts(routes))

    def _routes(self, family: _Family, entries: list[Nlri | str]) -> tuple[list[bytes], list[bytes]]:
        """Give the routes in octets: those without path ids, and those with."""
        socket, _, lengths = family
        without, with_ids = [], []
        for entry in entries:
            text, path_id = (entry, None) if isinstance(entry, str) else (entry.nlri, entry.path_information)
            address, _, length = text.partition("/")
            try:
                octet, size = lengths[length]
                packed = inet_pton(socket, address)
                route = octet + packed[:size]
                if packed[size:].strip(b"\0"):
                    self.no_prefixes += 1  # the address goes on behind its prefix
                elif path_id is None:
                    without.append(route)
                else:
                    with_ids.append(inet_pton(AF_INET, path_id) + route)
            except (KeyError, OSError, ValueError):
                self.no_prefixes += 1
        return without, with_ids


@lru_cache(maxsize=1024)
def _session(local_as: int, peer_as: int, addresses: tuple[str, str], path_ids: frozenset[int]) -> BGPSession:
    return BGPSession(
        local_as, peer_as, four_octet_as=True, path_ids=path_ids, extended_next_hop=True, addresses=addresses
    )


def _parts(routes: list[bytes]) -> Iterator[bytes]:
    """Join routes, as many as one UPDATE takes."""
    each = _MOST_ROUTES // 21  # octets of the longest
    return (b"".join(routes[at : at + each]) for at in range(0, len(routes), each))


def _body(attributes: bytes, code: int, value: bytes) -> bytes:
    """Give an UPDATE without its header: no routes in its IPv4 fields, and one attribute more."""
    octets = attributes + attribute(code, OPTIONAL, value)
    return b"\0\0" + len(octets).to_bytes(2) + octets


@lru_cache(maxsize=4096)
def _next_hop(text: str) -> bytes:
    """Give the octets of an address; of what is none, no octets: ExaBGP says "no-nexthop" of an UPDATE without one."""
    with suppress(OSError, ValueError):
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    return b""


# -- path attributes

_decoder = msgspec.json.Decoder(_Said)


def attributes_of(raw: bytes) -> bytes:
    """Give the path attributes as in an UPDATE of 4-octet AS numbers, of the JSON that ExaBGP wrote.

    What can't be read gives none at all: the routes then count as withdrawn, as of a malformed UPDATE (RFC 7606).
    """
    try:
        read = _decoder.decode(raw)
        octets = b"".join(_attributes(read)) + (_only_to_customer(raw) if _OTC in raw else b"")
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError, struct.error):
        return b""
    return octets if len(octets) <= _MOST_ATTRIBUTES else b""


def _attributes(read: _Said) -> Iterator[bytes]:
    if read.origin is not None:
        yield attribute(ORIGIN, TRANSITIVE, _ORIGINS.get(read.origin, _NO_ORIGIN))
    yield attribute(AS_PATH, TRANSITIVE, b"".join(path_octets(kind, asns) for kind, asns in _segments(read) if asns))
    if read.med is not None:
        yield attribute(MED, OPTIONAL, read.med.to_bytes(4))
    if read.local_preference is not None:
        yield attribute(LOCAL_PREF, TRANSITIVE, read.local_preference.to_bytes(4))
    if read.community:
        yield attribute(COMMUNITIES, _PASSED_ON, _numbers("H", chain.from_iterable(read.community)))
    if read.extended_community:
        yield attribute(EXTENDED_COMMUNITIES, _PASSED_ON, _numbers("Q", (one.value for one in read.extended_community)))
    if read.large_community:
        yield attribute(LARGE_COMMUNITIES, _PASSED_ON, _numbers("I", chain.from_iterable(read.large_community)))


def _only_to_customer(raw: bytes) -> bytes:
    """Give Only to Customer (RFC 9234), which ExaBGP does not know: it writes code, flags and octets."""
    for key, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
        if key.startswith("attribute-0x23-"):
            octets = bytes.fromhex(msgspec.json.decode(value, type=str).removeprefix("0x"))
            flags = int(key.removeprefix("attribute-0x23-"), 16)
            return attribute(ONLY_TO_CUSTOMER, flags & ~EXTENDED_LENGTH & 0xFF, octets)
    return b""


def _numbers(kind: str, numbers: Iterable[int]) -> bytes:
    whole = tuple(numbers)
    return struct.pack(f"!{len(whole)}{kind}", *whole)


_remembered = lru_cache(maxsize=_REMEMBERED)(attributes_of)


def _segments(read: _Said) -> Iterable[tuple[int, tuple[int, ...]]]:
    if isinstance(read.as_path, dict):
        in_order = sorted(read.as_path.items(), key=lambda item: int(item[0]))
        return ((_SEGMENTS[segment.element], segment.value) for _, segment in in_order)
    # The order that paths nearly always have: confederations first (RFC 5065 section 5.3), aggregated ASes last.
    return (
        (AS_CONFED_SEQUENCE, read.confederation_path),
        (AS_CONFED_SET, read.confederation_set),
        (AS_SEQUENCE, read.as_path),
        (AS_SET, read.as_set),
    )
