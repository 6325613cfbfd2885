"""Writes BMP messages octet by octet (RFC 7854, 8671, 9069), and is a router that sends them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import struct
from collections.abc import Sequence

from tests.lab.mrt import Segment, bgp_message, nlri, path_attributes

ROUTE_MONITORING, STATISTICS, PEER_DOWN, PEER_UP, INITIATION, TERMINATION, MIRRORING = range(7)
IPV6, POST, TWO_OCTETS, OUT = 0x80, 0x40, 0x20, 0x10
LOC_RIB = 3
END_OF_RIB = bgp_message(2, bytes(4))


def message(kind: int, body: bytes = b"", *, version: int = 3, length: int | None = None) -> bytes:
    """Give a message; `length`: what it says instead of the truth."""
    return struct.pack(">BIB", version, 6 + len(body) if length is None else length, kind) + body


def tlv(kind: int, value: bytes) -> bytes:
    """Give an information TLV."""
    return struct.pack(">HH", kind, len(value)) + value


def initiation(name: str) -> bytes:
    """Give an Initiation with a sysName."""
    return message(INITIATION, tlv(1, b"a description") + tlv(2, name.encode()))


def address(text: str) -> bytes:
    """Give an address in 16 octets."""
    return ipaddress.ip_address(text).packed.rjust(16, b"\0")


def peer(at: str, asn: int, *, flags: int = 0, kind: int = 0, distinguisher: int = 0) -> bytes:
    """Give a per-peer header."""
    flags |= IPV6 if ":" in at and kind != LOC_RIB else 0
    raw = bytes(16) if kind == LOC_RIB else address(at)
    return struct.pack(">BBQ", kind, flags, distinguisher) + raw + struct.pack(">IIII", asn, 1, 1_764_000_000, 0)


def open_message(
    asn: int,
    *,
    four_octets: bool = True,
    add_path: Sequence[tuple[int, int, int]] = (),
    roles: Sequence[int] = (),
) -> bytes:
    """Give an OPEN; `add_path`: AFI, SAFI, and 1 to receive, 2 to send, 3 for both. `roles`: of RFC 9234."""
    capabilities = struct.pack(">BBI", 65, 4, asn) if four_octets else b""
    capabilities += b"".join(bytes([9, 1, role]) for role in roles)
    if add_path:
        capabilities += bytes([69, 4 * len(add_path)]) + b"".join(struct.pack(">HBB", *each) for each in add_path)
    options = bytes([2, len(capabilities)]) + capabilities if capabilities else b""
    short = asn if asn < 1 << 16 else 23456
    return bgp_message(1, struct.pack(">BHHIB", 4, short, 90, 1, len(options)) + options)


def up(header: bytes, sent: bytes, received: bytes, local: str = "192.0.2.254") -> bytes:
    """Give a Peer Up."""
    return message(PEER_UP, header + address(local) + struct.pack(">HH", 179, 40000) + sent + received)


def down(header: bytes) -> bytes:
    """Give a Peer Down."""
    return message(PEER_DOWN, header + b"\4")


def statistics(header: bytes, *numbers: tuple[int, bytes]) -> bytes:
    """Give a Statistics Report: types and values."""
    return message(STATISTICS, header + struct.pack(">I", len(numbers)) + b"".join(tlv(*each) for each in numbers))


def update(
    announced: Sequence[str] = (),
    path: Sequence[Segment] = (),
    withdrawn: Sequence[str] = (),
    *,
    width: int = 4,
    path_id: int | None = None,
) -> bytes:
    """Give an UPDATE of IPv4 routes."""
    number = b"" if path_id is None else struct.pack(">I", path_id)
    gone = b"".join(number + nlri(prefix) for prefix in withdrawn)
    come = b"".join(number + nlri(prefix) for prefix in announced)
    attributes = path_attributes(path, width=width) if announced else b""
    return bgp_message(2, struct.pack(">H", len(gone)) + gone + struct.pack(">H", len(attributes)) + attributes + come)


def route(header: bytes, octets: bytes) -> bytes:
    """Give a Route Monitoring."""
    return message(ROUTE_MONITORING, header + octets)


class MonitoredRouter:
    """A router's connection to a station."""

    def __init__(self, port: int, name: str | None = "router-a", tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        if name is not None:
            self.send(initiation(name))

    def send(self, *messages: bytes) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(messages))

    def close(self) -> None:
        """Hang up."""
        self.socket.close()
