"""AS paths judged by ASPAs: who names whom as a provider (draft-ietf-sidrops-aspa-verification-28 section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, get_args

import _rov
from _rov import ffi, lib
from rtrlib.aspas import Index

__all__ = ["LOCAL_ROLES", "Hop", "LocalRole", "Outcome", "PathVerdict", "Procedure", "native_set", "verify_path"]

LocalRole = Literal["provider", "customer", "peer", "rs", "rs-client"]
"""What we are on a session (RFC 9234 section 3)."""
LOCAL_ROLES: Final[tuple[LocalRole, ...]] = get_args(LocalRole)
Outcome = Literal["valid", "invalid", "unknown"]
Procedure = Literal["upstream", "downstream"]
Attestation = Literal["none", "provider", "not-provider"]

_OUTCOMES: Final[tuple[Outcome, ...]] = ("valid", "invalid", "unknown")
_PROCEDURES: Final[tuple[Procedure, ...]] = ("upstream", "downstream")
_ATTESTATIONS: Final[tuple[Attestation, ...]] = ("none", "provider", "not-provider")


class Hop(NamedTuple):
    """Whether an AS names the next one as its provider."""

    customer: int
    provider: int
    attestation: Attestation
    """`none`: the customer has no ASPA."""


class PathVerdict(NamedTuple):
    """What ASPAs say of a path."""

    outcome: Outcome
    procedure: Procedure
    hops: tuple[Hop, ...]
    """Up from the origin; of `downstream` then also down from the neighbor, where the AS that is nearer to us is the
    customer. Repeats that follow each other count once."""
    other_neighbor: bool = False
    """It is invalid since its first AS is not the neighbor's."""


def procedure_of(local_role: LocalRole) -> Procedure:
    """Give how paths of a session are verified: draft-ietf-sidrops-aspa-verification-28 section 6."""
    return "downstream" if local_role == "customer" else "upstream"


def native_set(index: Index) -> _rov.AspaSet:
    """Give a set as the core wants it; it is good as long as the index lives."""
    found = ffi.new("struct aspa_set *")
    found.words, found.begins, found.count = index.words, index.begins, index.count
    return found


def verify_path(
    index: Index,
    path: Sequence[int],
    local_role: LocalRole,
    *,
    neighbor_as: int | None = None,
    as_set: bool = False,
) -> PathVerdict:
    """Judge a path: the neighbor first, the origin last, with its repeats.

    `local_role` is ours on the session. `neighbor_as`: the session's peer AS, which must be the first one, but for a
    path that a route server sends to us; None: it is not looked at. `as_set`: the path also has a segment that is no
    AS_SEQUENCE.
    """
    procedure = procedure_of(local_role)
    aspas = native_set(index)
    numbers = ffi.new("uint32_t[]", list(path))
    outcome = lib.path_verify(aspas, numbers, len(numbers), _PROCEDURES.index(procedure))
    other_neighbor = neighbor_as is not None and local_role != "rs-client" and list(path[:1]) != [neighbor_as]
    invalid = other_neighbor or as_set
    return PathVerdict(
        "invalid" if invalid else _OUTCOMES[outcome - 1],
        procedure,
        tuple(_hops(aspas, path, procedure)),
        other_neighbor,
    )


def _hops(aspas: _rov.AspaSet, path: Sequence[int], procedure: Procedure) -> list[Hop]:
    once = [asn for i, asn in enumerate(path) if i == 0 or path[i - 1] != asn]
    pairs = list(pairwise(reversed(once)))
    if procedure == "downstream":
        pairs += pairwise(once)
    return [Hop(one, other, _ATTESTATIONS[lib.aspas_attest(aspas, one, other)]) for one, other in pairs]
