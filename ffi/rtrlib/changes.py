"""Changes of VRPs, router keys, ASPAs and states for `async for`, coalesced for a slow reader."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, Self, TypeAlias

from rtrlib import aspas
from rtrlib.aspas import ASPA
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord, records_in, records_of
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import LITTLE

__all__ = [
    "ASPAChange",
    "Backlog",
    "Change",
    "Changes",
    "Reader",
    "RouterKeyChange",
    "Snapshot",
    "StatusChange",
    "Subscription",
    "VRPChange",
    "net",
]

KEEP: Final = 256 << 10
"""Changes that are kept one by one, however often they undo each other."""
FLAG: Final = PACKED.size - 1
"""Where a packed VRP says whether it came or went."""


class VRPChange(NamedTuple):
    """A VRP came into force (`added`), or went out of force."""

    record: PFXRecord
    added: bool


class RouterKeyChange(NamedTuple):
    """A BGPsec router key came (`added`) or went."""

    record: SPKIRecord
    added: bool


class ASPAChange(NamedTuple):
    """A customer AS has this list of providers from now on (`added`), or none any more: then it is empty."""

    record: ASPA
    added: bool


class StatusChange(NamedTuple):
    """The state of a cache or of its group changed. All three are pictures of that moment."""

    group: ManagerGroup
    status: ManagerGroupStatus
    socket: RTRSocket


class Records(Collection[PFXRecord]):
    """The VRPs of one moment; records are made as they are asked for."""

    def __init__(self, slices: Sequence[bytes], sources: Mapping[int, RTRSocket | None]) -> None:
        self._slices = slices
        self._sources = sources

    def __len__(self) -> int:
        return sum(map(len, self._slices)) // PACKED.size

    def __iter__(self) -> Iterator[PFXRecord]:
        return records_in(self._slices, self._sources)

    def __contains__(self, record: object) -> bool:
        return any(record == one for one in self)

    def __repr__(self) -> str:
        return f"<{len(self)} PFXRecords>"


class Snapshot(NamedTuple):
    """What is in force at one moment: PFXRecords and SPKIRecords, in no order, and ASPAs."""

    records: Collection[PFXRecord]
    router_keys: Collection[SPKIRecord]
    aspas: Collection[ASPA] = ()


Change: TypeAlias = VRPChange | RouterKeyChange | ASPAChange | StatusChange


def net(chunks: Iterable[bytes | memoryview]) -> bytes:
    """Give what changes of one set, in their order, amount to: what came and went, or went and came, is left out."""
    changed: dict[bytes, int] = {}
    for chunk in chunks:
        packed = bytes(chunk)
        for at in range(0, len(packed), PACKED.size):
            record = packed[at : at + FLAG]
            if changed.pop(record, None) is None:
                changed[record] = packed[at + FLAG]
    return b"".join(record + bytes((flag,)) for record, flag in changed.items())


class Backlog:
    """Changes of one set that wait to be taken. It never holds much more than the set itself did and does."""

    def __init__(self, keep: int = KEEP) -> None:
        """`keep`: up to this many changes are all kept."""
        self._chunks: deque[bytes] = deque()
        self._keep = keep * PACKED.size
        self._size = 0
        self._at = 0
        self._dense = 0
        """The size when what cancels out was last removed."""
        self.away = False
        """What waits is just being looked at for that."""

    def __len__(self) -> int:
        return self._size // PACKED.size

    def add(self, slices: Iterable[bytes]) -> list[bytes | memoryview]:
        """Append changes. When it is worth while to remove those that cancel each other out, give what waits.

        Nothing of it is there until `put_back`: to work out its `net` takes a while.
        """
        waited = self._size
        before = len(self._chunks)
        self._chunks.extend(filter(None, slices))
        self._size += sum(map(len, islice(self._chunks, before, None)))
        if self.away or not waited or self._size <= max(self._keep, 2 * self._dense):
            return []
        first = self._chunks.popleft()
        taken: list[bytes | memoryview] = [memoryview(first)[self._at :], *self._chunks]
        self._chunks.clear()
        self._at = self._size = 0
        self.away = True
        return taken

    def put_back(self, dense: bytes) -> None:
        """Go on with these, and what was added meanwhile behind them."""
        if dense:
            self._chunks.appendleft(dense)
        self._dense = len(dense)
        self._size += len(dense)
        self.away = False

    def take(self, most: int = LITTLE) -> bytes:
        """Take up to `most` bytes of whole changes, the oldest ones; empty: nothing waits."""
        if self.away or not self._chunks:
            return b""
        first = self._chunks[0]
        taken = first[self._at : self._at + most]
        self._at += len(taken)
        self._size -= len(taken)
        if self._at == len(first):
            self._chunks.popleft()
            self._at = 0
        return taken


class Reader:
    """What `async for` runs over, until the manager is stopped. All that tells it something is for any thread.

    If it wants all, a Snapshot comes first; it is told nothing else before that.
    """

    def __init__(self, *, wants_all: bool = False) -> None:
        """RuntimeError outside of a running event loop."""
        self._first: Snapshot | None = None
        self._waits = wants_all
        """For the Snapshot."""
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._vrps = Backlog()
        self._keys: dict[tuple[int, bytes, bytes], RouterKeyChange] = {}
        self._aspas: dict[int, ASPAChange] = {}
        self._states: dict[tuple[int, int], StatusChange] = {}
        self._ended = False
        self._taken: Iterator[tuple[PFXRecord, bool]] = iter(())

    def begin(
        self,
        slices: Sequence[bytes],
        sources: Mapping[int, RTRSocket | None],
        keys: Collection[SPKIRecord],
        known_aspas: Collection[ASPA],
    ) -> None:
        """Tell all that is in force: VRPs, packed, router keys and ASPAs."""
        with self._lock:
            self._first = Snapshot(Records(slices, sources), keys, known_aspas)
            self._waits = False
        self._wake()

    def vrps(self, slices: Iterable[bytes]) -> None:
        """Tell changed VRPs, packed. From any thread, as all of these."""
        with self._lock:
            waiting = self._vrps.add(slices)
        if waiting:
            dense = net(waiting)  # without the lock: the event loop must not wait for it
            with self._lock:
                self._vrps.put_back(dense)
        self._wake()

    def router_key(self, change: RouterKeyChange) -> None:
        """Tell a router key that came or went."""
        record = change.record
        key = (record.asn, record.ski, record.spki)
        with self._lock:
            if self._keys.pop(key, change).added is change.added:
                self._keys[key] = change
        self._wake()

    def aspas(self, changes: bytes) -> None:
        """Tell changed ASPAs (rtrlib.aspas): of each customer the last word counts."""
        if changes:
            with self._lock:
                for record in aspas.records(changes):
                    self._aspas.pop(record.customer, None)
                    self._aspas[record.customer] = ASPAChange(record, bool(record.providers))
            self._wake()

    def status(self, change: StatusChange) -> None:
        """Tell a state."""
        with self._lock:
            self._states[change.group.preference, change.socket.index] = change
        self._wake()

    def end(self) -> None:
        """Let it end when all that waits is read."""
        self._ended = True
        self._wake()

    def forked(self) -> None:
        """In a forked child: end, with what waits, and leave the event loop alone, which is the parent's."""
        self._lock = threading.Lock()
        self._ended = True

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop is closed: nobody reads now
            self._ended = True

    async def next(self) -> Snapshot | Change:
        """Give what comes next. StopAsyncIteration: nothing will."""
        while True:
            for record, added in self._taken:
                return VRPChange(record, added)
            with self._lock:
                packed, other = self._take()
                if not packed and other is None:
                    self._news.clear()
                ended = self._ended and not self._vrps.away  # before anyone can tell more
            if other is not None:
                return other
            if packed:
                self._taken = records_of(packed)
                await asyncio.sleep(0)  # a long table is not read in one go
            elif ended:
                raise StopAsyncIteration
            else:
                await self._news.wait()

    def _take(self) -> tuple[bytes, Snapshot | Change | None]:
        """Take what comes next: some packed VRPs, or something else."""
        first, self._first = self._first, None
        if first is not None or self._waits:
            return b"", first
        packed = self._vrps.take()
        if packed:
            return packed, None
        for key in self._keys:
            return b"", self._keys.pop(key)
        for customer in self._aspas:
            return b"", self._aspas.pop(customer)
        for cache in self._states:
            return b"", self._states.pop(cache)
        return b"", None


class Changes(Reader):
    """What `async for` runs over: the changes since it was made, until the manager is stopped.

    A slow reader costs memory for one set at most: VRPs that came and went meanwhile, and states that were passed
    through, are left out; what is told always adds up to what is in force.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        change = await self.next()
        assert not isinstance(change, Snapshot), "it wants none"
        return change


class Subscription(Reader):
    """What `async for` runs over: a Snapshot of all that is in force, then the changes, until the manager is stopped.

    A slow reader: see Changes.
    """

    def __init__(self) -> None:
        """RuntimeError outside of a running event loop."""
        super().__init__(wants_all=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Snapshot | Change:
        return await self.next()
