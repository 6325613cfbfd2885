"""Changes of VRPs, router keys and states for `async for`, coalesced for a slow reader."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self, TypeAlias

from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord, records_of
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp import PACKED

__all__ = ["Backlog", "Change", "Changes", "RouterKeyChange", "StatusChange", "VRPChange", "net"]

SLICE: Final = 1024 * PACKED.size
"""What is taken at once: about a millisecond of work in Python."""
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


class StatusChange(NamedTuple):
    """The state of a cache or of its group changed. All three are pictures of that moment."""

    group: ManagerGroup
    status: ManagerGroupStatus
    socket: RTRSocket


Change: TypeAlias = VRPChange | RouterKeyChange | StatusChange


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

    def __len__(self) -> int:
        return self._size // PACKED.size

    def add(self, packed: bytes) -> None:
        """Append changes; when it is worth while, remove those that cancel each other out."""
        if not packed:
            return
        self._chunks.append(packed)
        self._size += len(packed)
        if len(self._chunks) > 1 and self._size > max(self._keep, 2 * self._dense):
            first = self._chunks.popleft()
            dense = net([memoryview(first)[self._at :], *self._chunks])
            self._chunks = deque([dense] if dense else [])
            self._at, self._size, self._dense = 0, len(dense), len(dense)

    def take(self, most: int = SLICE) -> bytes:
        """Take up to `most` bytes of whole changes, the oldest ones; empty: nothing waits."""
        if not self._chunks:
            return b""
        first = self._chunks[0]
        taken = first[self._at : self._at + most]
        self._at += len(taken)
        self._size -= len(taken)
        if self._at == len(first):
            self._chunks.popleft()
            self._at = 0
        return taken


class Changes:
    """What `async for` runs over: the changes since it was made, until the manager is stopped.

    A slow reader costs memory for one set at most: VRPs that came and went meanwhile, and states that were
    passed through, are left out; what is told always adds up to what is in force.
    """

    def __init__(self) -> None:
        """RuntimeError outside of a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._vrps = Backlog()
        self._keys: dict[tuple[int, bytes, bytes], RouterKeyChange] = {}
        self._states: dict[tuple[int, int], StatusChange] = {}
        self._ended = False
        self._taken: Iterator[tuple[PFXRecord, bool]] = iter(())

    def vrps(self, packed: bytes) -> None:
        """Tell changed VRPs. From any thread, as all of these."""
        with self._lock:
            self._vrps.add(packed)
        self._wake()

    def router_key(self, change: RouterKeyChange) -> None:
        """Tell a router key that came or went."""
        record = change.record
        key = (record.asn, record.ski, record.spki)
        with self._lock:
            if self._keys.pop(key, change).added is change.added:
                self._keys[key] = change
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

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop is closed: nobody reads now
            self._ended = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while True:
            for record, added in self._taken:
                return VRPChange(record, added)
            with self._lock:
                packed = self._vrps.take()
                if not packed:
                    for key in self._keys:
                        return self._keys.pop(key)
                    for cache in self._states:
                        return self._states.pop(cache)
                    self._news.clear()
                ended = self._ended  # before anyone can tell more
            if packed:
                self._taken = records_of(packed)
                await asyncio.sleep(0)  # a long table is not read in one go
            elif ended:
                raise StopAsyncIteration
            else:
                await self._news.wait()
