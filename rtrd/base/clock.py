"""The two clocks that rtrd goes by; tests pass others."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass


def timestamp(unix: float, timespec: str = "seconds") -> str:
    """Give a Unix time as everything says it (RFC 3339, UTC): `2026-11-27T06:00:00Z`."""
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


@dataclass(frozen=True)
class Clock:
    """`steady`: seconds that never go back, for all that is measured. `wall`: seconds since 1970, for dates."""

    steady: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
