"""Text of a configuration in; names, addresses and endpoints, or what was expected instead, out."""

from __future__ import annotations

import ipaddress
import re

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """An address to listen on; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Name(str):
    """A name for people, logs and metrics: at most 64 characters."""

    __slots__ = ()


class HostName(str):
    """An IP address in its normal text, or a DNS name."""

    __slots__ = ()


class Address(str):
    """An IP address in its normal text: two spellings of one address are equal."""

    __slots__ = ()


def parse_endpoint(text: str) -> Endpoint:
    """Parse `ADDRESS:PORT` (IPv6 as `[ADDRESS]:PORT`); port 0..65535.

    Raises:
        ValueError: with a sentence that says what was expected.

    """
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*)):([0-9]{1,5})", text)
    if match is None:
        raise ValueError("expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")
    host, port = match[1] or match[2] or "", int(match[3])
    if port > 65535:
        raise ValueError(f"port {port} is out of range, expected 0 to 65535")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("the part before the port is no IP address") from None
    if (address.version == 6) != (match[1] is not None):
        raise ValueError("expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")
    return Endpoint(str(address), port)


def parse_address(text: str) -> Address:
    """Parse an IP address. ValueError says what is wrong."""
    try:
        return Address(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("no IP address") from None


def parse_name(text: str) -> Name:
    """Check a name. ValueError says what is wrong."""
    if len(text) > 64:
        raise ValueError("longer than 64 characters")
    return Name(text)


def parse_host_name(text: str) -> HostName:
    """Parse an IP address or a DNS name (RFC 1123 section 2.1). ValueError says what is wrong."""
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        try:
            return HostName(ipaddress.ip_address(text))
        except ValueError:
            raise ValueError("no IP address (without brackets or port)") from None
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"({label}\.)*{label}\.?", text):
        raise ValueError("neither an IP address (without brackets or port) nor a host name")
    return HostName(text)
