"""A group of caches and its status."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from rtrlib.enums import LibrtrEnum
from rtrlib.rtr_socket import RTRSocket, RTRSocketList

__all__ = ["ManagerGroup", "ManagerGroupStatus"]


class ManagerGroupStatus(LibrtrEnum):
    """`enum rtr_mgr_status` of librtr 0.8.0, with our meaning.

    CLOSED: not started. CONNECTING: started, no cache in sync and none failed yet, or only such as ended their last
    session soon and are not used yet. ESTABLISHED: at least one cache in sync. ERROR: none in sync, at least one
    failed. (librtr itself wants all of a group in sync, and has one failing cache fail its group.)
    """

    CLOSED = 0
    CONNECTING = 1
    ESTABLISHED = 2
    ERROR = 3


class ManagerGroup:
    """One group as it is now. The manager writes it, everyone may read it.

    Attributes:
        name: as configured, or `group PREFERENCE`.
        preference: 0..255, lower is used first.
        status: see ManagerGroupStatus.
        active: its caches' VRPs are in force.

    """

    def __init__(self, name: str, preference: int, sockets: Iterable[RTRSocket]) -> None:
        self.name = name or f"group {preference}"
        self.preference = preference
        self.sockets = RTRSocketList(sockets)
        self.status = ManagerGroupStatus.CLOSED
        self.active = False

    def picture(self) -> ManagerGroup:
        """Copy it and its sockets: what they are now, and stay."""
        group = copy.copy(self)
        group.sockets = RTRSocketList(socket.picture() for socket in self.sockets)
        return group

    @property
    def sockets_len(self) -> int:
        """How many caches the group has."""
        return len(self.sockets)

    def __repr__(self) -> str:
        return f"<ManagerGroup {self.preference} {self.name!r} {self.status.name}>"
