"""Generates VRPs and routes shaped like today's (lengths, nesting, share of IPv6), always the same for a seed."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop

PACKED = struct.Struct("=16sIBBBB")
SEED = 8210
V6_SHARE = 0.25
HOLDINGS = 40_000
"""Blocks of address space that somebody holds and publishes ROAs in."""
LENGTHS = {
    4: ((24, 60), (23, 8), (22, 14), (21, 6), (20, 7), (19, 4), (16, 1)),
    6: ((48, 55), (44, 6), (40, 6), (36, 6), (32, 25), (29, 2)),
}
BITS = {4: 32, 6: 128}
BLOCK = {4: 18, 6: 32}
LONGEST = {4: 24, 6: 48}


def _pack(family: int, network: int, asn: int, length: int, most: int) -> bytes:
    octets = network.to_bytes(BITS[family] // 8, "big")
    return PACKED.pack(octets, asn, length, most, family, 1)


def _is_routable(family: int, network: int) -> bool:
    """Tell whether rtrd would learn a route for it: not for 0/8, 127/8, 169.254/16, class D and E, and the like."""
    if family == 6:
        return network >> 125 == 1
    return 0 < network >> 24 < 224 and network >> 24 != 127 and network >> 16 != 169 << 8 | 254


def vrps(count: int, seed: int = SEED) -> list[bytes]:
    """Give `count` different packed VRPs, shuffled."""
    chance = random.Random(seed)
    holdings: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for family, held in holdings.items():
        top = (1, 223 << 10) if family == 4 else (0x2001 << 16, 0x2C10 << 16)
        shift = BITS[family] - BLOCK[family]
        while len(held) < HOLDINGS:
            holding = chance.randrange(*top) << shift, chance.randrange(1, 400_000)
            if _is_routable(family, holding[0]):
                held.append(holding)
    found: set[bytes] = set()
    while len(found) < count:
        family = 6 if chance.random() < V6_SHARE else 4
        block, asn = chance.choice(holdings[family])
        choices, weights = zip(*LENGTHS[family], strict=True)
        (length,) = chance.choices(choices, weights)
        bits = BITS[family]
        network = block
        if length > BLOCK[family]:
            network |= chance.getrandbits(length - BLOCK[family]) << (bits - length)
        network &= -1 << (bits - length)
        most = length if chance.random() < 0.8 else max(length, LONGEST[family])
        found.add(_pack(family, network, asn if chance.random() < 0.9 else chance.randrange(1, 400_000), length, most))
    ordered = sorted(found)
    chance.shuffle(ordered)
    return ordered


def other_as(packed: bytes) -> bytes:
    """Give the same VRP for another AS, so that it makes no route valid that was."""
    raw, asn, length, most, family, flag = PACKED.unpack(packed)
    return PACKED.pack(raw, asn ^ 1 << 30, length, most, family, flag)


def routes(count: int, of: list[bytes], seed: int = SEED) -> list[bytes]:
    """Give packed routes: half as their VRP says, a fifth more specific, a tenth of another AS, a fifth anything."""
    chance = random.Random(seed + 1)
    found = []
    for _ in range(count):
        raw, asn, length, _most, family, _flag = PACKED.unpack(chance.choice(of))
        bits = BITS[family]
        network = int.from_bytes(raw[: bits // 8], "big")
        kind = chance.random()
        if 0.5 <= kind < 0.7 and length < LONGEST[family]:
            more = chance.randint(length + 1, LONGEST[family])
            network |= chance.getrandbits(more - length) << (bits - more)
            length = more
        elif 0.7 <= kind < 0.8:
            asn += 1
        elif kind >= 0.8:
            length, network = chance.randint(16, LONGEST[family]), 0
            while not _is_routable(family, network):
                network = chance.getrandbits(length) << (bits - length)
        found.append(_pack(family, network, asn, length, length))
    return found


def text_of(packed: bytes) -> tuple[str, int, int, int]:
    """Give address, length, max length and AS number."""
    raw, asn, length, most, family, _ = PACKED.unpack(packed)
    address = inet_ntop(AF_INET6, raw) if family == 6 else inet_ntop(AF_INET, raw[:4])
    return address, length, most, asn


def aspas(count: int, each: int, seed: int = SEED) -> dict[int, list[int]]:
    """Give so many customers, with so many providers each."""
    chance = random.Random(seed + 2)
    customers = chance.sample(range(1, 400_000), count)
    return {customer: sorted(chance.sample(range(400_000, 500_000), each)) for customer in sorted(customers)}


def write(path: Path, packed: Iterable[bytes], customers: Mapping[int, list[int]] | None = None) -> None:
    """Write a VRP file in the JSON that rpki-client writes and StayRTR reads. `customers`: its ASPAs."""

    def entries() -> Iterator[str]:
        for one in packed:
            address, length, most, asn = text_of(one)
            yield json.dumps({"prefix": f"{address}/{length}", "maxLength": most, "asn": f"AS{asn}", "ta": "bench"})

    with path.open("w", encoding="utf-8") as file:
        file.write('{"metadata": {"buildtime": "2026-01-01T00:00:00Z"}, "roas": [\n')
        file.write(",\n".join(entries()))
        file.write("\n]")
        if customers:
            listed = (f'{{"customer_asid": {one}, "providers": {providers}}}' for one, providers in customers.items())
            file.write(', "aspas": [\n' + ",\n".join(listed) + "\n]")
        file.write("}\n")
