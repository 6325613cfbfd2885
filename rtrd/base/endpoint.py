"""Where to listen or whom to connect to: a host and a port, written `HOST:PORT`, with an IPv6 address in brackets."""

from __future__ import annotations

import ipaddress
import re

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """An address or host name and a port; to listen on port 0 is to take any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, *, names: bool = False) -> Endpoint:
    """Parse `ADDRESS:PORT` (IPv6 as `[ADDRESS]:PORT`), with `names` also `HOST:PORT`; port 0..65535.

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
        if names and match[2]:
            return Endpoint(host, port)
        raise ValueError("the part before the port is not an IP address") from None
    if (address.version == 6) != (match[1] is not None):
        raise ValueError("expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")
    return Endpoint(str(address), port)
