"""MRT records that are no RIB entries: the peers of a dump, and BGP messages (RFC 6396 sections 4.3.1 and 4.4)."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

TABLE_DUMP_V2: Final = 13
PEER_INDEX_TABLE: Final = 1
BGP4MP: Final = 16
BGP4MP_ET: Final = 17
"""With microseconds before the message."""
KNOWN: Final = {*range(11, 18), *range(32, 34), *range(48, 50), *range(64, 66)}
"""Types of RFC 6396 section 4 and of its appendix; a file that begins with another one is no table dump."""
HEADER: Final = struct.Struct(">IHHI")
"""Seconds since 1970, type, subtype, octets of the body."""

_WITH_PATH_IDS: Final = {8, 9, 10, 11}
"""Subtypes of RIB records whose entries have path ids."""
_STATE_CHANGE, _STATE_CHANGE_AS4 = 0, 5
_ESTABLISHED: Final = 6
_UPDATE: Final = 2
_BGP_HEADER: Final = 19


class _Message(NamedTuple):
    width: int
    path_ids: bool


_RECEIVED: Final = {1: _Message(2, False), 4: _Message(4, False), 8: _Message(2, True), 9: _Message(4, True)}
"""Subtypes with a message that came from the peer; RFC 8050 section 4 has the latter two. Others were sent to it."""


class MalformedError(Exception):
    """A record is not what its type says."""


class Peer(NamedTuple):
    """A BGP speaker whose routes are in a dump."""

    address: str
    asn: int


class DumpRoute(NamedTuple):
    """A route of a dump."""

    prefix: str
    peer: str
    """Its address."""
    peer_as: int
    path_id: int | None
    origin: int | None
    """Origin AS; None: NONE (RFC 6811 section 2)."""
    now: str
    then: str
    """The validities by the two sets."""
    aspa: str | None = None
    """The outcome of its path; None: not judged."""


class PeerUpdate(NamedTuple):
    """An UPDATE that a peer sent to whoever wrote the dump."""

    peer: Peer
    local: Peer
    four_octet_as: bool
    path_ids: bool
    body: bytes
    """The octets behind the message's header."""


class PeerDown(NamedTuple):
    """A session is not established any more: the peer's routes are gone."""

    peer: Peer


class _Octets:
    """Takes octets off the front; MalformedError: there are too few."""

    def __init__(self, octets: bytes | memoryview) -> None:
        self.rest = bytes(octets)

    def take(self, n: int) -> bytes:
        """Give the next n octets."""
        if len(self.rest) < n:
            raise MalformedError
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    def number(self, n: int) -> int:
        """Give the number in the next n octets."""
        return int.from_bytes(self.take(n))

    def address(self, *, ipv6: bool) -> str:
        """Give the address that comes next, as text."""
        return str(ipaddress.ip_address(self.take(16 if ipv6 else 4)))


def peer_index_table(body: bytes) -> list[Peer]:
    """Read the peers of a table dump, in the order in which its entries count them. MalformedError."""
    octets = _Octets(body)
    octets.take(4)  # the collector's BGP identifier
    octets.take(octets.number(2))  # a name
    return [_peer(octets) for _ in range(octets.number(2))]


def _peer(octets: _Octets) -> Peer:
    kind = octets.number(1)
    octets.take(4)  # its BGP identifier
    address = octets.address(ipv6=bool(kind & 1))
    return Peer(address, octets.number(4 if kind & 2 else 2))


def bgp4mp(kind: int, subtype: int, body: bytes) -> PeerUpdate | PeerDown | None:
    """Read a record of BGP4MP or BGP4MP_ET. None: it changes no route. MalformedError."""
    octets = _Octets(body)
    if kind == BGP4MP_ET:
        octets.take(4)
    if subtype in {_STATE_CHANGE, _STATE_CHANGE_AS4}:
        peer, _ = _session(octets, 2 if subtype == _STATE_CHANGE else 4)
        octets.take(2)
        return None if octets.number(2) == _ESTABLISHED else PeerDown(peer)
    message = _RECEIVED.get(subtype)
    if message is None:
        return None
    peer, local = _session(octets, message.width)
    octets.take(16)  # the marker
    length, number = octets.number(2), octets.number(1)
    if length < _BGP_HEADER or length - _BGP_HEADER != len(octets.rest):
        raise MalformedError
    if number != _UPDATE:
        return None
    return PeerUpdate(peer, local, message.width == 4, message.path_ids, octets.rest)


def _session(octets: _Octets, width: int) -> tuple[Peer, Peer]:
    asns = octets.number(width), octets.number(width)
    octets.take(2)  # the number of the interface
    family = octets.number(2)
    if family not in {1, 2}:
        raise MalformedError
    addresses = [octets.address(ipv6=family == 2) for _ in asns]
    return Peer(addresses[0], asns[0]), Peer(addresses[1], asns[1])
