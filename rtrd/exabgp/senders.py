"""Whom UPDATEs come from, by the lines that bring them: found out with the first line of a session, and then known.

Of a session's lines in packets mode only the time, the counter and the octets differ. So a line that is like one that
was decoded before need not be decoded: the core takes its octets (rtrd/rib/update_lines.py).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.neighbor_sessions import NeighborSession
from rtrd.rib.update_lines import Parts, UpdateLines

MOST: Final = 1024
"""Sessions by which UPDATEs come that are remembered by the text of their addresses."""
_LINE: Final = re.compile(
    rb"""(\{[ ]"exabgp":[ ]"[0-9.]*",[ ]"time":[ ])[0-9.]+  # what ExaBGP writes first
    (,[ ]"host".*?,[ ]"counter":[ ])[0-9]+
    (,[ ]"type":[ ]"update",[ ]"neighbor":[ ].*?"header":[ ]"0x)[0-9A-F]+
    (",[ ]"body":[ ]"0x)[0-9A-F]*
    (".*)""",
    re.VERBOSE | re.DOTALL,
)


class Sender(NamedTuple):
    """Whom UPDATEs come from."""

    address: str
    """The neighbor's, in its normal form."""
    name: str
    """Of the session in the RIB."""
    session: BGPSession | None
    """What it has agreed on; None: that is not known for certain."""


class Senders:
    """Those that were found, until anything else is said of a session."""

    def __init__(self) -> None:
        self.lines = UpdateLines()
        self._by_addresses: dict[tuple[str, str], Sender] = {}

    def get(self, neighbor: str, own: str) -> Sender | None:
        """Give the sender by the session's two addresses, as ExaBGP writes them."""
        return self._by_addresses.get((neighbor, own))

    def add(self, neighbor: str, own: str, sender: Sender) -> Sender:
        """Take note of one, and give it."""
        if len(self._by_addresses) >= MOST:
            self._by_addresses.clear()
        self._by_addresses[neighbor, own] = sender
        return sender

    def understood(self, line: bytes, name: str, session: NeighborSession) -> None:
        """Take note of a line, without its line feed, and of the session (by its name) whose UPDATE it brought."""
        if found := _LINE.fullmatch(line):
            start, middle, head, octets, tail = found.groups()
            self.lines.add(Parts((start, middle, octets), head, tail), name, session)

    def clear(self) -> None:
        """Forget them all."""
        self._by_addresses.clear()
        self.lines.clear()
