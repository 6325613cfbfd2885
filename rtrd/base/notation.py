"""Prefixes, addresses and AS numbers as people write them: read, or refused with a sentence."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Final

Prefix = IPv4Network | IPv6Network


ROUTER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a router may be called: it gets into logs and metrics."""


def parse_asn(text: str) -> int:
    """Parse `AS64500` or `64500`.

    Raises:
        ValueError: with a sentence.

    """
    match = re.fullmatch(r"(?:[Aa][Ss])?([0-9]{1,10})", text)
    if match is None or int(match[1]) >= 1 << 32:
        raise ValueError(f"{text!r} is not an AS number: expected 0 to 4294967295, with or without AS")
    return int(match[1])


def parse_address(text: str) -> str:
    """Parse an IP address; returns its normal text.

    Raises:
        ValueError: with a sentence.

    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address: expected one as 192.0.2.1 or 2001:db8::1") from None


def parse_prefix(text: str) -> Prefix:
    """Parse `ADDRESS/LENGTH`; a single address is a prefix of its full length.

    Raises:
        ValueError: with a sentence, also when host bits are set.

    """
    if not re.fullmatch(r"[0-9A-Fa-f:.]{1,45}(/[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is not a prefix: expected ADDRESS/LENGTH")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a prefix: expected ADDRESS/LENGTH") from None
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f"{text!r} is not a prefix: it has host bits set, expected {found}")
    return found
