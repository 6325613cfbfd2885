"""A process of ExaBGP that has failed in; its end, so late that ExaBGP lives on, out."""

from __future__ import annotations

import os
import select
import time

LINGER = 20.0
"""Seconds: a process that ends so late each time dies four times in ExaBGP's 64 seconds, and ExaBGP lives."""


def linger(fd: int, seconds: float = LINGER) -> None:
    """Read ExaBGP's pipe and forget it, until it closes or the time is over.

    ExaBGP starts its process again at once when it ends, and ends itself, with every session, after five deaths in 64
    seconds; and while nobody reads, it stands still.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([fd], [], [], left)
        try:
            if readable and not os.read(fd, 1 << 16):
                return
        except OSError:
            return
