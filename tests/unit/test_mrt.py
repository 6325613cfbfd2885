"""Table dumps (RFC 6396, 8050) judged: counts and routes beside a slow judge, messages, packing, and what is broken."""

from __future__ import annotations

import bz2
import gzip
import ipaddress
import lzma
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrd.config import NeighborConfig
from rtrd.config.types import NeighborMatch
from rtrd.mrt.files import DumpError
from rtrd.mrt.judged_paths import JudgedPaths
from rtrd.mrt.records import DumpRoute
from rtrd.mrt.table_dump import TableDump
from rtrlib import aspas
from rtrlib.aspa_paths import LocalRole
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VALIDITIES, VRPSet
from tests.lab import mrt
from tests.lab.aspa_verification import outcome
from tests.lab.mrt import Entry

PEERS = [("192.0.2.1", 64501), ("2001:db8::2", 4_200_000_002), ("192.0.2.3", 64503)]
VRPS = [
    VRP("198.51.100.0/24", 24, 64511),
    VRP("203.0.113.0/24", 25, 64511),
    VRP("2001:db8:5::/48", 48, 4_200_000_002),
    VRP("100.64.0.0/10", 10, 0),
]
PREFIXES = ["198.51.100.0/24", "203.0.113.0/24", "203.0.113.0/26", "100.64.1.0/24", "192.88.99.0/24", "0.0.0.0/0"]
PREFIXES += ["2001:db8:5::/48", "2001:db8:5:1::/64", "2001:db8:6::/48", "::/0"]
ALL = {(one, other) for one in VALIDITIES for other in VALIDITIES}


def a_set(vrps: Sequence[VRP]) -> VRPSet:
    made = VRPSet()
    made.replace(0, b"".join(map(pack, vrps)))
    made.activate([0])
    made.usable = True
    return made


def read(
    path: Path,
    octets: bytes,
    then: Sequence[VRP] | None = None,
    within: str | None = None,
    paths: JudgedPaths | None = None,
) -> TableDump:
    path.write_bytes(octets)
    now = a_set(VRPS)
    return TableDump(path, now, now if then is None else a_set(then), ALL, within=within, paths=paths)


def origin_of(path: Sequence[mrt.Segment], peer_as: int) -> int | None:
    """RFC 6811 section 2, RFC 6907 section 7.1.8: of the last segment that is of no confederation."""
    outside = [(kind, asns) for kind, asns in path if kind in {1, 2}]
    if not outside:
        return peer_as
    kind, asns = outside[-1]
    return None if kind == 1 else asns[-1]


def judged(vrps: Sequence[VRP], prefix: str, origin: int | None) -> str:
    """RFC 6811 section 2, word by word."""
    net = ipaddress.ip_network(prefix)
    covering = [
        vrp
        for vrp in vrps
        if (own := ipaddress.ip_network(vrp.prefix)).version == net.version
        and own.prefixlen <= net.prefixlen
        and ipaddress.ip_network((net.network_address, own.prefixlen), strict=False) == own
    ]
    if any(vrp.asn == origin and vrp.asn != 0 and net.prefixlen <= vrp.max_length for vrp in covering):
        return "valid"
    return "invalid" if covering else "not-found"


ASNS = st.sampled_from([64501, 64503, 64511, 4_200_000_002, 1])
PATHS = st.lists(st.tuples(st.sampled_from([1, 2, 2, 2, 3, 4]), st.lists(ASNS, min_size=1, max_size=3)), max_size=3)
RIBS = st.lists(
    st.tuples(st.sampled_from(PREFIXES), st.lists(st.tuples(st.integers(0, 2), PATHS), max_size=4), st.booleans()),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RIBS, st.lists(st.sampled_from(VRPS), unique=True))
def test_each_entry_is_judged_by_both_sets(
    tmp_path: Path, ribs: list[tuple[str, list[tuple[int, list[mrt.Segment]]], bool]], then: list[VRP]
) -> None:
    octets = mrt.peers(PEERS)
    expected = []
    for prefix, routes, path_ids in ribs:
        entries = [Entry(peer, path, number if path_ids else None) for number, (peer, path) in enumerate(routes)]
        octets += mrt.rib(prefix, entries)
        for entry in entries:
            origin = origin_of(entry.path, PEERS[entry.peer][1])
            peer = (*PEERS[entry.peer], entry.path_id)
            expected.append(
                DumpRoute(prefix, *peer, origin, judged(VRPS, prefix, origin), judged(then, prefix, origin))
            )
    dump = read(tmp_path / "rib", octets, then)
    assert list(dump.routes()) == expected
    assert dump.moved == Counter((route.now, route.then) for route in expected)


NAMED = {64511: {64503}, 64503: {64501, 1}, 64501: {0}, 4_200_000_002: {64501}}
ROLES: list[LocalRole] = ["customer", "provider", "rs-client"]


def judged_paths(roles: Sequence[LocalRole]) -> JudgedPaths:
    held = aspas.union_of(aspas.numbers([(customer, sorted(providers)) for customer, providers in NAMED.items()]))
    matches = [NeighborMatch(address) for address, _ in PEERS]
    return JudgedPaths(
        held, [NeighborConfig(match=(m,), local_role=role) for m, role in zip(matches, roles, strict=False)]
    )


def path_outcome(path: Sequence[mrt.Segment], peer_as: int, role: LocalRole) -> str:
    """draft-ietf-sidrops-aspa-verification-28 section 6, and the neighbor's AS (section 6.1)."""
    if any(kind != 2 for kind, _ in path):
        return "invalid"
    asns = [asn for _, part in path for asn in part]
    if role != "rs-client" and asns[:1] != [peer_as]:
        return "invalid"
    return outcome(NAMED, asns, "downstream" if role == "customer" else "upstream")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RIBS, st.lists(st.sampled_from(ROLES), min_size=1, max_size=3))
def test_paths_are_judged_where_the_peer_has_a_role(
    tmp_path: Path, ribs: list[tuple[str, list[tuple[int, list[mrt.Segment]]], bool]], roles: list[LocalRole]
) -> None:
    octets, expected = mrt.peers(PEERS), []
    for prefix, routes, _ in ribs:
        # Most paths of real dumps begin with the peer's AS.
        entries = [
            Entry(peer, [(2, [PEERS[peer][1]]), *path] if number % 2 else path)
            for number, (peer, path) in enumerate(routes)
        ]
        octets += mrt.rib(prefix, entries)
        expected += [
            path_outcome(entry.path, PEERS[entry.peer][1], roles[entry.peer]) if entry.peer < len(roles) else None
            for entry in entries
        ]
    dump = read(tmp_path / "rib", octets, paths=judged_paths(roles))
    assert [route.aspa for route in dump.routes()] == expected
    assert dump.paths == {each: expected.count(each) for each in ("valid", "invalid", "unknown")}


def test_paths_of_messages_are_judged_but_not_those_of_the_same_as(tmp_path: Path) -> None:
    peer, local = PEERS[0], ("192.0.2.254", 64500)
    octets = mrt.update(peer, ["198.51.100.0/24"], path=[(2, [64501, 64503])], local=local)
    octets += mrt.update(PEERS[2], ["203.0.113.0/24"], path=[(2, [64503])], local=("192.0.2.254", 64503))
    dump = read(tmp_path / "updates", octets, paths=judged_paths(["provider", "provider", "provider"]))
    assert {route.prefix: route.aspa for route in dump.routes()} == {"198.51.100.0/24": "valid", "203.0.113.0/24": None}
    assert dump.paths == {"valid": 1, "invalid": 0, "unknown": 0}


def sample() -> bytes:
    return mrt.peers(PEERS) + mrt.rib("198.51.100.0/24", [Entry(0, [(2, [64501, 64511])]), Entry(2, [(2, [64503])])])


def test_how_an_invalid_prefix_is_still_reached(tmp_path: Path) -> None:
    octets = mrt.peers(PEERS)
    octets += mrt.rib("203.0.113.0/24", [Entry(0, [(2, [64511])])]) + mrt.rib("203.0.113.0/26", [Entry(1, [(2, [9])])])
    octets += mrt.rib("100.0.0.0/8", [Entry(0, [(2, [5])])]) + mrt.rib("100.64.0.0/10", [Entry(2, [(2, [9])])])
    octets += mrt.rib("2001:db8:5::/48", [Entry(2, [(2, [9])])])
    dump = read(tmp_path / "rib", octets)
    assert Counter(route.now for route in dump.routes()) == {"invalid": 3, "valid": 1, "not-found": 1}
    dump.settle()
    covers = {prefix: dump.cover(prefix) for prefix in ("203.0.113.0/26", "100.64.0.0/10", "2001:db8:5::/48")}
    assert list(covers.values()) == ["covered-by-valid", "covered-by-not-found", "unreachable"]


def test_only_what_lies_within_a_prefix_is_looked_at(tmp_path: Path) -> None:
    octets = (
        sample() + mrt.rib("198.51.100.128/25", [Entry(0, [(2, [1])])]) + mrt.rib("0.0.0.0/0", [Entry(0, [(2, [1])])])
    )
    dump = read(tmp_path / "rib", octets, within="198.51.100.0/24")
    assert {route.prefix for route in dump.routes()} == {"198.51.100.0/24", "198.51.100.128/25"}
    assert sum(dump.moved.values()) == 3


@pytest.mark.parametrize("pack_", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packing_is_told_by_the_first_octets(tmp_path: Path, pack_: Callable[[bytes], bytes]) -> None:
    dump = read(tmp_path / "rib", pack_(sample()))
    assert [route.now for route in dump.routes()] == ["valid", "invalid"]


@pytest.mark.parametrize("pack_", [gzip.compress, bz2.compress, lzma.compress])
def test_streams_one_behind_another_are_one_dump(tmp_path: Path, pack_: Callable[[bytes], bytes]) -> None:
    octets = sample()
    packed = pack_(octets[:50]) + pack_(b"") + pack_(octets[50:]) + bytes(8)
    assert [route.now for route in read(tmp_path / "rib", packed).routes()] == ["valid", "invalid"]
    many = read(tmp_path / "rib", pack_(octets) * 2000 + bytes(200_000))
    assert len(list(many.routes())) == 4000


@pytest.mark.parametrize("pack_", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_that_is_none_behind_another_is_told(tmp_path: Path, pack_: Callable[[bytes], bytes]) -> None:
    dump = read(tmp_path / "rib", pack_(sample()) + b"x" + pack_(sample())[1:])
    with pytest.raises(DumpError, match=r"rib: it can't be unpacked further: .* at octet \d+"):
        list(dump.routes())
    assert sum(dump.moved.values()) == 2


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_zstandard_is_unpacked_by_its_program(tmp_path: Path) -> None:
    packed = subprocess.run(["zstd", "-qc"], input=sample(), stdout=subprocess.PIPE, check=True).stdout
    assert len(list(read(tmp_path / "rib", packed).routes())) == 2
    with pytest.raises(DumpError, match="rib: zstd can't unpack it"):
        list(read(tmp_path / "rib", packed[:-5]).routes())


def test_without_the_program_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DumpError, match="apt install zstd"):
        list(read(tmp_path / "rib.zst", b"whatever").routes())


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "it is empty"),
        (b"hello\n" * 50, "it is no table dump"),
        (sample()[:-1], "it ends in the middle of a record"),
        (sample() + bytes(3), "it ends in the middle of a record, after 3 octets"),
        (sample() + mrt.record(13, 2, bytes(9), length=1 << 31), r"longer than 16777216 octets at octet \d+"),
        (sample() + mrt.record(13, 2, bytes(4) + bytes([33])), r"a RIB record is malformed at octet \d+"),
        (mrt.rib("198.51.100.0/24", [Entry(0, [])]), "comes before any peer index table"),
        (mrt.record(13, 1, bytes(4)), "the peer index table is malformed"),
        (gzip.compress(sample())[:-9], r"rib: it is cut: what is packed has no end"),
        (gzip.compress(sample())[:-8] + bytes(8), r"rib: it can't be unpacked further: CRC .* at octet \d+"),
        (b"BZh9" + bytes(40), "rib: it can't be unpacked further: "),
    ],
)
def test_a_broken_file_is_named_with_what_and_where(tmp_path: Path, octets: bytes, what: str) -> None:
    with pytest.raises(DumpError, match=what):
        list(read(tmp_path / "rib", octets).routes())


def test_what_comes_before_the_fault_is_counted(tmp_path: Path) -> None:
    dump = read(tmp_path / "rib", sample() + sample()[:-1])
    with pytest.raises(DumpError):
        list(dump.routes())
    assert sum(dump.moved.values()) == 2


@pytest.mark.parametrize("pack_", [gzip.compress, bz2.compress, lzma.compress])
def test_all_that_can_be_unpacked_before_a_cut_is_counted(tmp_path: Path, pack_: Callable[[bytes], bytes]) -> None:
    dump = read(tmp_path / "rib", pack_(sample()) + pack_(sample() * 3)[:-4])
    with pytest.raises(DumpError, match="it is cut"):
        list(dump.routes())
    assert sum(dump.moved.values()) >= 2


def test_of_messages_that_are_cut_the_routes_before_count(tmp_path: Path) -> None:
    octets = mrt.update(("192.0.2.1", 64501), ["198.51.100.0/24"], path=[(2, [64501, 64511])])
    dump = read(tmp_path / "updates", octets + octets[:20])
    with pytest.raises(DumpError, match="in the middle of a record"):
        list(dump.routes())
    assert dump.moved == {("valid", "valid"): 1}


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_zstandard_may_come_through_a_pipe() -> None:
    packed = subprocess.run(["zstd", "-qc"], input=sample() * 20_000, stdout=subprocess.PIPE, check=True).stdout
    now = a_set(VRPS)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        assert pipe.stdin is not None
        assert pipe.stdout is not None
        writing = threading.Thread(target=lambda stdin: (stdin.write(packed), stdin.close()), args=(pipe.stdin,))
        writing.start()
        dump = TableDump(Path(f"/dev/fd/{pipe.stdout.fileno()}"), now, now, ALL)
        assert len(list(dump.routes())) == 40_000
        writing.join()


def test_entries_whose_attributes_can_t_be_read_are_left_out(tmp_path: Path) -> None:
    bad = [b"\x40\x02\x05\x02", b"\x40", b"\x40\x02\x03\x02\x01\x00", mrt.path_attributes([(2, [0])])]
    octets = mrt.peers(PEERS) + mrt.rib("198.51.100.0/24", [Entry(0, [], attributes=each) for each in bad])
    dump = read(tmp_path / "rib", octets)
    assert not list(dump.routes())
    assert dump.malformed == len(bad)


def test_entries_of_a_peer_that_is_not_listed_are_left_out(tmp_path: Path) -> None:
    """GoBGP 3 gives its local routes the number behind the last peer."""
    own = mrt.rib("198.51.100.0/24", [Entry(3, [(2, [64511])]), Entry(0, [(2, [64511])]), Entry(65535, [])])
    dump = read(tmp_path / "rib", mrt.peers(PEERS) + own)
    assert [route.peer for route in dump.routes()] == ["192.0.2.1"]
    assert (dump.peerless, dump.malformed) == (2, 0)


def test_other_records_are_left_out_and_counted(tmp_path: Path) -> None:
    dump = read(tmp_path / "rib", sample() + mrt.record(13, mrt.GENERIC, bytes(30)) + mrt.record(12, 1, bytes(22)))
    assert len(list(dump.routes())) == 2
    assert dump.records == 2


def test_of_messages_the_routes_at_the_end_count(tmp_path: Path) -> None:
    one, other = ("192.0.2.1", 64501), ("192.0.2.3", 64503)
    octets = mrt.update(one, ["198.51.100.0/24", "203.0.113.0/24"], path=[(2, [64501, 64511])])
    octets += mrt.update(other, ["198.51.100.0/24"], path=[(2, [64503])], subtype=1)
    octets += mrt.update(one, withdrawn=["203.0.113.0/24"])
    octets += mrt.update(one, ["192.88.99.0/24"], path=[(2, [64501])], subtype=9, path_id=7)
    octets += mrt.update(one, ["100.64.0.0/10"], path=[(2, [64501])], subtype=6)  # sent to the peer
    dump = read(tmp_path / "updates", octets)
    assert {(route.prefix, route.peer, route.path_id, route.origin, route.now) for route in dump.routes()} == {
        ("198.51.100.0/24", "192.0.2.1", None, 64511, "valid"),
        ("198.51.100.0/24", "192.0.2.3", None, 64503, "invalid"),
        ("192.88.99.0/24", "192.0.2.1", 7, 64501, "not-found"),
    }
    assert dump.moved == {("valid", "valid"): 1, ("invalid", "invalid"): 1, ("not-found", "not-found"): 1}


def test_a_session_that_ends_takes_its_routes_away(tmp_path: Path) -> None:
    one, other = ("192.0.2.1", 64501), ("192.0.2.3", 64503)
    octets = b"".join(mrt.update(peer, ["198.51.100.0/24"], path=[(2, [peer[1]])]) for peer in (one, other))
    dump = read(tmp_path / "updates", octets + mrt.state(one, 1) + mrt.state(other, 6))
    assert [route.peer for route in dump.routes()] == ["192.0.2.3"]


def test_messages_that_are_not_what_their_record_says_are_counted(tmp_path: Path) -> None:
    good = mrt.update(("192.0.2.1", 64501), ["198.51.100.0/24"], path=[(2, [64501])])
    dump = read(tmp_path / "updates", mrt.record(16, 4, good[12:-3]) + mrt.record(16, 5, b"") + good)
    assert len(list(dump.routes())) == 1
    assert dump.broken_messages == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_no_octet_breaks_more_than_the_reading(tmp_path: Path, data: st.DataObject) -> None:
    octets = bytearray(sample() + mrt.update(("192.0.2.1", 64501), ["198.51.100.0/24"], path=[(2, [64501])]))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    dump = read(tmp_path / "rib", bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    routes: list[DumpRoute] = []
    with suppress(DumpError):
        routes += dump.routes()
        assert sum(dump.moved.values()) == len(routes)
