"""A group of caches and its status."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from rtrlib.enums import LibrtrEnum
from rtrlib.read_only import ReadOnly
from rtrlib.rtr_socket import RTRSocket, RTRSocketList
from rtrlib.structs import group_of

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


class ManagerGroup(ReadOnly):
    """One group as it is now. The manager writes it, everyone may read it.

    Attributes:
        name: as configured, or `group PREFERENCE`.
        preference: 0..255, lower is used first.
        status: see ManagerGroupStatus.
        active: its caches' VRPs are in force.

    """

    name: str
    preference: int
    sockets: RTRSocketList
    status: ManagerGroupStatus
    active: bool

    def __init__(
        self,
        name: str | Any = None,
        preference: int = -1,
        sockets: Iterable[RTRSocket] | None = None,
        *,
        group: Any = None,
    ) -> None:
        """Take its options; or, alone, librtr's `struct rtr_mgr_group` or a pointer to one: it is copied.

        That may be named `group`, as in rtrlib-python. TypeError for neither.
        """
        status = ManagerGroupStatus.CLOSED
        if sockets is None:
            preference, number, raw = group_of(name if group is None else group)
            name, status, sockets = "", ManagerGroupStatus(number), map(RTRSocket, raw)
        self.write(name=name or f"group {preference}", preference=preference, status=status, active=False)
        self.write(sockets=RTRSocketList(sockets))

    def picture(self) -> ManagerGroup:
        """Copy it and its sockets: what they are now, and stay."""
        group = copy.copy(self)
        group.write(sockets=RTRSocketList(socket.picture() for socket in self.sockets))
        return group

    @property
    def sockets_len(self) -> int:
        """How many caches the group has."""
        return len(self.sockets)

    def __repr__(self) -> str:
        return f"<ManagerGroup {self.preference} {self.name!r} {self.status.name}>"
