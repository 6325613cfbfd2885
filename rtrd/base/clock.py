"""The two clocks that rtrd goes by; tests pass others."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

SETTLES: Final = 3600.0
"""Seconds for which the wall clock must have gone on undisturbed before something is thrown away on its word."""
SLEWED: Final = 60.0
"""Seconds by which it may be slewed meanwhile."""


def timestamp(unix: float, timespec: str = "seconds") -> str:
    """Give a Unix time as everything says it (RFC 3339, UTC): `2026-11-27T06:00:00Z`."""
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


@dataclass(frozen=True)
class Clock:
    """`steady`: seconds that never go back, for all that is measured. `wall`: seconds since 1970, for dates."""

    steady: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def date_of(self, steady: float) -> float:
        """Give the Unix time of a moment of the steady clock, by the wall clock as it is set now."""
        return self.wall() - (self.steady() - steady)


class SettledClock:
    """The wall clock as far as it may be believed when something is too old to be kept: pure.

    One that is wrong for a while, as by an RTC that has local time, would cost what can't be had again.
    """

    def __init__(self) -> None:
        self._settled = -inf  # seconds that it is ahead of the steady clock
        self._ahead = self._since = inf

    def now(self, wall: float, steady: float) -> float:
        """Give the Unix time that it is at least; minus infinity at the beginning. To be called each minute or so."""
        ahead = wall - steady
        if abs(ahead - self._ahead) > SLEWED:
            self._ahead, self._since = ahead, steady
        if ahead < self._settled or steady - self._since >= SETTLES:
            self._settled = ahead
        return steady + self._settled
