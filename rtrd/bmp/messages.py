"""BMP messages from octets (RFC 7854, 8671, 9069). No socket, no clock; nothing in them is believed."""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum
from typing import Final, NamedTuple

from rtrd.base.text import printable
from rtrd.rib.bgp_session import Open, read_open

VERSION: Final = 3
HEADER: Final = struct.Struct(">BIB")
"""Version, octets of the whole message, type (RFC 7854 section 4.1)."""
MOST: Final = 1 << 18
"""Octets of a message: two OPENs and four longest TLVs. What says more has lost its framing."""
MOST_NAME: Final = 64
"""Letters of a router's name."""

_PEER: Final = struct.Struct(">BB8s16sI4sII")
_TLV: Final = struct.Struct(">HH")
_MARKER: Final = b"\xff" * 16
_BGP_HEADER: Final = 19
_OPEN, _UPDATE = 1, 2
_SYS_NAME: Final = 2
_LOC_RIB: Final = 3
_REASON: Final = 1
_FAMILIES: Final = {b"\0\1\1": "ipv4", b"\0\2\1": "ipv6"}
TERMINATIONS: Final = {
    0: "administratively closed",
    1: "unspecified",
    2: "out of resources",
    3: "redundant connection",
    4: "permanently administratively closed",
}
"""By the codes of RFC 7854 section 4.5."""
STATISTICS: Final = {
    0: "rejected by policy",
    1: "duplicate prefixes",
    2: "duplicate withdraws",
    3: "CLUSTER_LIST loops",
    4: "AS_PATH loops",
    5: "ORIGINATOR_ID loops",
    6: "confederation loops",
    7: "Adj-RIB-In",
    8: "Loc-RIB",
    11: "updates treated as withdraw",
    12: "prefixes treated as withdraw",
    13: "duplicate updates",
    14: "Adj-RIB-Out before policy",
    15: "Adj-RIB-Out after policy",
}
"""By the types of RFC 7854 section 4.8 and RFC 8671 section 6.2."""
FAMILY_STATISTICS: Final = {
    9: "Adj-RIB-In",
    10: "Loc-RIB",
    16: "Adj-RIB-Out before policy",
    17: "Adj-RIB-Out after policy",
}
"""Those that are of one address family."""
_IPV6, _POST_POLICY, _TWO_OCTET_AS, _ADJ_RIB_OUT = 0x80, 0x40, 0x20, 0x10


class Kind(IntEnum):
    """Types of messages (RFC 7854 section 4.1)."""

    ROUTE_MONITORING = 0
    STATISTICS = 1
    PEER_DOWN = 2
    PEER_UP = 3
    INITIATION = 4
    TERMINATION = 5
    ROUTE_MIRRORING = 6


class FramingError(Exception):
    """It can't be told where the next message begins; the text says why."""


class MalformedError(Exception):
    """A message is not what its type says; the text is the reason, a few words of ours."""


class Peer(NamedTuple):
    """A BGP speaker that a router tells of (RFC 7854 section 4.2): two are different if anything of it is."""

    address: str
    """0.0.0.0 of the Loc-RIB."""
    kind: int
    """Peer type: global, with a route distinguisher, local, Loc-RIB (RFC 9069)."""
    distinguisher: bytes

    @property
    def is_loc_rib(self) -> bool:
        """It is no speaker, but the router's own Loc-RIB."""
        return self.kind == _LOC_RIB


class PeerHeader(NamedTuple):
    """What a message says of its peer."""

    peer: Peer
    rib: str
    """`pre`, `post`, `out-pre`, `out-post`, `loc`."""
    two_octet_as: bool
    """AS_PATH has two octets an AS."""
    asn: int
    router_id: int


class PeerUp(NamedTuple):
    """A session is up: the OPENs that the router sent and received on it."""

    local_address: str
    sent: Open
    received: Open


class Frames:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._at = 0

    def __len__(self) -> int:
        """Octets that wait."""
        return len(self._octets) - self._at

    def add(self, octets: bytes) -> None:
        """Take what came."""
        if self._at:
            del self._octets[: self._at]
            self._at = 0
        self._octets += octets

    def next(self) -> tuple[int, bytes] | None:
        """Give the type of the next message and what follows its header; None: it is not whole yet. FramingError."""
        if len(self) < HEADER.size:
            if len(self) and self._octets[self._at] != VERSION:
                raise FramingError(f"its first octet is {self._octets[self._at]}, of BMP it is {VERSION}")
            return None
        version, size, kind = HEADER.unpack_from(self._octets, self._at)
        if version != VERSION:
            raise FramingError(f"version {version} of BMP, expected {VERSION}")
        if not HEADER.size <= size <= MOST:
            raise FramingError(f"a message of {size} octets, expected {HEADER.size} to {MOST}")
        if len(self) < size:
            return None
        body = bytes(self._octets[self._at + HEADER.size : self._at + size])
        self._at += size
        return kind, body


def sys_name(body: bytes) -> str | None:
    """Give the router's name in an Initiation, fit for people; None: it has none. MalformedError."""
    found, at = None, 0
    while at < len(body):
        if len(body) - at < _TLV.size:
            raise MalformedError("a cut TLV")
        kind, size = _TLV.unpack_from(body, at)
        at += _TLV.size
        if len(body) - at < size:
            raise MalformedError("a TLV longer than its message")
        if kind == _SYS_NAME and found is None:
            found = printable(body[at : at + size].decode("utf-8", "replace"), MOST_NAME).strip() or None
        at += size
    return found


def termination(body: bytes) -> str:
    """Give why a router ends its connection (RFC 7854 section 4.5), one of TERMINATIONS, or `not said`."""
    at = 0
    while len(body) - at >= _TLV.size:
        kind, size = _TLV.unpack_from(body, at)
        at += _TLV.size
        if (kind, size) == (_REASON, 2) and len(body) - at >= size:
            return TERMINATIONS.get(int.from_bytes(body[at : at + size]), "another reason")
        at += size
    return "not said"


def statistics(rest: bytes) -> dict[str, int]:
    """Give the numbers of a Statistics Report (RFC 7854 section 4.8), those of STATISTICS alone. MalformedError."""
    found: dict[str, int] = {}
    at = 4
    for _ in range(int.from_bytes(rest[:4])):
        if len(rest) - at < _TLV.size:
            raise MalformedError("a cut Statistics Report")
        kind, size = _TLV.unpack_from(rest, at)
        at += _TLV.size
        value = rest[at : at + size]
        at += size
        if len(rest) < at:
            raise MalformedError("a cut Statistics Report")
        if kind in STATISTICS and size in {4, 8}:
            found[STATISTICS[kind]] = int.from_bytes(value)
        elif kind in FAMILY_STATISTICS and size == 11 and (family := _FAMILIES.get(value[:3])) is not None:
            found[f"{FAMILY_STATISTICS[kind]} {family}"] = int.from_bytes(value[3:])
    return found


def peer_header(body: bytes) -> tuple[PeerHeader, bytes]:
    """Read the per-peer header; give what follows it, too. MalformedError."""
    if len(body) < _PEER.size:
        raise MalformedError("a cut per-peer header")
    kind, flags, distinguisher, raw, asn, router_id, _, _ = _PEER.unpack_from(body)
    if kind > _LOC_RIB:
        raise MalformedError("an unknown type of peer")
    if kind == _LOC_RIB:  # its flags are others (RFC 9069 section 4.2)
        rib, address, two = "loc", "0.0.0.0", False
    else:
        address = _address(raw, ipv6=bool(flags & _IPV6))
        after = bool(flags & _POST_POLICY)
        rib = ("out-post" if after else "out-pre") if flags & _ADJ_RIB_OUT else "post" if after else "pre"
        two = bool(flags & _TWO_OCTET_AS)
    header = PeerHeader(Peer(address, kind, distinguisher), rib, two, asn, int.from_bytes(router_id))
    return header, body[_PEER.size :]


def peer_up(rest: bytes) -> PeerUp:
    """Read what follows the per-peer header of a Peer Up (RFC 7854 section 4.10). MalformedError."""
    if len(rest) < 20:
        raise MalformedError("a Peer Up without OPENs")
    local = _address(rest[:16], ipv6=any(rest[:12]))
    opens, at = [], 20
    for _ in range(2):
        kind, message, at = _bgp_message(rest, at)
        if kind != _OPEN:
            raise MalformedError("a Peer Up without OPENs")
        try:
            opens.append(read_open(message))
        except (ValueError, IndexError) as error:
            raise MalformedError("an OPEN that can't be read") from error
    return PeerUp(local, *opens)


def update(rest: bytes) -> bytes:
    """Give the octets of the UPDATE in a Route Monitoring, behind its header. MalformedError."""
    kind, body, end = _bgp_message(rest, 0)
    if kind != _UPDATE or end != len(rest):
        raise MalformedError("a Route Monitoring without one UPDATE")
    return body


def _bgp_message(octets: bytes, at: int) -> tuple[int, bytes, int]:
    """Give type and body of the BGP message that begins here, and where it ends."""
    if octets[at : at + 16] != _MARKER or len(octets) - at < _BGP_HEADER:
        raise MalformedError("a BGP message without its marker")
    size = int.from_bytes(octets[at + 16 : at + 18])
    if not _BGP_HEADER <= size <= len(octets) - at:
        raise MalformedError("a BGP message of a wrong length")
    return octets[at + 18], octets[at + _BGP_HEADER : at + size], at + size


def _address(raw: bytes, *, ipv6: bool) -> str:
    return str(ipaddress.ip_address(raw if ipv6 else raw[12:]))
