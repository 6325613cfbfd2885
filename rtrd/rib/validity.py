"""A route and the VRPs that cover it in; its validity with the reason, in the JSON shape of Routinator, out.

The shape is that of Routinator's `/api/v1/validity`, so that what reads Routinator reads rtrd. Pure: finding
the covering VRPs is the business of `rtrlib.vrp_set`.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtrd.tags import Validity
    from rtrlib.vrp import VRP

Prefix = IPv4Network | IPv6Network

_DESCRIPTIONS = {
    "valid": "a VRP covers the prefix, names this origin AS and allows the prefix length",
    "not-found": "no VRP covers the prefix",
    "unverified": "no VRP set is usable yet",
    "as": "VRPs cover the prefix, but none that allows the prefix length names this origin AS",
    "length": "VRPs cover the prefix, but none allows so long a prefix",
}


def parse_asn(text: str) -> int:
    """Parse `AS64500` or `64500`.

    Raises:
        ValueError: with a sentence.

    """
    match = re.fullmatch(r"(?:[Aa][Ss])?([0-9]{1,10})", text)
    if match is None or int(match[1]) >= 1 << 32:
        raise ValueError(f"{text!r} is no AS number: expected 0 to 4294967295, with or without AS")
    return int(match[1])


def parse_address(text: str) -> str:
    """Parse an IP address; returns its normal text.

    Raises:
        ValueError: with a sentence.

    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is no IP address: expected one as 192.0.2.1 or 2001:db8::1") from None


def parse_prefix(text: str) -> Prefix:
    """Parse `ADDRESS/LENGTH`; a single address is a prefix of its full length.

    Raises:
        ValueError: with a sentence, also when host bits are set.

    """
    if not re.fullmatch(r"[0-9A-Fa-f:.]{1,45}(/[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is no prefix: expected ADDRESS/LENGTH")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no prefix: expected ADDRESS/LENGTH") from None
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f"{text!r} is no prefix: it has host bits set, expected {found}")
    return found


def explain(prefix: Prefix, asn: int, covering: Iterable[VRP], *, usable: bool = True) -> dict[str, Any]:
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
        where.append({"asn": f"AS{vrp.asn}", "prefix": vrp.prefix, "max_length": str(vrp.max_length)})
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
