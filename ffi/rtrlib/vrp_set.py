"""Packed VRPs of many sources in, validity (RFC 6811) and the changes of the effective set out.

A source is a cache, a snapshot, a file: a number below `SOURCES`. What a source stages comes into force
all at once when it is committed; which sources count is one mask. See ffi/native/vrps/vrpset.h.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from _rov import ffi, lib
from rtrlib.vrp import PACKED, VRP, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SOURCES = 32
SLURM: int = lib.VRPSET_ASSERTIONS
"""The source of locally added assertions (RFC 8416): always active, and no filter touches it."""
SNAPSHOT = 30
"""By custom, the source of what an earlier run knew; caches have the numbers below."""
OF_PREFIX: int = lib.VRPSET_OF_PREFIX
"""So many VRPs of exactly one prefix a source can have, since each look-up goes over all of them."""
PARTS: int = lib.VRPSET_PARTS
VALIDITIES = ("valid", "not-found", "invalid", "unverified")
"""The words for the native core's numbers, by index."""

_MASK = struct.Struct("=I")
_LIST_ROOM = 4096
_SAME = (lib.vrpset_begin, lib.vrpset_discard)  # they put nothing into force
_STEP = 1 << 15
"""Places of the table that one step of a change goes over: a millisecond or two."""


class VRPFilter(NamedTuple):
    """A filter (RFC 8416 section 3.3.1): matches VRPs with this prefix or a more specific one, and of this AS."""

    prefix: str | None
    """As text; None: any."""
    asn: int | None
    """None: any."""


class CoveringVRP(NamedTuple):
    """A VRP that covers a route, and the mask of the sources that have it."""

    vrp: VRP
    sources: int


def parse_prefix(prefix: str) -> Any:
    """Give the native `struct prefix`. Raises ValueError for text that is none or has host bits."""
    parsed = ffi.new("struct prefix *")
    text = prefix.encode("ascii", "replace")
    if not lib.prefix_parse(text, len(text), parsed):
        raise ValueError(f"{prefix!r} is no prefix: expected ADDRESS/LENGTH with no bits set behind the length")
    return parsed


class VRPChanges:
    """The VRPs that became effective or ceased to be, by one commit or one activation."""

    def __init__(self) -> None:
        self.native = ffi.gc(ffi.new("struct vrp_list *"), lib.vrp_list_free)

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
        return bytes(ffi.buffer(self.native.records, self.native.n * PACKED.size)) if self.native.n else b""


Steps = Generator[None, None, VRPChanges]
"""A change of a set, from one step to the next; between them everything is as before it. Gives what it changed."""


def at_once(steps: Steps) -> VRPChanges:
    """Do all steps of a change."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            changes: VRPChanges = end.value
            return changes


class VRPSet:
    """One set out of many sources. Not thread-safe.

    A change is made in steps, one change at a time: RuntimeError for another meanwhile. MemoryError from any call
    leaves what is in force as it was. ValueError for a source out of range.
    """

    def __init__(self) -> None:
        native = lib.vrpset_new()
        if native == ffi.NULL:
            raise MemoryError("no memory for a VRP set")
        self.native = ffi.gc(native, lib.vrpset_free)
        self._faults = ffi.new("struct vrp_faults *")
        self.generation = 0
        """Goes up when something comes into force: two equal ones, with whatever staging between them, are one set."""
        self.proposing = False

    def _done(self, result: int, source: int = 0) -> None:
        if result == -2:
            raise RuntimeError("another change of the VRP set is under way")
        if result != 0:
            if not 0 <= source < SOURCES:
                raise ValueError(f"source {source} is out of range: expected 0 to {SOURCES - 1}")
            raise MemoryError("no memory for more VRPs")

    def _steps(self, start: Callable[..., int], *arguments: Any, changes: VRPChanges | None = None) -> Steps:
        changes = VRPChanges() if changes is None else changes
        self._done(start(self.native, *arguments), arguments[0] if isinstance(arguments[0], int) else 0)
        while (more := lib.vrpset_step(self.native, _STEP, changes.native)) > 0:
            yield
        self._done(more)
        self.generation += start not in _SAME
        return changes

    def stage(self, source: int, records: bytes | memoryview) -> None:
        """Stage packed VRPs. What is malformed, or beyond `OF_PREFIX`, is left out and counted in `faults`."""
        view = ffi.from_buffer(records)
        if len(view) % PACKED.size:
            raise ValueError(f"{len(view)} bytes are no packed VRPs: expected a multiple of {PACKED.size}")
        count = len(view) // PACKED.size
        self._done(lib.vrpset_stage(self.native, source, view, count, self._faults), source)

    def begin_steps(self, source: int) -> Steps:
        """From here on the source stages a full set, which replaces what it had when it is committed."""
        return self._steps(lib.vrpset_begin, source)

    def commit_steps(self, source: int, changes: VRPChanges | None = None) -> Steps:
        """Put what the source staged into force; give what changed in the effective set, appended to `changes`."""
        return self._steps(lib.vrpset_commit, source, changes=changes)

    def discard_steps(self, source: int) -> Steps:
        """Forget what the source staged since its last commit."""
        return self._steps(lib.vrpset_discard, source)

    def replace_steps(self, source: int, records: bytes | memoryview) -> Steps:
        """Put exactly these VRPs into force for the source, as one change."""
        yield from self.begin_steps(source)
        self.stage(source, records)
        return (yield from self.commit_steps(source))

    def activate_steps(self, sources: Iterable[int]) -> Steps:
        """Let exactly these sources, and `SLURM`, count; give what changed in the effective set."""
        return self._steps(lib.vrpset_activate, _mask(sources))

    def filter_steps(self, filters: Iterable[VRPFilter], changes: VRPChanges | None = None) -> Steps:
        """Let no VRP count that one of these filters matches, but for those of `SLURM`; give what changed.

        They replace the filters of before. ValueError for a filter that has a prefix that is none, or neither prefix
        nor AS.
        """
        packed = [_pack_filter(one) for one in filters]
        return self._steps(lib.vrpset_filter, b"".join(packed), len(packed), changes=changes)

    def drop_steps(self, source: int) -> Steps:
        """Make void what a source has and stages; what no other active one says goes at once, whatever is pending."""
        return self._steps(lib.vrpset_drop, source)

    def propose(self, *, propose: bool) -> None:
        """From now on changes of sources, activations and filters are only proposed; what they give is pending.

        To end it, take everything first.
        """
        self.proposing = propose
        lib.vrpset_propose(self.native, propose)

    def take_steps(self, proposed: VRPChanges | None = None) -> Steps:
        """Put into force what is pending, or only that of it which is in `proposed`; give what changed."""
        return self._steps(lib.vrpset_take, ffi.NULL if proposed is None else proposed.native)

    # The same, done before they return.

    def begin(self, source: int) -> None:
        """Do `begin_steps`."""
        at_once(self.begin_steps(source))

    def commit(self, source: int, changes: VRPChanges | None = None) -> VRPChanges:
        """Do `commit_steps`."""
        return at_once(self.commit_steps(source, changes))

    def discard(self, source: int) -> None:
        """Do `discard_steps`."""
        at_once(self.discard_steps(source))

    def replace(self, source: int, records: bytes | memoryview) -> VRPChanges:
        """Do `replace_steps`."""
        return at_once(self.replace_steps(source, records))

    def activate(self, sources: Iterable[int]) -> VRPChanges:
        """Do `activate_steps`."""
        return at_once(self.activate_steps(sources))

    def filter(self, filters: Iterable[VRPFilter]) -> VRPChanges:
        """Do `filter_steps`."""
        return at_once(self.filter_steps(filters))

    def drop(self, source: int) -> VRPChanges:
        """Do `drop_steps`."""
        return at_once(self.drop_steps(source))

    def take(self, proposed: VRPChanges | None = None) -> VRPChanges:
        """Do `take_steps`."""
        return at_once(self.take_steps(proposed))

    @property
    def changing(self) -> bool:
        """A change is under way: between two of its steps."""
        return bool(lib.vrpset_changing(self.native))

    @property
    def pending(self) -> int:
        """How many VRPs would become effective, or cease to be, if everything were taken."""
        return int(lib.vrpset_pending(self.native))

    def due(self, family: int) -> int:
        """How many effective VRPs of family 4 or 6 there would be then."""
        return int(lib.vrpset_due(self.native, family))

    @property
    def usable(self) -> bool:
        """False: there is no set to validate against yet, every route is `unverified`."""
        return bool(lib.vrpset_usable(self.native))

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

        `asn` None is the origin NONE, which is never valid. Raises ValueError for a prefix that is none.
        """
        text = prefix.encode("ascii", "replace")
        validity = lib.vrpset_validate_text(self.native, text, len(text), -1 if asn is None else asn)
        if validity < 0:
            raise ValueError(f"{prefix!r} is no prefix: expected ADDRESS/LENGTH with no bits set behind the length")
        return VALIDITIES[validity]

    def validate_many(self, routes: bytes | memoryview) -> bytes:
        """Give a byte for each packed route: the index into VALIDITIES, 255 for what is no prefix.

        A route is packed as a VRP; its AS is the origin AS, its max length is not read.
        """
        view = ffi.from_buffer(routes)
        if len(view) % PACKED.size:
            raise ValueError(f"{len(view)} bytes are no packed routes: expected a multiple of {PACKED.size}")
        count = len(view) // PACKED.size
        out = bytearray(count)
        lib.vrpset_validate_many(self.native, view, count, ffi.from_buffer(out))
        return bytes(out)

    def covering(self, prefix: str) -> list[CoveringVRP]:
        """Give the effective VRPs that cover the prefix, shortest first. ValueError for a prefix that is none."""
        parsed = parse_prefix(prefix)
        room = 64
        while True:
            out = ffi.new("struct vrp_source[]", room)
            count = lib.vrpset_covering(self.native, parsed.family, parsed.addr, parsed.len, out, room)
            if count <= room:
                return list(_found(out, count))
            room = count

    def within(self, prefix: str, part: int) -> list[CoveringVRP]:
        """Give the effective VRPs of one of `PARTS` parts that lie within the prefix and are more specific.

        ValueError for a prefix that is none.
        """
        parsed = parse_prefix(prefix)
        room = 64
        while True:
            out = ffi.new("struct vrp_source[]", room)
            count = lib.vrpset_within(self.native, parsed.family, parsed.addr, parsed.len, part, out, room)
            if count <= room:
                return list(_found(out, count))
            room = count

    def vrps(self, source: int | None = None) -> Iterator[CoveringVRP]:
        """Give the VRPs of one source, or the effective ones, in no order, while the set may change."""
        for found in self._chunks(source):
            yield from found

    def packed(self, sources: Iterable[int] | None = None) -> Iterator[bytes]:
        """Give the VRPs of some sources, or the effective ones, as packed VRPs, in `PARTS` steps of a millisecond.

        A VRP that changes between two steps may be in it or not; every other one is in it once.
        """
        mask = 0 if sources is None else _mask(sources)
        for part in range(PARTS if mask or sources is None else 0):
            found = VRPChanges()
            self._done(lib.vrpset_part(self.native, mask, part, found.native))
            yield found.packed()

    def differing(self, sources: Iterable[int], part: int) -> Iterator[CoveringVRP]:
        """Give the VRPs of one of `PARTS` parts that some of these sources have and others have not."""
        mask = _mask(sources)
        room = _LIST_ROOM
        while True:
            out = ffi.new("struct vrp_source[]", room)
            count = lib.vrpset_differing(self.native, mask, part, out, room)
            if count <= room:
                return _found(out, count)
            room = count

    def _chunks(self, source: int | None) -> Iterator[Iterator[CoveringVRP]]:
        cursor = ffi.new("uint64_t *")
        out = ffi.new("struct vrp_source[]", _LIST_ROOM)
        while count := lib.vrpset_list(self.native, 0 if source is None else 1 << source, cursor, out, _LIST_ROOM):
            yield _found(out, count)

    def count(self, family: int) -> int:
        """How many effective VRPs there are of family 4 or 6."""
        return int(lib.vrpset_count(self.native, family))

    def count_source(self, source: int) -> int:
        """How many VRPs are in force of one source."""
        return int(lib.vrpset_count_source(self.native, source))

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(lib.vrpset_memory(self.native))


def _pack_filter(one: VRPFilter) -> bytes:
    address, length, family = bytes(16), 0, 0
    if one.prefix is not None:
        parsed = parse_prefix(one.prefix)
        address, length, family = bytes(parsed.addr), parsed.len, parsed.family
    elif one.asn is None:
        raise ValueError("a filter needs a prefix, an AS number, or both")
    try:
        return PACKED.pack(address, one.asn or 0, length, family, one.asn is None, 0)
    except struct.error as error:
        raise ValueError(f"{one.asn} is no AS number") from error


def _mask(sources: Iterable[int]) -> int:
    mask = 0
    for source in sources:
        if not 0 <= source < SOURCES:
            raise ValueError(f"source {source} is out of range: expected 0 to {SOURCES - 1}")
        mask |= 1 << source
    return mask


def _found(out: Any, count: int) -> Iterator[CoveringVRP]:
    raw = bytes(ffi.buffer(out, count * ffi.sizeof("struct vrp_source")))
    for at in range(0, len(raw), ffi.sizeof("struct vrp_source")):
        ((vrp, _),) = unpack(raw[at : at + PACKED.size])
        yield CoveringVRP(vrp, *_MASK.unpack_from(raw, at + PACKED.size))
