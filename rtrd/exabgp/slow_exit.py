"""How a process of ExaBGP that has failed ends: so late that ExaBGP lives on."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import Final

from rtrd.base import signals
from rtrd.base.shortages import shortage

SECONDS = 20.0
"""Seconds: a process that ends so late each time dies four times in ExaBGP's 64 seconds, and ExaBGP lives."""
FAILED: Final = 1

_ROOM: Final = [bytearray(1 << 16)]
"""Where it is read to: there may be no memory any more."""


def exit_slowly(fd: int, seconds: float = SECONDS) -> None:
    """Read ExaBGP's pipe and forget it, until it closes or the time is over.

    ExaBGP starts its process again at once when it ends, and ends itself, with every session, after five deaths in 64
    seconds; and while nobody reads, it stops. Not where somebody asked this process to end: ExaBGP 4.2 waits for that.
    """
    end = time.monotonic() + seconds
    while not signals.end_came() and (left := end - time.monotonic()) > 0:
        try:
            readable, _, _ = select.select([fd], [], [], left)
            if readable and not os.readv(fd, _ROOM):
                return
        except MemoryError:
            time.sleep(0.01)
        except OSError:
            return


def slowly(work: Callable[[], int], fd: int) -> int:
    """Do what a process of ExaBGP is for; end late where that fails, also by a fault of ours. Gives the exit code."""
    try:
        code = work()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, ExaBGP is to live on
        code = FAILED
        try:
            _say(error)
        except MemoryError:
            os.write(sys.stderr.fileno(), _NO_WORDS)
    if code:
        exit_slowly(fd)
    return code


_NO_WORDS: Final = b"rtrd: no memory is to be had\n"


def _say(error: BaseException) -> None:
    if (why := shortage(error)) is not None:
        sys.stderr.write(f"rtrd: {why}\n")
    elif not isinstance(error, SystemExit):
        import traceback  # noqa: PLC0415 - attach processes only wait, and have little

        traceback.print_exception(error)
