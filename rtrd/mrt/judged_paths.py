"""How the paths of a dump are judged: by ASPAs, where it is known what whoever wrote it is to its peers."""

from __future__ import annotations

from collections.abc import Iterable

from rtrd.config import NeighborConfig
from rtrd.mrt.records import Peer
from rtrd.policy import Policy
from rtrlib.aspa_paths import LocalRole
from rtrlib.aspas import ASPAIndex


class JudgedPaths:
    """The ASPAs and the roles."""

    def __init__(self, held: bytes, roles: Iterable[NeighborConfig]) -> None:
        """`held`: a packed set (rtrlib.aspas). `roles`: the first one that names a peer counts."""
        self.aspas = ASPAIndex(held)
        self._policy = Policy((), roles)

    def role(self, peer: Peer) -> LocalRole | None:
        """Give the role toward a peer (RFC 9234 section 3); None: its paths are not judged."""
        return self._policy.kind(peer.address, peer.asn).role
