"""The VRPs in force of several caches, for any number of threads at once: who reads waits for nobody.

There are two VRP sets (rtrlib.vrp_set) that say the same. One is shown: it is read, and nobody changes it. A change is
made to the other one, which is shown then, and made to the first one, too (ffi/native/vrps/vrp_twins.h).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, SupportsIndex

import _rov
from _rov import ffi, lib
from rtrlib.arguments import Buffer, PrefixLike, address_of, asn_of, length_of, text_of
from rtrlib.records import SLICE, PFXRecord, record_of, records_in
from rtrlib.rtr_socket import RTRSocket
from rtrlib.validation import COVERING, PfxvState, ValidationResult, first_of
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import OF_PREFIX, SOURCES, VRPChanges, VRPSet, validities

__all__ = ["VRPTable"]

STATES: Final = tuple(PfxvState)
FEW: Final = 64
"""Covering VRPs for which there is room without asking twice."""
_CROWDED: Final = -2
"""Of vrp_twins_change: too many of one prefix."""
Change = Callable[[VRPSet], VRPChanges | None]


class VRPTable:
    """VRPs of sources, which are numbered as the caches' `index`. One thread at a time changes it, any number read it.

    Changes are given as packed VRPs, with the flag that says whether each came or went.
    """

    def __init__(self) -> None:
        self._sets = [_new_set(), _new_set()]
        twins = lib.vrp_twins_new(*(one.native for one in self._sets))
        if twins == ffi.NULL:
            raise MemoryError("no memory for a table of VRPs")
        self._twins = ffi.gc(twins, lib.vrp_twins_free)
        self._lock = threading.RLock()  # of who changes it; a signal handler may interrupt that one
        self._writing = False
        self._differ = False
        """The set that is not shown must be made anew: a change of it did not end."""
        self._behind: list[Change] = []
        """What was done to the set that is not shown, and not to the other."""
        self._active: dict[int, RTRSocket | None] = {}
        self._mirrored: set[int] = set()
        """Sources whose next commit is a change, not a full set."""
        self._begun: set[int] = set()
        """Sources for which the VRP set knows that a full set is being staged."""
        self._rooms: list[tuple[_rov.Array[int], _rov.Array[_rov.VrpSource]]] = []
        """Where the native set may write its answers; each for one call at a time."""
        _tables.add(self)

    def stage(self, source: int, records: bytes) -> None:
        """Keep changes that are not in force yet; what is malformed is left out."""
        with self._write() as other:
            self._begin(other, source)
            self._prepare(other, lambda one: one.stage(source, records))

    def commit(self, source: int, *, full: bool) -> list[bytes]:
        """Put into force what was staged; `full`: instead of all that the source had. Gives the changes, in slices."""
        with self._write() as other:
            if full:
                self._begin(other, source)
            self._begun.discard(source)
            self._mirrored.add(source)
            return self._publish(other, lambda one: one.commit(source))

    def change(self, source: int, records: bytes | memoryview) -> int:
        """Put changes of a mirrored source into force at once. Gives how many changed anything.

        ValueError, and nothing has changed, where the source would have more than OF_PREFIX VRPs of exactly one prefix.
        """
        with self._write(), ffi.from_buffer(records) as view:
            changed = lib.vrp_twins_change(self._twins, source, view, len(view) // PACKED.size)
            if changed == _CROWDED:
                raise ValueError(
                    f"more than {OF_PREFIX} VRPs of exactly one prefix, which is the most that there may be"
                )
            if changed < 0:
                raise MemoryError("no memory for more VRPs")
            return changed

    def discard(self, source: int) -> None:
        """Forget what was staged; the next commit will be a full one."""
        with self._write() as other:
            self._begun.discard(source)
            self._mirrored.discard(source)
            self._prepare(other, lambda one: one.discard(source))

    def drop(self, source: int) -> list[bytes]:
        """Drop all that the source has. Gives the changes, in slices."""
        with self._write() as other:
            return self._publish(other, lambda one: one.replace(source, b""))

    def activate(self, sources: Mapping[int, RTRSocket | None]) -> list[bytes]:
        """Let exactly these sources count. Gives the changes, in slices."""
        with self._write() as other:
            self._active = dict(sources)
            return self._publish(other, lambda one: one.activate(sources))

    def clear(self) -> list[bytes]:
        """Let nothing count. Gives the changes, in slices."""
        return self.activate({})

    @contextmanager
    def _write(self) -> Iterator[VRPSet]:
        """Give the set that is not shown. RuntimeError: who asks interrupted a change of this very table."""
        with self._lock:
            if self._writing:
                raise RuntimeError("the table is being changed by what this signal handler interrupted")
            self._writing = True
            try:
                if self._differ:
                    self._mend()
                self._differ = True  # until it is done
                yield self._sets[lib.vrp_twins_other(self._twins)]
                self._differ = False
            finally:
                self._writing = False

    def _begin(self, other: VRPSet, source: int) -> None:
        if source not in self._mirrored and source not in self._begun:
            self._prepare(other, lambda one: one.begin(source))
            self._begun.add(source)

    def _prepare(self, other: VRPSet, change: Change) -> VRPChanges | None:
        changes = change(other)
        self._behind.append(change)
        return changes

    def _publish(self, other: VRPSet, change: Change) -> list[bytes]:
        changes = self._prepare(other, change)
        lib.vrp_twins_show(self._twins)
        old = self._sets[lib.vrp_twins_other(self._twins)]
        for one in self._behind:
            one(old)
        self._behind.clear()
        return [] if changes is None else list(changes.slices())

    def _mend(self) -> None:
        """Make the set that is not shown anew, as the other one is; what was staged is void."""
        at = lib.vrp_twins_other(self._twins)
        shown, made = self._sets[1 - at], _new_set()
        for source in range(SOURCES):
            if shown.count_source(source):
                made.replace(source, b"".join(shown.packed([source])))
        made.activate(self._active)
        self._sets[at] = made
        lib.vrp_twins_replace(self._twins, made.native)
        self._behind.clear()
        self._begun.clear()

    def forked(self) -> None:
        """Go on in the child after a fork, in which no other thread is left: one that changed it left it as it was.

        What it was changing is made anew before the next change; to free it might free something twice.
        """
        self._lock = threading.RLock()
        self._writing = False
        self._rooms = []
        if self._differ:
            self._sets[lib.vrp_twins_other(self._twins)].keep_forever()
        lib.vrp_twins_forked(self._twins)

    def __len__(self) -> int:
        return self.count(4) + self.count(6)

    def count(self, family: int) -> int:
        """How many VRPs of family 4 or 6 are in force."""
        return lib.vrp_twins_count(self._twins, family)

    def validate(self, asn: SupportsIndex, prefix: PrefixLike, mask_len: SupportsIndex) -> ValidationResult:
        """Give the validity of a route, with the VRPs that cover it, both of one moment.

        IpConversionException for what is not an address, ValueError for a length or an AS number out of range,
        TypeError for what is of another type. Bits behind the prefix length are not looked at.
        """
        raw, family = address_of(prefix)
        mask_len = length_of(mask_len, family, "mask_len")
        asn = asn_of(asn)
        text = prefix if type(prefix) is str else text_of(prefix, mask_len, "mask_len")
        route = PACKED.pack(raw, asn, mask_len, 0, family, 0)
        try:
            number, room = self._rooms.pop()
        except IndexError:
            number, room = ffi.new("uint8_t *"), ffi.new("struct vrp_source[]", FEW)
        count = lib.vrp_twins_validate(self._twins, route, number, room, FEW)
        more = room
        while count > len(more):
            more = ffi.new("struct vrp_source[]", count)
            count = lib.vrp_twins_validate(self._twins, route, number, more, count)
        covering = ffi.buffer(more, count * COVERING.size)[:] if count else b""
        state = STATES[number[0]]
        self._rooms.append((number, room))
        return ValidationResult.of(text, mask_len, asn, state, covering, self._active)

    def validate_packed(self, routes: Buffer) -> bytes:
        """Give a byte for each packed route: the number of its PfxvState, or 255 for what is not a prefix.

        ValueError when the length is not a multiple of 24.
        """
        return validities(routes, partial(lib.vrp_twins_validate_many, self._twins))

    def records(self, family: int | None = None, asn: int | None = None) -> Iterator[PFXRecord]:
        """Give the VRPs in force, of one moment (that of the call), each with the first of the caches that has it."""
        return records_in(self.listed(asn).slices(SLICE), self._active, family)

    def listed(self, asn: int | None = None) -> VRPChanges:
        """List the VRPs in force, or those of one AS, of one moment; `announce`: see ffi/native/vrps/vrp_twins.h."""
        found = VRPChanges()
        if lib.vrp_twins_list(self._twins, -1 if asn is None else asn, found.native) != 0:
            raise MemoryError("no memory for a list of VRPs")
        return found

    def sources(self) -> Mapping[int, RTRSocket | None]:
        """Whose VRPs count, by number."""
        return self._active

    def covering(self, family: int, address: bytes, length: int) -> list[PFXRecord]:
        """Give the VRPs that cover a prefix, the shortest first, as of one moment."""
        route = PACKED.pack(address, 0, length, 0, family, 0)
        count, room = FEW, ffi.new("struct vrp_source[]", FEW)
        while (count := lib.vrp_twins_validate(self._twins, route, ffi.new("uint8_t *"), room, count)) > len(room):
            room = ffi.new("struct vrp_source[]", count)
        active = self._active
        found = COVERING.iter_unpack(ffi.buffer(room, count * COVERING.size)[:])
        return [record_of(vrp, first_of(active, sources)) for vrp, sources in found]

    def covered(self, family: int, address: bytes, length: int) -> list[PFXRecord]:
        """Give the VRPs that lie within a prefix, in the order of prefixes, as of one moment."""
        found = VRPChanges()
        if lib.vrp_twins_within(self._twins, family, address, length, found.native) != 0:
            raise MemoryError("no memory for a list of VRPs")
        return sorted(records_in(found.slices(SLICE), self._active), key=in_order)

    def records_of(self, asn: int) -> list[PFXRecord]:
        """Give the VRPs of an AS, in the order of prefixes, as of one moment."""
        return sorted(self.records(asn=asn), key=in_order)


def _new_set() -> VRPSet:
    made = VRPSet()
    made.usable = True  # nothing known is `not found` here, as in librtr
    return made


def _all_forked() -> None:
    for table in list(_tables):
        table.forked()


_tables: Final[weakref.WeakSet[VRPTable]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_all_forked)


def in_order(record: PFXRecord) -> tuple[int, bytes, int, int, int]:
    """Give what records are sorted by: family, prefix, max length, AS."""
    raw, family = address_of(record.prefix)
    return family, raw, record.min_len, record.max_len, record.asn
