"""A slow decoder of BGP UPDATEs, written from the RFCs' text: what the one in C is compared with."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import NamedTuple


class Session(NamedTuple):
    """What an UPDATE can't be read without."""

    local_as: int = 65001
    peer_as: int = 65002
    four_octet_as: bool = True
    path_ids: frozenset[int] = frozenset()
    """Families (4, 6) in which the peer sends path ids."""
    extended_next_hop: bool = False
    confederation: bool = False
    """The peer is of another AS in our confederation."""
    router_id: int = 0
    peer_router_id: int = 0

    @property
    def internal(self) -> bool:
        """Tell whether the peer is of our AS."""
        return self.local_as == self.peer_as


Route = tuple[str, int | None]
"""Prefix and path id."""
Segment = tuple[int, list[int]]


@dataclass
class Decoded:
    """What an UPDATE says."""

    faults: set[str] = field(default_factory=set)
    readable: bool = True
    withdrawn: list[Route] = field(default_factory=list)
    announced: list[tuple[int, bytes, list[Route]]] = field(default_factory=list)
    """Of each run: family, next hop, routes."""
    end_of_rib: int = 0
    others: int = 0
    attributes: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """As an attribute set has them: flags and value, by code."""


class UnreadableError(Exception):
    """The session would be reset."""


TREATED_AS_WITHDRAW = frozenset(
    {"OVERRUN", "FLAGS", "MISSING", "UNKNOWN_WELL_KNOWN", "ORIGIN", "AS_PATH", "EMPTY_AS_PATH", "AS_ZERO", "NEXT_HOP"}
    | {"MED", "LOCAL_PREF", "ORIGINATOR_ID", "CLUSTER_LIST", "OTC"}
    | {"COMMUNITIES", "EXTENDED_COMMUNITIES", "LARGE_COMMUNITIES"}
)

OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10
WELL_KNOWN = {1, 2, 3, 5, 6}
OPTIONAL_TRANSITIVE = {7, 8, 16, 17, 18, 22, 23, 25, 32, 35, 40, 128}
OPTIONAL_NON_TRANSITIVE = {4, 9, 10, 14, 15}
LENGTHS = {1: "ORIGIN", 3: "NEXT_HOP", 4: "MED", 5: "LOCAL_PREF", 9: "ORIGINATOR_ID", 35: "OTC"}
MULTIPLES = {
    8: (4, "COMMUNITIES"),
    10: (4, "CLUSTER_LIST"),
    16: (8, "EXTENDED_COMMUNITIES"),
    25: (20, "EXTENDED_COMMUNITIES"),
    32: (12, "LARGE_COMMUNITIES"),
}
AS_TRANS = 23456


def decode(body: bytes, session: Session) -> Decoded:
    """Decode what follows an UPDATE's header."""
    decoded = Decoded()
    try:
        _message(body, session, decoded)
    except UnreadableError as error:
        decoded.faults.add(str(error))
        decoded.readable = False
    if not decoded.readable:
        decoded.withdrawn, decoded.announced, decoded.end_of_rib = [], [], 0
    if not decoded.readable or not decoded.announced or decoded.faults & TREATED_AS_WITHDRAW:
        decoded.attributes = {}
    return decoded


def _message(body: bytes, session: Session, decoded: Decoded) -> None:
    # RFC 4271 section 4.3: two octets of length, withdrawn routes, two octets of length, path attributes, NLRI
    if len(body) < 2:
        raise UnreadableError("LENGTHS")
    end = 2 + struct.unpack_from("!H", body)[0]
    if len(body) < end + 2:
        raise UnreadableError("LENGTHS")
    withdrawn, start = body[2:end], end + 2
    end = start + struct.unpack_from("!H", body, end)[0]
    if len(body) < end:
        raise UnreadableError("LENGTHS")
    octets, nlri = body[start:end], body[end:]
    attributes = _attributes(octets, session, decoded)
    _check(attributes, session, decoded)
    _routes((withdrawn, octets, nlri), attributes, session, decoded)
    if decoded.announced:
        missing = {1, 2, *({3} if nlri else ())} - attributes.keys()
        if missing:
            decoded.faults.add("MISSING")
        elif not session.internal and not attributes[2][1]:
            decoded.faults.add("EMPTY_AS_PATH")
    if not decoded.faults & TREATED_AS_WITHDRAW and decoded.announced and decoded.readable:
        decoded.attributes = _normal(attributes, session)


def _attributes(octets: bytes, session: Session, decoded: Decoded) -> dict[int, tuple[int, bytes]]:
    found: dict[int, tuple[int, bytes]] = {}
    at = 0
    while at < len(octets):
        flags = octets[at]
        head = 4 if flags & EXTENDED else 3
        if at + head > len(octets):
            decoded.faults.add("OVERRUN")  # RFC 7606 section 4
            break
        code = octets[at + 1]
        size = int.from_bytes(octets[at + 2 : at + head])
        value = octets[at + head : at + head + size]
        at += head + size
        if at > len(octets):
            decoded.faults.add("OVERRUN")
            break
        known = code in WELL_KNOWN | OPTIONAL_TRANSITIVE | OPTIONAL_NON_TRANSITIVE | {26}
        if not known and not flags & OPTIONAL:
            decoded.faults.add("UNKNOWN_WELL_KNOWN")
        elif not known and not flags & TRANSITIVE:
            continue  # RFC 4271 section 5: quietly ignored
        elif code in (9, 10) and not session.internal:
            continue  # RFC 7606 sections 7.9, 7.10
        elif code in (5, 26) and not (session.internal or session.confederation):
            continue  # RFC 7606 section 7.5; RFC 7311 section 3.3
        elif code in (17, 18) and session.four_octet_as:
            continue  # RFC 6793 section 4.1
        elif code in found:
            decoded.faults.add("MP_TWICE" if code in (14, 15) else "DUPLICATE")
            decoded.readable &= code not in (14, 15)
        else:
            found[code] = flags, value
    return found


def _check(attributes: dict[int, tuple[int, bytes]], session: Session, decoded: Decoded) -> None:
    for code, (flags, value) in list(attributes.items()):
        bits = flags & (OPTIONAL | TRANSITIVE)
        if (
            (code in WELL_KNOWN and bits != TRANSITIVE)
            or (code in OPTIONAL_TRANSITIVE and bits != OPTIONAL | TRANSITIVE)
            or (code in OPTIONAL_NON_TRANSITIVE and bits != OPTIONAL)
        ):
            decoded.faults.add("FLAGS")
        if code in LENGTHS and len(value) != (1 if code == 1 else 4):
            decoded.faults.add(LENGTHS[code])
        if code in MULTIPLES and (not value or len(value) % MULTIPLES[code][0]):
            decoded.faults.add(MULTIPLES[code][1])
        discarded = _discarded(code, flags, value, session)
        if discarded:
            decoded.faults.add(discarded)
            del attributes[code]
    if attributes.get(1, (0, b""))[1][:1] > b"\2":
        decoded.faults.add("ORIGIN")
    if 2 in attributes:
        path = _path(attributes[2][1], 4 if session.four_octet_as else 2)
        if path is None:
            decoded.faults.add("AS_PATH")
        elif any(0 in asns for _, asns in path):
            decoded.faults.add("AS_ZERO")  # RFC 7607
        elif any(kind > 2 for kind, _ in path) and not (session.internal or session.confederation):
            decoded.faults.add("AS_PATH")  # RFC 5065 section 5


def _discarded(code: int, flags: int, value: bytes, session: Session) -> str | None:
    if code == 6 and value:
        return "ATOMIC_AGGREGATE"
    width = 4 if session.four_octet_as else 2
    if code == 7 and (len(value) != width + 4 or not any(value[:width])):
        return "AGGREGATOR"
    if code == 18 and (len(value) != 8 or not any(value[:4])):
        return "AS4_AGGREGATOR"
    if code == 17:
        path = _path(value, 4)
        if not path or any(0 in asns for _, asns in path):
            return "AS4_PATH"
    if code == 26 and (flags & (OPTIONAL | TRANSITIVE) != OPTIONAL or not _is_aigp(value)):
        return "AIGP"
    return None


def _is_aigp(value: bytes) -> bool:
    """RFC 7311 section 3: the first TLV of type 1 counts; its length is 11."""
    lengths = []
    while value:
        if len(value) < 3:
            return False
        size = int.from_bytes(value[1:3])
        if size < 3 or size > len(value):
            return False
        if value[0] == 1:
            lengths.append(size)
        value = value[size:]
    return bool(lengths) and lengths[0] == 11


def _path(value: bytes, width: int) -> list[Segment] | None:
    """RFC 7606 section 7.2. None: malformed."""
    segments: list[Segment] = []
    while value:
        if len(value) < 2 or value[0] not in (1, 2, 3, 4) or value[1] == 0 or len(value) < 2 + value[1] * width:
            return None
        end = 2 + value[1] * width
        segments.append((value[0], [int.from_bytes(value[at : at + width]) for at in range(2, end, width)]))
        value = value[end:]
    return segments


def _routes(
    parts: tuple[bytes, bytes, bytes], attributes: dict[int, tuple[int, bytes]], session: Session, decoded: Decoded
) -> None:
    withdrawn, octets, nlri = parts
    decoded.withdrawn += _nlri(withdrawn, 4, session, decoded)
    routes = _nlri(nlri, 4, session, decoded)
    if routes:
        hop = attributes.get(3, (0, b""))[1]
        decoded.announced.append((4, hop if len(hop) == 4 else b"", routes))
    if not withdrawn and not nlri and not octets:
        decoded.end_of_rib = 4
    if 15 in attributes:
        _unreach(attributes[15][1], session, decoded)
        only = len(octets) == len(attributes[15][1]) + (4 if attributes[15][0] & EXTENDED else 3)
        family = {b"\0\1\1": 4, b"\0\2\1": 6}.get(attributes[15][1], 0)
        if only and not withdrawn and not nlri and family:
            decoded.end_of_rib = family  # RFC 4724 section 2
    if 14 in attributes:
        _reach(attributes[14][1], session, decoded)


def _unreach(value: bytes, session: Session, decoded: Decoded) -> None:
    if len(value) < 3:
        decoded.faults.add("MP_LENGTHS")
        decoded.readable = False
    elif (family := {b"\0\1\1": 4, b"\0\2\1": 6}.get(value[:3])) is None:
        decoded.others += 1
    else:
        decoded.withdrawn += _nlri(value[3:], family, session, decoded)


def _reach(value: bytes, session: Session, decoded: Decoded) -> None:
    # RFC 4760 section 3: AFI, SAFI, length of the next hop, next hop, a reserved octet, NLRI
    if len(value) < 4 or len(value) < 5 + value[3]:
        decoded.faults.add("MP_LENGTHS")
        decoded.readable = False
        return
    family = {b"\0\1\1": 4, b"\0\2\1": 6}.get(value[:3])
    if family is None:
        decoded.others += 1
        return
    hop = value[4 : 4 + value[3]]
    routes = _nlri(value[5 + value[3] :], family, session, decoded)
    lengths = {16, 32} if family == 6 else {4, 16, 32} if session.extended_next_hop else {4}
    if len(hop) not in lengths:
        decoded.faults.add("NEXT_HOP")
        hop = b""
    if len(hop) == 32:  # RFC 2545 section 3: the global one, and the link-local one
        hop = hop[16:] if ipaddress.IPv6Address(hop[:16]).is_link_local else hop[:16]
    if routes:
        decoded.announced.append((family, hop, routes))


def _nlri(octets: bytes, family: int, session: Session, decoded: Decoded) -> list[Route]:
    routes: list[Route] = []
    bits = 32 if family == 4 else 128
    while octets:
        path_id = None
        if family in session.path_ids:  # RFC 7911 section 3
            path_id, octets = int.from_bytes(octets[:4]) if len(octets) >= 4 else None, octets[4:]
            if path_id is None or not octets:
                break
        size = -(-octets[0] // 8)
        if octets[0] > bits or len(octets) < 1 + size:
            break
        number = int.from_bytes(octets[1 : 1 + size].ljust(bits // 8, b"\0"))
        number = number >> (bits - octets[0]) << (bits - octets[0])
        address = ipaddress.IPv4Address(number) if family == 4 else ipaddress.IPv6Address(number)
        routes.append((f"{address}/{octets[0]}", path_id))
        octets = octets[1 + size :]
    else:
        return routes
    decoded.faults.add("NLRI")
    decoded.readable = False
    return []


def _normal(attributes: dict[int, tuple[int, bytes]], session: Session) -> dict[int, tuple[int, bytes]]:
    width = 4 if session.four_octet_as else 2
    path = _path(attributes[2][1], width)
    assert path is not None
    aggregator = attributes[7][1] if 7 in attributes else None
    # RFC 6793 section 4.2.3
    later = aggregator is not None and int.from_bytes(aggregator[:-4]) != AS_TRANS
    if width == 2 and 17 in attributes and not later:
        path = _merged(path, _path(attributes[17][1], 4) or [])
    if aggregator is not None and width == 2:
        aggregator = attributes[18][1] if 18 in attributes and not later else b"\0\0" + aggregator
    attributes = {**attributes, **_reflected(attributes, session)}
    normal = {}
    for code, (flags, value) in attributes.items():
        if code in (3, 14, 15, 17, 18):
            continue
        kept = flags & (OPTIONAL | TRANSITIVE | (PARTIAL if flags & OPTIONAL else 0))
        normal[code] = kept, _octets(path) if code == 2 else aggregator if code == 7 and aggregator else value
    return normal


def _reflected(attributes: dict[int, tuple[int, bytes]], session: Session) -> dict[int, tuple[int, bytes]]:
    """RFC 4456 section 8: an ORIGINATOR_ID is made if there is none, our CLUSTER_ID goes before the others."""
    if not (session.internal and session.router_id and session.peer_router_id):
        return {}
    _, originator = attributes.get(9, (0, session.peer_router_id.to_bytes(4)))
    _, clusters = attributes.get(10, (0, b""))
    return {9: (OPTIONAL, originator), 10: (OPTIONAL, session.router_id.to_bytes(4) + clusters)}


def _length(path: list[Segment]) -> int:
    return sum(len(asns) if kind == 2 else int(kind == 1) for kind, asns in path)


def _merged(path: list[Segment], path4: list[Segment]) -> list[Segment]:
    if _length(path) < _length(path4):
        return path
    ahead = _length(path) - _length(path4)
    leading: list[Segment] = []
    for kind, asns in path:
        if kind in (3, 4):
            leading.append((kind, asns))
        elif ahead == 0:
            break
        elif kind == 1:
            leading.append((kind, asns))
            ahead -= 1
        else:
            leading.append((kind, asns[:ahead]))
            ahead -= len(leading[-1][1])
            if len(leading[-1][1]) < len(asns):
                break
    return leading + [(kind, asns) for kind, asns in path4 if kind in (1, 2)]


def _octets(path: list[Segment]) -> bytes:
    return b"".join(struct.pack(f"!BB{len(asns)}I", kind, len(asns), *asns) for kind, asns in path)
