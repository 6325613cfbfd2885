"""What happens at a router's BGP sessions: UPDATEs, sessions that come up or go down, what they agreed on.

The words between a door, which reads them in its router's dialect, and the engine, which decides.
"""

from __future__ import annotations

from typing import NamedTuple


class Update(NamedTuple):
    """An UPDATE's unicast routes. What is withdrawn comes first (RFC 4271 section 4.3)."""

    neighbor: str
    withdrawn: list[str]
    """`PREFIX`, under ADD-PATH `PREFIX PATH-ID` (as an address); not parsed yet."""
    announced: list[tuple[bytes, list[str]]]
    """Key of the attribute set (attributes.py) and the prefixes that carry it."""
    others: int
    """How many routes of other families it has; they are left alone."""


class State(NamedTuple):
    """A neighbor's session came up or went down."""

    neighbor: str
    up: bool
    reason: str
    local: str = ""
    """The router's own address, as the router spells it."""
    time: float | None = None
    """Unix time, as the router says it."""


class Negotiated(NamedTuple):
    """What a session agreed on."""

    neighbor: str
    extended_next_hop: bool
    """IPv4 unicast routes may have an IPv6 next hop (RFC 8950)."""
    four_octet_as: bool = True
    """AS numbers have four octets (RFC 6793)."""
