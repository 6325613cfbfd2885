"""Paths judged by ASPAs: published vectors, and random ones beside the oracle."""

import json
import os
import random
import struct
from typing import Any

import pytest

from _rov import ffi, lib
from rtrlib import aspas
from rtrlib.aspa_paths import LocalRole, native_set, verify_path
from rtrlib.aspas import ASPAIndex
from tests.lab import ROOT
from tests.lab.aspa_verification import attestation, outcome

CASES = max(20_000, 50 * int(os.environ.get("RTRD_FUZZ", "0")))
"""A million in `make fuzz`."""
VECTORS = json.loads((ROOT / "tests/samples/aspa/paths.json").read_text())
OUTCOMES = ("unjudged", "valid", "invalid", "unknown")
PROCEDURES = ("upstream", "downstream")
NEAR_AND_FAR = (1, 2, 3, 5, 64496, 2147483647, 2147483648, 2147483649, 4200000000, 4294967295)
"""More than 2^31 apart, which a signed comparison gets wrong."""


def index_of(listed: dict[int, set[int]]) -> ASPAIndex:
    return ASPAIndex(aspas.union_of(aspas.numbers(listed.items())))


def octets(*segments: tuple[int, list[int]]) -> bytes:
    """An AS_PATH with 4-octet AS numbers (RFC 4271 section 4.3)."""
    return b"".join(struct.pack(f">BB{len(asns)}I", kind, len(asns), *asns) for kind, asns in segments)


def by_octets(index: ASPAIndex, path: bytes, procedure: str) -> str:
    value = ffi.new("struct octets *", {"at": ffi.from_buffer(path), "n": len(path)})
    found = lib.path_verify_octets(native_set(index), value[0], PROCEDURES.index(procedure))
    return OUTCOMES[found]


@pytest.mark.parametrize("vectors", VECTORS, ids=lambda vectors: str(vectors["name"]))
def test_published_vectors(vectors: dict[str, Any]) -> None:
    index = index_of({int(customer): set(providers) for customer, providers in vectors["aspas"].items()})
    for row in vectors["rows"]:
        role: LocalRole = (
            "customer" if row["procedure"] == "downstream" else "rs-client" if "rs_client" in row else "peer"
        )
        found = verify_path(index, row["path"], role, neighbor_as=row.get("neighbor"), as_set=row.get("as_set", False))
        assert (found.outcome, found.procedure) == (row["outcome"], row["procedure"]), row


def test_random_paths_are_judged_as_the_text_reads() -> None:
    chance = random.Random(int(os.environ.get("RTRD_SEED", "19")))
    seen = set()
    for number in range(CASES):
        if number % 10 == 0:
            some = chance.sample(NEAR_AND_FAR, 7)
            customers = chance.sample(some, chance.randint(0, 7))
            listed = {
                one: set(chance.sample([asn for asn in some if asn != one], chance.randint(1, 3)))
                if chance.random() < 0.85
                else {0}
                for one in customers
            }
            index = index_of(listed)
        path = [chance.choice(some) for _ in range(chance.randint(0, 8))]
        path = [asn for asn in path for _ in range(chance.choice((1, 1, 1, 3)))]
        procedure = PROCEDURES[number % 2]
        wanted = outcome(listed, path, procedure)
        found = verify_path(index, path, "customer" if number % 2 else "provider")
        assert found.outcome == wanted, (listed, path, procedure)
        half = chance.randint(0, len(path))
        assert (
            by_octets(index, octets(*((2, part) for part in (path[:half], path[half:]) if part)), procedure) == wanted
        )
        assert all(hop.attestation == attestation(listed, hop.customer, hop.provider) for hop in found.hops)
        seen.add((procedure, wanted))
    assert len(seen) == 6


@pytest.mark.parametrize("segment", [1, 3, 4], ids=["AS_SET", "AS_CONFED_SEQUENCE", "AS_CONFED_SET"])
def test_a_segment_that_is_no_sequence_makes_a_path_invalid(segment: int) -> None:
    index = index_of({})
    assert by_octets(index, octets((2, [64496])), "upstream") == "valid"
    for path in (octets((2, [64496]), (segment, [64497])), octets((segment, [64496]), (2, [64497]))):
        assert {by_octets(index, path, procedure) for procedure in PROCEDURES} == {"invalid"}


def test_the_longest_path_of_an_update_is_judged() -> None:
    path = list(range(1, 16_001))
    index = index_of({asn: {asn - 1} for asn in path[1:]})
    assert verify_path(index, path, "provider").outcome == "valid"
    segments = [(2, path[at : at + 255]) for at in range(0, len(path), 255)]
    assert by_octets(index, octets(*segments), "upstream") == "valid"
    assert by_octets(index, octets(*segments[::-1]), "downstream") == "invalid"


def test_the_neighbor_must_be_first_unless_a_route_server_sends_the_path() -> None:
    index = index_of({64496: {64497}})
    for role in ("provider", "customer", "peer", "rs"):
        found = verify_path(index, [64497, 64496], role, neighbor_as=64498)
        assert (found.outcome, found.other_neighbor) == ("invalid", True)
    assert verify_path(index, [64497, 64496], "rs-client", neighbor_as=64498).outcome == "valid"


def test_hops_go_up_from_the_origin_and_down_from_the_neighbor() -> None:
    index = index_of({1: {2}, 3: {0}})
    found = verify_path(index, [3, 3, 2, 1], "customer")
    assert found.hops == ((1, 2, "provider"), (2, 3, "none"), (3, 2, "not-provider"), (2, 1, "none"))
    assert verify_path(index, [3, 2, 1], "peer").hops == ((1, 2, "provider"), (2, 3, "none"))
