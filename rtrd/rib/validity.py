"""The validity of a route with its reason and the VRPs that cover it, in the JSON shape of Routinator.

The shape is that of Routinator's `/api/v1/validity`, so that what reads Routinator reads rtrd. Pure: finding
the covering VRPs is the business of `rtrlib.vrp_set`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtrd.base.notation import Prefix
from rtrd.tags import Validity
from rtrlib.vrp import VRP

_DESCRIPTIONS = {
    "valid": "a VRP covers the prefix, names this origin AS and allows the prefix length",
    "not-found": "no VRP covers the prefix",
    "as": "VRPs cover the prefix, but none that allows the prefix length names this origin AS",
    "none": "VRPs cover the prefix, but the path ends with an AS_SET, so the route has no origin AS",
    "length": "VRPs cover the prefix, but none allows a prefix this long",
}


def explain(prefix: Prefix, asn: int | None, covering: Iterable[VRP]) -> dict[str, Any]:
    """Return Routinator's validity object for a route (RFC 6811 section 2).

    That a VRP set is usable is for the caller to see to (Routinator answers 503 while none is).
    `reason` is `as` or `length`, and only there when the route is invalid. A VRP that fails in both is listed
    under `unmatched_length`, as Routinator does. A VRP for AS 0 matches nothing (RFC 6483 section 4).
    `asn`: None is the origin NONE, which no VRP matches.
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
    reason = {"reason": "as" if unmatched_as else "length"} if state == "invalid" else {}
    why = "none" if asn is None and reason.get("reason") == "as" else reason.get("reason", state)
    return {
        "validated_route": {
            "route": {"origin_asn": None if asn is None else f"AS{asn}", "prefix": str(prefix)},
            "validity": {
                "state": state,
                **reason,
                "description": _DESCRIPTIONS[why],
                "VRPs": {
                    "matched": matched,
                    "unmatched_as": unmatched_as,
                    "unmatched_length": unmatched_length,
                },
            },
        }
    }
