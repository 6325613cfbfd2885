"""The effective set of VRPs out of several sources, and origin validation against it (RFC 6811).

A source is a cache, a snapshot, a file: a number below `SOURCES`. What a source stages comes into force
all at once when it is committed; which sources count is one mask. See ffi/native/vrps/vrpset.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec

from _rov import ffi, lib
from rtrlib.vrp import PACKED, VRP, prefix_text, unpack
from rtrlib.vrp_filters import VRPFilter, packed_filter, parse_prefix

SOURCES = 32
SLURM = lib.VRPSET_ASSERTIONS
"""The source of locally added assertions (RFC 8416): always active, and no filter touches it."""
SNAPSHOT = 30
"""By convention, the source of what the previous run knew; caches have the numbers below."""
OF_PREFIX = lib.VRPSET_OF_PREFIX
"""How many VRPs of exactly one prefix a source may have, since each look-up goes over all of them."""
PARTS = lib.VRPSET_PARTS
VALIDITIES = ("valid", "not-found", "invalid", "unverified")
"""The words for the native core's numbers, by index."""

_FOUND = struct.Struct("=16sIBBBBI")
"""`struct vrp_source` of ffi/native/vrps/vrpset.h: a packed VRP, and the mask of the sources that have it."""
_ROOM = 64
_SAME = (lib.vrpset_begin, lib.vrpset_discard)  # they put nothing into force
_SLICE = 1 << 15
"""Entries of the table that one slice of a change goes over: a millisecond or two."""
LITTLE = 1024 * PACKED.size
"""Octets of packed VRPs that Python code handles at once: about a millisecond of work."""
_ALL = ((4, bytes(16), 0), (6, bytes(16), 0))
_P = ParamSpec("_P")


class CoveringVRP(NamedTuple):
    """A VRP that covers a route, and the mask of the sources that have it."""

    vrp: VRP
    sources: int


class VRPChanges:
    """The VRPs that became effective or ceased to be, by one commit or one activation."""

    def __init__(self) -> None:
        self.native = ffi.gc(ffi.new("struct vrp_list *"), lib.vrp_list_free)

    @classmethod
    def of(cls, records: Iterable[bytes]) -> VRPChanges:
        """List these packed VRPs. MemoryError."""
        made = VRPSet()
        made.activate([0])
        made.stage(0, b"".join(records))
        return made.commit(0)

    def __len__(self) -> int:
        return int(self.native.n)

    def __iter__(self) -> Iterator[tuple[VRP, bool]]:
        """Give each VRP and True if it became effective."""
        return unpack(self.packed())

    def add(self, more: VRPChanges) -> None:
        """Append others; a VRP may then be in it several times. MemoryError leaves it as it was."""
        if lib.vrp_list_append(self.native, more.native) != 0:
            raise MemoryError("no memory for more changes")

    def packed(self) -> bytes:
        """Copy the changes as packed VRPs."""
        return b"".join(self.slices(len(self) * PACKED.size))

    def slices(self, most: int = LITTLE) -> Iterator[bytes]:
        """Copy the changes as packed VRPs, at most so many octets at a time (a multiple of 24)."""
        if not self.native.n:
            return
        buffer = ffi.buffer(self.native.records, self.native.n * PACKED.size)
        for at in range(0, len(buffer), most):
            yield buffer[at : at + most]


Apply = Generator[None, None, VRPChanges]
"""A change of a set that is being applied, a slice at a time; until it ends all is as before. Gives what changed."""


def _at_once(method: Callable[Concatenate[VRPSet, _P], Apply]) -> Callable[Concatenate[VRPSet, _P], VRPChanges]:
    """Make a method that applies its change before it returns."""

    def whole(self: VRPSet, /, *arguments: _P.args, **options: _P.kwargs) -> VRPChanges:
        apply = method(self, *arguments, **options)
        while True:
            try:
                next(apply)
            except StopIteration as end:
                changes: VRPChanges = end.value
                return changes

    return whole


class VRPSet:
    """One set out of many sources. Not thread-safe.

    `apply_...` apply a change in slices, one change at a time: RuntimeError for another meanwhile. MemoryError from
    any call leaves what is in force as it was. ValueError for a source out of range.
    """

    def __init__(self) -> None:
        native = lib.vrpset_new()
        if native == ffi.NULL:
            raise MemoryError("no memory for a VRP set")
        self.native = ffi.gc(native, lib.vrpset_free)
        self._faults = ffi.new("struct vrp_faults *")
        self.generation = 0
        """Goes up when something comes into force: while it is the same, so is the set, whatever is staged."""
        self.deferring = False

    def keep_forever(self) -> None:
        """Never free its memory: for a forked child, which may have it as it was in the middle of a change."""
        ffi.gc(self.native, None)

    def _done(self, result: int, source: int = 0) -> None:
        if result == -2:
            raise RuntimeError("another change of the VRP set is under way")
        if result != 0:
            if not 0 <= source < SOURCES:
                raise ValueError(f"source {source} is out of range: expected 0 to {SOURCES - 1}")
            raise MemoryError("no memory for more VRPs")

    def _apply(self, start: Callable[..., int], *arguments: Any, changes: VRPChanges | None = None) -> Apply:
        changes = VRPChanges() if changes is None else changes
        self._done(start(self.native, *arguments), arguments[0] if isinstance(arguments[0], int) else 0)
        while (more := lib.vrpset_apply(self.native, _SLICE, changes.native)) > 0:
            yield
        self._done(more)
        self.generation += start not in _SAME
        return changes

    def stage(self, source: int, records: bytes | memoryview) -> None:
        """Stage packed VRPs. What is malformed, or beyond `OF_PREFIX`, is left out and counted in `faults`."""
        with ffi.from_buffer(records) as view:
            if len(view) % PACKED.size:
                raise ValueError(f"{len(view)} bytes are not packed VRPs: expected a multiple of {PACKED.size}")
            count = len(view) // PACKED.size
            self._done(lib.vrpset_stage(self.native, source, view, count, self._faults), source)

    def apply_begin(self, source: int) -> Apply:
        """From here on the source stages a full set, which replaces what it had when it is committed."""
        return self._apply(lib.vrpset_begin, source)

    def apply_commit(self, source: int, changes: VRPChanges | None = None) -> Apply:
        """Put what the source staged into force; give what changed in the effective set, appended to `changes`."""
        return self._apply(lib.vrpset_commit, source, changes=changes)

    def apply_discard(self, source: int) -> Apply:
        """Forget what the source staged since its last commit."""
        return self._apply(lib.vrpset_discard, source)

    def apply_replacement(self, source: int, records: bytes | memoryview) -> Apply:
        """Put exactly these VRPs into force for the source, as one change."""
        yield from self.apply_begin(source)
        self.stage(source, records)
        return (yield from self.apply_commit(source))

    def apply_activation(self, sources: Iterable[int]) -> Apply:
        """Let exactly these sources, and `SLURM`, count; give what changed in the effective set."""
        return self._apply(lib.vrpset_activate, _mask(sources))

    def apply_filters(self, filters: Iterable[VRPFilter], changes: VRPChanges | None = None) -> Apply:
        """Use these filters instead of the old ones; give what changed.

        A VRP that one of them matches does not count, unless it is one of `SLURM`. ValueError for a filter with
        neither prefix nor AS, or whose prefix is not one.
        """
        packed = [packed_filter(one) for one in filters]
        return self._apply(lib.vrpset_filter, b"".join(packed), len(packed), changes=changes)

    def apply_drop(self, source: int) -> Apply:
        """Drop what a source has and stages; what no other active one has goes at once, whatever is pending."""
        return self._apply(lib.vrpset_drop, source)

    def apply_pending(self, pending: VRPChanges | None = None) -> Apply:
        """Put what is pending into force, or only that of it which is listed here; give what changed."""
        return self._apply(lib.vrpset_take, ffi.NULL if pending is None else pending.native)

    def apply_exempts(self, records: bytes) -> Apply:
        """Exempt these packed VRPs, or (withdrawn) no more; give what changed.

        An exempt is in force whatever sources and filters say, and whatever is pending. When it ends, what was in force
        without it is: a change that is pending stays so.
        """
        native = ffi.from_buffer("struct vrp[]", records)
        return self._apply(lib.vrpset_exempt, native, len(native))

    begin = _at_once(apply_begin)
    commit = _at_once(apply_commit)
    discard = _at_once(apply_discard)
    replace = _at_once(apply_replacement)
    activate = _at_once(apply_activation)
    filter = _at_once(apply_filters)
    drop = _at_once(apply_drop)
    take = _at_once(apply_pending)
    exempt = _at_once(apply_exempts)

    def defer(self, *, defer: bool) -> None:
        """From now on changes of sources, activations and filters are only pending, until they are taken.

        To end it, take everything first.
        """
        self.deferring = defer
        lib.vrpset_defer(self.native, defer)

    @property
    def changing(self) -> bool:
        """A change is being applied."""
        return lib.vrpset_changing(self.native)

    @property
    def pending(self) -> int:
        """How many VRPs would become effective, or cease to be, if all that is pending were taken."""
        return lib.vrpset_pending(self.native)

    def due(self, family: int) -> int:
        """How many effective VRPs of family 4 or 6 there would be then."""
        return lib.vrpset_due(self.native, family)

    @property
    def usable(self) -> bool:
        """False: there is no set to validate against yet, every route is `unverified`."""
        return lib.vrpset_usable(self.native)

    @usable.setter
    def usable(self, usable: bool) -> None:
        lib.vrpset_set_usable(self.native, usable)

    @property
    def faults(self) -> dict[str, int]:
        """How many staged VRPs were left out so far, by reason."""
        return {
            "length": self._faults.length,
            "host-bits": self._faults.host_bits,
            "max-length": self._faults.max_length,
            "duplicate": self._faults.duplicate,
            "unknown-withdraw": self._faults.unknown,
            "crowded": self._faults.crowded,
        }

    def validate(self, prefix: str, asn: int | None) -> str:
        """Give the validity of a route (RFC 6811 section 2).

        `asn` None is the origin NONE, which is never valid. Raises ValueError for what is not a prefix.
        """
        text = prefix.encode("ascii", "replace")
        validity = lib.vrpset_validate_text(self.native, text, len(text), -1 if asn is None else asn)
        if validity < 0:
            raise ValueError(f"{prefix!r} is not a prefix: expected ADDRESS/LENGTH with no bits set behind the length")
        return VALIDITIES[validity]

    def validate_many(self, routes: bytes | memoryview) -> bytes:
        """Give a byte for each packed route: the index into VALIDITIES, 255 for what is not a prefix.

        A route is packed as a VRP; its AS is the origin AS, its max length is not read.
        """
        return validities(routes, partial(lib.vrpset_validate_many, self.native))

    def covering(self, prefix: str) -> list[CoveringVRP]:
        """Give the effective VRPs that cover the prefix, shortest first. ValueError for what is not a prefix."""
        parsed = parse_prefix(prefix)
        return list(self._find(lib.vrpset_covering, parsed.family, parsed.addr, parsed.len))

    def filtered(self, prefix: str) -> list[CoveringVRP]:
        """Give the VRPs that would cover the prefix but for a filter. ValueError for what is not a prefix."""
        parsed = parse_prefix(prefix)
        return list(self._find(lib.vrpset_filtered, parsed.family, parsed.addr, parsed.len))

    def within(self, prefix: str | None = None) -> Iterator[Iterator[CoveringVRP]]:
        """Give the effective VRPs more specific than a prefix, or all, in no order, part by part.

        The set may change between two parts: a VRP that does not change is given once. ValueError for what is
        not a prefix.
        """
        return map(found_in, self.within_packed(prefix))

    def within_packed(self, prefix: str | None = None) -> Iterator[bytes]:
        """Do as `within`, with parts that `found_in` reads."""
        parsed = None if prefix is None else parse_prefix(prefix)
        for one in _ALL if parsed is None else ((parsed.family, parsed.addr, parsed.len),):
            if parsed is None:
                yield self._found(lib.vrpset_covering, *one)  # those of length 0 are more specific than nothing
            for part in range(PARTS):
                yield self._found(lib.vrpset_within, *one, part)

    def around_packed(self, prefix: str | None = None) -> Iterator[bytes]:
        """Give the effective VRPs that cover a prefix, then those within it, or all, as `within_packed` does."""
        if prefix is not None:
            parsed = parse_prefix(prefix)
            yield self._found(lib.vrpset_covering, parsed.family, parsed.addr, parsed.len)
        yield from self.within_packed(prefix)

    def vrps(self) -> Iterator[CoveringVRP]:
        """Give all effective VRPs, as `within` does."""
        return (found for part in self.within() for found in part)

    def packed(self, sources: Iterable[int] | None = None) -> Iterator[bytes]:
        """Give the VRPs of some sources, or the effective ones, as packed VRPs, in `PARTS` parts of a millisecond.

        A VRP that changes between two parts may be in it or not; every other one is in it once.
        """
        mask = 0 if sources is None else _mask(sources)
        for part in range(PARTS if mask or sources is None else 0):
            found = VRPChanges()
            self._done(lib.vrpset_part(self.native, mask, part, found.native))
            yield found.packed()

    def differing(self, sources: Iterable[int]) -> Iterator[Iterator[CoveringVRP]]:
        """Give the VRPs that some of these sources have and others have not, part by part."""
        mask = _mask(sources)
        return (self._find(lib.vrpset_differing, mask, part) for part in range(PARTS))

    def _find(self, function: Callable[..., int], *arguments: Any) -> Iterator[CoveringVRP]:
        return found_in(self._found(function, *arguments))

    def _found(self, function: Callable[..., int], *arguments: Any) -> bytes:
        count, room = _ROOM, 0
        while count > room:
            room = count
            out = ffi.new("struct vrp_source[]", room)
            count = function(self.native, *arguments, out, room)
        return ffi.buffer(out, count * _FOUND.size)[:]

    def count(self, family: int) -> int:
        """How many effective VRPs there are of family 4 or 6."""
        return lib.vrpset_count(self.native, family)

    def count_source(self, source: int) -> int:
        """How many VRPs are in force of one source."""
        return lib.vrpset_count_source(self.native, source)

    @property
    def heard(self) -> int:
        """How many effective VRPs there are, but for those that assertions and exempts alone say."""
        return lib.vrpset_heard(self.native)

    @property
    def memory(self) -> int:
        """Bytes."""
        return lib.vrpset_memory(self.native)


def validities(routes: Any, validate: Callable[..., object]) -> bytes:
    """Have the core judge packed routes; `validate` takes them, their number and where the answers go.

    ValueError when the length is not a multiple of 24.
    """
    # What is lent is given back before an error leaves: the garbage collector of Python 3.11 and 3.12 crashes when a
    # cycle, such as a kept traceback, holds a memoryview and what was made of it.
    with ffi.from_buffer(routes) as view:
        if len(view) % PACKED.size:
            raise ValueError(f"{len(view)} bytes are not packed routes: expected a multiple of {PACKED.size}")
        count = len(view) // PACKED.size
        out = bytearray(count)
        validate(view, count, ffi.from_buffer(out))
        return bytes(out)


def _mask(sources: Iterable[int]) -> int:
    mask = 0
    for source in sources:
        if not 0 <= source < SOURCES:
            raise ValueError(f"source {source} is out of range: expected 0 to {SOURCES - 1}")
        mask |= 1 << source
    return mask


def found_in(part: bytes) -> Iterator[CoveringVRP]:
    """Give the VRPs of a part that `VRPSet.within_packed` gave."""
    return map(_covering, _FOUND.iter_unpack(part))


def _covering(found: tuple[Any, ...]) -> CoveringVRP:
    address, asn, length, max_length, family, _, sources = found
    return CoveringVRP(VRP(prefix_text(address, length, family), max_length, asn), sources)
