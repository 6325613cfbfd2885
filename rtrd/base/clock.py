"""The two clocks that rtrd goes by; tests pass others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """`steady`: seconds that never go back, for all that is measured. `wall`: seconds since 1970, for dates."""

    steady: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
