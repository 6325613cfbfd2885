"""What a door must bring for each router whose routes come in by it; by this, and nothing else, all doors are used."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from rtrd.policy import Policy
from rtrd.rib.engine import Engine
from rtrlib.aspa_paths import LocalRole


class Sessions(Protocol):
    """The sessions of a router with its neighbors, as it tells of them; it is asked, and waits for nothing."""

    def addresses(self) -> Collection[str]:
        """Give the neighbors' addresses."""

    def up(self, address: str) -> bool | None:
        """Tell whether a session with a neighbor is up; None: nothing has told."""

    def since(self, address: str) -> float | None:
        """Give since when that is so (Unix time)."""


class Router(Protocol):
    """One router. The door decodes what it says into calls of `engine`, and writes there what the engine gives."""

    @property
    def engine(self) -> Engine:
        """The router's routes; the door keeps none."""

    @property
    def neighbors(self) -> Sessions:
        """Its sessions."""

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on; `cause`: a number of the event log."""

    def set_most_attributes(self, octets: int) -> None:
        """Bound the octets of the attribute sets of each neighbor."""

    def work_soon(self) -> None:
        """Have the engine's work done soon, in slices: VRPs or ASPAs have changed."""

    def counted(self) -> Collection[str]:
        """Give the names of the sessions (in `engine`) whose routes count, so that each route counts once."""

    def local_role(self, address: str) -> LocalRole | None:
        """Give what the router is to a neighbor; None: nobody said it."""

    def ribs(self) -> dict[int, str]:
        """Give which RIB of the router each session of the engine is (`pre`), by its number; none: there is one."""
