"""Routers that come and go in; what the VRP set and the policy change told to each of them, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.engine import Engine
from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.router import ExaBGP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtrd.policy import Policy
    from rtrlib.vrp_set import Changes, VRPSet


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

    def vrps_changed(self, changes: Changes, cause: int) -> None:
        """Have the routes that these VRPs cover validated again; `cause`: a number of the journal."""
        for router in self:
            router.engine.vrps_changed(changes, cause)
            router.pump()

    def revalidate(self, cause: int) -> None:
        """Have every route validated again: the VRP set became usable."""
        for router in self:
            router.engine.revalidate(cause)
            router.pump()
