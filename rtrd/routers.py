"""Routers that come and go in; what the VRP set and the policy change told to each of them, out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.session import ExaBGP
from rtrd.policy import Policy
from rtrd.rib.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtrlib.vrp_set import VRPChanges, VRPSet

WITHDRAW_POLL: Final = 0.02
"""Seconds between two looks whether everything is withdrawn."""


class Routers:
    """The routers of one daemon, each with an engine of its own on the common VRP set."""

    def __init__(self, vrp_set: VRPSet, policy: Policy) -> None:
        self.policy = policy
        """What a router that is added is decided by."""
        self._vrp_set = vrp_set
        self._routers: list[ExaBGP] = []

    def __iter__(self) -> Iterator[ExaBGP]:
        """Give the routers in the order in which they came, also while some go."""
        return iter(tuple(self._routers))

    def __len__(self) -> int:
        return len(self._routers)

    def add(
        self, name: str, read_fd: int, write_fd: int, closed: Callable[[], None], *, mid_line: bool = False
    ) -> ExaBGP:
        """Serve the ExaBGP behind two descriptors from now on; `closed` is called once, when it is gone.

        `mid_line`: what it says first is the rest of a line.
        """
        engine = Engine(name, self._vrp_set, self.policy, read_attributes)
        router = ExaBGP(engine, read_fd, write_fd, closed, mid_line=mid_line)
        self._routers.append(router)
        router.start()
        return router

    def remove(self, router: ExaBGP) -> None:
        """Forget a router and its routes; what was announced there stays."""
        self._routers.remove(router)
        router.close()

    def close(self) -> None:
        """Let go of every router."""
        for router in self:
            self.remove(router)

    # -- what changes

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on, also for routers that come; `cause`: a number of the event_log."""
        self.policy = policy
        for router in self:
            router.set_policy(policy, cause)

    def look_again(self) -> None:
        """Ask every router what it announces by itself."""
        for router in self:
            router.look_again()

    async def withdraw(self, cause: int, seconds: float) -> bool:
        """Take back all that was announced, and wait until every ExaBGP has done so. False: that takes longer."""
        self.set_policy(Policy(), cause)
        try:
            async with asyncio.timeout(seconds):
                while not all(router.idle for router in self):  # noqa: ASYNC110 - each has its own pipe
                    await asyncio.sleep(WITHDRAW_POLL)
        except TimeoutError:
            return False
        return True

    def vrps_changed(self, changes: VRPChanges, cause: int) -> None:
        """Have the routes that these VRPs cover validated again; `cause`: a number of the event_log."""
        for router in self:
            router.engine.vrps_changed(changes, cause)
            router.pump()

    def revalidate(self, cause: int) -> None:
        """Have every route validated again: the VRP set became usable."""
        for router in self:
            router.engine.revalidate(cause)
            router.pump()
