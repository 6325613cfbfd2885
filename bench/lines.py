"""Writes the lines that ExaBGP 5.0.15 or 4.2.21 would write for routes, which come from a file or are made from VRPs.

Each origin AS has a few attribute sets (AS path, communities, MED), always the same ones; an UPDATE carries `packing`
routes of one set. A unit test compares the lines with those of the real versions.
"""

from __future__ import annotations

import csv
import gzip
import random
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from bench import generate
from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed

Dialect: TypeAlias = Literal["5.0.15", "4.2.21"]
DIALECTS: tuple[Dialect, ...] = ("5.0.15", "4.2.21")
PEER, LOCAL, OWN_AS, PEER_AS = "127.0.0.2", "127.0.0.1", 65001, 65002
NEXT_HOP_V6 = "2001:db8::2"
SETS = 3
"""Sets of path attributes of an origin AS: about 0.2 M in a full table."""
TRANSIT = tuple(range(64496, 64512)) + tuple(range(4200000000, 4200000064))
"""AS numbers of documentation and private use, for the middle of paths."""

_FAMILIES = {
    "5.0.15": '"families": ["ipv4 unicast", "ipv6 unicast"], "nexthop": [], "add_path": {"send": [], "receive": []}',
    "4.2.21": '"families": [ "ipv4 unicast" ,"ipv6 unicast" ], "nexthop": [  ], '
    '"add_path": { "send": [  ], "receive": [  ] }',
}


class Route(NamedTuple):
    """What a neighbor announces; the attributes follow from the origin."""

    prefix: str
    origin: int


class Attributes(NamedTuple):
    """One set of path attributes, without its next hop."""

    as_path: tuple[int, ...]
    med: int | None
    communities: tuple[tuple[int, int], ...]
    large_communities: tuple[tuple[int, int, int], ...]


class Speaker(NamedTuple):
    """Who said it, to whom."""

    dialect: Dialect = "5.0.15"
    peer: str = PEER
    peer_as: int = PEER_AS


def read_routes(path: Path) -> list[Route]:
    """Read `prefix,origin` of a CSV file, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = csv.reader(file)
        next(rows)
        return [Route(prefix, int(origin)) for prefix, origin in rows]


def make_routes(count: int, vrps: list[bytes], seed: int = generate.SEED) -> list[Route]:
    """Make `count` routes of different prefixes, in order of prefix as a table transfer often is."""
    found: dict[bytes, bytes] = {}
    while len(found) < count:
        for packed in generate.routes(count - len(found) + 1000, vrps, seed):
            found.setdefault(packed[20:21] + packed[22:23] + packed[:16], packed)
        seed += 1
    made = sorted(islice(found.values(), count), key=lambda one: (one[22], one[:16], one[20]))
    texts = map(generate.text_of, made)
    return [Route(f"{address}/{length}", asn) for address, length, _, asn in texts]


def attributes_of(origin: int, which: int, peer_as: int = PEER_AS) -> Attributes:
    """Give one of an origin's sets, always the same."""
    chance = random.Random(origin << 8 | which)
    middle = [chance.choice(TRANSIT) for _ in range(chance.choice((1, 2, 2, 3, 3, 4)))]
    prepended = [origin] * chance.choice((1, 1, 1, 1, 2))
    communities = {(chance.choice(TRANSIT[:16]), chance.randrange(3000)) for _ in range(chance.choice((0, 1, 2, 3, 6)))}
    large = ((middle[0], chance.randrange(100), chance.randrange(100)),) if chance.random() < 0.2 else ()
    med = chance.randrange(200) if chance.random() < 0.3 else None
    return Attributes((peer_as, *middle, *prepended), med, tuple(sorted(communities)), large)


def _attributes_text(one: Attributes, dialect: Dialect) -> str:
    asns = ", ".join(map(str, one.as_path))
    parts = ['"origin": "igp"']
    if dialect == "5.0.15":
        parts.append(f'"as-path": {{"0": {{"element": "as-sequence", "value": [{asns}]}}}}')
    else:
        parts.append(f'"as-path": [ {asns} ], "confederation-path": []')
    if one.med is not None:
        parts.append(f'"med": {one.med}')
    if one.communities:
        pairs = ", ".join(f"[ {high}, {low} ]" for high, low in one.communities)
        parts.append(f'"community": [ {pairs} ]')
    if one.large_communities:
        triples = ", ".join(f"[ {first}, {second} , {third} ]" for first, second, third in one.large_communities)
        parts.append(f'"large-community": [ {triples} ]')
    return ", ".join(parts)


Packed: TypeAlias = tuple[int, int, bool, list[str]]
"""What an UPDATE carries: origin, number of the attribute set, IPv6 or not, prefixes."""


def packed_routes(routes: Iterable[Route], packing: int) -> Iterator[Packed]:
    """Group routes as UPDATEs carry them, at most `packing` prefixes.

    A group goes out when it is full; what is left goes at the end.
    """
    open_groups: dict[tuple[int, int, bool], list[str]] = {}
    turns: dict[int, int] = {}
    for prefix, origin in routes:
        turn = turns[origin] = turns.get(origin, -1) + 1
        # All of a burst have one set, so that a full group is a run of neighbors in the table, as it is in BGP.
        key = (origin, turn // packing % SETS, ":" in prefix)
        group = open_groups.setdefault(key, [])
        group.append(prefix)
        if len(group) >= packing:
            yield (*key, open_groups.pop(key))
    for key, group in open_groups.items():
        yield (*key, group)


def updates(routes: Iterable[Route], packing: int, speaker: Speaker = Speaker()) -> Iterator[bytes]:  # noqa: B008
    """Give a line for each UPDATE, LF included."""
    return told(packed_routes(routes, packing), speaker)


def told(packed: Iterable[Packed], speaker: Speaker) -> Iterator[bytes]:
    """Give the line for each UPDATE, LF included."""
    texts: dict[tuple[int, int], str] = {}
    dialect, peer, peer_as = speaker
    front, back = _frame(speaker)
    for counter, (origin, which, is_ipv6, prefixes) in enumerate(packed, start=1):
        attributes = texts.get((origin, which))
        if attributes is None:
            attributes = _attributes_text(attributes_of(origin, which, peer_as), dialect)
            texts[origin, which] = attributes
        family, next_hop = ("ipv6 unicast", NEXT_HOP_V6) if is_ipv6 else ("ipv4 unicast", peer)
        nlri = ", ".join([f'{{ "nlri": "{prefix}" }}' for prefix in prefixes])
        yield (
            f'{front % counter}"attribute": {{ {attributes} }}, '
            f'"announce": {{ "{family}": {{ "{next_hop}": [ {nlri} ] }} }}{back}'
        ).encode()


def withdraws(prefixes: Iterable[str], packing: int, speaker: Speaker = Speaker()) -> Iterator[bytes]:  # noqa: B008
    """Give a line for each UPDATE that withdraws, LF included."""
    front, back = _frame(speaker)
    waiting: dict[str, list[str]] = {"ipv4 unicast": [], "ipv6 unicast": []}
    for prefix in prefixes:
        family = "ipv6 unicast" if ":" in prefix else "ipv4 unicast"
        waiting[family].append(prefix)
        if len(waiting[family]) == packing:
            yield _withdraw(front, back, family, waiting[family])
            waiting[family] = []
    for family, left in waiting.items():
        if left:
            yield _withdraw(front, back, family, left)


def _withdraw(front: str, back: str, family: str, prefixes: list[str]) -> bytes:
    nlri = ", ".join([f'{{ "nlri": "{prefix}" }}' for prefix in prefixes])
    return f'{front % 1}"withdraw": {{ "{family}": [ {nlri} ] }}{back}'.encode()


def session(speaker: Speaker = Speaker(), state: str = "up") -> bytes:  # noqa: B008
    """Give the line that says that a session came up or went down."""
    return f'{_head(speaker, "state") % 1} , "state": "{state}" }} }}\n'.encode()


def in_octets(line: bytes) -> bytes:
    """Give a line of `updates` as packets mode has it."""
    event = decode(line)
    assert isinstance(event, Parsed)
    ((_, body),) = event.updates
    return _packet(line[: line.index(b'"message"')], 2, body)


def opens(speaker: Speaker = Speaker()) -> Iterator[bytes]:  # noqa: B008
    """Give the lines of the OPENs, which packets mode needs: of both sides, with AS numbers of 4 octets."""
    for direction, asn in (("send", OWN_AS), ("receive", speaker.peer_as)):
        body = struct.pack("!BHH4sBBBBBI", 4, asn, 180, b"\x0a\0\0\1", 8, 2, 6, 65, 4, asn)
        yield _packet(f'{_head(speaker, "open") % 1} , "direction": "{direction}", '.encode(), 1, body)


def _packet(front: bytes, category: int, body: bytes) -> bytes:
    header = b"\xff" * 16 + struct.pack("!HB", 19 + len(body), 1 if category == 1 else 2)
    octets = b'"header": "0x%b", "body": "0x%b"' % (header.hex().upper().encode(), body.hex().upper().encode())
    return b'%b"message": { "category": %d, %b } } }\n' % (front, category, octets)


def _head(speaker: Speaker, kind: str) -> str:
    version = "5.0.0" if speaker.dialect == "5.0.15" else "4.0.1"
    router_id = ', "router-id": "10.0.0.1"' if speaker.dialect == "5.0.15" else ""
    address = f'"address": {{ "local": "{LOCAL}", "peer": "{speaker.peer}" }}'
    return (
        f'{{ "exabgp": "{version}", "time": 1795486324.2683303, "host" : "vm", "pid" : 11216, "ppid" : 11133, '
        f'"counter": %d, "type": "{kind}", "neighbor": {{ {address}, '
        f'"asn": {{ "local": {OWN_AS}, "peer": {speaker.peer_as} }}{router_id}'
    )


def _frame(speaker: Speaker) -> tuple[str, str]:
    front = f'{_head(speaker, "update")} , "direction": "receive", "message": {{ "update": {{ '
    negotiated = (
        '"message_size": 4096, "hold_time": 180, "asn4": true, "multisession": false, "operational": false, '
        f'"refresh": "enhanced", {_FAMILIES[speaker.dialect]}'
    )
    # After `updates` and `withdraws` closed what they opened: update, message; then the neighbor and the line.
    return front, f' }} }}, "negotiated": {{ {negotiated} }}  }} }}\n'
