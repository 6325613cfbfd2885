"""Rows of ExaBGP's `show neighbor summary` in, the neighbour's address and whether it is established out."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Row(NamedTuple):
    """One neighbour of ExaBGP."""

    address: str
    established: bool


def read_row(text: str) -> Row | None:
    """Read a row (`127.0.0.2  65001  0:00:02 established  2  0`); None for a line that is none.

    4.2 names only neighbours that are established, 5.0 all that are configured.
    """
    words = text.split()
    if len(words) < 4 or not words[1].isdecimal():
        return None
    try:
        address = ipaddress.ip_address(words[0])
    except ValueError:
        return None
    return Row(str(address), "established" in words[3:])
