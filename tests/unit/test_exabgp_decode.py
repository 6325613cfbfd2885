"""ExaBGP's lines by their shape, whatever wrote them; nothing but an event or a DecodeError comes of hostile ones."""

import ipaddress
import json
import random
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rtrd.exabgp.decode import DecodeError, Event, Octets, OtherEvent, decode
from rtrd.exabgp.parsed import Parsed
from rtrd.policy import Policy
from rtrd.rib.attributes import read_octets
from rtrd.rib.bgp_events import Negotiated, State, Update
from rtrd.rib.engine import Engine
from tests.lab.engine_story import take, update_of
from tests.lab.json_places import get, places, put
from tests.lab.packets import session
from tests.lab.samples import SAMPLES, sample, sample_lines
from tests.lab.vrp_sets import set_of

LINES = sorted(line for file in SAMPLES.glob("*/*.jsonl") for line in file.read_bytes().splitlines())
PEER = "127.0.0.2"
EVENTS = (Parsed, State, OtherEvent, Negotiated, Octets)


def changed(name: str, *replacements: tuple[str, str], version: str = "exabgp-5.0.15") -> bytes:
    """A sample with some of its text replaced."""
    line = sample(name, version)
    for old, new in replacements:
        assert old.encode() in line
        line = line.replace(old.encode(), new.encode())
    return line


def routes(line: bytes) -> Update:
    event = decode(line)
    assert isinstance(event, Parsed)
    return update_of(event)


def known(*lines: bytes) -> list[str]:
    """The routes that are known after these lines."""
    engine = Engine("exabgp", set_of(), Policy())
    take(engine, *lines)
    return [route.prefix for _, route in engine.routes()]


def next_hops(update: Update) -> list[tuple[str | None, list[str]]]:
    return [(read_octets(key).next_hop, prefixes) for key, prefixes in update.announced]


def contained(line: bytes) -> Event | None:
    """Decode a line as the daemon does: an event, or None for a DecodeError; anything else is a failure."""
    wrong = ""
    try:
        event = decode(line)
    except DecodeError as error:
        wrong = str(error)
    if wrong:
        assert re.fullmatch(r"[\x20-\x7e]{1,300}", wrong), "the line's text must not get into the log"
        return None
    assert isinstance(event, EVENTS)
    if isinstance(event, Parsed):
        assert event.no_prefixes >= 0
        for key, prefixes in update_of(event).announced:
            assert read_octets(key).next_hop
            assert all(map(ipaddress.ip_network, (prefix.partition(" ")[0] for prefix in prefixes)))
    return event


# -- by shape


@pytest.mark.parametrize("version", ["exabgp-5.0.15", "exabgp-4.2.21"])
def test_a_version_that_nobody_knows_is_decoded_by_its_shape(version: str) -> None:
    """The header's version string says nothing: 4.2.21 writes 4.0.1, and what 6.0 will write is not known."""
    ours = {"exabgp-5.0.15": "5.0.0", "exabgp-4.2.21": "4.0.1"}[version]
    newer = changed("update-v4-1", (f'"exabgp": "{ours}"', '"exabgp": "6.1.0"'), version=version)
    assert decode(newer) == decode(sample("update-v4-1", version))


def test_keys_that_nobody_knows_are_skipped() -> None:
    newer = changed(
        "update-v4-1", ('"direction"', '"vrf": {"name": [1, null, {}]}, "direction"'), ('"type"', '"schema": 7, "type"')
    )
    assert decode(newer) == decode(sample("update-v4-1"))


def test_what_exabgp_sent_is_no_route_of_the_neighbor() -> None:
    sent = changed("update-v4-1", ('"direction": "receive"', '"direction": "send"'))
    read, received = decode(sent), decode(sample("update-v4-1"))
    assert isinstance(read, Parsed)
    assert isinstance(received, Parsed)
    assert (read.direction, received.direction) == ("send", "receive")
    (session, body), (other, same) = *read.updates, *received.updates
    assert body == same
    assert (session.local_as, session.peer_as) == (other.peer_as, other.local_as), "it is read as the neighbor would"


def test_a_down_names_its_neighbor_and_reason() -> None:
    down = decode(sample("down-tcp-closed"))
    assert isinstance(down, State)
    assert down[:4] == (PEER, False, "closing connection", "127.0.0.1")
    assert down.time is not None
    assert abs(down.time - json.loads(sample("down-tcp-closed"))["time"]) < 1e-3


@pytest.mark.parametrize("time", ['"now"', "null", "{}", "1e999", "[]"])
def test_a_state_whose_time_is_none_is_one_nevertheless(time: str) -> None:
    down = decode(re.sub(rb'"time": [0-9.]+', b'"time": ' + time.encode(), sample("down-tcp-closed")))
    assert isinstance(down, State)
    assert down.time in (None, float("inf"))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        pytest.param(sample("session-up-main"), OtherEvent("state", PEER), id="connected is not up"),
        pytest.param(
            changed("down-tcp-closed", ('"type": "state"', '"type": "fsm"')),
            OtherEvent("fsm", PEER),
            id="a state machine's",
        ),
        pytest.param(sample("eor-v6"), OtherEvent("update", PEER), id="End-of-RIB changes no route"),
        pytest.param(
            b'{"type": "notification", "notification": "shutdown"}', OtherEvent("notification"), id="of no neighbor"
        ),
        pytest.param(b"{}", OtherEvent(""), id="of nothing"),
    ],
)
def test_lines_that_change_no_route(line: bytes, event: Event) -> None:
    assert decode(line) == event


def test_a_link_local_next_hop_beside_a_global_one_is_left_out() -> None:
    """RFC 2545 section 3: both are for the same routes, and ExaBGP names the routes under each."""
    assert next_hops(routes(sample("update-v6-global-ll"))) == [("2001:db8::2", ["2001:db8:3::/48"])]


def test_a_route_with_link_local_next_hops_alone_takes_away_what_was_there() -> None:
    """It can't be announced, but it replaces what the neighbor announced before (RFC 4271 section 3.1)."""
    for name, change in (
        ("update-v6-global-ll", ("2001:db8::2", "fe80::2")),
        ("update-v6", ("2001:db8::2", "FEBF::2")),
    ):
        assert known(sample(name)) != []
        assert known(sample(name), changed(name, change)) == []


def test_an_address_that_only_begins_like_a_link_local_one_is_none() -> None:
    line = changed("update-v6-global-ll", ("2001:db8::2", "fe8::2"))
    assert ("fe8::2", ["2001:db8:3::/48"]) in next_hops(routes(line))


def test_no_next_hop_can_be_announced_of_an_update_without_one() -> None:
    for text in ("no-nexthop", "null", "", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "2001:db8::1%eth0", "1.2.3"):
        line = changed("update-v4-1", ('"127.0.0.2": [', f'"{text}": ['))
        assert known(line) == known(sample("update-v4-1"), line) == [], text


def test_two_families_in_one_update() -> None:
    update = routes(
        changed(
            "update-v6-global-ll",
            ('"announce": {', '"announce": { "ipv4 unicast": {"192.0.2.9": [{ "nlri": "10.0.0.0/8" }] },'),
        )
    )
    assert next_hops(update) == [("192.0.2.9", ["10.0.0.0/8"]), ("2001:db8::2", ["2001:db8:3::/48"])]


def test_other_families_beside_unicast_are_counted() -> None:
    update = routes(
        changed(
            "withdraw-and-announce-v4",
            (
                '"announce": {',
                '"announce": { "l2vpn evpn": {"x": [{ "code": 2, "raw": "00" }, { "code": 3 }], "y": [{}]},',
            ),
            ('"withdraw": {', '"withdraw": { "ipv4 flow": [{ "string": "flow" }],'),
        )
    )
    assert update.others == 4
    assert update.withdrawn == ["20.0.3.0/24"]
    assert next_hops(update) == [(PEER, ["20.0.20.0/24"])]


@pytest.mark.parametrize("version", ["exabgp-5.0.15", "exabgp-4.2.21"])
def test_compact_prefixes(version: str) -> None:
    """What exabgp.api.compact=true makes of a prefix that has no path id."""
    for name in ("update-v4-multi", "withdraw-v4", "update-v6"):
        plain = sample(name, version)
        compact = re.sub(rb'\{ "nlri": ("[^"]+") \}', rb"\1", plain)
        assert compact != plain
        assert decode(compact) == decode(plain)


def test_a_route_refresh_of_4_2_is_no_json() -> None:
    with pytest.raises(DecodeError, match="not JSON of the shape"):
        decode(sample("route-refresh-v4", "exabgp-4.2.21"))


def test_the_as_numbers_of_auto_are_none() -> None:
    """`local-as auto` and `peer-as auto` of 5.0, also while the session is up."""
    line, parsed = sample("as4", "packets-5.0.15"), sample("as4", "exabgp-5.0.15")
    assert decode(without_asns(line)) == decode(line)
    with pytest.raises(DecodeError, match="without AS numbers"):
        decode(without_asns(parsed))


def without_asns(line: bytes) -> bytes:
    said = re.sub(rb'"asn": \{ "local": \d+, "peer": \d+ \}', b'"asn": { "local": None, "peer": None }', line)
    assert said != line
    return said


def test_a_session_that_negotiated_ipv4_over_ipv6() -> None:
    line = sample_lines("session-up-main")[6]
    assert decode(line) == Negotiated(PEER, extended_next_hop=True)
    assert decode(line.replace(b'"ipv4 unicast ipv6"', b"")) == Negotiated(PEER, extended_next_hop=False)
    assert decode(line.replace(b'"nexthop": [', b'"nexthop": ["ipv4 unicast ipv6", 7,')) == OtherEvent(
        "negotiated", PEER
    )


@pytest.mark.parametrize("name", ["negotiated", "negotiated-addpath", "negotiated-addpath-both"])
def test_an_update_in_octets_says_what_its_session_negotiated(name: str) -> None:
    for line in sample_lines(f"{name}-update", "packets-5.0.15"):
        event = decode(line)
        assert isinstance(event, Octets)
        assert event.agreed == session("5.0.15", name)._replace(router_id=0, peer_router_id=0), (
            "which only the OPENs say"
        )
        assert event.local == "127.0.0.1"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"done",
        b"[]",
        b"null",
        b"{",
        b'{"type": 5}',
        b'{"type": "update", "neighbor": {}}',
        b'{"type": "update", "neighbor": {"address": {"peer": 1}}}',
        b'{"type": "update", "neighbor": {"address": {"peer": "a"}, "message": {"update": {"announce": []}}}}',
        b'\xef\xbb\xbf{"type": "update"}',
        b'{"type": "update"} {"type": "update"}',
    ],
)
def test_what_exabgp_never_writes(line: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(line)


# -- hostile


DECODED = [json.loads(line) for line in LINES if contained(line) is not None]
EVIL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 80), 1 << 80),
    st.sampled_from([(1 << 64) - 1, 1 << 64, 1 << 63, -1, 10**400, 0.5, 1e308, 2.0]),
    st.text(max_size=8),
    st.sampled_from(["\n", "a\nneighbor 127.0.0.9 withdraw route 0.0.0.0/0", "\0", "%", "fe80::1", "0" * 5000]),
    st.lists(st.one_of(st.integers(-1, 1 << 33), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(-1, 1 << 33), max_size=3),
)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_any_value_in_any_place(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(DECODED))
    for _ in range(data.draw(st.integers(1, 3))):
        line = put(line, data.draw(st.sampled_from(places(line))), data.draw(EVIL))
    contained(json.dumps(line, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass"))


@settings(max_examples=600, deadline=None)
@given(line=st.sampled_from(LINES), seed=st.integers(0, 1 << 32), edits=st.integers(1, 8))
def test_any_octets_in_any_place(line: bytes, seed: int, edits: int) -> None:
    chance = random.Random(seed)
    octets = bytearray(line)
    for _ in range(edits):
        at = chance.randrange(len(octets))
        end = at + chance.choice((0, 1, 1, 5, 80))
        octets[at:end] = chance.choice(
            (b"", b"\0", b"\n", b'"', b"{", b"}", b"[", b"]", b"\\", b"\xff", b"\xed\xa0\x80", b"9" * 30, b"-", b"e9")
        )
        octets = octets or bytearray(b"{")
    contained(bytes(octets))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b'{"type":"update","neighbor":{"address":{"peer":"\\ud800"}}}')
@example(b'{"type":"update","neighbor":{"address":{"peer":"\\udc00\\ud800"}}}')
def test_any_octets(octets: bytes) -> None:
    contained(octets)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'"'])
@pytest.mark.parametrize("depth", [100, 1000, 3000, 1_000_000])
def test_deep_nesting(opening: bytes, depth: int) -> None:
    """In a place that is read, in one that is kept raw, in one that is skipped, and in the open."""
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]", b'"': b'"'}[opening]
    deep = opening * depth + b"1" + closing * depth
    line = sample("update-v4-1")
    contained(line.replace(b'"20.0.0.0/24"', deep))
    contained(line.replace(b'"igp"', deep))
    contained(line.replace(b"4096", deep))
    contained(deep)
    contained(opening * depth)


def test_numbers_past_64_bits() -> None:
    for digits in (20, 30, 400, 5000, 100_000):
        number = "9" * digits
        for place in ("65001", "65100", "4096"):
            contained(changed("update-v4-1", (place, number)))
        contained(changed("large-communities", ("4294967295", number)))
        contained(changed("ext-ovs-valid", ("4827858800541171712", number)))
        contained(changed("origin-incomplete-med-agg", ("77", number)))
        contained(changed("asset-end", ('"0": {', f'"{number}": {{')))


@pytest.mark.parametrize("whose", ['"local": 65001', '"peer": 65002'])
def test_an_as_that_is_none_is_no_line(whose: str) -> None:
    for number in ("-1", "4294967296", '"65001"', "null"):
        line = changed("update-v4-1", (whose, f"{whose.split(':', maxsplit=1)[0]}: {number}"))
        with pytest.raises(DecodeError):
            decode(line)
    with pytest.raises(DecodeError, match="without AS numbers"):
        decode(changed("update-v4-1", ('"asn"', '"asns"')))


def test_the_last_of_duplicate_keys_counts_and_their_routes_don_t_mix() -> None:
    line = changed("update-v4-1", ('"origin": "igp"', '"origin": "igp", "origin": "egp"'))
    ((key, _),) = routes(line).announced
    assert read_octets(key).origin == 1
    line = changed("update-v4-1", ('"update": {', '"update": {}, "update": {'))
    assert decode(line) == decode(sample("update-v4-1"))


def test_nul_octets_stay_inside_the_attributes() -> None:
    """None of the line's may shift what the octets say."""
    for name, old, new in (
        ("update-v4-1", '"127.0.0.2": [', '"\\u00004\\u00006\\u0000": ['),
        ("update-v4-1", '"origin": "igp"', '"origin": "igp", "x": "\\u0000127.0.0.9\\u00001\\u00004"'),
    ):
        told = routes(changed(name, (old, new)))
        assert [*told.withdrawn, *(prefix for _, prefixes in told.announced for prefix in prefixes)] == ["20.0.0.0/24"]
        assert all(next_hop == PEER for next_hop, _ in next_hops(told))


def test_a_newline_in_every_string() -> None:
    """It may stay in what is data (a reason, a prefix that is none), never in a next hop that is announced."""
    for line in DECODED:
        for place in (place for place in places(line) if isinstance(get(line, place), str)):
            event = contained(json.dumps(put(line, place, "192.0.2.1\nshutdown")).encode())
            if isinstance(event, Parsed):
                assert all(next_hop in (PEER, "2001:db8::2") for next_hop, _ in next_hops(update_of(event)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{ "nlri": "20.0.0.0/24" }', ", ".join(['{ "nlri": "20.0.0.0/24" }'] * 400_000)),
        ('"20.0.0.0/24"', '"' + "2" * 10_000_000 + '"'),
        ('"127.0.0.2": [', '"' + "1" * 10_000_000 + '": ['),
        ('"igp"', '"' + "\\n" * 5_000_000 + '"'),
        ("65002, 65100", ", ".join(["65002"] * 1_500_000)),
        ('"type": "update"', '"type": "' + "u" * 10_000_000 + '"'),
    ],
    ids=["prefixes", "prefix", "next hop", "origin", "path", "type"],
)
def test_ten_megabytes_in_one_line(old: str, new: str) -> None:
    line = changed("update-v4-1", (old, new))
    assert len(line) > 10_000_000
    event = contained(line)
    if old in ('"igp"', "65002, 65100"):
        assert isinstance(event, Parsed)
        told = update_of(event)
        assert (told.withdrawn, told.announced) == (["20.0.0.0/24"], [])
