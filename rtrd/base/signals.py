"""Signals that would end a daemon of ours: SIGHUP, before it can take it, and those that mean nothing to it.

The latter are meant for ExaBGP, or for another process, at times. What says that a process is to end, or has met a
bound of its own, keeps its meaning: SIGQUIT, SIGABRT, SIGXCPU.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

STRAY: Final = (
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR,
    signal.SIGSTKFLT, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)  # fmt: skip

MEANS_NOTHING: Final = "this signal means nothing here: SIGHUP reads the files again, SIGTERM ends"

_seen: list[int] = []
_ends: list[bool] = []


def note() -> None:
    """Note each SIGHUP from now on, until somebody handles them; and be ended by none of the stray ones."""
    _seen.clear()
    _ends.clear()
    signal.signal(signal.SIGHUP, _noted)
    for number in STRAY:
        signal.signal(number, _nothing)  # what is ignored instead stays so in the programs that are started


def hangup_came() -> bool:
    """Tell whether a SIGHUP came meanwhile, once."""
    seen = bool(_seen)
    _seen.clear()
    return seen


def note_end() -> None:
    """Note that somebody asked this process to end."""
    _ends.append(True)


def end_came() -> bool:
    """Tell whether somebody did."""
    return bool(_ends)


def name_stray(loop: asyncio.AbstractEventLoop, said: Callable[[str], None]) -> None:
    """Have somebody told of a stray signal's name when it comes for the first time."""
    told = set()

    def came(number: int) -> None:
        if number in told:
            return
        told.add(number)
        said(next((one.name for one in signal.Signals if one == number), str(number)))

    for number in STRAY:
        loop.add_signal_handler(number, came, number)


def _noted(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  signal's signature
    _seen.append(number)


def _nothing(number: int, frame: FrameType | None) -> None:
    pass
