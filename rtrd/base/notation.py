"""Prefixes, addresses and AS numbers as people write them: read, or refused with a sentence."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Prefix = IPv4Network | IPv6Network


MOST_SAID: Final = 60
"""Characters of what is wrong that a sentence repeats."""

ROUTER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a router may be called: it gets into logs and metrics."""


def said(text: str) -> str:
    """Quote what somebody wrote, for a sentence: of much only the beginning."""
    return repr(text if len(text) <= MOST_SAID else text[:MOST_SAID] + "...")


def parse_asn(text: str) -> int:
    """Parse `AS64500` or `64500`.

    Raises:
        ValueError: with a sentence.

    """
    match = re.fullmatch(r"(?:[Aa][Ss])?([0-9]{1,10})", text)
    if match is None or int(match[1]) >= 1 << 32:
        expected = _without_dot(text) or "0 to 4294967295, with or without AS"
        raise ValueError(f"{said(text)} is not an AS number: expected {expected}")
    return int(match[1])


def _without_dot(text: str) -> str | None:
    """Say how an AS number of two halves (asdot, RFC 5396) is written here; None: it is none."""
    halves = re.fullmatch(r"(?:[Aa][Ss])?([0-9]{1,5})\.([0-9]{1,5})", text)
    if halves is None or max(int(halves[1]), int(halves[2])) >= 1 << 16:
        return None
    return f"{(int(halves[1]) << 16) + int(halves[2])}, without a dot"


def unmapped(text: str) -> IPv4Address | IPv6Address:
    """Give an IP address without the link it may name, and an IPv4-mapped one as what it is (RFC 4291). ValueError."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def parse_address(text: str, *, zone: bool = False) -> str:
    """Parse an IP address; returns its normal text. `zone`: it may name a link (RFC 4007), as a neighbor's does.

    Raises:
        ValueError: with a sentence.

    """
    expected = "expected one as 192.0.2.1 or 2001:db8::1"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{said(text)} is not an IP address: {expected}") from None
    if "%" in text and not zone:
        raise ValueError(f"{said(text)} is an IP address with a zone: {expected}")
    return str(address)


def _with_length(text: str) -> str | None:
    """Say how a prefix with a mask is written here; None: it is none."""
    if not re.fullmatch(r"[0-9.]{7,15}/[0-9.]{7,15}", text):
        return None
    try:
        return str(IPv4Network(text, strict=False))
    except ValueError:
        return None


def _right_length(text: str) -> str | None:
    """Say which lengths an address may have; None: there is no address."""
    try:
        return f"a length of 0 to {ipaddress.ip_address(text.partition('/')[0]).max_prefixlen}"
    except ValueError:
        return None


def parse_prefix(text: str) -> Prefix:
    """Parse `ADDRESS/LENGTH`; a single address is a prefix of its full length.

    Raises:
        ValueError: with a sentence, also when host bits are set.

    """
    if not re.fullmatch(r"[0-9A-Fa-f:.]{1,45}(/[0-9]{1,3})?", text):
        raise ValueError(f"{said(text)} is not a prefix: expected {_with_length(text) or 'ADDRESS/LENGTH'}")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{said(text)} is not a prefix: expected {_right_length(text) or 'ADDRESS/LENGTH'}") from None
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f"{said(text)} is not a prefix: it has host bits set, expected {found}")
    return found
