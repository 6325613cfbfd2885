"""Hypothesis strategies for prefixes, VRPs and routes, crowded so that they cover each other often."""

import ipaddress

from hypothesis import strategies as st

from rtrlib.vrp import VRP
from rtrlib.vrp_filters import VRPFilter

ASNS = st.sampled_from([0, 1, 64500, 64501, 65536, 4294967295])


@st.composite
def prefixes(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        network, bits = int(ipaddress.ip_address("10.0.0.0")), 32
        spread = draw(st.sampled_from([0, 1 << 8, 3 << 8, 1 << 16, 7, 1 << 24]))
        length = draw(st.sampled_from([0, 1, 7, 8, 9, 15, 16, 17, 20, 23, 24, 25, 31, 32]))
        kind: type[ipaddress.IPv4Network | ipaddress.IPv6Network] = ipaddress.IPv4Network
    else:
        network, bits = int(ipaddress.ip_address("2001:db8::")), 128
        spread = draw(st.sampled_from([0, 1 << 80, 1 << 79, 1 << 64, 5 << 64, 1 << 96, 1, 1 << 17]))
        length = draw(st.sampled_from([0, 1, 16, 17, 31, 32, 33, 47, 48, 49, 56, 63, 64, 65, 111, 112, 113, 127, 128]))
        kind = ipaddress.IPv6Network
    mask = ((1 << bits) - 1) ^ ((1 << (bits - length)) - 1)
    return str(kind(((network + spread) & mask, length)))


@st.composite
def vrps(draw: st.DrawFn) -> VRP:
    prefix = draw(prefixes())
    length = int(prefix.partition("/")[2])
    return VRP(prefix, min(128 if ":" in prefix else 32, length + draw(st.sampled_from([0, 0, 1, 8, 128]))), draw(ASNS))


@st.composite
def filters(draw: st.DrawFn) -> VRPFilter:
    """Filters (RFC 8416), with a prefix, an AS, or both."""
    kind = draw(st.sampled_from(["prefix", "as", "both"]))
    return VRPFilter(None if kind == "as" else draw(prefixes()), None if kind == "prefix" else draw(ASNS))
