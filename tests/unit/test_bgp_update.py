"""BGP UPDATEs read by the core, against a slow decoder written from the RFCs (tests/lab/bgp_rfcs.py)."""

from __future__ import annotations

import ipaddress
import itertools
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import _rov
from _rov import ffi, lib
from tests.lab.bgp_rfcs import TREATED_AS_WITHDRAW, Decoded, Route, Session, decode
from tests.lab.packets import bodies, session_of
from tests.lab.samples import SAMPLES

EXAMPLES = int(os.environ.get("RTRD_FUZZ", "300"))
MEMBER = Session(confederation=True)
EXTERNAL, INTERNAL = Session(), Session(peer_as=65001)
REFLECTED = Session(peer_as=65001, router_id=0x0A000001, peer_router_id=0x0A000002)
OLD = Session(four_octet_as=False)
FAULTS = {number: name.removeprefix("BGP_") for number, name in ffi.typeof("enum bgp_fault").elements.items()}

_update = ffi.new("struct bgp_update *")


def core(body: bytes, session: Session) -> Decoded:
    """Have the core read an UPDATE."""
    native = ffi.new(
        "struct bgp_session *",
        {
            "local_as": session.local_as,
            "peer_as": session.peer_as,
            "four_octet_as": session.four_octet_as,
            "path_ids_ipv4": 4 in session.path_ids,
            "path_ids_ipv6": 6 in session.path_ids,
            "extended_next_hop": session.extended_next_hop,
            "confederation": session.confederation,
            "router_id": session.router_id,
            "peer_router_id": session.peer_router_id,
        },
    )
    body_copy = ffi.new("uint8_t[]", body or b"\0")  # of exactly its size, so that a sanitizer sees what is behind it
    readable = lib.bgp_update_read(_update, native, body_copy, len(body))
    faults = {FAULTS[number] for number in FAULTS if _update.faults >> number & 1}
    decoded = Decoded(faults, readable, end_of_rib=_update.end_of_rib, others=_update.others)
    for i in range(_update.withdrawn_n):
        decoded.withdrawn += routes(_update.withdrawn[i])
    for i in range(_update.announced_n):
        run = _update.announced[i]
        decoded.announced.append((run.family, ffi.buffer(run.next_hop)[: run.next_hop_n], routes(run)))
        if not faults & TREATED_AS_WITHDRAW:
            key = lib.bgp_set_key(_update, native, ffi.new("struct bgp_run *", run))
            decoded.attributes = read_set(ffi.buffer(key.at, key.n)[:], run.family, session, decoded)
    return decoded


def routes(run: _rov.BgpRun) -> list[Route]:
    nlri, rest, found = ffi.new("struct nlri *"), ffi.new("struct octets *", run.nlri), []
    one = ffi.new("struct bgp_run *", run)
    while lib.bgp_next_route(rest, one, nlri):
        prefix = nlri.prefix
        octets = ffi.buffer(prefix.addr)[: 4 if prefix.family == 4 else 16]
        found.append((str(ipaddress.ip_network((octets, prefix.len))), nlri.path_id if nlri.has_path_id else None))
    return found


def read_set(key: bytes, family: int, session: Session, decoded: Decoded) -> dict[int, tuple[int, bytes]]:
    """Take an attribute set's key apart; its head and its form are checked on the way."""
    size = key[6]
    assert (key[0], key[2:6]) == (family, struct.pack("!I", session.local_as))
    assert key[1] & lib.BGP_EXTERNAL == (0 if session.internal else lib.BGP_EXTERNAL)
    assert (size, key[7 : 7 + size]) in [(len(hop), hop) for _, hop, _ in decoded.announced]
    attributes: dict[int, tuple[int, bytes]] = {}
    rest = key[7 + size :]
    while rest:
        flags, code = rest[:2]
        head = 4 if flags & 0x10 else 3
        length = int.from_bytes(rest[2:head])
        assert (length > 255) == (head == 4), "the shorter form wherever it can be"
        assert code > max(attributes, default=0), "in the order of their codes"
        attributes[code] = flags & ~0x10, rest[head : head + length]
        rest = rest[head + length :]
    path = attributes[2][1]
    other = path and int.from_bytes(path[2:6]) != session.peer_as
    assert bool(key[1] & lib.BGP_OTHER_FIRST_AS) == bool(other and not session.internal)
    return attributes


# -- updates as they come, and broken


def attribute(code: int, value: bytes, flags: int = 0x40, *, wide: bool = False) -> bytes:
    wide = wide or len(value) > 255
    head = struct.pack("!BBH", flags | 0x10, code, len(value)) if wide else bytes([flags, code, len(value)])
    return head + value


def message(attributes: bytes = b"", nlri: bytes = b"", withdrawn: bytes = b"") -> bytes:
    return struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + nlri


def path(*asns: int, kind: int = 2, width: int = 4) -> bytes:
    return bytes([kind, len(asns)]) + b"".join(asn.to_bytes(width) for asn in asns)


GOOD = attribute(1, b"\0") + attribute(2, path(65002, 65010)) + attribute(3, bytes([192, 0, 2, 1]))
NLRI = bytes([24, 198, 51, 100])
ASNS = st.sampled_from([1, 23456, 65001, 65002, 65010])
NEVER, SELDOM = st.just(False), st.sampled_from([False] * 15 + [True])


@st.composite
def paths(draw: st.DrawFn, width: int, mistake: st.SearchStrategy[bool]) -> bytes:
    least, lowest = int(not draw(mistake)), int(not draw(mistake))
    asns = st.lists(ASNS if lowest else st.just(0), min_size=least, max_size=4)
    segments = draw(st.lists(st.tuples(st.integers(lowest, 4), asns), min_size=least, max_size=4))
    return b"".join(path(*some, kind=kind, width=width) for kind, some in segments)


@st.composite
def prefixes(draw: st.DrawFn, bits: int, mistake: st.SearchStrategy[bool], *, path_ids: bool) -> bytes:
    length = draw(st.integers(0, bits + draw(mistake)))
    path_id = draw(st.binary(min_size=4, max_size=4)) if path_ids else b""
    return path_id + bytes([length]) + draw(st.binary(min_size=-(-length // 8), max_size=-(-length // 8)))


@st.composite
def multiprotocol(draw: st.DrawFn, code: int, session: Session, mistake: st.SearchStrategy[bool]) -> bytes:
    family = draw(st.sampled_from([4, 6, 1]))
    routes = prefixes(32 if family == 4 else 128, mistake, path_ids=family in session.path_ids)
    head = {4: b"\0\1\1", 6: b"\0\2\1", 1: b"\0\1\2"}[family]
    if code == 14:
        short = st.just(b"\xc0\0\2\1")
        long = st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(32), b"\xfe\x80" + b"\1" * 30])
        hop = draw(short if (family == 4 and not session.extended_next_hop) ^ draw(mistake) else long)
        head += bytes([len(hop)]) + hop + b"\0"
    return head + b"".join(draw(st.lists(routes, max_size=3)))


@st.composite
def values(draw: st.DrawFn, code: int, session: Session, mistake: st.SearchStrategy[bool]) -> bytes:
    """What an attribute can hold; with mistakes, now and then of a length or value that it can't have."""
    width = 4 if session.four_octet_as else 2
    if code in (2, 17):
        return draw(paths(width if code == 2 else 4, mistake))
    if code in (14, 15):
        return draw(multiprotocol(code, session, mistake))
    if code == 26:
        sizes = [(1, 11), *draw(st.lists(st.sampled_from([(1, 11), (2, 3), (1, 8)]), max_size=2))]
        tlvs = draw(st.permutations([*sizes, (1, 2)])) if draw(mistake) else sizes
        return b"".join(struct.pack("!BH", kind, size) + bytes(max(0, size - 3)) for kind, size in tlvs)
    lengths = {1: 1, 3: 4, 4: 4, 5: 4, 6: 0, 7: width + 4, 8: 8, 9: 4, 10: 8, 16: 16, 18: 8, 25: 40, 32: 24, 35: 4}
    size = lengths.get(code, draw(st.sampled_from([0, 5, 300])))
    if draw(mistake):
        return draw(st.binary(max_size=2 * size + 1))
    if code == 1:
        return bytes([draw(st.integers(0, 2))])
    if code in (7, 18):
        return draw(st.sampled_from([23456, 65010])).to_bytes(size - 4) + draw(st.binary(min_size=4, max_size=4))
    return draw(st.binary(min_size=size, max_size=size))


FLAGS = dict.fromkeys((1, 2, 3, 5, 6), 0x40) | dict.fromkeys((4, 9, 10, 14, 15, 26), 0x80)
CODES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 26, 32, 35, 40, 99, 128]
SESSIONS = st.builds(
    Session,
    local_as=st.just(65001),
    peer_as=st.sampled_from([65001, 65002]),
    four_octet_as=st.booleans(),
    path_ids=st.sampled_from([frozenset(some) for n in range(3) for some in itertools.combinations((4, 6), n)]),
    extended_next_hop=st.booleans(),
    router_id=st.sampled_from([0, 0x0A000001]),
    peer_router_id=st.sampled_from([0, 0x0A000002]),
)


@st.composite
def updates(draw: st.DrawFn) -> tuple[bytes, Session]:
    """Half of them as they should be."""
    session, mistake = draw(SESSIONS), draw(st.sampled_from([NEVER, SELDOM]))
    optional = draw(st.lists(st.sampled_from(CODES), max_size=6, unique_by=(lambda code: code,)))
    codes = draw(st.permutations([1, 2, 3, *(code for code in optional if code not in (1, 2, 3))]))
    codes = codes[draw(mistake) :] + codes[: draw(mistake)]
    octets = b"".join(
        attribute(
            code,
            draw(values(code, session, mistake)),
            FLAGS.get(code, 0xC0) ^ (draw(st.sampled_from([0x80, 0x40, 0x20, 0x0F])) if draw(mistake) else 0),
            wide=draw(st.booleans()),
        )
        for code in codes
    )
    some = st.lists(prefixes(32, mistake, path_ids=4 in session.path_ids), max_size=3)
    body = message(octets, b"".join(draw(some)), b"".join(draw(some)))
    at = draw(st.integers(0, len(body) - 1))
    if draw(mistake):
        body = body[:at] + bytes([body[at] ^ draw(st.integers(1, 255))]) + body[at + 1 :]
    return body[:at] if draw(mistake) else body, session


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(updates())
def test_the_core_reads_an_update_as_the_rfcs_say(drawn: tuple[bytes, Session]) -> None:
    body, session = drawn
    assert core(body, session) == decode(body, session)


@given(st.binary(max_size=80), SESSIONS)
def test_and_any_octets(body: bytes, session: Session) -> None:
    assert core(body, session) == decode(body, session)


# -- as they came

FILES = sorted(file for file in SAMPLES.glob("packets-*/*.jsonl") if b'"update"' in file.read_bytes())


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_real_updates(file: Path) -> None:
    version = file.parent.name.removeprefix("packets-")
    agreed = session_of(version, file.stem)
    session = Session(agreed.local_as, agreed.peer_as, agreed.four_octet_as, agreed.path_ids, agreed.extended_next_hop)
    for body in bodies(version, file.stem):
        decoded = core(body, session)
        assert decoded == decode(body, session)
        foreign = "confed" in file.stem and not session.internal
        broken = "bad" in file.stem or foreign or file.stem in ("empty-aspath-ebgp", "as4")
        assert bool(decoded.faults) == broken, decoded
        if decoded.faults == {"AS_PATH"}:
            inside = session._replace(confederation=True)
            assert core(body, inside) == decode(body, inside)


def test_a_route_of_a_peer_inside_our_as_is_prepared_for_others_inside() -> None:
    """RFC 4456 section 8: who brought it into the AS, and through which clusters it went."""
    ours, theirs = b"\x0a\0\0\1", b"\x0a\0\0\2"
    body = message(GOOD, NLRI)
    assert core(body, REFLECTED).attributes.items() >= {9: (0x80, theirs), 10: (0x80, ours)}.items()
    again = message(GOOD + attribute(9, b"\1\2\3\4", 0x80) + attribute(10, b"\1\1\1\1", 0x80), NLRI)
    assert core(again, REFLECTED).attributes.items() >= {9: (0x80, b"\1\2\3\4"), 10: (0x80, ours + b"\1\1\1\1")}.items()
    assert not {9, 10} & core(body, REFLECTED._replace(peer_as=65002)).attributes.keys()


def test_as_octets_say_it() -> None:
    """The oracle and the core were written by one hand: here the RFCs' own words are held against both."""
    told = core(message(GOOD, NLRI), EXTERNAL)
    assert told.announced == [(4, bytes([192, 0, 2, 1]), [("198.51.100.0/24", None)])]
    assert told.attributes == {1: (0x40, b"\0"), 2: (0x40, path(65002, 65010))}
    assert (told.faults, told.end_of_rib) == (set(), 0)


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (GOOD[4:], "MISSING"),
        (attribute(1, b"\3") + GOOD[4:], "ORIGIN"),
        (attribute(1, b"\0", 0xC0) + GOOD[4:], "FLAGS"),
        (attribute(1, b"\0") + attribute(2, b"") + GOOD[-7:], "EMPTY_AS_PATH"),
        (attribute(1, b"\0") + attribute(2, path(65002, 0)) + GOOD[-7:], "AS_ZERO"),
        (attribute(1, b"\0") + attribute(2, path(65002) + b"\2\0") + GOOD[-7:], "AS_PATH"),
        (attribute(1, b"\0") + attribute(2, path(65002) + b"\2") + GOOD[-7:], "AS_PATH"),
        (attribute(1, b"\0") + attribute(2, path(65002, kind=5)) + GOOD[-7:], "AS_PATH"),
        (GOOD + attribute(8, b"\0\1\2", 0xC0), "COMMUNITIES"),
        (GOOD + attribute(8, b"", 0xC0), "COMMUNITIES"),
        (GOOD + attribute(32, bytes(11), 0xC0), "LARGE_COMMUNITIES"),
        (GOOD + attribute(35, bytes(3), 0xC0), "OTC"),
        (GOOD + attribute(4, bytes(3), 0x80), "MED"),
        (GOOD + attribute(77, b""), "UNKNOWN_WELL_KNOWN"),
        (GOOD + b"\x40\1", "OVERRUN"),
        (GOOD + b"\xc0\x63\2\0", "OVERRUN"),
    ],
)
def test_treat_as_withdraw(octets: bytes, fault: str) -> None:
    told = core(message(octets, NLRI), EXTERNAL)
    assert told.faults == {fault}
    assert told.readable
    assert [routes for _, _, routes in told.announced] == [[("198.51.100.0/24", None)]]
    assert told.attributes == {}


@pytest.mark.parametrize(
    ("more", "session", "fault"),
    [
        (attribute(5, b"\0", 0xC0), EXTERNAL, None),
        (attribute(9, b""), EXTERNAL, None),
        (attribute(17, b"\2", 0xC0), EXTERNAL, None),
        (attribute(98, b"\1", 0x80), EXTERNAL, None),
        (attribute(6, b"\0"), EXTERNAL, "ATOMIC_AGGREGATE"),
        (attribute(7, bytes(8), 0xC0), EXTERNAL, "AGGREGATOR"),
        (attribute(7, bytes(6), 0xC0), EXTERNAL, "AGGREGATOR"),
        (attribute(26, b"\1\0\4\0", 0x80), INTERNAL, "AIGP"),
        (attribute(26, b"\1\0\4\0", 0x80), MEMBER, "AIGP"),
        (attribute(26, b"\1\0\4\0", 0x80), EXTERNAL, None),
        (attribute(26, b"\1\0\13" + bytes(8), 0x80), EXTERNAL, None),
        (attribute(1, b"\1"), EXTERNAL, "DUPLICATE"),
    ],
)
def test_attribute_discard(more: bytes, session: Session, fault: str | None) -> None:
    told = core(message(GOOD + more, NLRI), session)
    assert told.faults == ({fault} if fault else set())
    assert told.attributes == core(message(GOOD, NLRI), session).attributes


def test_unknown_transitive_attributes_are_kept() -> None:
    told = core(message(GOOD + attribute(99, b"\1\2", 0xE0) + attribute(35, b"\0\0\xfd\xea", 0xC0), NLRI), EXTERNAL)
    assert told.attributes[99] == (0xE0, b"\1\2")
    assert told.attributes[35] == (0xC0, b"\0\0\xfd\xea")


@pytest.mark.parametrize(
    ("octets", "merged"),
    [  # RFC 6793 section 4.2.3
        (attribute(2, path(65002, 23456, 23456, width=2)) + attribute(17, path(65536, 65537), 0xC0),
         path(65002) + path(65536, 65537)),
        (attribute(2, path(65002, width=2)) + attribute(17, path(65536, 65537), 0xC0), path(65002)),
        (attribute(2, path(65002, 23456, width=2)) + attribute(7, b"\xfd\xea\1\2\3\4", 0xC0)
         + attribute(17, path(65536), 0xC0), path(65002, 23456)),
        (attribute(2, path(65003, kind=3, width=2) + path(65002, 23456, width=2)) + attribute(17, path(65536), 0xC0),
         path(65003, kind=3) + path(65002) + path(65536)),
    ],
    ids=["merged", "longer", "aggregated later", "confederation"],
)  # fmt: skip
def test_as4_path_of_a_peer_with_two_octets(octets: bytes, merged: bytes) -> None:
    told = core(message(GOOD[:4] + octets + GOOD[-7:], NLRI), OLD._replace(confederation=True))
    assert told.attributes[2] == (0x40, merged)
    assert 17 not in told.attributes


@pytest.mark.parametrize(
    ("body", "family"),
    [
        (message(), 4),
        (message(attribute(15, b"\0\2\1", 0x80)), 6),
        (message(attribute(15, b"\0\2\1", 0x80, wide=True)), 6),
        (message(attribute(15, b"\0\1\1", 0x80)), 4),
        (message(attribute(15, b"\0\2\1\0", 0x80)), 0),
        (message(attribute(15, b"\0\1\2", 0x80)), 0),
        (message(attribute(15, b"\0\2\1", 0x80), withdrawn=NLRI), 0),
    ],
)
def test_end_of_rib(body: bytes, family: int) -> None:
    assert core(body, EXTERNAL).end_of_rib == family


@pytest.mark.parametrize("n", range(len(message(GOOD + attribute(15, b"\0\2\1\0", 0x80), NLRI, NLRI))))
def test_a_message_that_ends_early_is_no_crash(n: int) -> None:
    body = message(GOOD + attribute(15, b"\0\2\1\0", 0x80), NLRI, NLRI)[:n]
    assert core(body, EXTERNAL) == decode(body, EXTERNAL)
