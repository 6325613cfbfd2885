"""Validity with its reason, against the rule of RFC 6811 section 2 written the slow way."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.base.notation import parse_asn, parse_prefix
from rtrd.rib.validity import explain
from rtrlib.vrp import VRP
from tests.lab.vrp_sets import set_of


def test_the_shape_is_routinators() -> None:
    vrps = [VRP("192.0.2.0/24", 24, 64500), VRP("192.0.0.0/16", 24, 64501), VRP("192.0.0.0/8", 16, 64500)]
    assert explain(parse_prefix("192.0.2.0/24"), 64500, vrps) == {
        "validated_route": {
            "route": {"origin_asn": "AS64500", "prefix": "192.0.2.0/24"},
            "validity": {
                "state": "valid",
                "description": "a VRP covers the prefix, names this origin AS and allows the prefix length",
                "VRPs": {
                    "matched": [{"asn": "AS64500", "prefix": "192.0.2.0/24", "max_length": "24"}],
                    "unmatched_as": [{"asn": "AS64501", "prefix": "192.0.0.0/16", "max_length": "24"}],
                    "unmatched_length": [{"asn": "AS64500", "prefix": "192.0.0.0/8", "max_length": "16"}],
                },
            },
        }
    }


@pytest.mark.parametrize(
    ("vrps", "state", "reason"),
    [
        ([], "not-found", None),
        ([VRP("192.0.2.0/24", 24, 64501)], "invalid", "as"),
        ([VRP("192.0.0.0/16", 16, 64500)], "invalid", "length"),
        ([VRP("192.0.0.0/16", 16, 64501)], "invalid", "length"),
        ([VRP("192.0.0.0/16", 16, 64500), VRP("192.0.2.0/24", 24, 64501)], "invalid", "as"),
        ([VRP("192.0.2.0/24", 24, 0)], "invalid", "as"),
    ],
)
def test_the_reason_of_a_state(vrps: list[VRP], state: str, reason: str | None) -> None:
    found = explain(parse_prefix("192.0.2.0/24"), 64500, vrps)["validated_route"]["validity"]
    assert (found["state"], found.get("reason")) == (state, reason)


def test_as_0_makes_nothing_valid() -> None:
    found = explain(parse_prefix("192.0.2.0/24"), 0, [VRP("192.0.2.0/24", 24, 0)])
    assert found["validated_route"]["validity"]["state"] == "invalid"


# Few address bits, so that VRPs often cover each other and the route.
@st.composite
def networks(draw: st.DrawFn) -> IPv4Network | IPv6Network:
    if draw(st.booleans()):
        length = draw(st.integers(0, 32))
        return IPv4Network((draw(st.sampled_from([0, 0xC0000200, 0xC0008000, 0xFFFFFFFF])), length), strict=False)
    length = draw(st.integers(0, 128))
    return IPv6Network((draw(st.sampled_from([0, 0x20010DB8 << 96, (1 << 128) - 1])), length), strict=False)


@st.composite
def vrp_lists(draw: st.DrawFn) -> list[VRP]:
    found = []
    for network in draw(st.lists(networks(), max_size=12)):
        max_length = draw(st.integers(network.prefixlen, network.max_prefixlen))
        found.append(VRP(str(network), max_length, draw(st.integers(0, 3))))
    return found


@given(vrp_lists(), networks(), st.integers(0, 3))
def test_validity_is_that_of_rfc_6811(vrps: list[VRP], route: IPv4Network | IPv6Network, asn: int) -> None:
    covers = []
    for vrp in set(vrps):
        network = ipaddress.ip_network(vrp.prefix)
        if network.version == route.version and route.prefixlen >= network.prefixlen:
            shift = route.max_prefixlen - network.prefixlen
            if int(network.network_address) >> shift == int(route.network_address) >> shift:
                covers.append(vrp)
    effective = set_of(*vrps)
    found = [each.vrp for each in effective.covering(str(route))]
    assert sorted(found) == sorted(covers)
    matched = any(vrp.asn == asn != 0 and route.prefixlen <= vrp.max_length for vrp in covers)
    expected = "valid" if matched else "invalid" if covers else "not-found"
    assert explain(route, asn, found)["validated_route"]["validity"]["state"] == expected
    assert effective.validate(str(route), asn) == expected


@pytest.mark.parametrize("text", ["AS64500", "64500", "as64500"])
def test_an_as_number_is_read_with_and_without_as(text: str) -> None:
    assert parse_asn(text) == 64500


@pytest.mark.parametrize("text", ["", "AS", "AS-1", "4294967296", "1.10", "AS 1", "\u0661"])
def test_what_is_no_as_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an AS number"):
        parse_asn(text)


@pytest.mark.parametrize(
    "text", ["", "192.0.2.1/24", "192.0.2.0/33", "192.0.2/24", "x", "::/129", "192.0.2.0/255.255.255.0", "5"]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a prefix"):
        parse_prefix(text)


def test_an_address_alone_is_a_prefix() -> None:
    assert str(parse_prefix("2001:db8::1")) == "2001:db8::1/128"
