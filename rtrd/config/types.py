"""Names, addresses and shares of a configuration, read from text."""

from __future__ import annotations

import ipaddress
import re
from typing import TypeAlias

from rtrd.base.notation import ROUTER_NAME

DEVICE_NAME = r"[A-Za-z0-9_.@-]{1,15}"
"""What the tools of a Linux host let network devices be called."""


class Name(str):
    """A name for people, logs and metrics: at most 64 characters."""

    __slots__ = ()


class RouterName(str):
    """The name of an ExaBGP, as `rtrd attach --name` takes it."""

    __slots__ = ()


class HostName(str):
    """An IP address in its normal text, or a DNS name."""

    __slots__ = ()


class Address(str):
    """An IP address in its normal text: two spellings of one address are equal."""

    __slots__ = ()


class DeviceName(str):
    """The name of a network device."""

    __slots__ = ()


class NeighborMatch(str):
    """Which neighbors are meant: an IP address or a prefix in normal text, or an AS (`AS64496`)."""

    __slots__ = ()


class Network(str):
    """An IP address or a prefix in its normal text."""

    __slots__ = ()


class RoutePrefix(str):
    """A prefix in its normal text."""

    __slots__ = ()


class ASNumber(int):
    """An AS number that routes can come from."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"AS{int(self)}"


class Share(float):
    """A share, 0 to 1, written in percent."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self * 100:g}%"


def parse_share(text: str) -> Share:
    """Parse `5%`, 0% to 100%. Raises ValueError with a sentence."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?%", text):
        raise ValueError("expected a share in percent, as 5% or 0.5%")
    share = float(text[:-1]) / 100
    if share > 1:
        raise ValueError("out of range, expected 0% to 100%")
    return Share(share)


def parse_address(text: str) -> Address:
    """Parse an IP address. ValueError says what is wrong."""
    try:
        return Address(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("not an IP address") from None


def parse_device_name(text: str) -> DeviceName:
    """Check the name of a network device, as Linux has them. ValueError says what is wrong."""
    if not re.fullmatch(DEVICE_NAME, text):
        raise ValueError("expected the name of a network device, 1 to 15 characters")
    return DeviceName(text)


def parse_neighbor_match(text: str) -> NeighborMatch:
    """Parse an address, a prefix, or an AS. ValueError says what is wrong."""
    if re.fullmatch("[Aa][Ss][0-9]{1,10}", text):
        if not 0 < int(text[2:]) < 1 << 32:
            raise ValueError("AS numbers go from 1 to 4294967295")
        return NeighborMatch(f"AS{int(text[2:])}")
    try:
        return NeighborMatch(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))
    except ValueError:
        what = "a prefix without host bits" if "/" in text else "an IP address, a prefix or an AS (AS64496)"
        raise ValueError(f"expected {what}") from None


Match: TypeAlias = tuple[int, int, int]
"""What some neighbors have in common, for look-ups: 0, an AS and 0; or a family, a prefix as a number, its length."""


def covering(match: str) -> list[Match]:
    """Give an AS alone; of an address or a prefix itself and all prefixes that cover it."""
    if match.startswith("AS"):
        return [(0, int(match[2:]), 0)]
    network = ipaddress.ip_network(match)
    bits, address = network.max_prefixlen, int(network.network_address)
    return [
        (network.version, address >> bits - length << bits - length, length)
        for length in range(network.prefixlen, -1, -1)
    ]


def parse_network(text: str) -> Network:
    """Parse an address or a prefix. ValueError says what is wrong."""
    try:
        return Network(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("expected an IP address, or a prefix without host bits") from None


def parse_route_prefix(text: str) -> RoutePrefix:
    """Parse a prefix. ValueError says what is wrong."""
    try:
        if "/" in text:
            return RoutePrefix(ipaddress.ip_network(text))
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("expected a prefix without host bits, as 192.0.2.0/24") from None
    raise ValueError(f"a prefix needs its length, as {address}/{address.max_prefixlen}")


def parse_as_number(text: str) -> ASNumber:
    """Parse an AS number, with or without `AS`. ValueError says what is wrong."""
    found = re.fullmatch("(?:[Aa][Ss])?(0|[1-9][0-9]{0,9})", text)
    if found is None:
        raise ValueError("expected an AS number, as 64496 or AS64496")
    number = int(found[1])
    if not 0 < number < 1 << 32:
        raise ValueError("AS numbers go from 1 to 4294967295")
    return ASNumber(number)


def parse_name(text: str) -> Name:
    """Check a name. ValueError says what is wrong."""
    if len(text) > 64:
        raise ValueError("longer than 64 characters")
    return Name(text)


def parse_router_name(text: str) -> RouterName:
    """Check the name of an ExaBGP. ValueError says what is wrong."""
    if not ROUTER_NAME.fullmatch(text):
        raise ValueError("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
    return RouterName(text)


def parse_host_name(text: str) -> HostName:
    """Parse an IP address or a DNS name (RFC 1123 section 2.1). ValueError says what is wrong."""
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        try:
            return HostName(ipaddress.ip_address(text))
        except ValueError:
            raise ValueError("not an IP address (without brackets or port)") from None
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"({label}\.)*{label}\.?", text):
        raise ValueError("neither an IP address (without brackets or port) nor a host name")
    return HostName(text)


PARSERS = {
    ASNumber: parse_as_number,
    Address: parse_address,
    DeviceName: parse_device_name,
    HostName: parse_host_name,
    Name: parse_name,
    NeighborMatch: parse_neighbor_match,
    Network: parse_network,
    RoutePrefix: parse_route_prefix,
    RouterName: parse_router_name,
    Share: parse_share,
}
