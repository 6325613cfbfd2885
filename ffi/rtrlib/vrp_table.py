"""The VRPs in force of several caches, for any number of threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import compress, repeat
from typing import Final

import _rov
from _rov import ffi, lib
from rtrlib.records import PFXRecord
from rtrlib.rtr_socket import RTRSocket
from rtrlib.validation import COVERING, PfxvState, ValidationResult, clear_host_bits, pack_route
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import VRPSet

__all__ = ["VRPTable"]

NO_PREFIX: Final = 255
"""What the set gives for what is not a route, or has bits set behind its length."""
STATES: Final = tuple(PfxvState)
FEW: Final = 64
"""Covering VRPs for which there is room without asking twice."""
_SLICE: Final = 4096
"""Records that are made at a time."""
_ADDRESS_LINE: Final = 40
"""Octets that one address takes as text (ADDRESS_LINE_MAX of ffi/native/base/prefix.h)."""
_record = partial(tuple.__new__, PFXRecord)


class VRPTable:
    """A VRP set (rtrlib.vrp_set) behind a lock. Sources are numbered as the caches' `index`.

    Changes are given as packed VRPs, with the flag that says whether each came or went.
    """

    def __init__(self) -> None:
        self._set = VRPSet()
        self._set.usable = True  # nothing known is `not found` here, as in librtr
        # Reentrant, since a signal handler may interrupt a method and call another one in the same thread.
        self._lock = threading.RLock()
        self._owned = threading.Condition(self._lock)
        self._active: dict[int, RTRSocket | None] = {}
        self._mirrored: set[int] = set()
        """Sources whose next commit is a change, not a full set."""
        self._begun: set[int] = set()
        """Sources for which the VRP set knows that a full set is being staged."""
        self._rooms: list[tuple[_rov.Array[int], _rov.Array[_rov.VrpSource]]] = []
        """Where the native set may write its answers; each for one call at a time."""

    def is_held_here(self) -> bool:
        """Tell whether this thread is inside of a method (and runs a signal handler)."""
        try:
            self._owned.notify(0)
        except RuntimeError:  # the documented answer to who does not hold the lock
            return False
        return True

    def stage(self, source: int, records: bytes) -> None:
        """Keep changes that are not in force yet; what is malformed is left out."""
        with self._lock:
            self._begin(source)
            self._set.stage(source, records)

    def commit(self, source: int, *, full: bool) -> bytes:
        """Put into force what was staged; `full`: instead of all that the source had. Gives the changes."""
        with self._lock:
            if full:
                self._begin(source)
            self._begun.discard(source)
            self._mirrored.add(source)
            return self._set.commit(source).packed()

    def change(self, source: int, records: bytes) -> bytes:
        """Put changes of a mirrored source into force at once. Gives those that changed anything."""
        with self._lock:
            self._set.stage(source, records)
            return self._set.commit(source).packed()

    def discard(self, source: int) -> None:
        """Forget what was staged; the next commit will be a full one."""
        with self._lock:
            self._begun.discard(source)
            self._mirrored.discard(source)
            self._set.discard(source)

    def drop(self, source: int) -> bytes:
        """Drop all that the source has. Gives the changes."""
        with self._lock:
            return self._set.replace(source, b"").packed()

    def activate(self, sources: Mapping[int, RTRSocket | None]) -> bytes:
        """Let exactly these sources count. Gives the changes."""
        with self._lock:
            self._active = dict(sources)
            return self._set.activate(sources).packed()

    def _begin(self, source: int) -> None:
        if source not in self._mirrored and source not in self._begun:
            self._set.begin(source)
            self._begun.add(source)

    def __len__(self) -> int:
        with self._lock:
            return self._set.count(4) + self._set.count(6)

    def validate(self, asn: int, prefix: str, mask_len: int) -> ValidationResult:
        """Give the validity of a route, with the VRPs that cover it, both of one moment.

        IpConversionException for what is not an address, ValueError for a length or an AS number out of range,
        TypeError for one that is not an integer. Bits behind the prefix length are not looked at.
        """
        route = pack_route(asn, prefix, mask_len)
        with self._lock:
            native = self._set.native
            rooms = self._rooms.pop() if self._rooms else (ffi.new("uint8_t *"), ffi.new("struct vrp_source[]", FEW))
            number, room = rooms
            lib.vrpset_validate_many(native, route, 1, number)
            if number[0] == NO_PREFIX:
                route = clear_host_bits(route)
                lib.vrpset_validate_many(native, route, 1, number)
            state, covering = STATES[number[0]], b""
            if state is not PfxvState.not_found:
                count = lib.vrpset_covering(native, route[22], route[:16], mask_len, room, FEW)
                if count > FEW:
                    room = ffi.new("struct vrp_source[]", count)
                    lib.vrpset_covering(native, route[22], route[:16], mask_len, room, count)
                covering = ffi.buffer(room, count * COVERING.size)[:]
            self._rooms.append(rooms)
            return ValidationResult(prefix, mask_len, asn, state, covering, self._active)

    def validate_packed(self, routes: bytes | memoryview) -> bytes:
        """Give a byte for each packed route: the number of its PfxvState, or 255 for what is not a prefix.

        ValueError when the length is not a multiple of 24.
        """
        with self._lock:
            return self._set.validate_many(routes)

    def records(self, family: int | None = None) -> Iterator[PFXRecord]:
        """Give the VRPs in force, of one moment (that of the call), each with the first of the caches that has it."""
        return _records(self._snapshot(), family)

    def _snapshot(self) -> list[tuple[bytes, RTRSocket | None]]:
        """Copy what counts, each VRP once, with who said so."""
        with self._lock:
            held = {one: self._active[one] for one in sorted(self._active) if self._set.count_source(one)}
            parts = [(b"".join(self._set.packed([one])), who) for one, who in held.items()]
        if len(parts) < 2:
            return parts
        seen: set[bytes] = set()
        once = []
        for packed, who in parts:
            mine = {packed[at : at + PACKED.size] for at in range(0, len(packed), PACKED.size)} - seen
            seen |= mine
            once.append((b"".join(mine), who))
        return once

    def clear(self) -> bytes:
        """Let nothing count. Gives the changes."""
        return self.activate({})


def _records(parts: list[tuple[bytes, RTRSocket | None]], family: int | None) -> Iterator[PFXRecord]:
    # This may be done a million times, so a slice is taken apart by columns: no single record runs Python code.
    text = ffi.new("char[]", _SLICE * _ADDRESS_LINE)
    for packed, who in parts:
        for at in range(0, len(packed), _SLICE * PACKED.size):
            records = packed[at : at + _SLICE * PACKED.size]
            octets = memoryview(records)
            count = len(records) // PACKED.size
            addresses = ffi.buffer(text, lib.addresses_print(records, count, text))[:].decode("ascii").split()
            columns = zip(
                octets.cast("I")[4 :: PACKED.size // 4].tolist(),
                addresses,
                octets[20 :: PACKED.size].tolist(),
                octets[21 :: PACKED.size].tolist(),
                repeat(who),
            )
            rows = map(_record, columns)
            if family is None:
                yield from rows
            else:
                yield from compress(rows, (one == family for one in octets[22 :: PACKED.size]))
