"""How many routes had which validity over the last hours, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from rtrd.base.background import Background
from rtrd.base.clock import Clock
from rtrd.routers import Routers, counts
from rtrd.tags import VALIDITIES
from rtrlib.vrp_set import VRPSet

EVERY: Final = 15
"""Seconds between two samples."""
MOST: Final = 1440
"""Samples that are kept: six hours."""

FIELDS: Final = ("time", *VALIDITIES, "vrps")
"""Of a sample; `time` is Unix time."""


class Trend:
    """Samples of one daemon, the oldest first."""

    def __init__(self, routers: Routers, vrp_set: VRPSet, clock: Clock) -> None:
        self._routers = routers
        self._vrp_set = vrp_set
        self._clock = clock
        self._samples: deque[tuple[int, ...]] = deque(maxlen=MOST)
        self._background = Background("trend")

    def start(self) -> None:
        """Take samples from now on."""
        self._background.start(self._run())

    def close(self) -> None:
        """Take no more."""
        self._background.close()

    async def _run(self) -> None:
        while True:
            self._samples.append(self.sample())
            await asyncio.sleep(EVERY)

    def sample(self) -> tuple[int, ...]:
        """Count now."""
        found = [counts(router) for router in self._routers.all()]
        routes = (sum(each[validity] for each in found) for validity in VALIDITIES)
        return (int(self._clock.wall()), *routes, self._vrp_set.count(4) + self._vrp_set.count(6))

    def answer(self) -> dict[str, Any]:
        """Give the samples, and one of this moment at the end."""
        return {"every": EVERY, "fields": FIELDS, "samples": [*self._samples, self.sample()]}
