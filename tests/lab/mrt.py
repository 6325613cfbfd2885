"""Writes table dumps and BGP messages in MRT (RFC 6396, 8050), octet by octet."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import NamedTuple

TABLE_DUMP_V2, BGP4MP, BGP4MP_ET = 13, 16, 17
IPV4, IPV6, GENERIC, IPV4_PATH_IDS, IPV6_PATH_IDS = 2, 4, 6, 8, 10

Segment = tuple[int, Sequence[int]]
"""A type and its ASes."""


class Entry(NamedTuple):
    """A peer's route in a RIB record."""

    peer: int
    path: Sequence[Segment]
    path_id: int | None = None
    attributes: bytes | None = None
    """Instead of those that belong to the path."""


def record(kind: int, subtype: int, body: bytes, length: int | None = None) -> bytes:
    """Give a record; `length`: what it says instead of the truth."""
    return struct.pack(">IHHI", 1_764_000_000, kind, subtype, len(body) if length is None else length) + body


def peers(them: Sequence[tuple[str, int]]) -> bytes:
    """Give a peer index table."""
    listed = b"".join(
        bytes([(":" in address) | (2 if asn > 0xFFFF else 0)])
        + bytes(4)
        + ipaddress.ip_address(address).packed
        + asn.to_bytes(4 if asn > 0xFFFF else 2)
        for address, asn in them
    )
    return record(TABLE_DUMP_V2, 1, bytes(4) + struct.pack(">H", 4) + b"view" + struct.pack(">H", len(them)) + listed)


def nlri(prefix: str) -> bytes:
    """Give a prefix as in an UPDATE."""
    net = ipaddress.ip_network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[: (net.prefixlen + 7) // 8]


def path_attributes(path: Sequence[Segment], *, next_hop: bool = True, width: int = 4) -> bytes:
    """Give ORIGIN, AS_PATH and NEXT_HOP."""
    segments = b"".join(bytes([kind, len(asns)]) + b"".join(asn.to_bytes(width) for asn in asns) for kind, asns in path)
    extended = struct.pack(">BBH", 0x50, 2, len(segments)) + segments
    return bytes([0x40, 1, 1, 0]) + extended + (bytes([0x40, 3, 4, 192, 0, 2, 1]) if next_hop else b"")


def rib(prefix: str, entries: Sequence[Entry]) -> bytes:
    """Give a RIB record; with path ids if the first entry has one."""
    path_ids = bool(entries) and entries[0].path_id is not None
    body = bytes(4) + nlri(prefix) + struct.pack(">H", len(entries))
    for entry in entries:
        attributes = path_attributes(entry.path) if entry.attributes is None else entry.attributes
        body += struct.pack(">HI", entry.peer, 0) + (b"" if entry.path_id is None else struct.pack(">I", entry.path_id))
        body += struct.pack(">H", len(attributes)) + attributes
    subtype = {(4, False): IPV4, (6, False): IPV6, (4, True): IPV4_PATH_IDS, (6, True): IPV6_PATH_IDS}
    return record(TABLE_DUMP_V2, subtype[6 if ":" in prefix else 4, path_ids], body)


def session(peer: tuple[str, int], local: tuple[str, int], width: int) -> bytes:
    """Give what a record of BGP4MP says of the session."""
    ends = (peer, local)
    family = 2 if ":" in peer[0] else 1
    asns = b"".join(asn.to_bytes(width) for _, asn in ends)
    return asns + struct.pack(">HH", 0, family) + b"".join(ipaddress.ip_address(address).packed for address, _ in ends)


def update(
    peer: tuple[str, int],
    announced: Sequence[str] = (),
    withdrawn: Sequence[str] = (),
    path: Sequence[Segment] = (),
    *,
    subtype: int = 4,
    local: tuple[str, int] = ("192.0.2.254", 64999),
    path_id: int | None = None,
) -> bytes:
    """Give a record with an UPDATE of IPv4 routes."""
    width = 2 if subtype in {1, 8} else 4
    number = b"" if path_id is None else struct.pack(">I", path_id)
    gone = b"".join(number + nlri(prefix) for prefix in withdrawn)
    come = b"".join(number + nlri(prefix) for prefix in announced)
    attributes = path_attributes(path, width=width) if announced else b""
    body = struct.pack(">H", len(gone)) + gone + struct.pack(">H", len(attributes)) + attributes + come
    return record(BGP4MP, subtype, session(peer, local, width) + bgp_message(2, body))


def bgp_message(number: int, body: bytes) -> bytes:
    """Give a BGP message."""
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), number) + body


def state(peer: tuple[str, int], now: int, local: tuple[str, int] = ("192.0.2.254", 64999)) -> bytes:
    """Give a record that says that a session is in another state (RFC 4271 section 8.2.2; 6: Established)."""
    return record(BGP4MP, 5, session(peer, local, 4) + struct.pack(">HH", 6, now))
