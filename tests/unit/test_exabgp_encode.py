"""Whatever attribute set there is, its command is one ASCII line of the grammar that both ExaBGP versions take."""

import ipaddress
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.exabgp import encode
from rtrd.exabgp.encode import Form
from rtrd.policy import Treatment
from rtrd.rib.attributes import AS_SEQUENCE, AS_SET, AttributeSet, OtherAttribute, Segment
from rtrd.tags import Tag, rfc8097_tag

U32 = r"(?:0|[1-9]\d{0,9})"
V4 = r"\d{1,3}(?:\.\d{1,3}){3}"
ADDRESS = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]*)"

# Each word at most once and in this order; every list in brackets; no form that only one of the versions takes.
# An empty path is not written: ExaBGP adds what the receiver must have.
PREFIX = rf"{ADDRESS}/\d{{1,3}}"
ROUTE = rf"route {PREFIX} path-information {V4}"
NLRI = rf" nlri {PREFIX}(?: {PREFIX})*"
ANNOUNCE = re.compile(
    rf"neighbor {ADDRESS}(?:, neighbor {ADDRESS})* announce (?:attributes|(?P<route>{ROUTE}))"
    rf" next-hop {ADDRESS}"
    rf" attribute \[ 0x01 0x40 0x0[012] \]"
    rf"(?: as-path \[ (?:{U32} )*\]| attribute \[ 0x02 0x(?:40|50) 0x(?:[0-9a-f]{{2}})+ \])?"
    rf"(?: med {U32})?"
    rf"(?: local-preference {U32})?"
    rf"(?: community \[ (?:{U32}:{U32} )+\]| attribute \[ 0x08 0x(?:c0|d0) 0x(?:[0-9a-f]{{8}})+ \])?"
    rf"(?: large-community \[ (?:{U32}:{U32}:{U32} )+\]| attribute \[ 0x20 0x(?:c0|d0) 0x(?:[0-9a-f]{{24}})+ \])?"
    rf"(?: extended-community \[ (?:0x[0-9a-f]{{16}} )+\]| attribute \[ 0x10 0x(?:c0|d0) 0x(?:[0-9a-f]{{16}})+ \])?"
    rf"(?: aggregator \( {U32}:{V4} \)| attribute \[ 0x[0-9a-f]{{2}} 0x[0-9a-f]{{2}} 0x(?:[0-9a-f]{{2}})* \])*"
    rf"(?(route)|{NLRI})\n",
    re.ASCII,
)
WITHDRAW = re.compile(
    rf"neighbor {ADDRESS}(?:, neighbor {ADDRESS})* withdraw"
    rf" (?:attributes|(?P<route>{ROUTE})) next-hop {ADDRESS}(?(route)|{NLRI})\n",
    re.ASCII,
)

u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
neighbors = st.lists(st.ip_addresses().map(str), min_size=1, max_size=3, unique=True)
path_ids = st.none() | u32
extended = st.one_of(
    u64, u16.map(lambda low: 0x4300 << 48 | low), st.tuples(u16, u32).map(lambda n: 2 << 48 | n[0] << 32 | n[1])
)
tags = st.one_of(
    st.tuples(u16, u16).map(lambda n: Tag("standard", n)),
    st.tuples(u32, u32, u32).map(lambda n: Tag("large", n)),
    u64.map(lambda n: Tag("extended", (n,))),
    st.sampled_from([tag for validity in ("valid", "not-found", "invalid") if (tag := rfc8097_tag(validity))]),
)
treatments = st.tuples(st.lists(tags, max_size=4).map(tuple), st.none() | u32).map(lambda n: Treatment("announce", *n))
segments = st.builds(
    Segment,
    st.sampled_from([1, 2, 2, 2, 3, 4]),
    st.one_of(
        st.lists(u32, min_size=1, max_size=5), st.sampled_from([254, 255, 256, 510, 511]).map(lambda n: list(range(n)))
    ).map(tuple),
)

others = st.builds(
    OtherAttribute, st.sampled_from([6, 7, 9, 35, 99]), st.sampled_from([0x40, 0x80, 0xC0, 0xE0]), st.binary(max_size=9)
) | st.builds(OtherAttribute, st.just(7), st.sampled_from([0xC0, 0xE0]), st.binary(min_size=8, max_size=8))


@st.composite
def attribute_sets(draw: st.DrawFn) -> AttributeSet:
    family = draw(st.sampled_from([4, 6]))
    return AttributeSet(
        family=family,
        next_hop=str(draw(st.ip_addresses(v=family))),  # type: ignore[arg-type]
        origin=draw(st.sampled_from([None, 0, 1, 2])),
        as_path=tuple(draw(st.lists(segments, max_size=3))),
        origin_as=draw(st.none() | u32),
        med=draw(st.none() | u32),
        local_preference=draw(st.none() | u32),
        communities=tuple(draw(st.lists(st.tuples(u16, u16), max_size=40))),
        large_communities=tuple(draw(st.lists(st.tuples(u32, u32, u32), max_size=40))),
        extended_communities=tuple(draw(st.lists(extended, max_size=40))),
        others=tuple(draw(st.lists(others, max_size=3))),
    )


forms = st.sampled_from(Form)


def command(
    attributes: AttributeSet,
    treatment: Treatment | None = None,
    path_id: int | None = None,
    form: Form = Form.WORDS,
) -> str:
    words = encode.attribute_words(attributes, treatment or Treatment("announce"), form=form)
    prefixes = "10.0.0.0/8 0.0.0.0/0" if attributes.family == 4 else "2001:db8::/32"
    if path_id is not None:
        prefixes = prefixes.split(maxsplit=1)[0]
    return encode.announce("neighbor 127.0.0.2", words, path_id, prefixes)


def with_path(*path: Segment) -> AttributeSet:
    return AttributeSet(4, "192.0.2.1", 0, path, None)


def octets(text: str, code: int) -> bytes | None:
    """What the command says as a generic attribute; its flags must fit its length."""
    match = re.search(rf"attribute \[ 0x{code:02x} 0x(..) 0x([0-9a-f]*) \]", text)
    if match is None:
        return None
    raw = bytes.fromhex(match[2])
    assert bool(int(match[1], 16) & 0x10) == (len(raw) > 255), "extended length, RFC 4271 section 4.3"
    return raw


def as_path(text: str) -> list[tuple[int, tuple[int, ...]]]:
    """The AS_PATH that ExaBGP reads in a command: RFC 4271 section 4.3 for octets."""
    match = re.search(r"as-path \[ ([0-9 ]*)\]", text)
    if match:
        return [(AS_SEQUENCE, tuple(map(int, match[1].split())))] if match[1] else []
    raw, path = octets(text, 2), []
    while raw:
        kind, count = raw[:2]
        path.append((kind, struct.unpack(f"!{count}I", raw[2 : 2 + 4 * count])))
        raw = raw[2 + 4 * count :]
    return path


def joined(path: list[tuple[int, tuple[int, ...]]]) -> list[tuple[int, tuple[int, ...]]]:
    """A path with neighboring segments of a kind as one, the first being full: how a long one is carried."""
    whole: list[tuple[int, tuple[int, ...]]] = []
    for kind, asns in path:
        assert len(asns) <= 255, "one octet counts them"
        if whole and whole[-1][0] == kind and len(whole[-1][1]) % 255 == 0:
            whole[-1] = (kind, whole[-1][1] + asns)
        else:
            whole.append((kind, asns))
    return whole


def listed(text: str, word: str) -> list[str]:
    match = re.search(rf" {word} \[ ([^\]]*)\]", text)
    return match[1].split() if match else []


def communities(text: str, word: str, code: int, fields: str) -> list[tuple[int, ...]]:
    raw = octets(text, code)
    if raw is not None:
        return list(struct.iter_unpack(f"!{fields}", raw))
    return [tuple(map(int, value.split(":"))) for value in listed(text, word)]


def extended_communities(text: str) -> list[int]:
    raw = octets(text, 0x10)
    if raw is not None:
        return list(struct.unpack(f"!{len(raw) // 8}Q", raw))
    return [int(value, 16) for value in listed(text, "extended-community")]


@settings(max_examples=400, deadline=None)
@given(attributes=attribute_sets(), treatment=treatments, path_id=path_ids, receivers=neighbors, form=forms)
def test_the_grammar(
    attributes: AttributeSet, treatment: Treatment, path_id: int | None, receivers: list[str], form: Form
) -> None:
    prefixes = "10.0.0.0/8 0.0.0.0/0" if attributes.family == 4 else "2001:db8::/32 ::/0"
    if path_id is not None:
        prefixes = prefixes.split(maxsplit=1)[0]
    selector = encode.select(receivers)
    line = encode.announce(selector, encode.attribute_words(attributes, treatment, form=form), path_id, prefixes)
    assert line.isascii()
    assert line.count("\n") == 1
    assert ANNOUNCE.fullmatch(line), line
    assert WITHDRAW.fullmatch(encode.withdraw(selector, attributes.family, path_id, prefixes))
    back = encode.take_back(line, receivers[-1])
    assert back == line.replace(f"{selector} announce ", f"neighbor {receivers[-1]} withdraw ")


@settings(max_examples=400, deadline=None)
@given(attributes=attribute_sets(), treatment=treatments, path_id=path_ids, form=forms)
def test_no_number_is_lost_or_added(
    attributes: AttributeSet, treatment: Treatment, path_id: int | None, form: Form
) -> None:
    text = command(attributes, treatment, path_id, form)
    assert re.findall(r" next-hop (\S+)", text) == [attributes.next_hop]
    assert octets(text, 1) == bytes([attributes.origin or 0]), "the mark of rtrd's own; ExaBGP would say IGP too"
    words = re.findall(r" (med|local-preference|path-information) (\S+)", text)
    local_preference = attributes.local_preference if treatment.local_preference is None else treatment.local_preference
    expected = {
        "path-information": None if path_id is None else str(ipaddress.IPv4Address(path_id)),
        "med": attributes.med,
        "local-preference": local_preference,
    }
    assert words == [(word, str(value)) for word, value in expected.items() if value is not None]

    def with_tags(kind: str, learned: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
        return list(dict.fromkeys([*learned, *(tag.numbers for tag in treatment.tags if tag.kind == kind)]))

    assert communities(text, "community", 8, "HH") == with_tags("standard", attributes.communities)
    assert communities(text, "large-community", 32, "III") == with_tags("large", attributes.large_communities)
    values = [(value,) for value in extended_communities(text)]
    assert values == with_tags("extended", tuple((value,) for value in attributes.extended_communities))


@settings(max_examples=300, deadline=None)
@given(attributes=attribute_sets(), form=forms)
def test_the_path_is_announced_as_learned(attributes: AttributeSet, form: Form) -> None:
    learned = [
        (segment.kind, segment.asns[at : at + 255])
        for segment in attributes.as_path
        for at in range(0, len(segment.asns), 255)
    ]
    assert as_path(command(attributes, form=form)) == learned


def test_a_sequence_is_a_list_of_numbers_where_exabgp_has_to_write_it_anew() -> None:
    """RFC 6793: in words, ExaBGP writes AS numbers of the size that the neighbor takes."""
    attributes = with_path(Segment(AS_SEQUENCE, (65002, 65001)))
    assert " as-path [ 65002 65001 ] " in command(attributes)
    assert " as-path [ 65002 65001 ] " in command(attributes, form=Form.OCTETS_BUT_PATH)
    assert " attribute [ 0x02 0x40 0x02020000fdea0000fde9 ] " in command(attributes, form=Form.OCTETS)


def test_exabgp_5_copies_octets_faster_and_exabgp_4_words() -> None:
    assert encode.form_of("5.0.15") is Form.OCTETS
    assert encode.form_of("4.2.21-a1b2c3") is Form.WORDS


def test_an_empty_path_is_said_to_be_empty() -> None:
    """Without the word ExaBGP would put its own AS there, toward eBGP."""
    assert " as-path [ ] " in command(with_path())


def test_an_as_set_goes_as_octets_because_the_versions_have_no_common_word_for_it() -> None:
    text = command(with_path(Segment(AS_SEQUENCE, (65010, 65100)), Segment(AS_SET, (65200, 65201))))
    assert " attribute [ 0x02 0x40 0x02020000fdf20000fe4c01020000feb00000feb1 ] " in text
    assert "as-path" not in text


@pytest.mark.parametrize(("count", "sizes"), [(255, [255]), (256, [255, 1]), (265, [255, 10]), (510, [255, 255])])
def test_a_path_of_more_than_255_ases(count: int, sizes: list[int]) -> None:
    asns = tuple(range(100000, 100000 + count))
    path = as_path(command(with_path(Segment(AS_SEQUENCE, asns))))
    assert [len(segment) for _, segment in path] == sizes
    assert joined(path) == [(AS_SEQUENCE, asns)]


def test_the_tag_of_rfc_8097_is_written_in_hex() -> None:
    """Neither version has a name for it."""
    tag = rfc8097_tag("invalid")
    assert tag
    assert " extended-community [ 0x4300000000000002 ] " in command(with_path(), Treatment("announce", (tag,)))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0x8006_0000_7FC0_0000, id="a traffic rate that is no number: refused, or never answered"),
        pytest.param(0x0600_FF00_0000_0001, id="MAC mobility with reserved bits: they would be lost"),
        pytest.param(0x0208_0000_0000_0000, id="redirect by a 4-octet AS: 4.2 never answers"),
    ],
)
def test_an_extended_community_that_exabgp_looks_into_goes_as_octets(value: int) -> None:
    text = command(with_path()._replace(extended_communities=(0x0002_FDE9_0000_004D, value)))
    assert "extended-community" not in text
    assert extended_communities(text) == [0x0002_FDE9_0000_004D, value]


def test_a_tag_that_the_route_has_already_is_written_once() -> None:
    attributes = with_path()._replace(communities=((65000, 1), (65000, 1)), large_communities=((1, 2, 3),))
    text = command(attributes, Treatment("announce", (Tag("standard", (65000, 1)), Tag("large", (1, 2, 3)))))
    assert " community [ 65000:1 ] large-community [ 1:2:3 ] " in text


def test_the_policy_s_local_preference_takes_the_place_of_the_learned_one() -> None:
    attributes = with_path()._replace(local_preference=50)
    assert " local-preference 50 " in command(attributes)
    assert " local-preference 200 " in command(attributes, Treatment("announce", local_preference=200))
    assert " local-preference 0 " in command(attributes, Treatment("announce", local_preference=0))


def test_a_withdraw_always_names_a_next_hop() -> None:
    """Without one 4.2.21 answers done and drops its sessions. The address is of the documentation, and ignored."""
    for family, prefix in ((4, "10.0.0.0/8"), (6, "2001:db8::/32")):
        for path_id, ending in ((None, f" nlri {prefix}"), (7, "")):
            text = encode.withdraw("neighbor 127.0.0.2", family, path_id, prefix)
            match = re.search(rf" next-hop (\S+){ending}\n$", text)
            assert match
            assert ipaddress.ip_address(match[1]).version == family
            assert (" path-information 0.0.0.7 " in text) == (path_id == 7)


def test_every_command_names_its_neighbors() -> None:
    """A command without would go to every neighbor, the one that the route is from among them."""
    assert encode.select(["127.0.0.2", "::1"]) == "neighbor 127.0.0.2, neighbor ::1"
