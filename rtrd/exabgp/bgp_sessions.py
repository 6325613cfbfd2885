"""What the sessions of one ExaBGP's neighbors have agreed on, by the OPENs that it hands on. Pure.

An UPDATE in octets can't be read without. ExaBGP tells each OPEN once, and repeats nothing to a process that comes
later (docs/exabgp.md), so what is known is kept; and where it is not known for certain, the neighbor's routes wait.
"""

from __future__ import annotations

from typing import Final

from rtrd.exabgp.neighbor_text import Agreement
from rtrd.rib.bgp_session import BGPSession, Open, agreed, read_open

MOST: Final = 5000
"""Neighbors of which it is remembered that they can't be read."""


class Sessions:
    """The sessions of an ExaBGP's neighbors, by their address in its normal form."""

    def __init__(self) -> None:
        self._sent: dict[str, Open] = {}
        self._agreed: dict[str, BGPSession] = {}
        self.waiting: dict[str, float] = {}
        """Neighbors whose UPDATEs can't be read, and since when (Unix time): their OPENs were not heard."""

    def opened(self, neighbor: str, direction: str, body: bytes) -> BGPSession | None:
        """Take an OPEN; ExaBGP tells first of the one that it sent. Gives what the session agreed on, once it is known.

        Raises ValueError, with what is wrong, for what is no OPEN.
        """
        if direction == "send":
            self.ended(neighbor)
            self._sent[neighbor] = read_open(body)
            return None
        ours = self._sent.get(neighbor)
        if ours is None:
            return None
        self.waiting.pop(neighbor, None)
        self._agreed[neighbor] = agreed(ours, read_open(body))
        return self._agreed[neighbor]

    def ended(self, neighbor: str) -> None:
        """Take a session's end: what it agreed on is over."""
        self._sent.pop(neighbor, None)
        self._agreed.pop(neighbor, None)
        self.waiting.pop(neighbor, None)

    def listed(self, neighbor: str, told: Agreement) -> bool:
        """Take what ExaBGP lists of a session. True: now its UPDATEs can be read, and before they could not.

        Where both sides know ADD-PATH it is not certain whether path ids come, and octets don't tell: then nothing is
        known until the next OPEN. An IPv6 next hop of IPv4 routes, of which the list says nothing, counts as agreed on:
        its length tells what it is.
        """
        if neighbor in self._agreed or told.add_path:
            return False
        ours = Open(told.local_as, told.four_octet_as, extended_next_hop=True)
        self._agreed[neighbor] = agreed(ours, ours._replace(asn=told.peer_as))
        return self.waiting.pop(neighbor, None) is not None

    def of(self, neighbor: str, now: float) -> BGPSession | None:
        """Give what the session agreed on by which an UPDATE came; None: that is not known, so its routes wait."""
        session = self._agreed.get(neighbor)
        if session is None and len(self.waiting) < MOST:
            self.waiting.setdefault(neighbor, now)
        return session
