"""Path attributes of both dialects: the origin AS, tags that are forged, what is malformed, summary for the table."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed, attributes_of
from rtrd.policy import Policy
from rtrd.rib.attributes import (
    AS_CONFED_SEQUENCE,
    AS_CONFED_SET,
    AS_SEQUENCE,
    AS_SET,
    INCOMPLETE,
    NOTHING,
    AttributeSet,
    OtherAttribute,
    Segment,
    key_of,
    origin_as,
    read_octets,
)
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, FIT_EXTENDED_NEXT_HOP, UNFIT, AttributeSummary
from tests.lab.engine_story import key_of_json, policy_of, update_of
from tests.lab.vrp_sets import set_of

OWN = 65000
NONE = None
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def read(attributes: dict[str, Any], *, policy: Policy | None = None) -> AttributeSet:
    assert is_read(attributes)
    return read_octets(key_of_json(json.dumps(attributes).encode()), policy.ours if policy else NOTHING)


def is_read(attributes: dict[str, Any]) -> bool:
    """Whether there is anything that the core can take for path attributes."""
    return attributes_of(json.dumps(attributes).encode()) != b""


def summary(attributes: dict[str, Any]) -> AttributeSummary:
    return RouteTable(set_of()).summary_of_octets(key_of_json(json.dumps(attributes).encode()))


def told(
    attributes: dict[str, Any], next_hop: str = "192.0.2.1", prefix: str = "20.0.0.0/24", peer_as: int = OWN
) -> tuple[list[str], list[tuple[str | None, list[str]]]]:
    """What a line withdraws, and what it announces with which next hop."""
    family = "ipv6 unicast" if ":" in prefix else "ipv4 unicast"
    message = {"update": {"attribute": attributes, "announce": {family: {next_hop: [{"nlri": prefix}]}}}}
    neighbor = {"address": {"peer": "192.0.2.1"}, "asn": {"local": OWN, "peer": peer_as}, "message": message}
    event = decode(json.dumps({"type": "update", "neighbor": {**neighbor, "direction": "receive"}}).encode())
    assert isinstance(event, Parsed)
    update = update_of(event)
    return update.withdrawn, [(read_octets(key).next_hop, found) for key, found in update.announced]


WITHDRAWN: tuple[list[str], list[Any]] = (["20.0.0.0/24"], [])
GOOD = {"origin": "igp", "as-path": [65001]}


def v5(*segments: tuple[str, list[int]]) -> dict[str, Any]:
    """An AS_PATH as 5.0 writes it."""
    return {"as-path": {str(i): {"element": kind, "value": asns} for i, (kind, asns) in enumerate(segments)}}


def v4(path: list[int], **lists: list[int]) -> dict[str, Any]:
    """An AS_PATH as 4.2 writes it."""
    return {"as-path": path, "confederation-path": [], **{k.replace("_", "-"): v for k, v in lists.items()}}


# -- the origin AS: RFC 6811 section 2, with the cases of RFC 6907 section 7


ORIGINS = {
    "no AS_PATH: the speaker's own": ({}, {}, OWN),
    "an empty AS_PATH: the speaker's own": (v5(), v4([]), OWN),
    "an empty segment: as none": (v5(("as-sequence", [])), v4([]), OWN),
    "one AS": (v5(("as-sequence", [65001])), v4([65001]), 65001),
    "the last AS": (v5(("as-sequence", [65002, 65001])), v4([65002, 65001]), 65001),
    "AS 0, which no VRP makes valid": (v5(("as-sequence", [65002, 0])), v4([65002, 0]), 0),
    "the highest AS": (v5(("as-sequence", [4294967295])), v4([4294967295]), 4294967295),
    "a final AS_SET": (
        v5(("as-sequence", [65002]), ("as-set", [65001, 65003])),
        v4([65002], as_set=[65001, 65003]),
        NONE,
    ),
    "a final AS_SET of one AS, which is no AS_SEQUENCE (RFC 6907 section 7.1)": (
        v5(("as-sequence", [65002]), ("as-set", [65001])),
        v4([65002], as_set=[65001]),
        NONE,
    ),
    "an AS_SET alone": (v5(("as-set", [65001])), v4([], as_set=[65001]), NONE),
    "confederation segments alone: the speaker's own": (
        v5(("as-confed-sequence", [65010]), ("as-confed-set", [65011])),
        v4([], confederation_path=[65010], confederation_set=[65011]),
        OWN,
    ),
    "a confederation before the path": (
        v5(("as-confed-sequence", [65010]), ("as-sequence", [65002, 65001])),
        v4([65002, 65001], confederation_path=[65010]),
        65001,
    ),
    "a confederation before an AS_SET": (
        v5(("as-confed-sequence", [65010]), ("as-set", [65001])),
        v4([], confederation_path=[65010], as_set=[65001]),
        NONE,
    ),
}


@pytest.mark.parametrize(("of_5", "of_4", "origin"), ORIGINS.values(), ids=ORIGINS)
def test_the_origin_as_in_both_shapes(of_5: dict[str, Any], of_4: dict[str, Any], origin: int | None) -> None:
    assert read(of_5).origin_as == origin
    assert read(of_4).origin_as == origin


def test_an_as_set_in_the_middle_is_told_apart_by_5_0_alone() -> None:
    """4.2 writes the same as for a final one: there is no origin AS, for fear that it is another's."""
    assert read(v5(("as-sequence", [1]), ("as-set", [2]), ("as-sequence", [3]))).origin_as == 3
    assert read(v4([1, 3], as_set=[2])).origin_as is NONE


def test_segments_stand_in_the_order_of_their_numbers() -> None:
    segments = {str(i): {"element": "as-sequence", "value": [i]} for i in (10, 2, 1, 0)}
    assert read({"as-path": segments}).as_path == tuple(Segment(AS_SEQUENCE, (i,)) for i in (0, 1, 2, 10))


def test_the_kinds_of_segments() -> None:
    assert read(v4([1], confederation_path=[2], confederation_set=[3], as_set=[4])).as_path == (
        Segment(AS_CONFED_SEQUENCE, (2,)),
        Segment(AS_CONFED_SET, (3,)),
        Segment(AS_SEQUENCE, (1,)),
        Segment(AS_SET, (4,)),
    )


SEGMENTS = st.lists(st.tuples(st.sampled_from([1, 2, 3, 4]), st.lists(st.integers(0, 99), max_size=3)), max_size=4)


@given(SEGMENTS)
def test_the_origin_as_by_another_way(segments: list[tuple[int, list[int]]]) -> None:
    """From the end: confederations and empty segments aside, what stands last decides."""
    path = tuple(Segment(kind, tuple(asns)) for kind, asns in segments)
    left = list(path)
    while left and (left[-1].kind in (AS_CONFED_SEQUENCE, AS_CONFED_SET) or not left[-1].asns):
        left.pop()
    expected = OWN if not left else NONE if left[-1].kind == AS_SET else left[-1].asns[-1]
    assert origin_as(path, OWN) == expected


# -- forged tags

POLICY = policy_of(
    'policy: [{valid: {action: announce, tags: ["rfc8097", "large:65000:1:0", "community:65000:1",'
    ' "extended:0x0302000000000001"]}}]\n'
)


def test_a_forged_tag_is_gone_and_its_neighbors_stay() -> None:
    attributes = read(
        {
            "community": [[65000, 1], [65000, 2], [65000, 1]],
            "large-community": [[65000, 1, 0], [65000, 1, 1], [65000, 1, 0]],
            "extended-community": [
                {"value": 0x0302_0000_0000_0001},
                {"value": 0x0302_0000_0000_0002},
                {"value": 0x0302_0000_0000_0001, "string": ""},
            ],
        },
        policy=POLICY,
    )
    assert attributes.communities == ((65000, 2),)
    assert attributes.large_communities == ((65000, 1, 1),)
    assert attributes.extended_communities == (0x0302_0000_0000_0002,)


@given(st.integers(0, (1 << 48) - 1))
def test_all_of_rfc_8097_is_ours_whatever_its_reserved_octets_say(rest: int) -> None:
    forged = {"extended-community": [{"value": 0x4300 << 48 | rest, "string": "origin-validation-state:valid"}]}
    assert read(forged, policy=Policy()).extended_communities == ()


@pytest.mark.parametrize(
    "spelled",
    [
        *({"large-community": [one]} for one in ("65000:1:0", [65000.0, 1.0, 0.0], ["65000", "1", "0"])),
        *({"large-community": [one]} for one in ([65000, 1, 0, 0], [65000, 1, 1 << 32])),
        *({"community": one} for one in ("65000:1", [[6.5e4, 1e0]], [[65000, 65537]], [[-1, 1]])),
        *({"extended-community": [one]} for one in (str(0x0302_0000_0000_0001), {"string": "0x0302000000000001"})),
        *({"extended-community": [{"value": one}]} for one in ((1 << 64) + 0x0302_0000_0000_0001, -1)),
    ],
)
def test_a_community_of_another_shape_is_never_announced(spelled: dict[str, Any]) -> None:
    """A newer ExaBGP may write them otherwise; what can't be compared with our tags can't be passed on."""
    assert not is_read(spelled)
    assert told({**GOOD, **spelled}) == WITHDRAWN


@pytest.mark.parametrize("name", ["attribute-0x10-0xC0", "attribute-0x20-0xE0", "attribute-0x08-0x80"])
def test_a_tag_in_an_attribute_that_exabgp_did_not_read_is_not_carried(name: str) -> None:
    assert read({name: "0x4300000000000000"}, policy=POLICY) == read({})


# -- what is malformed


@pytest.mark.parametrize(
    "attributes",
    [
        *({"origin": origin} for origin in ("invalid", "IGP", 0, None)),
        *({"med": med} for med in (-1, 1 << 32, "5")),
        {"local-preference": 1 << 32},
        *({"as-path": path} for path in ("65001", [-1], [1 << 32], [[65001]], [65001, 0], [65001] * 20_000)),
        {"as-path": {"0": {"element": "as-tree", "value": [65001]}}},
        {"as-path": {"x": {"element": "as-set", "value": [65001]}}},
        {"as-path": {"0": [65001]}},
        {"as-path": [], "as-set": ["65001"]},
    ],
)
def test_routes_with_a_malformed_attribute_count_as_withdrawn(attributes: dict[str, Any]) -> None:
    """RFC 7606 section 2: ExaBGP passes such routes on."""
    assert told(GOOD) == ([], [("192.0.2.1", ["20.0.0.0/24"])])
    assert told({**GOOD, **attributes}) == WITHDRAWN


def test_an_external_neighbor_has_a_path_and_no_local_preference() -> None:
    """RFC 7606 section 3d, RFC 4271 section 5.1.5; an internal one may say both."""
    assert told({"origin": "igp"}, peer_as=65001) == WITHDRAWN
    assert told({"origin": "igp"}) == told(GOOD)
    assert told({"as-path": [65001]}, peer_as=65001) == WITHDRAWN


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\0", b"{}\0", b'{"origin": "igp"} x', b"\xff", b"[" * 99999]
)
def test_what_is_no_object_is_no_set(raw: bytes) -> None:
    assert attributes_of(raw) == b""


@given(st.binary())
def test_no_octets_raise(raw: bytes) -> None:
    attributes_of(raw)


@given(
    st.builds(
        AttributeSet,
        family=st.sampled_from([4, 6]),
        next_hop=st.sampled_from([None, "192.0.2.1", "2001:db8::1"]),
        origin=st.sampled_from([0, 1, 2, None]),
        as_path=st.lists(
            st.builds(Segment, st.sampled_from([1, 2, 3, 4]), st.lists(U32, min_size=1, max_size=300).map(tuple)),
            max_size=3,
        ).map(tuple),
        origin_as=st.just(0),
        med=st.none() | U32,
        local_preference=st.none() | U32,
        communities=st.lists(st.tuples(U16, U16), max_size=80).map(tuple),
        large_communities=st.lists(st.tuples(U32, U32, U32), max_size=80).map(tuple),
        extended_communities=st.lists(st.integers(0, (1 << 64) - 1), max_size=80).map(tuple),
        others=st.lists(
            st.builds(
                OtherAttribute, st.sampled_from([6, 7, 35, 99]), st.sampled_from([0xC0, 0xE0]), st.binary(max_size=300)
            ),
            max_size=3,
            unique_by=lambda other: other.code,
        ).map(lambda others: tuple(sorted(others))),
    )
)
def test_a_set_is_the_same_after_it_was_octets(attributes: AttributeSet) -> None:
    """But for the border between segments, of 255 ASes at most, and the origin AS, which follows."""
    read = read_octets(key_of(attributes))
    one, other = ([(kind, asn) for kind, asns in each for asn in asns] for each in (read.as_path, attributes.as_path))
    assert one == other
    assert read._replace(as_path=(), origin_as=0) == attributes._replace(as_path=())


# -- summary for the table


def test_which_next_hop_can_be_announced() -> None:
    def fitness(next_hop: str, family: int) -> int:
        key = key_of_json(b"{}", next_hop, family=family)
        return RouteTable(set_of()).summary_of_octets(key).fitness

    assert fitness("192.0.2.1", 4) == FIT
    assert fitness("2001:db8::1", 6) == FIT
    assert fitness("2001:db8::1", 4) == FIT_EXTENDED_NEXT_HOP, "where RFC 8950 was negotiated"
    assert fitness("192.0.2.1", 6) == UNFIT, "ExaBGP would send 4 octets"
    v6 = "2001:db8:1::/48"
    for next_hop in ("192.0.2.1", "no-nexthop"):
        assert told(GOOD, next_hop, v6) == ([v6], [])


def test_the_next_hop_is_printed_in_one_way() -> None:
    prefix = "2001:db8:1::/48"
    assert told(GOOD, "2001:DB8:0::0:1", prefix) == ([], [("2001:db8::1", [prefix])])


def test_what_decides_between_two_routes() -> None:
    """RFC 4271 section 9.1.2.2: a set counts as one; RFC 5065 section 5.3: a confederation as nothing."""
    said = summary(
        {
            **v5(("as-confed-sequence", [9, 9]), ("as-sequence", [1, 2, 3]), ("as-set", [4, 5, 6])),
            "local-preference": 50,
            "origin": "egp",
        }
    )
    assert (said.local_preference, said.path_length, said.origin_code) == (50, 4, 1)
    absent = summary({})
    assert (absent.local_preference, absent.path_length, absent.origin_code) == (100, 0, INCOMPLETE)


def test_equal_sets_are_one_and_others_are_not() -> None:
    base = {**v5(("as-sequence", [65002, 65001])), "origin": "igp", "med": 5}
    octets = attributes_of(json.dumps(base).encode())
    for same in ({**v4([65002, 65001]), "origin": "igp", "med": 5}, {**base, "aggregator": "x"}):  # not carried
        assert attributes_of(json.dumps(same).encode()) == octets
    for other in ({"med": 6}, {"origin": "egp"}, {"community": [[1, 1]]}, v4([65001])):
        assert attributes_of(json.dumps({**base, **other}).encode()) != octets


def test_a_forged_tag_makes_no_other_set() -> None:
    """A neighbor that flaps a tag of ours causes no command."""
    plain = read({"origin": "igp"}, policy=POLICY)
    assert plain == read({"origin": "igp", "large-community": [[65000, 1, 0]]}, policy=POLICY)


def test_attributes_that_fill_an_update_are_not_announced() -> None:
    """With a tag more they don't fit: ExaBGP says done, sends nothing, and what it sent before stays."""
    assert summary({"large-community": [[65000, 9, i] for i in range(310)]}).fitness == FIT
    for attributes in (
        {"large-community": [[65000, 9, i] for i in range(320)]},
        {"community": [[65000, i] for i in range(1000)]},
        {"extended-community": [{"value": i} for i in range(500)]},
        v4([65001] * 1000),
    ):
        assert is_read(attributes)
        assert summary(attributes).fitness == UNFIT


def test_a_tag_is_known_by_its_numbers() -> None:
    found = read({"large-community": [[65000, 1, 0], [65000, 1, 2]]}, policy=POLICY)
    assert found.large_communities == ((65000, 1, 2),)
