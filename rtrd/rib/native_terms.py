"""The words of terms.py for the core's structs (ffi/native/rib/rib.h): policies for it, and its routes and changes.

No text of BGP: prefixes are printed from numbers.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import Final, Literal
from weakref import WeakKeyDictionary

import _rov
from _rov import ffi, lib
from rtrd.policy import Demands
from rtrd.rib.terms import (
    ACTIONS,
    BY_VALIDITY,
    COVERS,
    PATH_OUTCOMES,
    REASONS,
    TAG_KINDS,
    NeighborPolicy,
    Route,
    RouteChange,
)
from rtrd.tags import Tag
from rtrlib.vrp import VRP, unpack
from rtrlib.vrp_set import VALIDITIES

_CASES: Final = int(lib.POLICY_CASES)
_LEAK: Final = int(lib.CHANGE_LEAK)
_AS_SET: Final[dict[bool | None, int]] = {
    None: lib.AS_SET_EITHER,
    True: lib.AS_SET_THERE,
    False: lib.AS_SET_ABSENT,
}
_TEXT = 64  # octets of a prefix as text, and more

Policies = NeighborPolicy | Sequence[NeighborPolicy]
"""Of one neighbor: the first one that is for a route counts; the last one must be for all."""


def native_tag(tag: Tag) -> dict[str, object]:
    """Give a community as the core wants it."""
    return {"kind": TAG_KINDS.index(tag.kind), "numbers": [*tag.numbers, *[0] * (3 - len(tag.numbers))]}


def native_policies(policies: Policies) -> _rov.Array[_rov.NeighborPolicy]:
    """Give what the policy says for a neighbor as the core wants it."""
    return ffi.new(
        "struct neighbor_policy[]",
        [
            {
                "receivers": policy.receivers,
                "local_preference": _of_all_cases(policy.local_preferences),
                "variant": _of_all_cases(policy.variants),
                "action": [ACTIONS.index(action) for action in policy.actions],
                "as_set": _action(policy.as_set),
                "path_invalid": _action(policy.path_invalid),
                "leak": _action(policy.leak),
                "enforce_first_as": policy.enforce_first_as,
                "conditions": policy.conditions,
                "shortest": [shortest for shortest, _ in policy.lengths],
                "longest": [longest for _, longest in policy.lengths],
                "covered_by": COVERS.index(policy.covered_by),
                "by_kind": policy.by_kind,
                "otc": policy.otc,
                "demands": ffi.NULL if policy.demands is None else _native_demands(policy.demands),
            }
            for policy in ([policies] if isinstance(policies, NeighborPolicy) else policies)
        ],
    )


_known_demands: WeakKeyDictionary[Demands, _rov.Demands] = WeakKeyDictionary()


def _native_demands(demands: Demands) -> _rov.Demands:
    """Give demands as the core wants them: made once for all neighbors, and let go with what they were made of."""
    known = _known_demands.get(demands)
    if known is None:
        ranges = b"".join(starmap(_range, demands.prefixes))
        made = lib.demands_new(
            ffi.from_buffer("struct prefix_range[]", ranges),
            len(demands.prefixes),
            ffi.new("uint32_t[]", demands.origins),
            len(demands.origins),
            _AS_SET[demands.as_set],
        )
        if made == ffi.NULL:
            raise MemoryError("no memory for what a rule demands")
        known = _known_demands[demands] = ffi.gc(made, lib.demands_release)
    return known


def _range(prefix: str, shortest: int, longest: int) -> bytes:
    """Give a `struct prefix_range`."""
    network = ipaddress.ip_network(prefix)
    address = network.network_address.packed
    return struct.pack("16s4B", address, network.prefixlen, network.version, shortest, longest)


def _of_all_cases(values: tuple[int, ...]) -> list[int]:
    """Give a value for each case of `struct neighbor_policy`; fewer count for all paths, or those with an AS_SET."""
    return [*values] * (_CASES // len(values))


def _action(action: str | None) -> int:
    return BY_VALIDITY if action is None else ACTIONS.index(action)


def route_of(row: _rov.RouteRow) -> Route:
    """Give a route of the core."""
    return Route(
        prefix=prefix_text(row.prefix),
        path_id=row.path_id if row.has_path_id else None,
        neighbor=row.neighbor,
        origin=None if row.origin < 0 else row.origin,
        validity=VALIDITIES[row.validity],
        decision=ACTIONS[row.action],
        attributes=row.attrs,
        advertised=row.advertised,
        waiting=bool(row.waiting),
        reason=REASONS[row.reason],
        since=row.since,
        announced_path_id=row.announced_path_id if row.has_path_id else None,
        aspa=PATH_OUTCOMES[row.path],
        leak=bool(row.leak),
        kept_back=row.kept_back,
    )


def prefix_text(native: _rov.Prefix) -> str:
    """Give the text of a `struct prefix`, which is copied: it may be of any lifetime."""
    text = ffi.new("char[]", _TEXT)
    return bytes(ffi.buffer(text, lib.prefix_print(ffi.new("struct prefix *", native), text))).decode("ascii")


CHANGE_SIZE: Final = ffi.sizeof("struct route_change")
"""Octets of one change."""

BAD_PATH: Final = bytes((paths & 3) == PATH_OUTCOMES.index("invalid") or paths & _LEAK != 0 for paths in range(256))
"""Of each octet `paths` of a change whether its path is invalid or it has leaked now; of what it was: BAD_PATH_WAS."""
BAD_PATH_WAS: Final = bytes(BAD_PATH[paths >> 4] for paths in range(256))

_COLUMNS: Final[Mapping[str, Literal["I", "H"]]] = {"cause": "I", "neighbor": "H"}


def changes_of(records: bytes) -> Iterator[RouteChange]:
    """Read what `take_changes` gave, also after it lay in a file."""
    return map(_change, ffi.from_buffer("struct route_change[]", records))


def octets_of(records: bytes, name: Literal["was", "now", "paths"]) -> bytes:
    """Give the validity of each change, before it or after it, or what its path is, without reading the rest."""
    return records[ffi.offsetof("struct route_change", name) :: CHANGE_SIZE]


def column_of(records: bytes, name: Literal["cause", "neighbor"]) -> memoryview[int]:
    """Give one number of each change, without reading the rest."""
    code = _COLUMNS[name]
    size = struct.calcsize(code)
    at = ffi.offsetof("struct route_change", name) // size
    return memoryview(records).cast(code)[at :: CHANGE_SIZE // size]


def _change(event: _rov.RouteChange) -> RouteChange:
    judge = _vrp(event, "judge")
    return RouteChange(
        prefix=prefix_text(event.prefix),
        path_id=event.path_id if event.has_path_id else None,
        neighbor=event.neighbor,
        origin=None if event.origin < 0 else event.origin,
        was=_word(VALIDITIES, event.was),
        validity=_word(VALIDITIES, event.now),
        did=_word(ACTIONS, event.did),
        decision=_word(ACTIONS, event.action),
        cause=event.cause,
        vrp=_vrp(event, "vrp"),
        judge=None if judge is None else judge[0],
        aspa_was=PATH_OUTCOMES[event.paths >> 4 & 3],
        aspa=PATH_OUTCOMES[event.paths & 3],
        leak_was=bool(event.paths >> 4 & _LEAK),
        leak=bool(event.paths & _LEAK),
    )


def _word(words: Sequence[str], number: int) -> str | None:
    return words[number] if number < len(words) else None


def _vrp(event: _rov.RouteChange, member: Literal["vrp", "judge"]) -> tuple[VRP, bool] | None:
    return next(unpack(ffi.buffer(ffi.addressof(event, member))[:])) if getattr(event, member).family else None
