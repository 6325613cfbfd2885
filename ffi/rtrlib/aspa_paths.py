"""AS paths judged by ASPAs: who names whom as a provider (draft-ietf-sidrops-aspa-verification-28 section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, SupportsIndex, get_args

import _rov
from _rov import ffi, lib
from rtrlib.arguments import asn_of, option_flag, rows_of
from rtrlib.aspas import ASPA, ASPAIndex

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


def native_set(index: ASPAIndex) -> _rov.AspaSet:
    """Give a set as the core wants it; it is good as long as the index lives."""
    found = ffi.new("struct aspa_set *")
    found.words, found.begins, found.count = index.words, index.begins, index.count
    return found


def verify_path(
    aspas: ASPAIndex | Iterable[ASPA],
    path: Iterable[SupportsIndex],
    local_role: LocalRole,
    *,
    neighbor_as: SupportsIndex | None = None,
    as_set: bool = False,
) -> PathVerdict:
    """Judge a path: the neighbor first, the origin last, with its repeats.

    `aspas`: as a manager or a Snapshot gives them, or an index of them, which is made once for many paths.
    `local_role` is ours on the session. `neighbor_as`: the session's peer AS, which must be the first one, but for a
    path that a route server sends to us; None: it is not looked at. `as_set`: the path also has a segment that is no
    AS_SEQUENCE. ValueError for another role and for numbers that are no AS numbers, TypeError for other types.
    """
    if local_role not in LOCAL_ROLES:
        raise ValueError(f"local_role {local_role!r:.60} is not one of {', '.join(LOCAL_ROLES)}")
    option_flag("as_set", as_set)
    index = aspas if isinstance(aspas, ASPAIndex) else ASPAIndex.of(aspas)
    asns = [asn_of(asn) for asn in rows_of(path)]
    procedure = procedure_of(local_role)
    listed = native_set(index)
    numbers = ffi.new("uint32_t[]", asns)
    outcome = lib.path_verify(listed, numbers, len(numbers), _PROCEDURES.index(procedure))
    wanted = None if neighbor_as is None else asn_of(neighbor_as)
    other_neighbor = wanted is not None and local_role != "rs-client" and asns[:1] != [wanted]
    invalid = other_neighbor or as_set
    return PathVerdict(
        "invalid" if invalid else _OUTCOMES[outcome - 1],
        procedure,
        tuple(_hops(listed, asns, procedure)),
        other_neighbor,
    )


def _hops(aspas: _rov.AspaSet, path: Sequence[int], procedure: Procedure) -> list[Hop]:
    once = [asn for i, asn in enumerate(path) if i == 0 or path[i - 1] != asn]
    pairs = list(pairwise(reversed(once)))
    if procedure == "downstream":
        pairs += pairwise(once)
    return [Hop(one, other, _ATTESTATIONS[lib.aspas_attest(aspas, one, other)]) for one, other in pairs]
