"""How many routes had which validity over the last hours, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from rtrd.base.background import Background
from rtrd.base.clock import Clock
from rtrd.base.turn import SharedTurn
from rtrd.router_status import counts_of
from rtrd.routers import Routers
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
        self._background.start(self._run)

    def close(self) -> None:
        """Take no more."""
        self._background.close()

    async def _run(self) -> None:
        while True:
            self._samples.append(await self.sample())
            await asyncio.sleep(EVERY)

    async def sample(self) -> tuple[int, ...]:
        """Count now, with the loop turning after each few neighbors."""
        total: dict[str, int] = dict.fromkeys(VALIDITIES, 0)
        async with SharedTurn() as turn:
            for router in self._routers.all():
                for name in router.counted():
                    for validity, count in counts_of(router, (name,)).items():
                        total[validity] += count
                    if turn.over:
                        await turn.next()
        return (int(self._clock.wall()), *total.values(), self._vrp_set.count(4) + self._vrp_set.count(6))

    async def answer(self) -> dict[str, Any]:
        """Give the samples, and one of this moment at the end."""
        return {"every": EVERY, "fields": FIELDS, "samples": [*self._samples, await self.sample()]}
