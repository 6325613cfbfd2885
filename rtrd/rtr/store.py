"""The data that an RTR server serves, with its history: answers to queries. No socket, no clock.

Each version is a session of its own (RFC 8210 s.5.1), with its own session ID, serial number and history: a change
of router keys alone is a change from version 1 on, one of ASPAs alone from version 2 on.

A response is a list of pieces that are encoded when the first client needs them and shared by all that read
them at the same time: a thousand clients that load the whole set hold it once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from rtrd.rtr import pdu
from rtrd.rtr.intervals import Intervals
from rtrlib import aspas, packed
from rtrlib.packed import VRP_SIZE, VRPDifference
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.vrp_entries import RouterKey

VERSIONS = range(MAX_VERSION + 1)
MAX_DELTAS = 64
"""How many changes are remembered."""
MAX_DELTA_RECORDS = 50_000
"""How many VRPs, router keys, customers and providers in them: who is further behind loads the whole set."""
_PIECE = 3072 * VRP_SIZE
"""Ordered VRPs that make one piece of a response: 60 to 100 kB on the wire, encoded in well under 1 ms."""
_ASPA_PIECE = 1 << 14
"""Numbers of packed ASPAs that make one piece, or those of one customer."""
_SERIALS = 1 << 32

_T = TypeVar("_T")


class Data(NamedTuple):
    """What is served at one time: ordered VRPs (rtrlib.packed), router keys, and a set of ASPAs (rtrlib.aspas)."""

    vrps: bytes = b""
    keys: frozenset[RouterKey] = frozenset()
    aspas: bytes = b""


class Delta(NamedTuple):
    """What differs between two Data; all that the history keeps of them."""

    vrps: VRPDifference
    keys_announced: frozenset[RouterKey] = frozenset()
    keys_withdrawn: frozenset[RouterKey] = frozenset()
    aspas: bytes = b""
    """The changes of ASPAs."""
    aspas_back: bytes = b""
    """What undoes them: several changes can only be joined where it is known what was there before."""

    @property
    def size(self) -> int:
        """How many VRPs, router keys, and customers and providers of ASPAs it holds."""
        numbers = (len(self.aspas) + len(self.aspas_back)) // aspas.NUMBER_SIZE
        return self.vrps.size + len(self.keys_announced) + len(self.keys_withdrawn) + numbers

    def of_version(self, version: int) -> Delta:
        """Give what of it routers of a version are told."""
        if version == 0:
            return Delta(self.vrps)
        return self if version >= pdu.FIRST_WITH_ASPAS else self._replace(aspas=b"", aspas_back=b"")


class DataChange(NamedTuple):
    """The change from one Data to the next."""

    before: Data | None
    after: Data
    delta: Delta


def update_to(before: Data | None, after: Data) -> DataChange:
    """Compare two Data. Bulk work without any state: may run in a thread."""
    old = before or Data()
    return _change(before, after, packed.diff(old.vrps, after.vrps))


def update_with(
    before: Data | None,
    announced: Iterable[bytes],
    withdrawn: Iterable[bytes],
    keys: frozenset[RouterKey] | None = None,
    aspa_set: bytes | None = None,
) -> DataChange:
    """Apply a change (single ordered VRPs) to Data, at some 20 us a VRP; may run in a thread, too.

    ``keys``, ``aspa_set``: all router keys and ASPAs from now on; None: those of before.
    """
    old = before or Data()
    vrps, change = packed.merge(old.vrps, announced, withdrawn)
    after = Data(vrps, old.keys if keys is None else keys, old.aspas if aspa_set is None else aspa_set)
    return _change(before, after, change)


def _change(before: Data | None, after: Data, vrps: VRPDifference) -> DataChange:
    old = before or Data()
    there = back = b""
    if old.aspas != after.aspas:
        there, back = aspas.changes(old.aspas, after.aspas), aspas.changes(after.aspas, old.aspas)
    return DataChange(before, after, Delta(vrps, after.keys - old.keys, old.keys - after.keys, there, back))


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

    ``intervals`` are told to routers from version 1 on. ``rng`` makes session IDs and first serial numbers: both
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

    def replace(self, vrps: bytes, keys: Iterable[RouterKey] = (), aspa_set: bytes = b"") -> list[int]:
        """Serve this from now on (ordered VRPs); returns the versions for which that is a change."""
        return self.commit(update_to(self.data, Data(vrps, frozenset(keys), aspa_set)))

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
            elif (delta := update.delta.of_version(session.version)).size:
                session.advance(delta, self._max_deltas, self._max_delta_records)
                changed.append(session.version)
        return changed

    def whole(self, version: int) -> Response | None:
        """Answer a Reset Query: everything; None when there is no data yet."""
        if self.data is None:
            return None
        session = self._sessions[version]
        response = session.full.get(session.serial)
        if response is None:
            vrps, keys, held = self.data
            response = self._response(session, Delta(VRPDifference(vrps, b""), keys, frozenset(), held))
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
            came_keys, gone_keys = _net((one.keys_announced, one.keys_withdrawn) for one in deltas)
            vrps = VRPDifference(b"".join(sorted(come)), b"".join(sorted(gone)))
            net = Delta(vrps, frozenset(came_keys), frozenset(gone_keys), _net_aspas(deltas))
            response = self._response(session, net)
            session.deltas[serial] = response
        return response

    def _response(self, session: _Session, delta: Delta) -> Response:
        version = session.version
        vrps, came_keys, gone_keys, changes, _ = delta.of_version(version)
        start = pdu.encode(pdu.CacheResponse(version, session.session))
        makers: list[Callable[[], bytes]] = [lambda: start]
        # 8210bis section 11.2. Announced first: a prefix whose VRP is replaced is never without one.
        came, gone = packed.first_ipv6(vrps.announced), packed.first_ipv6(vrps.withdrawn)
        parts = ((0, came, vrps.withdrawn[:gone]), (came, len(vrps.announced), vrps.withdrawn[gone:]))
        for low, high, went in parts:
            makers += _makers(vrps.announced, low, high, version, announce=True)
            makers += _makers(packed.backward(went), 0, len(went), version, announce=False)
        keys = b"".join(
            pdu.encode(pdu.RouterKeyPDU(version, announce, key.ski, key.asn, key.spki))
            for group, announce in ((came_keys, True), (gone_keys, False))
            for key in sorted(group, key=_in_order)
        )
        times = self.intervals
        end = pdu.encode(
            pdu.EndOfData(version, session.session, session.serial, times.refresh, times.retry, times.expire)
        )
        if changes:
            if keys:
                makers.append(lambda: keys)
            makers += [*_aspa_makers(changes), lambda: end]
        else:
            makers.append(lambda: keys + end)
        return Response(session.serial, makers)


def _makers(records: bytes, low: int, high: int, version: int, *, announce: bool) -> list[Callable[[], bytes]]:
    """Give what makes the pieces; the records are cut when a piece is made."""

    def maker(at: int) -> Callable[[], bytes]:
        return lambda: pdu.encode_prefixes(records[at : min(at + _PIECE, high)], version, announce=announce)

    return [maker(at) for at in range(low, high, _PIECE)]


def _aspa_makers(changes: bytes) -> Iterator[Callable[[], bytes]]:
    """Give what makes the pieces; announcements first (8210bis section 11.2), by customer as the changes are."""
    came = aspas.apply(b"", changes)
    for records, announce in ((came, True), (changes if len(came) < len(changes) else b"", False)):
        at = 0
        for end in pdu.aspa_slices(records, _ASPA_PIECE):
            yield partial(_encode_aspas, records, at, end, announce=announce)
            at = end


def _encode_aspas(records: bytes, low: int, high: int, *, announce: bool) -> bytes:
    return pdu.encode_aspas(records[low:high], announce=announce)


def _net_aspas(deltas: list[Delta]) -> bytes:
    """Merge changes into the least one that does the same: where the customer's list is as it was, none."""
    if not any(one.aspas for one in deltas):
        return b""
    before = aspas.settle(b"".join(one.aspas_back for one in reversed(deltas)))
    after = aspas.settle(b"".join(one.aspas for one in deltas))
    return aspas.changes(aspas.apply(b"", before), aspas.apply(b"", after))


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
