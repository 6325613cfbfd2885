"""The data that an RTR server serves, with its history: answers to queries. No socket, no clock.

Versions 0 and 1 are separate sessions (RFC 8210 s.5.1): each has its own session ID, serial number and
history, since a change of router keys alone is a change for version 1 and none for version 0.

A response is a list of pieces that are encoded when the first client needs them and shared by all that read
them at the same time: a thousand clients that load the whole set hold it once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from rtrd.rtr import pdu
from rtrd.rtr.intervals import Intervals
from rtrlib import packed
from rtrlib.packed import VRP_SIZE, VRPDifference
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.vrp_entries import RouterKey

VERSIONS = range(MAX_VERSION + 1)
MAX_DELTAS = 64
"""How many changes are remembered."""
MAX_DELTA_RECORDS = 50_000
"""How many VRPs and router keys in them: a router that is further behind loads the whole set."""
_PIECE = 3072 * VRP_SIZE
"""Ordered VRPs that make one piece of a response: 60 to 100 kB on the wire, encoded in well under 1 ms."""
_SERIALS = 1 << 32

_T = TypeVar("_T")


class Data(NamedTuple):
    """What is served at one time: ordered VRPs (rtrlib.packed) and router keys."""

    vrps: bytes = b""
    keys: frozenset[RouterKey] = frozenset()


class Delta(NamedTuple):
    """What differs between two Data; all that the history keeps of them."""

    vrps: VRPDifference
    keys_announced: frozenset[RouterKey] = frozenset()
    keys_withdrawn: frozenset[RouterKey] = frozenset()

    @property
    def size(self) -> int:
        """How many VRPs and router keys differ."""
        return self.vrps.size + len(self.keys_announced) + len(self.keys_withdrawn)


class DataChange(NamedTuple):
    """The change from one Data to the next."""

    before: Data | None
    after: Data
    delta: Delta


def update_to(before: Data | None, after: Data) -> DataChange:
    """Compare two Data. Bulk work without any state: may run in a thread."""
    old = before or Data()
    vrps = packed.diff(old.vrps, after.vrps)
    return DataChange(before, after, Delta(vrps, after.keys - old.keys, old.keys - after.keys))


def update_with(
    before: Data | None,
    announced: Iterable[bytes],
    withdrawn: Iterable[bytes],
    keys: frozenset[RouterKey] | None = None,
) -> DataChange:
    """Apply a change (single ordered VRPs) to Data, at some 20 us a VRP; may run in a thread, too.

    ``keys``: all router keys from now on; None: those of before.
    """
    old = before or Data()
    vrps, change = packed.merge(old.vrps, announced, withdrawn)
    fresh = old.keys if keys is None else keys
    return DataChange(before, Data(vrps, fresh), Delta(change, fresh - old.keys, old.keys - fresh))


class Response:
    """The answer to a query, from Cache Response to End of Data, in pieces encoded once, when needed."""

    def __init__(self, serial: int, makers: list[Callable[[], bytes]]) -> None:
        self.serial = serial
        """The serial number that the client has after it."""
        self._makers = makers
        self._pieces: list[bytes | None] = [None] * len(makers)

    def __len__(self) -> int:
        """How many pieces."""
        return len(self._pieces)

    def piece(self, index: int) -> bytes:
        """Return a piece, the same object to every client."""
        made = self._pieces[index]
        if made is None:
            made = self._pieces[index] = self._makers[index]()
        return made


class _Session:
    """One protocol version's session: its ID, serial number and history."""

    def __init__(self, version: int, session: int, serial: int) -> None:
        self.version = version
        self.session = session
        self.serial = serial
        self.history: deque[Delta] = deque()
        """The changes up to the current serial number, oldest first."""
        self.full: WeakValueDictionary[int, Response] = WeakValueDictionary()
        """The whole set by serial number, while any client reads it."""
        self.deltas: dict[int, Response] = {}
        """Responses to Serial Queries by the serial number in the query."""

    def concerns(self, delta: Delta) -> bool:
        """Whether this is a change for this version."""
        return (delta.size if self.version > 0 else delta.vrps.size) > 0

    def advance(self, delta: Delta, max_deltas: int, max_records: int) -> None:
        """Take the next serial number, and forget the oldest changes beyond the bounds."""
        self.serial = (self.serial + 1) % _SERIALS
        self.deltas.clear()
        self.history.append(delta)
        total = sum(one.size for one in self.history)
        while self.history and (len(self.history) > max_deltas or total > max_records):
            total -= self.history.popleft().size


class Store:
    """What an RTR server serves, by version, with bounded history.

    ``intervals`` are told to routers of version 1. ``rng`` makes session IDs and first serial numbers: both
    are random, so that after a restart no router's old pair of them is taken for a current one.
    """

    def __init__(
        self,
        intervals: Intervals | None = None,
        *,
        max_deltas: int = MAX_DELTAS,
        max_delta_records: int = MAX_DELTA_RECORDS,
        rng: random.Random | None = None,
        sessions: list[int] | None = None,
    ) -> None:
        """``sessions``: the session ID of each version; None: any."""
        rng = rng or random.SystemRandom()
        self.intervals = intervals or Intervals()
        self.data: Data | None = None
        """None until the first set: then routers are told "no data available"."""
        self._max_deltas = max_deltas
        self._max_delta_records = max_delta_records
        sessions = sessions or rng.sample(range(1, 1 << 16), len(VERSIONS))
        self._sessions = [_Session(version, sessions[version], rng.randrange(_SERIALS)) for version in VERSIONS]

    def session(self, version: int) -> int:
        """Session ID of a version."""
        return self._sessions[version].session

    def serial(self, version: int) -> int:
        """Return the current serial number of a version."""
        return self._sessions[version].serial

    def replace(self, vrps: bytes, keys: Iterable[RouterKey] = ()) -> list[int]:
        """Serve this from now on (ordered VRPs); returns the versions for which that is a change."""
        return self.commit(update_to(self.data, Data(vrps, frozenset(keys))))

    def commit(self, update: DataChange) -> list[int]:
        """Take an update that was prepared; returns the versions for which it is a change.

        Raises ValueError when it does not start at what is served now.
        """
        if update.before is not self.data:
            raise ValueError("the update was prepared from another set than is served")
        first = self.data is None
        self.data = update.after
        changed = []
        for session in self._sessions:
            if first:
                changed.append(session.version)
            elif session.concerns(update.delta):
                session.advance(update.delta, self._max_deltas, self._max_delta_records)
                changed.append(session.version)
        return changed

    def whole(self, version: int) -> Response | None:
        """Answer a Reset Query: everything; None when there is no data yet."""
        if self.data is None:
            return None
        session = self._sessions[version]
        response = session.full.get(session.serial)
        if response is None:
            response = self._response(session, self.data.vrps, b"", self.data.keys, frozenset())
            session.full[session.serial] = response
        return response

    def since(self, version: int, session_id: int, serial: int) -> Response | None:
        """Answer a Serial Query: what changed since; None when the router must load everything."""
        session = self._sessions[version]
        if self.data is None or session_id != session.session:
            return None
        behind = (session.serial - serial) % _SERIALS
        if behind > len(session.history):
            return None
        response = session.deltas.get(serial)
        if response is None:
            deltas = list(session.history)[len(session.history) - behind :]
            come, gone = _net((packed.split(one.vrps.announced), packed.split(one.vrps.withdrawn)) for one in deltas)
            keys = _net((one.keys_announced, one.keys_withdrawn) for one in deltas)
            response = self._response(session, b"".join(sorted(come)), b"".join(sorted(gone)), *keys)
            session.deltas[serial] = response
        return response

    def _response(
        self,
        session: _Session,
        announced: bytes,
        withdrawn: bytes,
        keys_announced: Iterable[RouterKey],
        keys_withdrawn: Iterable[RouterKey],
    ) -> Response:
        version = session.version
        start = pdu.encode(pdu.CacheResponse(version, session.session))
        makers: list[Callable[[], bytes]] = [lambda: start]
        # 8210bis section 11.2. Announced first: a prefix whose VRP is replaced is never without one.
        came, gone = packed.first_ipv6(announced), packed.first_ipv6(withdrawn)
        for low, high, went in ((0, came, withdrawn[:gone]), (came, len(announced), withdrawn[gone:])):
            makers += _makers(announced, low, high, version, announce=True)
            makers += _makers(packed.backward(went), 0, len(went), version, announce=False)
        keys = b"".join(
            pdu.encode(pdu.RouterKeyPDU(version, announce, key.ski, key.asn, key.spki))
            for group, announce in ((keys_announced, True), (keys_withdrawn, False))
            for key in sorted(group, key=_in_order)
            if version > 0
        )
        times = self.intervals
        end = pdu.encode(
            pdu.EndOfData(version, session.session, session.serial, times.refresh, times.retry, times.expire)
        )
        makers.append(lambda: keys + end)
        return Response(session.serial, makers)


def _makers(records: bytes, low: int, high: int, version: int, *, announce: bool) -> list[Callable[[], bytes]]:
    """Give what makes the pieces; the records are cut when a piece is made."""

    def maker(at: int) -> Callable[[], bytes]:
        return lambda: pdu.encode_prefixes(records[at : min(at + _PIECE, high)], version, announce=announce)

    return [maker(at) for at in range(low, high, _PIECE)]


def _in_order(key: RouterKey) -> tuple[bytes, int, bytes, int]:
    return key.ski, len(key.spki), key.spki, key.asn


def _net(changes: Iterable[tuple[Iterable[_T], Iterable[_T]]]) -> tuple[set[_T], set[_T]]:
    """Merge changes into the least one that does the same (RFC 8210 s.5.3 demands it)."""
    come: set[_T] = set()
    gone: set[_T] = set()
    for announced, withdrawn in changes:
        for record in withdrawn:
            if record in come:
                come.remove(record)
            else:
                gone.add(record)
        for record in announced:
            if record in gone:
                gone.remove(record)
            else:
                come.add(record)
    return come, gone
