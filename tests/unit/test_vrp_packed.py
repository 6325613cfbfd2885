"""Bulk arithmetic on packed VRPs, against sets of tuples."""

import ipaddress
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrlib import packed
from rtrlib.packed import VRP_SIZE
from rtrlib.vrp import PACKED

Tuple: TypeAlias = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int, int]
"""Prefix, max length, AS."""


@st.composite
def vrps(draw: st.DrawFn) -> Tuple:
    """A valid VRP as (prefix, max length, AS); few distinct ones, so that sets overlap."""
    bits = draw(st.sampled_from([32, 128]))
    length = draw(st.integers(0, bits))
    address = draw(st.integers(0, 3)) << (bits - 2) & ~((1 << bits - length) - 1)
    prefix = ipaddress.ip_network((address.to_bytes(bits // 8), length))
    return prefix, draw(st.integers(length, bits)), draw(st.sampled_from([0, 1, 0x01020304, 0xFFFFFFFF]))


def pack(vrp: Tuple, announce: int = 1) -> bytes:
    prefix, max_length, asn = vrp
    return PACKED.pack(prefix.network_address.packed, asn, prefix.prefixlen, max_length, prefix.version, announce)


def unpack(record: bytes) -> Tuple:
    address, asn, length, max_length, family, announce = PACKED.unpack(record)
    assert announce == 1
    return ipaddress.ip_network((address[: 4 if family == 4 else 16], length)), max_length, asn


SETS = st.sets(vrps(), max_size=300)


@given(st.lists(vrps(), max_size=200))
def test_ordering_and_back_keeps_the_set(listed: list[Tuple]) -> None:
    records = packed.ordered(b"".join(map(pack, listed)))
    assert len(records) == len(set(listed)) * VRP_SIZE
    assert set(map(unpack, packed.split(packed.packed(records)))) == set(listed)


@given(SETS)
def test_the_order_is_that_of_8210bis(vrps: set[Tuple]) -> None:
    """Section 11.2: IPv4 first; then by address, max length, length and AS, the highest first."""
    records = packed.ordered(b"".join(map(pack, vrps)))
    found = list(map(unpack, packed.split(packed.packed(records))))
    highest = sorted(
        vrps, key=lambda vrp: (vrp[0].network_address.packed, vrp[1], vrp[0].prefixlen, vrp[2]), reverse=True
    )
    assert found == sorted(highest, key=lambda vrp: vrp[0].version)
    assert packed.first_ipv6(records) == [vrp[0].version for vrp in found].count(4) * VRP_SIZE
    backward = packed.packed(packed.backward(records))
    assert list(map(unpack, packed.split(backward))) == found[::-1]


@given(SETS, SETS)
def test_diff_is_the_difference_of_the_sets(old: set[Tuple], new: set[Tuple]) -> None:
    before, after = (packed.ordered(b"".join(map(pack, one))) for one in (old, new))
    change = packed.diff(before, after)
    assert change.size == len(old ^ new)
    assert set(map(unpack, packed.split(packed.packed(change.announced)))) == new - old
    assert set(map(unpack, packed.split(packed.packed(change.withdrawn)))) == old - new
    assert b"".join(sorted(packed.split(change.announced))) == change.announced, "in order"


@given(SETS, SETS, SETS)
def test_merge_applies_a_change_and_says_what_it_changed(old: set[Tuple], come: set[Tuple], gone: set[Tuple]) -> None:
    before = packed.ordered(b"".join(map(pack, old)))
    announced, withdrawn = (packed.split(packed.ordered(b"".join(map(pack, one)))) for one in (come, gone))
    after, change = packed.merge(before, announced, withdrawn)
    assert after == packed.ordered(b"".join(map(pack, (old - gone) | come)))
    assert change == packed.diff(before, after)


def test_a_large_set_is_compared_by_halves() -> None:
    many = b"".join(PACKED.pack(number.to_bytes(4), 64500, 32, 32, 4, 1) for number in range(20_000))
    records = packed.split(packed.ordered(many))
    new = packed.ordered(PACKED.pack(bytes(4), 64499, 32, 32, 4, 1))
    assert packed.diff(b"".join(records), b"".join([*records[:7], *records[8:], new])) == (new, records[7])


@pytest.mark.parametrize("octets", [b"x", bytes(24), bytes(22) + b"\x05\x01"])
def test_what_is_no_packed_vrp_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="packed VRP"):
        packed.ordered(octets)
