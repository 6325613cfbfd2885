"""SIGHUP that comes before the daemon can take it: noted, since it would end the process."""

from __future__ import annotations

import signal
from types import FrameType

_seen: list[int] = []


def note() -> None:
    """Note each from now on, until somebody handles them."""
    _seen.clear()
    signal.signal(signal.SIGHUP, _noted)


def came() -> bool:
    """Tell whether one came meanwhile, once."""
    seen = bool(_seen)
    _seen.clear()
    return seen


def _noted(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  signal's signature
    _seen.append(number)
