"""A table dump read from its beginning to its end, once: its routes judged by one set of VRPs or two, and counted.

RIB records are judged natively (ffi/native/bgp/table_dump.h) and not kept, so a dump of any size takes the same memory.
Of a file of BGP messages the routes that are there at its end count; they are kept meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Final, NoReturn

import _rov
from _rov import ffi, lib
from rtrd.base.text import counted
from rtrd.mrt import records
from rtrd.mrt.files import DumpError, Octets, PackedError, unpacked
from rtrd.mrt.judged_paths import JudgedPaths
from rtrd.mrt.message_routes import MessageRoutes
from rtrd.mrt.records import DumpRoute, MalformedError, Peer
from rtrd.rib.native_terms import prefix_text
from rtrd.rib.terms import PATH_OUTCOMES
from rtrd.rib.whatif import COVERS
from rtrlib.aspa_paths import LocalRole, native_set
from rtrlib.vrp_filters import parse_prefix
from rtrlib.vrp_set import VALIDITIES, VRPSet

CHUNK: Final = 1 << 20
"""Octets that are read at a time."""
_ROWS: Final = 1 << 16  # the most entries that a record can have
_OFFERS: Final = 1 << 14
_ROLES: Final[dict[LocalRole, int]] = {
    "provider": lib.DUMP_UPSTREAM,
    "peer": lib.DUMP_UPSTREAM,
    "rs": lib.DUMP_UPSTREAM,
    "rs-client": lib.DUMP_RS_CLIENT,
    "customer": lib.DUMP_DOWNSTREAM,
}
_COMPLAINTS: Final = {
    lib.DUMP_BROKEN: "a RIB record is malformed",
    lib.DUMP_LONG: f"a record is longer than {lib.DUMP_RECORD_MOST} octets",
}


class TableDump:
    """One reading of a dump. Any two sets may be given; to judge by one, give it twice."""

    def __init__(
        self,
        path: Path,
        now: VRPSet,
        then: VRPSet,
        wanted: Collection[tuple[str, str]],
        *,
        within: str | None = None,
        paths: JudgedPaths | None = None,
    ) -> None:
        """`wanted`: routes with these validities by the two sets are given. `within`: no other routes are looked at.

        `paths`: how paths are judged; routes with an invalid one are given, too. None: they are not judged.
        """
        self.path = path
        self.records = 0
        """Records that are no unicast RIB and no BGP message; they were left out."""
        self.broken_messages = 0
        """BGP messages that are not what their record says; they were left out."""
        self.fault: str | None = None
        """Why it could not be read to its end, if what was read counts all the same."""
        self._sets = (now, then)
        self.wanted = frozenset(wanted)
        """Routes with these validities are given."""
        self._offers = VRPSet()
        self._offers.activate([0])
        self._offers.usable = True
        self._walk: _rov.DumpWalk = ffi.new("struct dump_walk *")
        self._walk.now, self._walk.then = now.native, then.native
        self._walk.wanted = sum(1 << 4 * VALIDITIES.index(was) + VALIDITIES.index(will) for was, will in wanted)
        if within is not None:
            self._walk.only = parse_prefix(within)[0]
        self._within = within
        self._paths = paths
        if paths is not None:
            self._aspas = native_set(paths.aspas)  # in memory as long as this
            self._walk.aspas, self._walk.wanted_paths = self._aspas[0], True
        self._rows = ffi.new("struct dump_route[]", _ROWS)
        self._offered = ffi.new("struct vrp[]", _OFFERS)
        self._counts = ffi.new("size_t[]", 2)
        self._stop = ffi.new("enum dump_stop *")
        self._peers: list[Peer] = []
        self._peer_as = ffi.NULL
        self._messages: MessageRoutes | None = None
        self._done = 0

    def routes(self) -> Iterator[DumpRoute]:
        """Read the dump; give the routes that are wanted. Raises DumpError: then what was read so far is counted."""
        fault = None
        try:
            yield from self._read()
        except DumpError as error:
            fault = error
        if self._messages is not None:
            yield from self._of_messages(self._messages)
        if fault is not None:
            raise fault

    def _read(self) -> Iterator[DumpRoute]:
        with unpacked(self.path) as file:
            rest = b""
            while chunk := self._chunk(file):
                data = rest + chunk
                at = 0
                while (used := (yield from self._some(data, at))) != at:
                    at = used
                rest = data[at:]
                self._done += at
            if rest:
                self._refuse(f"it ends in the middle of a record, after {counted(len(rest), 'octet')} of it")
            if not self._done:
                self._refuse("it is empty")

    def _chunk(self, file: Octets) -> bytes:
        try:
            return file.read(CHUNK)
        except PackedError as error:
            self._refuse(str(error))

    @property
    def moved(self) -> dict[tuple[str, str], int]:
        """How many routes have which validities by the two sets."""
        found = {
            (was, will): int(self._walk.routes[4 * i + j])
            for i, was in enumerate(VALIDITIES)
            for j, will in enumerate(VALIDITIES)
        }
        if self._messages is not None:
            for key, routes in self._messages.moved.items():
                found[key] = found.get(key, 0) + routes
        return {key: routes for key, routes in found.items() if routes}

    @property
    def paths(self) -> dict[str, int] | None:
        """How many routes have a path of which outcome; None: paths are not judged."""
        if self._paths is None:
            return None
        judged = Counter({outcome: int(self._walk.paths[i]) for i, outcome in enumerate(PATH_OUTCOMES) if outcome})
        if self._messages is not None:
            judged.update(self._messages.paths)
        return dict(judged)

    @property
    def malformed(self) -> int:
        """How many entries were left out since their path attributes can't be read."""
        return int(self._walk.malformed)

    @property
    def peerless(self) -> int:
        """How many entries were left out since the peer index table has not the peer that they name.

        GoBGP 3 writes its local routes so.
        """
        return int(self._walk.peerless)

    def cover(self, prefix: str) -> str:
        """Tell how a prefix whose route is invalid by the second set is still reached; one of COVERS.

        By another route of the dump, of any peer, for the prefix or a less specific one that is not invalid.
        """
        offers = {found.vrp.asn for found in self._offers.covering(prefix)}
        return COVERS[1] if 1 in offers else COVERS[2] if offers else COVERS[0]

    def settle(self) -> None:
        """Make `cover` know all that was read."""
        self._offers.commit(0)

    def _some(self, data: bytes, at: int) -> Generator[DumpRoute, None, int]:
        """Take a run of records; gives where the next one begins."""
        octets = ffi.from_buffer(data)
        used: int = lib.dump_read(
            self._walk, octets + at, len(data) - at, self._rows, _ROWS, self._counts,
            self._offered, _OFFERS, self._counts + 1, self._stop,
        )  # fmt: skip
        rows, offers = self._counts[0], self._counts[1]
        if offers:
            self._offers.stage(0, ffi.buffer(self._offered, offers * ffi.sizeof("struct vrp"))[:])
        yield from map(self._route, ffi.unpack(self._rows, rows))
        at += used
        stop = self._stop[0]
        if stop == lib.DUMP_OTHER:
            return at + self._other(data, at)
        if stop in _COMPLAINTS:
            self._done += at
            known = self._known(data, at)
            self._refuse(self._complaint(stop) if known else "it is no table dump (MRT, RFC 6396)")
        return at

    def _complaint(self, stop: int) -> str:
        if stop == lib.DUMP_BROKEN and not self._peers:
            return "a RIB record comes before any peer index table, or after one without peers"
        return _COMPLAINTS[stop]

    def _known(self, data: bytes, at: int) -> bool:
        return bool(self._done) or records.HEADER.unpack_from(data, at)[1] in records.KNOWN

    def _other(self, data: bytes, at: int) -> int:
        """Take a record that is no RIB; gives its octets."""
        header: tuple[int, int, int, int] = records.HEADER.unpack_from(data, at)
        _, kind, subtype, size = header
        begin = at + records.HEADER.size
        body = data[begin : begin + size]
        if not at and not self._known(data, at):
            self._refuse("it is no table dump (MRT, RFC 6396)")
        try:
            if (kind, subtype) == (records.TABLE_DUMP_V2, records.PEER_INDEX_TABLE):
                self._take_peers(records.peer_index_table(body))
            elif kind in {records.BGP4MP, records.BGP4MP_ET}:
                self._take_message(kind, subtype, body)
            else:
                self.records += 1
        except MalformedError:
            if kind == records.TABLE_DUMP_V2:
                self._done += at
                self._refuse("the peer index table is malformed")
            self.broken_messages += 1
        return records.HEADER.size + size

    def _take_peers(self, peers: list[Peer]) -> None:
        self._peers = peers
        self._peer_as = ffi.new("uint32_t[]", [peer.asn for peer in peers])
        self._walk.peer_as, self._walk.peers_n = self._peer_as, len(peers)
        if self._paths is not None:
            found = [self._paths.role(peer) for peer in peers]
            self._roles = ffi.new("uint8_t[]", [0 if role is None else _ROLES[role] for role in found])
            self._walk.roles = self._roles

    def _take_message(self, kind: int, subtype: int, body: bytes) -> None:
        if (message := records.bgp4mp(kind, subtype, body)) is not None:
            if self._messages is None:
                self._messages = MessageRoutes(*self._sets, self._paths)
            self._messages.take(message)

    def _of_messages(self, messages: MessageRoutes) -> Iterator[DumpRoute]:
        for route, offer in messages.judged(self._within):
            if offer:
                self._offers.stage(0, offer)
            if (route.now, route.then) in self.wanted or route.aspa == "invalid":
                yield route

    def _route(self, row: _rov.DumpRoute) -> DumpRoute:
        peer = self._peers[row.peer]
        return DumpRoute(
            prefix=prefix_text(row.nlri.prefix),
            peer=peer.address,
            peer_as=peer.asn,
            path_id=row.nlri.path_id if row.nlri.has_path_id else None,
            origin=None if row.origin < 0 else row.origin,
            now=VALIDITIES[row.now],
            then=VALIDITIES[row.then],
            aspa=PATH_OUTCOMES[row.path],
        )

    def _refuse(self, what: str) -> NoReturn:
        where = f" at octet {self._done} of what is packed" if self._done else ""
        raise DumpError(f"{self.path}: {what}{where}")
