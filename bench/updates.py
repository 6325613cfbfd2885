"""Measures what lines of both ExaBGP versions cost rtrd, beside what they cost ExaBGP and a bare decoder."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import islice, product

import msgspec

from bench import emitting, lines
from bench.pipe import Router
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting, set_of
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet

COUNT = 60_000
"""Lines of one measurement, unless they are of the whole table."""
PACKINGS = (1, 5, 20)
"""Prefixes of a line."""
REAL = 7
"""Prefixes of a line at most where a table comes as it is packed: it has so many routes with the same attributes."""
SHARE = 0.01
"""What a line of packets mode may cost at most, beside ExaBGP itself."""
OCTETS = {1: 3.0, 5: 5.0, 20: 8.0}
"""What a line of packets mode may cost at most, by its prefixes, beside a typed decode of the line and of its hex."""
EXABGPS = ("5.0.15",)
"""Those that are measured themselves."""
EXABGP = "ExaBGP itself"
OURS, DECODE = "rtrd, all processes", "msgspec, typed, and the octets"
PARSED = "rtrd, all processes, a parsed line"
VALIDITY, INSERT = "the validity of its routes alone", "its prefixes into a set of Python's"


FLOOR = (
    "Two rows say what the routes of a line need of a program that judges and keeps them, without a look at its octets:"
    " for each, memory is read that is in no cache, while msgspec's decode of a line stays in the first one. With that"
    " decode they are the floor: where their sum is above a target, what misses it is the memory, not the decoder."
)


class _Segment(msgspec.Struct):
    element: str
    value: list[int]


class _Attributes(msgspec.Struct):
    origin: str = ""
    as_path: dict[str, _Segment] | list[int] = msgspec.field(name="as-path", default_factory=list)
    med: int | None = None
    community: list[tuple[int, int]] = []
    large_community: list[tuple[int, int, int]] = msgspec.field(name="large-community", default_factory=list)


class _Nlri(msgspec.Struct):
    nlri: str


class _Update(msgspec.Struct):
    attribute: _Attributes
    announce: dict[str, dict[str, list[_Nlri]]]


class _Message(msgspec.Struct):
    update: _Update | None = None
    body: str = ""


class _Address(msgspec.Struct):
    peer: str


class _Neighbor(msgspec.Struct):
    address: _Address
    message: _Message


class _Line(msgspec.Struct):
    type: str
    neighbor: _Neighbor


def bare(stream: list[bytes]) -> float:
    """Give the CPU microseconds a line of a typed decode that does nothing with the result."""
    decode = msgspec.json.Decoder(_Line).decode
    begin = time.process_time()
    for line in stream:
        decode(line)
    return (time.process_time() - begin) / len(stream) * 1e6


def bare_octets(stream: list[bytes]) -> float:
    """Give the same for lines of packets mode, whose octets are read, too."""
    decode = msgspec.json.Decoder(_Line).decode
    begin = time.process_time()
    for line in stream:
        bytes.fromhex(decode(line).neighbor.message.body[2:])
    return (time.process_time() - begin) / len(stream) * 1e6


class Floor:
    """The least that a line's routes need of any program that judges them and keeps them: no octet of it is decoded."""

    def __init__(self, vrp_set: VRPSet, stream: list[bytes]) -> None:
        decode = msgspec.json.Decoder(_Line).decode
        self._set = vrp_set
        self._routes, self._prefixes = [], []
        for update in (decode(line).neighbor.message.update for line in stream):
            assert update is not None
            path = update.attribute.as_path
            origin = (path if isinstance(path, list) else path["0"].value)[-1]
            texts = [one.nlri for family in update.announce.values() for nlri in family.values() for one in nlri]
            packed = [pack(VRP(text, int(text.partition("/")[2]), origin)) for text in texts]
            self._routes.append(b"".join(packed))
            self._prefixes.append([one[:16] + one[20:21] for one in packed])

    def validity(self) -> float:
        """Give the CPU microseconds a line of asking for the validity of its routes."""
        begin = time.process_time()
        for routes in self._routes:
            self._set.validate_many(routes)
        return (time.process_time() - begin) / len(self._routes) * 1e6

    def insert(self) -> float:
        """Give the same of adding its prefixes to a hash table, which is CPython's."""
        table: set[bytes] = set()
        fresh = [[prefix[:16] + prefix[16:] for prefix in prefixes] for prefixes in self._prefixes]  # of no hash yet
        begin = time.process_time()
        for prefixes in fresh:
            table.update(prefixes)
        return (time.process_time() - begin) / len(fresh) * 1e6


def ours(setting: Setting, port: int, stream: list[bytes]) -> float:
    """Give the CPU microseconds a line of all processes of a new rtrd: no route or attribute set is known before."""
    with Router(setting.folder, [(HOST, port)], name="updates") as router:
        router.wait_vrps(len(setting.vrps))
        usage = router.usage()
        before = (router.status() or {})["routers"][0]["lines"] + 2
        router.feed(lines.opens())
        router.wait_lines(before)
        begin = usage.cpu()
        router.feed(stream)
        router.wait_lines(before + len(stream))
        return (usage.cpu() - begin) / len(stream) * 1e6


def chosen(setting: Setting, packing: int) -> list[lines.Packed]:
    """Give the UPDATEs of exactly so many prefixes; REAL: all of the table."""
    packed = lines.packed_routes(setting.table, packing)
    if packing == REAL:
        return list(packed)
    return list(islice((one for one in packed if len(one[3]) == packing), COUNT))


def _title(dialect: str, packed: list[lines.Packed], packing: int) -> str:
    name = f"CPU of a line of ExaBGP {dialect}"
    if packing == REAL:
        prefixes = sum(len(prefixes) for *_, prefixes in packed) / len(packed)
        return f"{name} as a table comes, {prefixes:.1f} prefixes"
    return f"{name} with {packing} prefix{'es' if packing > 1 else ''}"


def _beside_exabgp(setting: Setting, packed: list[lines.Packed]) -> tuple[str, Callable[[], float]]:
    """Give what measures ExaBGP itself, with UPDATEs from all over those of the lines, and how many they are."""
    sent = emitting.encode(packed[:: -(-len(packed) // setting.sized(emitting.COUNT))])
    told = f"ExaBGP with a real peer and a helper that only counts, {len(sent):,} UPDATEs."
    return told, partial(emitting.spent, setting.folder, sent)


def measure(setting: Setting) -> list[Comparison]:
    found = []
    vrps = b"".join(setting.vrps)
    vrp_set = set_of(vrps)
    packings = PACKINGS[1:2] if setting.short else (*PACKINGS, REAL)
    with ScriptedCache(vrps) as cache:
        for dialect, packing in product(lines.DIALECTS, packings):
            packed = chosen(setting, packing)
            if not packed or (packing == REAL and dialect not in EXABGPS):
                continue  # so small a table has no AS with as many routes; or there is nothing to compare with
            name = _title(dialect, packed, packing)
            print(f"{name}, us", flush=True)
            stream = list(lines.told(packed, lines.Speaker(dialect)))
            octets = list(map(lines.in_octets, stream))
            measures: dict[str, Callable[[], float]] = {OURS: partial(ours, setting, cache.port, octets)}
            if packing != REAL:
                floor = Floor(vrp_set, stream)
                measures |= {
                    DECODE: partial(bare_octets, octets),
                    VALIDITY: floor.validity,
                    INSERT: floor.insert,
                    PARSED: partial(ours, setting, cache.port, stream),
                    "msgspec, typed, of a parsed line": partial(bare, stream),
                }
            told = ""
            if dialect in EXABGPS:
                told, measures[EXABGP] = _beside_exabgp(setting, packed)
            rounds = interleaved(setting.rounds, measures)
            share = {OURS: rounds[OURS], EXABGP: rounds.pop(EXABGP, [])}
            if packing != REAL:
                notes = [f"{len(stream):,} lines; no route and no attribute set is known before.", FLOOR]
                found.append(Comparison(name, "us", rounds, DECODE, OCTETS[packing], notes))
            if told:
                found.append(Comparison(f"{name}, beside ExaBGP's own", "us", share, EXABGP, SHARE, [told]))
    return found
