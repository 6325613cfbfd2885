"""How a process of ExaBGP that has failed ends: so late that ExaBGP lives on."""

from __future__ import annotations

import os
import select
import time

SECONDS = 20.0
"""Seconds: a process that ends so late each time dies four times in ExaBGP's 64 seconds, and ExaBGP lives."""


def exit_slowly(fd: int, seconds: float = SECONDS) -> None:
    """Read ExaBGP's pipe and forget it, until it closes or the time is over.

    ExaBGP starts its process again at once when it ends, and ends itself, with every session, after five deaths in 64
    seconds; and while nobody reads, it stops.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([fd], [], [], left)
        try:
            if readable and not os.read(fd, 1 << 16):
                return
        except OSError:
            return
