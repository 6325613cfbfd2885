"""The oracle: RFC 6811 section 2 as its text reads, by brute force."""

import ipaddress
from collections.abc import Iterable

from rtrlib.vrp import VRP


def covers(vrp_prefix: str, route_prefix: str) -> bool:
    """The route's prefix is equal to the VRP's or more specific."""
    outer, inner = ipaddress.ip_network(vrp_prefix), ipaddress.ip_network(route_prefix)
    if outer.version != inner.version:
        return False
    return inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def validity(vrps: Iterable[VRP], prefix: str, asn: int | None) -> str:
    """`asn` None is the origin NONE. AS 0 in a VRP matches nothing (RFC 6483 section 4)."""
    length = int(prefix.partition("/")[2])
    covering = [vrp for vrp in vrps if covers(vrp.prefix, prefix)]
    if not covering:
        return "not-found"
    if any(vrp.asn == asn and vrp.asn != 0 and length <= vrp.max_length for vrp in covering):
        return "valid"
    return "invalid"
