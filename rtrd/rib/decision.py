"""A decision: what is to be said to a router, in terms of the policy; its dialect puts it into words."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rtrd.policy import Treatment


class Decision(NamedTuple):
    """A command of the route table in terms of the policy."""

    announce: bool
    receivers: tuple[str, ...]
    family: int
    path_id: int | None
    prefixes: str
    """With a blank between two."""
    size: int
    """How many prefixes."""
    attributes: bytes
    """Key of the attribute set; of no meaning for a withdraw."""
    treatment: Treatment
    stands: bool = False
    """It stands already, announced by an earlier run: there is nothing to say."""

    def places(self) -> list[str]:
        """Give the prefixes as of an update: `PREFIX`, with a path id `PREFIX PATH-ID`."""
        suffix = "" if self.path_id is None else f" {ipaddress.IPv4Address(self.path_id)}"
        return [prefix + suffix for prefix in self.prefixes.split()]
