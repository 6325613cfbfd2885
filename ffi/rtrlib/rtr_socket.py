"""What is known of one cache's RTR session."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import overload

from rtrlib.enums import LibrtrEnum
from rtrlib.faults import Fault, LastFault
from rtrlib.servers import Server

__all__ = ["RTRSocket", "RTRSocketList", "RTRSocketState"]


class RTRSocketState(LibrtrEnum):
    """`enum rtr_socket_state` of librtr 0.8.0."""

    CONNECTING = 0
    ESTABLISHED = 1
    RESET = 2
    SYNC = 3
    FAST_RECONNECT = 4
    ERROR_NO_DATA_AVAILABLE = 5
    ERROR_NO_INCREMENTAL_UPDATE_AVAILABLE = 6
    ERROR_FATAL = 7
    ERROR_TRANSPORT = 8
    SHUTDOWN = 9
    CLOSED = 10


class RTRSocket:
    """One cache as it is now. The manager writes it, everyone may read it.

    Attributes:
        index: 0, 1, .. in the order of configuration; its bit in the VRP set.
        server: the options that it was configured with.
        state: of the RTR session.
        error: why the last attempt failed, one sentence; None while nothing is wrong.
        fault: the kind of that failure; None with `error`.
        faults: how often each kind of fault occurred.
        last_fault: the latest one, with its time, even when it is over; None before the first.
        version: RTR protocol version in use (RFC 8210: 1, RFC 6810: 0).
        session_id, serial_number: of the last complete sync; None before the first.
        last_update: when that sync was complete, in seconds since 1970 (UTC); 0 before the first.
        refresh_interval, retry_interval, expire_interval: seconds, as in use now.
        in_sync: complete data from a session that is alive.
        since: when `in_sync` changed last, or the cache was started, in seconds since 1970; 0 before that.
        next_attempt: when it is tried again after a failure, in seconds since 1970; None: nothing failed.
        expires: when its VRPs expire unless it says something before, in seconds since 1970; None: it has none.
        restarts: how often its connection (child process or librtr manager) had to be replaced.
        pid: of its child process; None when there is none.

    """

    def __init__(self, index: int, server: Server) -> None:
        self.index = index
        self.server = server
        self.name = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
        """HOST:PORT, as logs say it."""
        self.state = RTRSocketState.CLOSED
        self.error: str | None = None
        self.fault: Fault | None = None
        self.faults: Counter[Fault] = Counter()
        self.last_fault: LastFault | None = None
        self.version = 1
        self.session_id: int | None = None
        self.serial_number: int | None = None
        self.last_update = 0
        self.refresh_interval = 0
        self.retry_interval = 0
        self.expire_interval = 0
        self.in_sync = False
        self.since = 0
        self.next_attempt: int | None = None
        self.expires: int | None = None
        self.restarts = 0
        self.pid: int | None = None
        self.has_received_pdus = False

    def picture(self) -> RTRSocket:
        """Copy it: what it is now, and stays."""
        socket = copy.copy(self)
        socket.faults = self.faults.copy()
        return socket

    @property
    def host(self) -> str:
        """As configured."""
        return self.server.host

    @property
    def port(self) -> int | str:
        """As configured."""
        return self.server.port

    @property
    def transport(self) -> str:
        """`tcp`, `tls` or `ssh`."""
        return self.server.transport

    @property
    def has_recieved_pdus(self) -> bool:
        """The same as `has_received_pdus`, as rtrlib-python spells it."""
        return self.has_received_pdus

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same cache, at any moment."""
        if not isinstance(other, RTRSocket):
            return NotImplemented
        return (self.index, self.server) == (other.index, other.server)

    def __hash__(self) -> int:
        return hash(self.index)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<RTRSocket {self.index} {self} {self.state.name}>"


class RTRSocketList(Sequence[RTRSocket]):
    """The sockets of a group, read-only."""

    def __init__(self, sockets: Iterable[RTRSocket]) -> None:
        self._sockets = tuple(sockets)

    @overload
    def __getitem__(self, index: int) -> RTRSocket: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RTRSocket]: ...
    def __getitem__(self, index: int | slice) -> RTRSocket | Sequence[RTRSocket]:
        return self._sockets[index]

    def __len__(self) -> int:
        return len(self._sockets)

    def __repr__(self) -> str:
        return f"RTRSocketList({list(self._sockets)!r})"
