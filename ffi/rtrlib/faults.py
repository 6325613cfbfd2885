"""What can be wrong with a cache: one word a kind, for status and metrics."""

from __future__ import annotations

import enum
import errno
import os
import socket
from typing import NamedTuple

__all__ = ["Fault", "FaultError", "LastFault", "ended", "unreachable", "unresolved"]


class Fault(enum.StrEnum):
    """The kind of a fault; the sentence with it says more."""

    UNREACHABLE = "unreachable"
    """No connection came about: the name, the address, the network, TLS or SSH."""
    CLOSED = "closed"
    """The cache, or something on the way, ended the connection."""
    SILENT = "silent"
    """Nothing came where something had to come, or the host no longer answers."""
    PROTOCOL = "protocol"
    """What the cache sent is against RFC 8210."""
    REFUSED = "refused"
    """The cache sent an Error Report."""
    NO_DATA = "no-data"
    """The cache has no data yet."""
    ENDLESS = "no-end-of-data"
    """A sync took too long, or more memory than it may."""
    STALE = "stale"
    """No complete sync for most of the expire interval, or for all of it."""
    OLD_DRAFT = "old-draft"
    """The cache speaks version 2 as an old draft has it: version 1 is spoken with it instead."""
    PROCESS = "process"
    """The cache's process died, hung, or made no sense."""


class FaultError(Exception):
    """What ends a link: a sentence, and its kind."""

    def __init__(self, why: str, kind: Fault = Fault.PROCESS) -> None:
        super().__init__(why)
        self.kind = kind


class LastFault(NamedTuple):
    """The latest fault of a cache, which may be over."""

    kind: Fault
    why: str
    """One sentence, printable."""
    time: int
    """Seconds since 1970 (UTC)."""


def unreachable(host: str, port: int | str, error: int, by: str = "") -> str:
    """Say that no connection came about; `error`: an errno. `by`: the source and device that were asked for."""
    return f"cannot connect to {host} port {port}{by and f' {by}'}: {os.strerror(error)}"


def unresolved(host: str, port: int | str, error: int | None, words: str) -> str:
    """Say that no address was found; `error` and `words`: of getaddrinfo."""
    if error == socket.EAI_SERVICE:
        return f"port {port!r} is neither a number nor the name of a service"
    return f"{host} does not resolve: {words}"


def ended(error: int, *, in_pdu: bool, heard: bool) -> str:
    """Say how a connection ended; `error`: an errno, 0 for an orderly end. `heard`: the cache had said something."""
    where = ""
    if in_pdu:
        where = " in the middle of a PDU"
    elif not heard:
        where = " before it said anything" if error else " without a word"
    if error == errno.ETIMEDOUT:
        return f"the cache's host does not answer any more{where}"
    return f"the connection broke{where}: {os.strerror(error)}" if error else f"the cache closed the connection{where}"
