"""One router that tells its routes by BMP: its peers, and what they announce. No socket, no clock.

It is observed: no rule of the policy is for it, and nothing is ever written to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

from rtrd.base.clock import timestamp
from rtrd.bmp.messages import (
    Kind,
    MalformedError,
    Peer,
    PeerHeader,
    PeerUp,
    peer_header,
    peer_up,
    statistics,
    sys_name,
    update,
)
from rtrd.policy import Policy
from rtrd.rib.bgp_session import BGPSession, agreed, local_role
from rtrd.rib.engine import Engine
from rtrlib.aspa_paths import LocalRole

MOST_PEERS: Final = 4096
"""Peers of one router, those with another route distinguisher counted apart."""
MOST_ROUTES: Final = 20_000_000
"""Routes of one router: 15 full tables."""
RIBS: Final = ("pre", "post", "out-pre", "out-post", "loc")
"""What a router can tell of a peer: Adj-RIB-In and Adj-RIB-Out before and after the policy, and the Loc-RIB."""
BEFORE_PEER_UP: Final = "a message of a peer without its Peer Up"
LEFT_OUT: Final = "a message of a peer that is beyond the most of a router, or without its Peer Up"


class TooMuchError(Exception):
    """A router has more than one may have; the text says of what."""


class _Up(NamedTuple):
    """What is known of a session."""

    opens: PeerUp
    since: float


class BMPPeers:
    """The sessions of one router, as the status, metrics and events ask for them."""

    def __init__(self) -> None:
        self.told: dict[Peer, _Up] = {}
        """Those that are up."""
        self._by_address: dict[str, dict[Peer, None]] = {}
        """The same, those of the Loc-RIB left out."""
        self._left: dict[str, float] = {}
        """When the last session with an address went down."""

    def addresses(self) -> set[str]:
        """Give the peers' addresses."""
        return self._by_address.keys() | self._left.keys()

    def of(self, address: str) -> Iterable[Peer]:
        """Give the peers of an address that are up."""
        return self._by_address.get(address, ())

    def up(self, address: str) -> bool | None:
        """Tell whether a session with a peer is up; None: nothing has told."""
        if address in self._by_address:
            return True
        return False if address in self._left else None

    def since(self, address: str) -> float | None:
        """Give since when that is so (Unix time)."""
        times = [self.told[peer].since for peer in self.of(address)]
        return min(times) if times else self._left.get(address)

    def came(self, peer: Peer, up: PeerUp, now: float) -> None:
        """Note a session that is up."""
        self._left.pop(peer.address, None)
        self.told[peer] = _Up(up, now)
        if not peer.is_loc_rib:
            self._by_address.setdefault(peer.address, {})[peer] = None

    def went(self, peer: Peer, now: float) -> None:
        """Note that one is down."""
        if self.told.pop(peer, None) is None or peer.is_loc_rib:
            return
        del self._by_address[peer.address][peer]
        if not self._by_address[peer.address]:
            del self._by_address[peer.address]
        if len(self._left) < MOST_PEERS:
            self._left[peer.address] = now

    def lost(self) -> None:
        """Take note that the router tells nothing any more: of no session it is known whether it is up."""
        self.told.clear()
        self._by_address.clear()
        self._left.clear()


class BMPRouter:
    """The routes of one router, by peer and RIB (RFC 7854 section 5, RFC 8671, RFC 9069)."""

    def __init__(self, engine: Engine, work: Callable[[], None]) -> None:
        """`work`: has the engine's work done soon."""
        self.engine = engine
        self._work = work
        self.neighbors = BMPPeers()
        self.malformed: Counter[str] = Counter()
        """Messages that are not what their type says, by reason."""
        self.messages: Counter[str] = Counter()
        """All others, by type."""
        self.peers_left_out = 0
        """Peer Ups beyond MOST_PEERS."""
        self.lost_since: float | None = None
        """Since when it tells nothing (Unix time); None: it is connected."""
        self.tells_of_neighbors = False
        """Whether it has told of one since it connected."""
        self._stale: dict[Peer, float] = {}
        """Peers of a lost connection that were not told again: until when their routes stay."""
        self._statistics: dict[Peer, dict[str, int]] = {}
        self._ribs: dict[tuple[Peer, str], str] = {}
        """The names of sessions in the engine."""

    # -- what it says

    def take(self, kind: int, body: bytes, now: float) -> None:
        """Take a message that is no Termination; `now`: Unix time.

        Raises TooMuchError, and MemoryError: what the message said may then be known in part.
        """
        if kind > max(Kind):
            self.malformed["an unknown type of message"] += 1
            return
        self.messages[Kind(kind).name.lower().replace("_", "-")] += 1
        try:
            if kind in {Kind.ROUTE_MONITORING, Kind.PEER_UP, Kind.PEER_DOWN, Kind.STATISTICS, Kind.ROUTE_MIRRORING}:
                header, rest = peer_header(body)
                self._of_peer(Kind(kind), header, rest, now)
            elif kind == Kind.INITIATION:
                sys_name(body)
        except MalformedError as error:
            self.malformed[str(error)] += 1

    def _of_peer(self, kind: Kind, header: PeerHeader, rest: bytes, now: float) -> None:
        self.tells_of_neighbors = True
        if kind is Kind.ROUTE_MONITORING:
            self._routes(header, update(rest), now)
        elif kind is Kind.PEER_UP:
            self._up(header.peer, peer_up(rest), now)
        elif header.peer not in self.neighbors.told and header.peer not in self._stale:
            raise MalformedError(self._unknown)
        elif kind is Kind.PEER_DOWN:
            self._down(header.peer, now)
        elif kind is Kind.STATISTICS:
            self._statistics[header.peer] = statistics(rest)

    def _up(self, peer: Peer, opens: PeerUp, now: float) -> None:
        self._down(peer, now)  # of a session that is up again, the routes of before are gone
        if len(self.neighbors.told) + len(self._stale) >= MOST_PEERS:
            self.end_stale(None, now)
        if len(self.neighbors.told) >= MOST_PEERS:
            self.peers_left_out += 1
            return
        self.neighbors.came(peer, opens, now)

    def _down(self, peer: Peer, now: float) -> None:
        self.neighbors.went(peer, now)
        self._stale.pop(peer, None)
        self._statistics.pop(peer, None)
        for rib in RIBS:
            if (name := self._ribs.pop((peer, rib), None)) is not None:
                self.engine.sessions.end(name)
        self.work_soon()

    def _routes(self, header: PeerHeader, body: bytes, now: float) -> None:
        if header.peer.is_loc_rib and header.peer in self._stale and header.peer not in self.neighbors.told:
            self._down(header.peer, now)
        session = self._session(header)
        key = (header.peer, header.rib)
        name = self._ribs.get(key)
        if name is None:
            name = self._ribs[key] = _name(header)
            self.engine.sessions.add(name, learned=header.rib in {"pre", "post"}, said_role=self._role(header.peer))
        self.engine.set_time(int(now))
        self.engine.receive(name, session, body)
        if len(self.engine.table) > MOST_ROUTES:
            raise TooMuchError(f"more than {MOST_ROUTES} routes")

    def _session(self, header: PeerHeader) -> BGPSession:
        """Give what an UPDATE can't be read without: of what goes out, as its receiver would say it."""
        up = self.neighbors.told.get(header.peer)
        if up is None:
            if not header.peer.is_loc_rib:
                raise MalformedError(self._unknown)
            # gobgpd 3.10 tells its Loc-RIB so, against RFC 9069 section 4.1.
            return BGPSession(header.asn, header.asn, four_octet_as=True, path_ids=frozenset(), extended_next_hop=True)
        sent, received = up.opens.sent, up.opens.received
        # Peer types other than Loc-RIB: the peer speaks; in its Adj-RIB-Out the router does (RFC 8671).
        session = agreed(received, sent) if header.rib.startswith("out") else agreed(sent, received)
        wide = session.four_octet_as and not header.two_octet_as
        return session._replace(four_octet_as=wide, extended_next_hop=True)

    @property
    def _unknown(self) -> str:
        """Say what a message is of a peer that is not up."""
        return LEFT_OUT if self.peers_left_out else BEFORE_PEER_UP

    def _role(self, peer: Peer) -> LocalRole | None:
        """Give the router's role toward a peer, as it says to it (RFC 9234 section 4.1)."""
        up = self.neighbors.told.get(peer)
        return None if up is None or peer.is_loc_rib else local_role(up.opens.sent, up.opens.received)

    # -- its connection

    def lost(self, now: float, until: float) -> None:
        """Take note that its connection is lost (`now`: Unix time): its routes stay until `until`, of another clock."""
        self.lost_since = now
        self.tells_of_neighbors = False
        for peer in {*self.neighbors.told, *(peer for peer, _ in self._ribs)}:
            self._stale.setdefault(peer, until)
        self._statistics.clear()
        self.neighbors.lost()

    def back(self) -> None:
        """Take note that it is connected again: a peer's stale routes go when it is told again, or when it is time."""
        self.lost_since = None

    def next_stale_end(self) -> float | None:
        """Give when the first stale peer's routes go; None: there is none."""
        return min(self._stale.values(), default=None)

    def end_stale(self, until: float | None, now: float, most: int = MOST_PEERS) -> None:
        """End the peers whose routes stayed until then, so many of them; None: of all that are stale."""
        over = (peer for peer, end in self._stale.items() if until is None or end <= until)
        for peer in list(islice(over, most)):
            self._down(peer, now)

    # -- what is asked

    def ribs(self) -> dict[int, str]:
        """Give the RIB of each session of the engine, by its number."""
        by_name = self.engine.sessions.by_name
        return {by_name[name].number: rib for (_, rib), name in self._ribs.items() if name in by_name}

    def counted(self) -> list[str]:
        """Give the names of the sessions of routes before the import policy; after it where there are no others."""
        return [
            name
            for (peer, rib), name in self._ribs.items()
            if rib == "pre" or (rib == "post" and (peer, "pre") not in self._ribs)
        ]

    def local_role(self, address: str) -> LocalRole | None:
        """Give what the router is to the peers of an address: as it is configured, else as the router says."""
        said = map(self._role, self.neighbors.of(address))
        return self.engine.sessions.kind(address).role or next(filter(None, said), None)

    def statistics_of(self, address: str) -> dict[str, int]:
        """Give what the router counts by itself of an address, as it said last."""
        found: Counter[str] = Counter()
        for peer in self.neighbors.of(address):
            found.update(self._statistics.get(peer, {}))
        return dict(found)

    def numbers(self) -> dict[str, Any]:
        """Give what the status has of a router that speaks BMP, and of no other."""
        return {
            "messages": dict(self.messages),
            "malformed": dict(self.malformed),
            "peers_left_out": self.peers_left_out,
            "lost_since": None if self.lost_since is None else timestamp(self.lost_since),
            "stale_peers": len(self._stale),
        }

    # -- what changes

    def work_soon(self) -> None:
        """Have the engine's work done soon."""
        self._work()

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Take what is configured of neighbors; rules are for routers that are told something."""
        self.engine.set_policy(policy.observing(), cause)
        self.work_soon()

    def set_most_attributes(self, octets: int) -> None:
        """Bound the octets of the attribute sets of each neighbor; what had no room comes with the next connection."""
        self.engine.set_most_attributes(octets)


def _name(header: PeerHeader) -> str:
    """Name a session as the engine wants it: the peer's address, and what tells it from others with that."""
    peer = header.peer
    which = [] if header.rib == "pre" else [header.rib]
    if peer.kind != 0 or any(peer.distinguisher):
        which.append(f"{peer.kind}:{peer.distinguisher.hex()}")
    return " ".join([peer.address, *which])
