"""A route and the VRPs that cover it in; its validity with the reason, in the JSON shape of Routinator, out.

The shape is that of Routinator's `/api/v1/validity`, so that what reads Routinator reads rtrd. Pure: finding
the covering VRPs is the caller's business; `covering` does it over the packed VRPs of a file.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rtrd.vrps import packed as packed_vrps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtrd.tags import Validity

Prefix = IPv4Network | IPv6Network

_DESCRIPTIONS = {
    "valid": "a VRP covers the prefix, names this origin AS and allows the prefix length",
    "not-found": "no VRP covers the prefix",
    "unverified": "no VRP set is usable yet",
    "as": "VRPs cover the prefix, but none that allows the prefix length names this origin AS",
    "length": "VRPs cover the prefix, but none allows so long a prefix",
}


class CoveringVRP(Protocol):
    """What is needed of a VRP; `prefix` is anything whose str() is `ADDRESS/LENGTH`."""

    @property
    def asn(self) -> int:
        """Origin AS."""

    @property
    def prefix(self) -> object:
        """The prefix; str() of it is what counts."""

    @property
    def max_length(self) -> int:
        """The longest prefix that it allows."""


class VRP(NamedTuple):
    """A Validated ROA Payload (RFC 6811 section 2)."""

    prefix: str
    max_length: int
    asn: int


def parse_asn(text: str) -> int:
    """Parse `AS64500` or `64500`.

    Raises:
        ValueError: with a sentence.

    """
    match = re.fullmatch(r"(?:[Aa][Ss])?([0-9]{1,10})", text)
    if match is None or int(match[1]) >= 1 << 32:
        raise ValueError(f"{text!r} is no AS number: expected 0 to 4294967295, with or without AS")
    return int(match[1])


def parse_prefix(text: str) -> Prefix:
    """Parse `ADDRESS/LENGTH`; a single address is a prefix of its full length.

    Raises:
        ValueError: with a sentence, also when host bits are set.

    """
    if not re.fullmatch(r"[0-9A-Fa-f:.]{1,45}(/[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is no prefix: expected ADDRESS/LENGTH")
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no prefix: {error}") from None


def explain(
    prefix: Prefix, asn: int, covering: Iterable[CoveringVRP], *, usable: bool = True
) -> dict[str, Any]:
    """Return Routinator's validity object for a route (RFC 6811 section 2).

    `state` is `unverified` when no VRP set is usable (Routinator has no such state: it answers 503 then).
    `reason` is `as` or `length`, and only there when the route is invalid. A VRP that fails in both is listed
    under `unmatched_length`, as Routinator does. A VRP for AS 0 matches nothing (RFC 6483 section 4).
    """
    matched: list[dict[str, str]] = []
    unmatched_as: list[dict[str, str]] = []
    unmatched_length: list[dict[str, str]] = []
    for vrp in covering:
        if prefix.prefixlen > vrp.max_length:
            where = unmatched_length
        elif vrp.asn != asn or asn == 0:
            where = unmatched_as
        else:
            where = matched
        where.append({"asn": f"AS{vrp.asn}", "prefix": str(vrp.prefix), "max_length": str(vrp.max_length)})
    state: Validity = "valid" if matched else "invalid" if unmatched_as or unmatched_length else "not-found"
    if not usable:
        state = "unverified"
    reason = {"reason": "as" if unmatched_as else "length"} if state == "invalid" else {}
    return {
        "validated_route": {
            "route": {"origin_asn": f"AS{asn}", "prefix": str(prefix)},
            "validity": {
                "state": state,
                **reason,
                "description": _DESCRIPTIONS[reason.get("reason", state)],
                "VRPs": {
                    "matched": matched,
                    "unmatched_as": unmatched_as,
                    "unmatched_length": unmatched_length,
                },
            },
        }
    }


def covering(packed: bytes, prefix: Prefix) -> list[VRP]:
    """Return the VRPs that cover a prefix, shortest first, out of packed ones that are well formed.

    For a look-up or two in a file: a set that is asked again and again is `rtrlib.vrp_set.VRPSet`'s business.
    """
    records = packed_vrps.ordered(packed)
    found: list[VRP] = []
    for length in range(prefix.prefixlen + 1):
        network = prefix.supernet(new_prefix=length)
        key = bytes((prefix.version, 255 - length)) + network.network_address.packed.ljust(16, b"\0")
        at = packed_vrps.find(records, key) * packed_vrps.VRP_SIZE
        while records.startswith(key, at):
            asn, max_length = packed_vrps.ORDERED.unpack_from(records, at)[3:5]
            found.append(VRP(str(network), max_length, asn))
            at += packed_vrps.VRP_SIZE
    return found
