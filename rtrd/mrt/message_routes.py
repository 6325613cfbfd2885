"""The routes that are there after the BGP messages of a dump (BGP4MP): a route table with its peers as neighbors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import _rov
from rtrd.mrt.judged_paths import JudgedPaths
from rtrd.mrt.records import DumpRoute, Peer, PeerDown, PeerUpdate
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import LEARNED, NeighborPolicy
from rtrd.rib.update_octets import native_session
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet

VALID_OFFER: Final = 1
NOT_FOUND_OFFER: Final = 2
"""The AS of a VRP that stands for a prefix with a route that is not invalid (ffi/native/bgp/table_dump.h)."""
_ONLY_WATCHED: Final = NeighborPolicy(0, ("observe",) * 4, (0,) * 4, (LEARNED,) * 4)
_WORK: Final = 10_000


class MessageRoutes:
    """The routes that peers have announced, and not withdrawn."""

    def __init__(self, now: VRPSet, then: VRPSet, paths: JudgedPaths | None) -> None:
        self.moved: dict[tuple[str, str], int] = {}
        """How many routes have which validities by the two sets; `judged` counts them."""
        self._then = None if then is now else then
        self.paths: Counter[str] = Counter()
        """How many of them have a path of which outcome."""
        self._table = RouteTable(now)
        self._judged = paths
        if paths is not None:
            self._table.aspas_changed(paths.aspas, b"")
        self._peers: dict[tuple[Peer, Peer], int] = {}
        self._names: dict[int, Peer] = {}
        self._sessions: dict[tuple[Peer, Peer, bool, bool], _rov.BgpSession] = {}

    def take(self, message: PeerUpdate | PeerDown) -> None:
        """Take what a peer announced or withdrew, or that its session has ended."""
        if isinstance(message, PeerDown):
            for key in [key for key in self._peers if key[0] == message.peer]:
                self._table.retire_neighbor(self._peers.pop(key))
            while self._table.work(_WORK):
                pass
            return
        key = (message.peer, message.local)
        neighbor = self._peers.get(key)
        if neighbor is None:
            neighbor = self._peers[key] = self._table.add_neighbor(_ONLY_WATCHED, b"")
            self._names[neighbor] = message.peer
            if self._judged is not None and message.peer.asn != message.local.asn:
                self._table.set_role(neighbor, self._judged.role(message.peer))
        self._table.receive(neighbor, self._session(message), message.body)

    def judged(self, within: str | None) -> Iterator[tuple[DumpRoute, bytes]]:
        """Give each route, and the VRP that stands for its prefix if it is not invalid by the second set."""
        for route in self._table.routes(within):
            peer = self._names[route.neighbor]
            then = route.validity if self._then is None else self._then.validate(route.prefix, route.origin)
            self.moved[route.validity, then] = self.moved.get((route.validity, then), 0) + 1
            offer = b""
            if then != "invalid":
                asn = VALID_OFFER if then == "valid" else NOT_FOUND_OFFER
                offer = pack(VRP(route.prefix, int(route.prefix.partition("/")[2]), asn))
            found = DumpRoute(
                route.prefix, peer.address, peer.asn, route.path_id, route.origin, route.validity, then, route.aspa
            )
            if route.aspa is not None:
                self.paths[route.aspa] += 1
            yield found, offer

    def _session(self, message: PeerUpdate) -> _rov.BgpSession:
        key = (message.peer, message.local, message.four_octet_as, message.path_ids)
        found = self._sessions.get(key)
        if found is None:
            path_ids = frozenset({4, 6} if message.path_ids else ())
            addresses = (message.peer.address, message.local.address)
            found = self._sessions[key] = native_session(
                BGPSession(
                    message.local.asn, message.peer.asn, message.four_octet_as, path_ids,
                    extended_next_hop=True, addresses=addresses,
                )
            )  # fmt: skip
        return found
