"""What is known of one cache's RTR session."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, overload

from rtrlib.aspa_answer import LeftOut
from rtrlib.enums import LibrtrEnum
from rtrlib.faults import Fault, LastFault
from rtrlib.read_only import ReadOnly
from rtrlib.servers import Server
from rtrlib.structs import socket_of

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


class RTRSocket(ReadOnly):
    """One cache as it is now. The manager writes it, everyone may read it.

    Attributes:
        index: 0, 1, .. in the order of configuration; its bit in the VRP set.
        server: the options that it was configured with.
        state: of the RTR session.
        error: why the last attempt failed, one sentence; None while nothing is wrong.
        fault: the kind of that failure; None with `error`.
        faults: how often each kind of fault occurred.
        last_fault: the latest one, with its time, even when it is over; None before the first.
        version: RTR protocol version in use (draft-ietf-sidrops-8210bis: 2, RFC 8210: 1, RFC 6810: 0).
        session_id, serial_number: of the last complete sync; None before the first.
        last_sync: when that sync was complete, in seconds since 1970 (UTC); 0 before the first.
        last_update: the same while its VRPs are kept; 0 when there are none of it, as after `stop`.
        refresh_interval, retry_interval, expire_interval: seconds, as in use now.
        in_sync: complete data from a session that is alive.
        since: when `in_sync` changed last, or the cache was started, in seconds since 1970; 0 before that.
        next_attempt: when it is tried again after a failure, in seconds since 1970; None: nothing failed.
        expires: when its VRPs expire unless it says something before, in seconds since 1970; None: it has none.
        flushed: all that it said was dropped since it wants that (Cache Shutdown, or another fatal Error Report of
            version 2), until it says something again.
        aspas: how many customer ASes it has ASPAs of (version 2).
        aspas_left_out: how often something of its ASPAs was not used, by the reason (rtrlib.aspa_answer.LEFT_OUT).
        aspas_expire: when they expire though its VRPs may not, in seconds since 1970: it speaks an older version now,
            which has none; None: they expire with its VRPs, or there are none.
        lower_version_until: until when version 1 is spoken with it since it speaks version 2 as an old draft has it, in
            seconds since 1970; None: it does not.
        restarts: how often its connection (child process or librtr manager) had to be replaced.
        pid: of its child process; None when there is none.
        has_received_pdus: it has sent something since it was started.

    """

    index: int
    server: Server
    name: str
    """HOST:PORT, as logs say it."""
    state: RTRSocketState
    error: str | None
    fault: Fault | None
    faults: Counter[Fault]
    last_fault: LastFault | None
    version: int
    session_id: int | None
    serial_number: int | None
    last_sync: int
    last_update: int
    refresh_interval: int
    retry_interval: int
    expire_interval: int
    in_sync: bool
    since: int
    next_attempt: int | None
    expires: int | None
    flushed: bool
    aspas: int
    aspas_left_out: Counter[LeftOut]
    aspas_expire: int | None
    lower_version_until: int | None
    restarts: int
    pid: int | None
    has_received_pdus: bool

    def __init__(self, index: int | Any = None, server: Server | None = None, *, socket: Any = None) -> None:
        """Take the number and the options; or, alone, librtr's `struct rtr_socket` or a pointer to one: it is copied.

        That may be named `socket`, as in rtrlib-python. TypeError for neither.
        """
        raw = socket_of(index if socket is None else socket) if server is None else {}
        where = "a socket of librtr"
        if server is not None:
            where = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
            self.write(server=server)
        self.write(
            index=-1 if raw else index,
            name=where,
            state=RTRSocketState.CLOSED,
            error=None,
            fault=None,
            faults=Counter(),
            last_fault=None,
            version=1,
            session_id=None,
            serial_number=None,
            last_sync=0,
            last_update=0,
            refresh_interval=0,
            retry_interval=0,
            expire_interval=0,
            in_sync=False,
            since=0,
            next_attempt=None,
            expires=None,
            flushed=False,
            aspas=0,
            aspas_left_out=Counter(),
            aspas_expire=None,
            lower_version_until=None,
            restarts=0,
            pid=None,
            has_received_pdus=False,
        )
        if raw:
            self.write(**raw | {"state": RTRSocketState(raw["state"])})

    def picture(self) -> RTRSocket:
        """Copy it: what it is now, and stays."""
        socket = copy.copy(self)
        socket.write(faults=self.faults.copy(), aspas_left_out=self.aspas_left_out.copy())
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
        if self.index < 0 or other.index < 0:  # of librtr
            return self is other
        return (self.index, self.server) == (other.index, other.server)

    def __hash__(self) -> int:
        return hash(self.index)

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(self.name, spec)

    def __repr__(self) -> str:
        return f"<RTRSocket {self.index} {self} {self.state.name}>"


class RTRSocketList(Sequence[RTRSocket]):
    """The sockets of a group, read-only."""

    def __init__(self, sockets: Iterable[RTRSocket] | Any, length: int | None = None) -> None:
        """Take the sockets; or librtr's `struct rtr_socket **` and how many there are: they are copied."""
        raw: Any = sockets
        found = sockets if length is None else (RTRSocket(raw[i]) for i in range(length))
        self._sockets: tuple[RTRSocket, ...] = tuple(found)

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
