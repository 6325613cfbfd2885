"""Lines of ExaBGP taken by the native core: as the complete decoder would, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _rov import lib
from bench import lines
from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.decode import DecodeError, decode
from rtrd.policy import Treatment
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrlib.vrp import VRP
from tests.lab.engine_story import policy_of
from tests.lab.vrp_sets import set_of

SAMPLES = Path(__file__).parents[1] / "samples"
SAMPLE_LINES = [line for path in sorted(SAMPLES.glob("exabgp-*/*.jsonl")) for line in path.read_bytes().splitlines()]
UPDATES = [line for line in SAMPLE_LINES if b'"type": "update"' in line]
PEER, RIVAL = "127.0.0.2", "127.0.0.9"
VRPS = [VRP("20.0.0.0/16", 24, 65100), VRP("2001:db8::/32", 48, 65100)]
TAGS = ("rfc8097", "'large:65000:1:0'", "'community:65002:7'", "'extended:0x0002fde900000001'")


def engine() -> Engine:
    """One that has a session with the peer of the samples and something to say of each of its routes."""
    says = f"{{action: announce, tags: [{', '.join(TAGS)}]}}"
    rule = f"{{from: [{PEER}, {RIVAL}], to: [127.0.0.3], valid: {says}, not-found: {says}, invalid: {says}}}"
    made = Engine("r", set_of(*VRPS), policy_of(f"policy: [{rule}]\n"), read_attributes)
    made.state(State(PEER, up=True, reason=""))
    return made


def taken_by(of: Engine, line: bytes) -> bool:
    """Have one line taken natively, if it can be."""
    return of.take_lines(line + b"\n", 0)[1] == 1


def decoded(into: Engine, line: bytes) -> None:
    """Take a line as it is taken without the native way."""
    try:
        event = decode(line)
    except DecodeError:
        return
    if isinstance(event, Update):
        into.update(event)


def said(of: Engine) -> list[tuple[Command, bytes, Treatment]]:
    """Commands, with what their numbers mean."""
    while of.work(1000):
        pass
    commands = []
    while (command := of.next_command(50)) is not None:
        key = of.table.attributes_key(command.attributes) if command.announce else b""
        commands.append((command._replace(attributes=0), key, of.treatment(command)))
    return commands


def picture(of: Engine) -> object:
    rows = [(neighbor, route._replace(attributes=0)) for neighbor, route in of.routes()]
    return rows, of.counts(), of.table.malformed


def assert_alike(*stream: bytes) -> list[bool]:
    """Take lines in both ways; the same routes, validities and decisions follow. Returns what was taken natively."""
    native, slow = engine(), engine()
    taken = []
    for line in stream:
        taken.append(taken_by(native, line))
        if not taken[-1]:
            decoded(native, line)
        decoded(slow, line)
        assert native.counts() == slow.counts(), line
    assert picture(native) == picture(slow), stream
    assert said(native) == said(slow), stream
    return taken


def test_every_sample_of_both_versions_gives_the_same_routes_and_decisions() -> None:
    for folder in sorted(SAMPLES.glob("exabgp-*")):
        for path in sorted(folder.glob("*.jsonl")):
            assert_alike(*path.read_bytes().splitlines())


TABLE_LINES = [
    line.rstrip(b"\n")
    for dialect in lines.DIALECTS
    for line in lines.updates(
        [lines.Route(f"20.{i >> 8}.{i & 255}.0/24", 65100 + i // 90) for i in range(200)], 7, lines.Speaker(dialect)
    )
]
ANSWERS = [b"done", b"", b"neighbor 127.0.0.3 local-ip None"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*SAMPLE_LINES, *TABLE_LINES, *ANSWERS]), max_size=60))
def test_many_lines_at_once_are_what_they_are_one_by_one(stream: list[bytes]) -> None:
    many, single = engine(), engine()
    text, at, taken = b"".join(line + b"\n" for line in stream), 0, 0
    for line in stream:
        if line[:1] == b"{" and not taken_by(single, line):
            decoded(single, line)
    while at < len(text):
        at, count = many.take_lines(text, at)
        taken += count
        end = text.find(b"\n", at)
        if end >= 0:
            line = text[at:end]
            if line[:1] == b"{":
                decoded(many, line)
            at, taken = end + 1, taken + 1
    assert taken == len(stream)
    assert picture(many) == picture(single)
    assert said(many) == said(single)


def test_lines_of_many_neighbors_in_turn_are_each_of_its_own() -> None:
    """More than names are remembered; some have gone and come again under another number."""
    one = engine()
    neighbors = [f"127.1.{i >> 8}.{i & 255}" for i in range(2500)]
    for neighbor in neighbors:
        one.state(State(neighbor, up=True, reason=""))
    for neighbor in neighbors[::3]:
        one.state(State(neighbor, up=True, reason=""))
    for turn in range(2):
        for i, neighbor in enumerate(neighbors):
            line = update({"med": turn}, "192.0.2.1", f"20.{i >> 8}.{i & 255}.0/24", neighbor)
            assert one.take_lines(line + b"\n", 0) == (len(line) + 1, 1)
    assert {(neighbor, route.prefix) for neighbor, route in one.routes()} == {
        (neighbor, f"20.{i >> 8}.{i & 255}.0/24") for i, neighbor in enumerate(neighbors)
    }


def test_a_whole_table_is_taken_at_once_and_half_a_line_is_not() -> None:
    stream = list(lines.updates([lines.Route(f"20.{i >> 8}.{i & 255}.0/24", 65100 + i // 90) for i in range(600)], 20))
    text = b"".join(stream)
    one = engine()
    assert one.take_lines(text[:-1], 0) == (len(text) - len(stream[-1]), len(stream) - 1)
    assert one.take_lines(text, len(text) - len(stream[-1])) == (len(text), 1)
    assert sum(one.counts().values()) == 600


@pytest.mark.parametrize("dialect", lines.DIALECTS)
@pytest.mark.parametrize("packing", [1, 5, 20, 32, 33, 64, 65, 90])
def test_what_a_table_transfer_consists_of_is_taken(dialect: lines.Dialect, packing: int) -> None:
    speaker = lines.Speaker(dialect)
    routes = [lines.Route(f"20.{i >> 8}.{i & 255}.0/24", 65100 + i // 90) for i in range(600)]
    routes += [lines.Route(f"2001:db8:{i:x}::/48", 65100 + i // 90) for i in range(300)]
    stream = [line.rstrip(b"\n") for line in lines.updates(routes, packing, speaker)]
    stream += [line.rstrip(b"\n") for line in lines.withdraws([one.prefix for one in routes[::3]], packing, speaker)]
    assert all(assert_alike(*stream))


ODD = [
    pytest.param(b'"type": "update"', b'"type": "updat\\u0065"', id="an escape"),
    pytest.param(b'"type": "update"', b'"type": "update", "type": "update"', id="a name twice"),
    pytest.param(b'"direction": "receive"', b'"direction": "send"', id="what ExaBGP sends"),
    pytest.param(b'"peer": "127.0.0.2"', b'"peer": "127.0.0.9"', id="a neighbor that is not known"),
    pytest.param(b'"ipv4 unicast": {', b'"ipv4 multicast": {', id="another family"),
    pytest.param(b'"127.0.0.2": [', b'"fe80::1": [ ], "127.0.0.2": [', id="two next hops"),
    pytest.param(b'"local": 65001', b'"local": 4294967296', id="no AS number"),
    pytest.param(b'"local": 65001', b'"local": 65001.5', id="no integer"),
    pytest.param(b'"message": {', b'"message": null, "x": {', id="no message"),
    pytest.param(b'{ "nlri": "20.0.0.0/24" }', b'{ "label": [1], "nlri": "20.0.0.0/24" }', id="a label"),
    pytest.param(b'{ "nlri": "20.0.0.0/24" }', b'{ "nlri": null }', id="no prefix"),
    pytest.param(b'"host" : "vm"', b'"host" : ' + b"[" * 40 + b"]" * 40, id="deep"),
    pytest.param(b'"host" : "vm"', b'"host" : "v\xc3\xa4"', id="no ASCII"),
    pytest.param(b'"host" : "vm"', b'"host" : 01', id="no JSON"),
    pytest.param(b"{ ", b"{ , ", id="a comma too many"),
]


@pytest.mark.parametrize(("usual", "odd"), ODD)
def test_what_is_odd_is_left_to_the_complete_decoder(usual: bytes, odd: bytes) -> None:
    line = (SAMPLES / "exabgp-5.0.15" / "update-v4-1.jsonl").read_bytes().rstrip(b"\n")
    assert assert_alike(line) == [True]
    assert usual in line
    assert assert_alike(line.replace(usual, odd, 1)) == [False]


@pytest.mark.parametrize(
    "attributes",
    [
        '"community": [ [ 65002, 7 ] ]',
        '"large-community": [ [ 65000, 1 , 0 ] ]',
        '"extended-community": [ { "value": 4827858800541171713, "string": "" } ]',
        f'"extended-community": [ {{ "value": {0x0002FDE900000001}, "string": "" }} ]',
    ],
)
def test_a_set_with_a_tag_of_ours_is_not_taken_as_it_is(attributes: str) -> None:
    line = (SAMPLES / "exabgp-5.0.15" / "update-v4-1.jsonl").read_bytes().rstrip(b"\n")
    forged = line.replace(b'"origin": "igp"', b'"origin": "igp", ' + attributes.encode())
    assert assert_alike(forged, line, forged) == [False, True, False]
    another_route = forged.replace(b"20.0.0.0/24", b"20.0.1.0/24")
    assert assert_alike(line, another_route, forged) == [True, False, True]  # the set is known by then


def test_a_session_that_ended_has_no_name_any_more() -> None:
    line = (SAMPLES / "exabgp-5.0.15" / "update-v4-1.jsonl").read_bytes().rstrip(b"\n")
    one = engine()
    assert taken_by(one, line)
    one.state(State(PEER, up=False, reason=""))
    assert not taken_by(one, line)
    one.state(State(PEER, up=True, reason=""))
    assert taken_by(one, line)


# -- attribute sets

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
ASNS = st.lists(st.integers(0, 5) | U32, max_size=4)
COMMON = {
    "origin": st.sampled_from(["igp", "egp", "incomplete", "odd"]),
    "med": U32,
    "local-preference": U32,
    "community": st.lists(st.tuples(st.sampled_from([1, 65002]), st.sampled_from([1, 7])), max_size=3),
    "large-community": st.lists(st.tuples(st.just(65000), st.just(1), st.sampled_from([0, 1])), max_size=2),
    "extended-community": st.lists(
        st.fixed_dictionaries(
            {"value": st.sampled_from([0x4300000000000001, 0x0002FDE900000001, 0x0002FDE900000002, 2**64 - 1, 2**64])},
            optional={"string": st.just("target:1:1")},
        ),
        max_size=2,
    ),
    "atomic-aggregate": st.booleans(),
    "cluster-list": st.just(["10.0.0.1"]),
}
SEGMENTS = st.lists(
    st.fixed_dictionaries({"element": st.sampled_from(["as-sequence", "as-set", "odd"]), "value": ASNS}), max_size=3
).map(lambda segments: {str(number): segment for number, segment in enumerate(segments)})
SETS = st.fixed_dictionaries({}, optional={**COMMON, "as-path": SEGMENTS}) | st.fixed_dictionaries(
    {}, optional={**COMMON, "as-path": ASNS, "as-set": ASNS, "confederation-path": ASNS, "confederation-set": ASNS}
)
NEXT_HOPS = st.sampled_from(
    ["192.0.2.1", "192.0.2.01", "0.0.0.0", "224.0.0.1", "2001:db8::1", "2001:DB8::1", "fe80::1", "::", "no-nexthop", ""]
)


def update(attributes: dict[str, Any], next_hop: str, prefix: str = "20.0.1.0/24", peer: str = PEER) -> bytes:
    family = "ipv6 unicast" if ":" in prefix else "ipv4 unicast"
    message = {"update": {"attribute": attributes, "announce": {family: {next_hop: [{"nlri": prefix}]}}}}
    neighbor = {"address": {"peer": peer}, "asn": {"local": 65001}, "direction": "receive", "message": message}
    return json.dumps({"type": "update", "neighbor": neighbor}).encode()


@settings(max_examples=400, deadline=None)
@given(SETS, NEXT_HOPS, st.sampled_from(["20.0.1.0/24", "2001:db8:1::/48", "20.0.1.1/24"]))
def test_an_attribute_set_means_the_same_in_both_ways(attributes: dict[str, Any], next_hop: str, prefix: str) -> None:
    rival = {"origin": "egp", "as-path": [65002, 65100], "local-preference": 100}
    best = update(rival, "2001:db8::9" if ":" in prefix else "192.0.2.9", prefix, RIVAL)
    assert_alike(best, update(attributes, next_hop, prefix))  # of the two, the better one is announced


@settings(max_examples=400, deadline=None)
@given(SETS, SETS, NEXT_HOPS)
@example({"med": 1}, {"med": 2}, "192.0.2.1")
@example({"med": 1}, {"med": 1, "cluster-list": []}, "192.0.2.1")
@example({"med": 1}, {"med": 1, "community": []}, "192.0.2.1")
@example({"community": [[1, 7]], "large-community": [[1, 2, 3]]}, {"community": [[1, 7], [21, 1], [2, 3]]}, "192.0.2.1")
def test_two_sets_are_alike_in_both_ways_or_in_none(one: dict[str, Any], other: dict[str, Any], next_hop: str) -> None:
    """A route that comes again with another set is announced again exactly when the words differ."""
    native, slow = engine(), engine()
    for attributes in (one, other):
        line = update(attributes, next_hop)
        if not taken_by(native, line):
            decoded(native, line)
        decoded(slow, line)
        first, second = said(native), said(slow)
        assert first == second or (first and not second)  # Python may read one of the two
    if native_ones(native):
        assert first == second


def native_ones(of: Engine) -> bool:
    """Whether Python has read no set: then all digests are of one kind."""
    return not of._remembered


PIECES = st.sampled_from(
    [
        *b'" { } [ ] , : 0 -1 1e5 null \\ \x00 "nlri" \xff "20.0.0.0/24" 65001'.split(),
        b" ",
        b"",
        b'"path-information": "0.0.0.1"',
    ]
)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(UPDATES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=3)
)
def test_a_damaged_line_is_never_taken_for_more_than_it_says(line: bytes, cuts: list[tuple[float, int, bytes]]) -> None:
    for where, size, piece in cuts:
        at = int(where * len(line))
        line = line[:at] + piece + line[at + size :]
    assert_alike(line)


def test_a_key_that_is_too_long_is_left_to_python() -> None:
    assert assert_alike(update({"odd": "x" * lib.LINE_KEY_MOST}, "192.0.2.1")) == [False]
