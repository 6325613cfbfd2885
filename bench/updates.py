"""Measures what lines of both ExaBGP versions cost rtrd, beside what they cost ExaBGP and a bare decoder."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice

import msgspec

from bench import emitting, lines
from bench.pipe import Router
from bench.report import Comparison, interleaved
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting

COUNT = 60_000
"""Lines of one measurement."""
PACKINGS = (1, 5, 20)
"""Prefixes of a line."""
SHARE = 0.01
"""What a line of packets mode may cost at most, beside ExaBGP itself."""
OCTETS = {1: 3.0, 5: 5.0, 20: 8.0}
"""What a line of packets mode may cost at most, by its prefixes, beside a typed decode of the line and of its hex."""
EXABGP = "ExaBGP itself"
PARSED = "rtrd, all processes, a parsed line"


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


def measure(setting: Setting) -> list[Comparison]:
    found = []
    with ScriptedCache(b"".join(setting.vrps)) as cache:
        for dialect in lines.DIALECTS:
            for packing in PACKINGS[1:2] if setting.short else PACKINGS:
                made = lines.updates(setting.table, packing, lines.Speaker(dialect))
                stream = [line for line in made if line.count(b'"nlri"') == packing]
                stream = list(islice(stream, COUNT))
                if not stream:
                    continue  # so small a table has no AS with as many routes
                print(f"CPU of a line, {packing} prefixes, {dialect}, us", flush=True)
                octets = list(map(lines.in_octets, stream))
                measures = {
                    "rtrd, all processes": partial(ours, setting, cache.port, octets),
                    "msgspec, typed, and the octets": partial(bare_octets, octets),
                    PARSED: partial(ours, setting, cache.port, stream),
                    "msgspec, typed, of a parsed line": partial(bare, stream),
                }
                if dialect == "5.0.15":
                    sent = emitting.encode(setting.table, packing, setting.sized(emitting.COUNT))
                    measures[EXABGP] = partial(emitting.spent, setting.folder, sent)
                rounds = interleaved(setting.rounds, measures)
                share = {"rtrd, all processes": rounds["rtrd, all processes"], EXABGP: rounds.pop(EXABGP, [])}
                plural = "es" if packing > 1 else ""
                name = f"CPU of a line of ExaBGP {dialect} with {packing} prefix{plural}"
                note = f"{len(stream):,} lines; no route and no attribute set is known before."
                found.append(Comparison(name, "us", rounds, "msgspec, typed, and the octets", OCTETS[packing], [note]))
                if share[EXABGP]:
                    told = f"ExaBGP with a real peer and a helper that only counts, {len(sent):,} UPDATEs."
                    found.append(Comparison(f"{name}, beside ExaBGP's own", "us", share, EXABGP, SHARE, [told]))
    return found
