"""TCP segments signed with a key that both ends know: TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925), as Linux has them.

Each key is for the segments of some peers: an address, or a prefix.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = ["AO_ALGORITHMS", "AOAlgorithm", "Peers", "Signature", "missing", "sign", "unsign", "why_not"]

TCP_MD5SIG: Final = 14
TCP_MD5SIG_EXT: Final = 32
TCP_MD5SIG_FLAG_PREFIX: Final = 1
TCP_AO_ADD_KEY: Final = 38
MAC_OCTETS: Final = 12
"""RFC 5926 section 3.2: 96 bits."""

AOAlgorithm: TypeAlias = Literal["hmac-sha1", "aes-128-cmac", "hmac-sha256"]
AO_ALGORITHMS: Final[dict[str, str]] = {
    "hmac-sha1": "hmac(sha1)",
    "aes-128-cmac": "cmac(aes128)",
    "hmac-sha256": "hmac(sha256)",
}
"""The first two are RFC 5926's; the names that the kernel has for them."""

Peers: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MD5 = struct.Struct("=128sBBHi80s")
"""`struct tcp_md5sig` of linux/tcp.h: address, flags, prefix length, length of the key, interface, key."""
_AO = struct.Struct("=128s64siIHBBBBBB80s")
"""`struct tcp_ao_add`: address, algorithm, interface, bits, nothing, prefix length, SendID, RecvID, MAC, flags, key."""


@dataclass(frozen=True)
class Signature:
    """A key, and how segments are signed with it. `ao`: the algorithm and the key ID of TCP-AO; None: TCP-MD5."""

    key: bytes = field(repr=False)
    ao: tuple[AOAlgorithm, int] | None = None


def sign(connection: socket.socket, peers: Peers, signature: Signature) -> None:
    """Sign what goes to these peers, and take only what they sign. OSError: see `why_not`."""
    if signature.ao is None:
        flags = TCP_MD5SIG_FLAG_PREFIX if peers.prefixlen < peers.max_prefixlen else 0
        option = TCP_MD5SIG_EXT if flags else TCP_MD5SIG
        octets = _MD5.pack(_address(peers), flags, peers.prefixlen, len(signature.key), 0, signature.key)
    else:
        option, (algorithm, number) = TCP_AO_ADD_KEY, signature.ao
        name = AO_ALGORITHMS[algorithm].encode()
        octets = _AO.pack(
            _address(peers), name, 0, 0, 0, peers.prefixlen, number, number, MAC_OCTETS, 0, len(signature.key),
            signature.key,
        )  # fmt: skip
    connection.setsockopt(socket.IPPROTO_TCP, option, octets)


def unsign(connection: socket.socket, peers: Peers) -> None:
    """Sign no more with TCP-MD5 what goes to these peers."""
    flags = TCP_MD5SIG_FLAG_PREFIX if peers.prefixlen < peers.max_prefixlen else 0
    octets = _MD5.pack(_address(peers), flags, peers.prefixlen, 0, 0, b"")
    connection.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG_EXT if flags else TCP_MD5SIG, octets)


def missing(ao: AOAlgorithm | None) -> str | None:
    """Say why this kernel can't sign: with TCP-MD5, or with this algorithm of TCP-AO. None: it can."""
    signature = Signature(b"probe", None if ao is None else (ao, 1))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            sign(probe, ipaddress.IPv4Network("192.0.2.1"), signature)
        except OSError as error:
            return why_not(signature, error)
    return None


def why_not(signature: Signature, error: OSError) -> str:
    """Say why the kernel does not sign."""
    name = "TCP-MD5" if signature.ao is None else "TCP-AO"
    if error.errno in {errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ENOSYS}:
        want = "CONFIG_TCP_MD5SIG" if signature.ao is None else "Linux 6.7 or later with CONFIG_TCP_AO"
        return f"this kernel has no {name} ({want}); it is Linux {os.uname().release}"
    if error.errno == errno.ENOENT and signature.ao is not None:
        return f"this kernel has no {signature.ao[0]} for {name}"
    return f"the kernel does not take the key of {name}: {error.strerror}"


def _address(peers: Peers) -> bytes:
    """Give the `struct sockaddr` of the first address."""
    packed = peers.network_address.packed
    if peers.version == 4:
        return struct.pack("=HH4s", socket.AF_INET, 0, packed)
    return struct.pack("=HHI16s", socket.AF_INET6, 0, 0, packed)
