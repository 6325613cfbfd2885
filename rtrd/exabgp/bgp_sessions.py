"""What the sessions of one ExaBGP's neighbors have agreed on, by the OPENs that it hands on. Pure.

An UPDATE in octets can't be read without. ExaBGP tells each OPEN once, and repeats nothing to a process that comes
later (docs/exabgp.md), so what is known is kept; and where it is not known for certain, the neighbor's routes wait.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from rtrd.rib.bgp_session import BGPSession, Open, agreed, read_open

Direction = Literal["send", "receive"]


class Sessions:
    """The sessions of an ExaBGP's neighbors, by their address."""

    def __init__(self) -> None:
        self._opens: dict[str, dict[str, bytes]] = {}
        self._agreed: dict[str, BGPSession] = {}

    def connected(self, neighbor: str) -> None:
        """Take a session that begins anew or has ended: what it agreed on is over."""
        self._opens.pop(neighbor, None)
        self._agreed.pop(neighbor, None)

    def opened(self, neighbor: str, direction: Direction, body: bytes) -> BGPSession | None:
        """Take an OPEN. Gives what the session agreed on, if it is now known. Raises ValueError: it is none."""
        read_open(body)
        opens = self._opens.setdefault(neighbor, {})
        opens[direction] = body
        if len(opens) < 2:
            return None
        self._agreed[neighbor] = agreed(read_open(opens["send"]), read_open(opens["receive"]))
        return self._agreed[neighbor]

    def listed(self, neighbor: str, told: Listed) -> BGPSession | None:
        """Take what ExaBGP lists of a session whose OPENs were not heard. Gives what it agreed on, if that is certain.

        ExaBGP does not say for certain which way path ids go where both sides know ADD-PATH, nor which next hops were
        agreed on: such an IPv6 next hop of IPv4 is treated as an error then.
        """
        if neighbor in self._agreed or told.add_path:
            return None
        ours, theirs = Open(told.local_as, told.four_octet_as), Open(told.peer_as, told.four_octet_as)
        self._agreed[neighbor] = agreed(ours, theirs)
        return self._agreed[neighbor]

    def of(self, neighbor: str) -> BGPSession | None:
        """Give what a neighbor's session agreed on; None: that is not known."""
        return self._agreed.get(neighbor)

    # -- over a restart

    def kept(self) -> dict[str, tuple[str, str]]:
        """Give the OPENs of each session, sent and received, in hex."""
        return {
            neighbor: (opens["send"].hex(), opens["receive"].hex())
            for neighbor, opens in self._opens.items()
            if len(opens) == 2
        }


class Listed(NamedTuple):
    """What `show neighbor extensive` says of a session."""

    local_as: int
    peer_as: int
    four_octet_as: bool
    add_path: bool
    """Both sides have the capability."""
