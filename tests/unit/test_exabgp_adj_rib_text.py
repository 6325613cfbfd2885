"""Lines of `show adj-rib out extensive`, as both versions printed them on a wire that was watched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.exabgp.adj_rib_text import read_advertised
from rtrd.exabgp.encode import attribute_words
from rtrd.policy import Treatment
from rtrd.rib.attributes import AS_SEQUENCE, AS_SET, AttributeSet, OtherAttribute, Segment, announced
from rtrd.tags import Tag

HEAD = "neighbor 127.0.0.3 local-ip 127.0.0.1 local-as 65000 peer-as 65001 router-id 127.0.0.1 family-allowed in-open "
PATH = {"4.2.21": "[ 64496 64500 ]", "5.0.15": "( 64496 64500 )"}
EMPTY = {"4.2.21": "[ ]", "5.0.15": "(  )"}
VERSIONS = sorted(PATH)
TWO = (Segment(AS_SEQUENCE, (64496, 64500)),)
MARK = "attribute [ 0x01 0x40 0x00 ]"


def read(
    words: str, version: str, prefix: str = "ipv4 unicast 198.18.1.0/24 next-hop 192.0.2.1"
) -> AttributeSet | None:
    advertised = read_advertised(f"{HEAD}{prefix} {words}", version)
    assert advertised is not None
    assert advertised.neighbor == "127.0.0.3"
    return advertised.attributes


@pytest.mark.parametrize("version", VERSIONS)
def test_a_route_with_everything(version: str) -> None:
    words = (
        f"origin incomplete as-path {PATH[version]} med 5 local-preference 200 atomic-aggregate"
        " aggregator ( 65001:192.0.2.9 ) community [ 65000:1 no-export ] originator-id 10.0.0.1"
        " cluster-list [ 10.0.0.1 10.0.0.2 ] extended-community 0x4300000000000001"
        " large-community [ 65000:1:2 65000:3:4 ]"
    )
    assert read(words, version, "ipv6 unicast 2001:db8:1::/48 next-hop 2001:db8::1") == AttributeSet(
        6, "2001:db8::1", 2, TWO, 64500, 5, 200, ((65000, 1), (65535, 65281)),
        ((65000, 1, 2), (65000, 3, 4)), (0x4300000000000001,),
        (OtherAttribute(6, 0x40, b""), OtherAttribute(7, 0xC0, bytes.fromhex("0000fde9c0000209")),
         OtherAttribute(9, 0x80, b"\x0a\0\0\1"), OtherAttribute(10, 0x80, b"\x0a\0\0\1\x0a\0\0\2")),
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_octets_are_read_as_what_they_say(version: str) -> None:
    words = (
        "attribute [ 0x01 0x40 0x01 ]"
        " attribute [ 0x02 0x40 0x02020000fdf20000fe4c01020000feb00000feb1 ]"
        " attribute [ 0x10 0xC0 0x43000000000000008006000011111111 ]"
    )
    assert read(words, version) == AttributeSet(
        4, "192.0.2.1", 1, (Segment(AS_SEQUENCE, (65010, 65100)), Segment(AS_SET, (65200, 65201))), None,
        extended_communities=(0x4300000000000000, 0x8006000011111111),
    )  # fmt: skip


IPV6_COMMUNITY = bytes.fromhex("000220010db80000000000000000000000010007")
HEX, SHORT = f"0x{IPV6_COMMUNITY.hex()}", "0x220010DB80000000000000000000000010007"
TWICE = 2 * IPV6_COMMUNITY


@pytest.mark.parametrize(
    ("words", "version", "value"),
    [
        (f"extended-community-ipv6 {HEX}", "5.0.15", IPV6_COMMUNITY),
        (f"extended-community-ipv6 [ {HEX} {HEX} ]", "5.0.15", TWICE),
        (f"attribute [ 0x19 0xC0 {SHORT} ]", "4.2.21", IPV6_COMMUNITY),
        (f"attribute [ 0x19 0xC0 [ {SHORT} 0x1 ] ]", "4.2.21", IPV6_COMMUNITY + bytes(19) + b"\1"),
        (f"attribute [ 0x19 0xc0 0x{TWICE.hex()} ]", "4.2.21", TWICE),
        (f"attribute [ 0x19 0xc0 0x{TWICE.hex()} ]", "5.0.15", TWICE),
    ],
)
def test_extended_communities_of_ipv6_are_of_twenty_octets(words: str, version: str, value: bytes) -> None:
    """4.2 lists those that it has learned by numbers without the zeros at the front."""
    found = read(f"origin igp as-path {PATH[version]} {words}", version)
    assert found is not None
    assert found.others == (OtherAttribute(25, 0xC0, value),)


def test_the_metric_of_aigp_is_read_where_it_is_listed() -> None:
    """5.0 lists it of a neighbor with `aigp enable`, 4.2 of none."""
    found = read(f"origin igp as-path {PATH['5.0.15']} aigp 0x000000000000002a", "5.0.15")
    assert found is not None
    assert found.others == (OtherAttribute(26, 0x80, bytes.fromhex("01000b000000000000002a")),)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_path_is_of_our_own_as(version: str) -> None:
    found = read(f"origin igp as-path {EMPTY[version]}", version)
    assert found is not None
    assert (found.as_path, found.origin_as) == ((), 65000)


def test_the_brackets_of_the_other_version_are_a_set_and_not_read() -> None:
    assert read(f"origin igp as-path {PATH['4.2.21']}", "5.0.15") is None
    assert read(f"origin igp as-path {PATH['5.0.15']}", "4.2.21") is None


@pytest.mark.parametrize(
    "words",
    [
        "extended-community target:65001:77",
        "extended-community [ 0x43 ]",
        "community 65536:1",
        "community nothing-known",
        "large-community 1:2",
        "med 99999999999",
        "med",
        "as-path ( 64496 ) [ 64500 64501 ]",
        "attribute [ 0x02 0x40 0x0205 ]",
        "attribute [ 0x02 0x40 zz ]",
        "attribute 0x02",
        "aigp 42",
        "aigp [ 0x000000000000002a ]",
        "extended-community-ipv6 copy-to-nexthop-ietf",
        "extended-community-ipv6 0x" + 41 * "0",
        "attribute [ 0x19 0xC0 [ 0x220010DB80000000000000000000000010007 copy-to-nexthop-ietf 2001:db8::1 ] ]",
        "attribute [ 0x19 0xC0 [ 0x1 ]",
        "bgp-prefix-sid [ 10 ]",
        "weather fine",
    ],
)
def test_what_is_not_certain_is_not_read(words: str) -> None:
    assert read(words, "5.0.15") is None


@pytest.mark.parametrize(
    "words", ["extended-community target:65001:77", "weather fine", "attribute [ 0x10 0xc0 0x01 ]"]
)
def test_of_ours_enough_is_read_to_take_it_back_and_it_is_like_no_other(words: str) -> None:
    mark = "attribute [ 0x01 0x40 0x00 ] as-path ( 64496 )"
    found, whole = read(f"{mark} {words}", "5.0.15"), read(mark, "5.0.15")
    assert found is not None
    assert whole is not None
    assert (found.as_path, found.next_hop) == (whole.as_path, whole.next_hop)
    assert not found.same(whole)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_mark_tells_ours(version: str) -> None:
    line = f"{HEAD}ipv4 unicast 198.18.5.0/24 path-information 0.0.0.7 next-hop 192.0.2.1"
    ours = read_advertised(f"{line} {MARK} as-path {PATH[version]}", version)
    others = read_advertised(f"{line} origin igp as-path {PATH[version]}", version)
    assert ours is not None
    assert others is not None
    assert (ours.ours, others.ours) == (True, False)
    assert ours.prefix == "198.18.5.0/24 0.0.0.7"


@pytest.mark.parametrize(
    "text",
    [
        "done",
        "neighbor 127.0.0.3 ipv4 unicast 198.18.1.0/24 next-hop 192.0.2.1",
        HEAD + "ipv4 mpls-vpn 198.18.1.0/24 rd 1:1 next-hop 192.0.2.1",
        HEAD.replace("127.0.0.3", "evil\nannounce") + "ipv4 unicast 198.18.1.0/24 next-hop 192.0.2.1",
    ],
)
def test_other_lines_are_none(text: str) -> None:
    assert read_advertised(text, "5.0.15") is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.sampled_from(VERSIONS))
def test_any_words_are_survived(words: str, version: str) -> None:
    read_advertised(f"{HEAD}ipv4 unicast 198.18.1.0/24 next-hop 192.0.2.1 {words}", version)


def test_what_stands_in_the_words_that_are_written_is_the_same() -> None:
    """ExaBGP sorts communities, and the tags are among them."""
    learned = AttributeSet(4, "192.0.2.1", None, TWO, 64500, None, None, ((3, 4), (1, 2)))
    treatment = Treatment("announce", (Tag("extended", (0x4300 << 48,)), Tag("standard", (2, 2))), 200)
    assert attribute_words(learned, treatment).startswith(f"next-hop 192.0.2.1 {MARK} ")
    words = (
        f"{MARK} as-path ( 64496 64500 ) local-preference 200 community [ 1:2 2:2 3:4 ]"
        " extended-community 0x4300000000000000"
    )
    stands = read(words, "5.0.15")
    assert stands is not None
    assert stands.same(announced(learned, treatment))
    assert not stands.same(announced(learned, Treatment("announce")))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_origin_is_known_though_the_rest_is_not(version: str) -> None:
    """As of what the configuration announces: `next-hop self`, extended communities by their names."""

    def origin(words: str) -> int | None:
        advertised = read_advertised(f"{HEAD}ipv4 unicast 198.18.1.0/24 next-hop self {words}".rstrip(), version)
        assert advertised is not None
        assert (advertised.attributes, advertised.ours) == (None, False)
        return advertised.origin.origin_as

    other = PATH[next(one for one in VERSIONS if one != version)]
    assert origin("") == 65000
    assert origin("med 5 community 65000:1") == 65000
    assert origin(f"as-path {EMPTY[version]} med 5") == 65000
    assert origin(f"as-path {PATH[version]} extended-community target:65000:1") == 64500
    assert origin(f"as-path {other}") is None, "an AS_SET"
    assert origin(f"as-path {PATH[version]} {other} med 5") is None
    assert origin("attribute [ 0x02 0x40 0x0102 ]") is None
