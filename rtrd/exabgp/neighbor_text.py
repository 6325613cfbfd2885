"""Reads what ExaBGP prints about its neighbors: addresses, and what their sessions can do.

`show neighbor summary` is the fence of window.py: a row for each neighbor, in 4.2 only for those that are up.
`show neighbor extensive` names all neighbors in both versions, and whether path ids are sent to them.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Row(NamedTuple):
    """One neighbor of ExaBGP."""

    address: str
    established: bool
    sent: int = 0
    """UPDATEs sent to it; only in the summary."""


def read_row(text: str) -> Row | None:
    """Read a row (`127.0.0.2  65001  0:00:02 established  2  0`); None for a line that is none.

    4.2 names only neighbors that are established, 5.0 all that are configured.
    """
    words = text.split()
    if len(words) < 4 or not words[1].isdecimal():
        return None
    try:
        address = ipaddress.ip_address(words[0])
    except ValueError:
        return None
    sent = int(words[-2]) if words[-2].isascii() and words[-2].isdecimal() and len(words[-2]) < 20 else 0
    return Row(str(address), "established" in words[3:], sent)


class PathIds(NamedTuple):
    """Whether ExaBGP sends path ids of a family (4 or 6) to a neighbor."""

    address: str
    family: int
    taken: bool


class ExtensiveReader:
    """Reads the lines of `show neighbor extensive`, one after the other."""

    def __init__(self) -> None:
        self._address: str | None = None
        self._undecided = False

    def read(self, text: str, version: str) -> Row | PathIds | None:
        """Read a line; None for one that has nothing that is wanted.

        ExaBGP `version` 5.0 has `send` and `receive` of the column Add-Path the wrong way round; 4.2 says `enabled` for
        both directions and `disabled` for one or none, so that where both ends know ADD-PATH it tells nothing.
        """
        words = text.split()
        if len(words) == 2 and words[0] == "Neighbor":
            self._undecided = False
            try:
                self._address = str(ipaddress.ip_address(words[1]))
            except ValueError:
                self._address = None
        elif self._address is None:
            return None
        elif len(words) == 2 and words[0] == "state":
            return Row(self._address, words[1].lower() == "established")
        elif len(words) == 3 and words[0] == "add-path:":
            # Configured, but the session isn't up; or 4.2, of which only `enabled` can be believed.
            self._undecided = words[1] == "enabled" and (
                words[2] == "n/a" or (words[2] == "enabled" and version.startswith("4."))
            )
        elif len(words) == 5 and words[1] == "unicast:" and words[0] in ("ipv4", "ipv6"):
            directions = words[4].split("/")
            send = "receive" if version.startswith("5.0") else "send"
            taken = "enabled" in directions or send in directions
            if taken or not self._undecided:
                return PathIds(self._address, 4 if words[0] == "ipv4" else 6, taken)
        return None
