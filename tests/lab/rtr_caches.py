"""Caches to try a manager on (a real StayRTR, a scripted one); a listener that knows what is in force."""

import select
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rtrlib import CacheGroup, ManagerGroup, ManagerGroupStatus, PFXRecord, RTRManager, RTRSocket, TCPServer
from tests.lab.faulty_cache import Connection, FaultyCache
from tests.lab.rtr_wire import Prefix, encode
from tests.lab.stayrtr import VRP, StayRTR
from tests.lab.wait import SECONDS

STAYRTR = "as root: apt-get install stayrtr"

ONE = ("192.0.2.0/24", 24, 64500)
TWO = ("2001:db8::/32", 48, 64501)
THREE = ("198.51.100.0/22", 24, 4200000000)


class Cache(Protocol):
    """Whatever listens somewhere."""

    address: str
    port: int


def vrp_of(record: PFXRecord) -> VRP:
    """Return a record as VRPs are written here."""
    return (f"{record.prefix}/{record.min_len}", record.max_len, record.asn)


class MakeStayRTR(Protocol):
    """Starts one that serves these VRPs."""

    def __call__(self, *vrps: VRP, name: str = "cache") -> StayRTR: ...


class ScriptedCache(FaultyCache):
    """An RTR cache that sends to each connection what `answer` says, octet for octet, and nothing else.

    `answer(connection number, query)` gives the octets for each query of the router; None closes.
    """

    def __init__(self, answer: Callable[[int, bytes], bytes | None]) -> None:
        super().__init__(())
        self._answer = answer
        self._script = self._respond

    async def _respond(self, router: Connection) -> None:
        number = self.connections
        while query := await router.read():
            octets = self._answer(number, query)
            if octets is None:
                return
            await router.send(octets)


def manager_of(*groups: Cache | Sequence[Cache], **options: Any) -> RTRManager:
    """Return a manager with a group for each argument, a cache or several; it tries again after a second."""
    lists = [group if isinstance(group, Sequence) else [group] for group in groups]
    made = [CacheGroup(i, [TCPServer(one.address, one.port) for one in group]) for i, group in enumerate(lists)]
    return RTRManager(groups=made, **{"retry_interval": 1, **options})


def cache_response(session: int = 1) -> bytes:
    return struct.pack(">BBHI", 1, 3, session, 8)


def prefix_pdu(address: bytes, length: int, max_length: int, asn: int, *, announce: int = 1) -> bytes:
    """A VRP of the family whose addresses have so many octets."""
    return encode(Prefix(1, bool(announce), address, length, max_length, asn))


def end_of_data(serial: int, session: int = 1, *, retry: int = 1) -> bytes:
    return struct.pack(">BBHIIIII", 1, 7, session, 24, serial, 3600, retry, 7200)


def error_report(code: int) -> bytes:
    return struct.pack(">BBHIII", 1, 10, code, 16, 0, 0)


class InForce:
    """A listener: what each cache committed, and what of it is in force. Keeps every set that ever was."""

    def __init__(self) -> None:
        self.committed_by: dict[int, set[bytes]] = defaultdict(set)
        self.counting: frozenset[int] = frozenset()
        self.history: list[frozenset[bytes]] = []
        self.told: list[tuple[str, int]] = []
        self.keys: list[tuple[int, bool]] = []
        self._staged: dict[int, list[bytes]] = defaultdict(list)
        self._begins: dict[int, bool] = defaultdict(lambda: True)

    @property
    def now(self) -> frozenset[bytes]:
        """The union of what the active caches committed."""
        return frozenset().union(*(self.committed_by[cache] for cache in self.counting))

    def count(self, what: str, cache: int) -> int:
        return self.told.count((what, cache))

    def staged(self, cache: RTRSocket, records: bytes) -> None:
        self._staged[cache.index] += [records[at : at + 24] for at in range(0, len(records), 24)]

    def committed(self, cache: RTRSocket, full: bool) -> None:
        assert full == self._begins[cache.index], "full: exactly at the beginning and after `discarded`"
        self._begins[cache.index] = False
        held = self.committed_by[cache.index]
        if full:
            held.clear()
        for record in self._staged.pop(cache.index, []):
            if record[23]:
                assert record[:23] not in held, "announced twice"
                held.add(record[:23])
            else:
                held.remove(record[:23])  # KeyError: withdrawn but never announced
        self._note("committed", cache)

    def discarded(self, cache: RTRSocket) -> None:
        self._staged.pop(cache.index, None)
        self._begins[cache.index] = True
        self._note("discarded", cache)

    def expired(self, cache: RTRSocket) -> None:
        self.committed_by[cache.index].clear()
        self._note("expired", cache)

    def active(self, caches: frozenset[RTRSocket]) -> None:
        self.counting = frozenset(cache.index for cache in caches)
        self.history.append(self.now)

    def changed(self, what: RTRSocket | ManagerGroup) -> None:
        assert repr(what)

    def aspas(self, cache: RTRSocket, held: bytes) -> None: ...

    def aspas_expired(self, cache: RTRSocket) -> None: ...

    def router_key(self, _cache: RTRSocket, asn: int, _ski: bytes, _spki: bytes, announce: bool) -> None:
        self.keys.append((asn, announce))

    def _note(self, what: str, cache: RTRSocket) -> None:
        self.told.append((what, cache.index))
        self.history.append(self.now)


class Heard:
    """Callbacks that remember, and a way to wait for what they were told."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int, int], bool] = {}
        self.statuses: list[tuple[int, ManagerGroupStatus, int | str, Any]] = []
        self.threads: set[str] = set()
        self.data: set[Any] = set()
        self._changed = threading.Condition()

    def update(self, record: PFXRecord, added: bool, data: Any) -> None:
        with self._changed:
            self.records[vrp_of(record)] = added
            self.threads.add(threading.current_thread().name)
            self.data.add(data)
            self._changed.notify_all()

    @property
    def in_force(self) -> set[tuple[str, int, int]]:
        """What was added and not removed."""
        return {one for one, added in self.records.items() if added}

    def status(self, group: ManagerGroup, status: ManagerGroupStatus, socket: RTRSocket, data: Any) -> None:
        with self._changed:
            self.statuses.append((group.preference, status, socket.port, data))
            self._changed.notify_all()

    def wait(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, SECONDS), (self.records, self.statuses)


class Clock:
    """The real clock, and a way to let hours pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def run(manager: RTRManager, until: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Be the loop that drives the manager until something holds; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        wanted = manager.dispatch()
        if until():
            return
        left = deadline - time.monotonic()
        states = [(str(s), s.state.name, s.error) for g in manager.groups() for s in g.sockets]
        assert left > 0, f"waited {seconds:g} s for {what}; {states}"
        # A jump of the test's clock is not seen by select.
        select.select([manager.fileno()], [], [], min(left, 0.2 if wanted is None else min(wanted, 0.2)))
