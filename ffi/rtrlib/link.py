"""One connection to one cache, as a cache's life (rtrlib.cache) sees it: what it tells, or why it ended.

Three kinds: `ProcessLink` (librtr in a child process), `ThreadLink` (librtr's threads in this process) and `NativeLink`
(an RTR client of our own). Each can be thrown away at any moment and replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from rtrlib.faults import Fault, FaultError
from rtrlib.rtr_pdus import MAX_VERSION

__all__ = [
    "MEMORY_LIMIT",
    "Alive",
    "Ended",
    "Event",
    "Failure",
    "FullSet",
    "Heard",
    "Link",
    "LinkEnded",
    "Resume",
    "RouterKeyEvent",
    "SessionState",
    "VRPs",
]


MEMORY_LIMIT: Final = 1 << 30
"""Octets that a cache may take: of address space of its child process (librtr takes 131 a VRP, twice that during a
reset), or of VRPs."""


class LinkEnded(FaultError):  # noqa: N818 - it is an event
    """The link has ended; the text says why."""


class VRPs(NamedTuple):
    """Changes of VRPs, in order, packed as struct vrp (ffi/native/base/vrp.h); not checked."""

    records: bytes


class RouterKeyEvent(NamedTuple):
    """A BGPsec router key (RFC 8210 section 5.10) that is announced or withdrawn."""

    asn: int
    ski: bytes
    spki: bytes
    announce: bool


class FullSet(NamedTuple):
    """What follows, up to End of Data, is all that the cache has."""


class SessionState(NamedTuple):
    """The session's state changed; intervals in seconds."""

    state: int
    """The number of an RTRSocketState."""
    version: int
    session_id: int
    serial: int
    refresh: int
    retry: int
    expire: int
    has_data: int
    """0: a sync was never complete, or its data were dropped as too old."""


class Failure(NamedTuple):
    """Why the session failed; the state that it led to follows."""

    kind: Fault
    why: str


class Ended(NamedTuple):
    """The link has ended, after what was told before."""

    kind: Fault
    why: str
    again: bool = False
    """It is no fault: another link, at once, does better."""


class Alive(NamedTuple):
    """The answer to a ping."""


class Heard(NamedTuple):
    """The cache has sent something on this connection."""


Event: TypeAlias = VRPs | RouterKeyEvent | FullSet | SessionState | Failure | Ended | Alive | Heard


@dataclass
class Resume:
    """What the sessions with a cache leave to the next one (RFC 8210 sections 5.1 and 7). Links read and write it."""

    version: int = MAX_VERSION
    """The version to begin with."""
    version_until: float = 0.0
    """Until when a lower one is kept, by the caller's clock."""
    session_id: int | None = None
    """None: begin with a Reset Query."""
    serial: int = 0

    def forget(self) -> None:
        """Begin the next session with a Reset Query."""
        self.session_id = None


class Link(Protocol):
    """What a cache's life needs of a connection. Times are seconds of the caller's clock."""

    pid: int | None
    """Of the child process; None: there is none."""
    direct: bool
    """What it reads are octets of the cache; the others tell `Heard`."""
    resumes: bool
    """It takes up what `Resume` says; the others begin with a full set."""

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors that are readable when `read` has something to do."""

    def read(self, limit: int, now: float) -> tuple[int, list[Event]]:
        """Handle what is there, about `limit` octets at most; how many it were. LinkEnded: never again."""

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest."""

    def tick(self, now: float) -> list[Event]:
        """Do what is due."""

    def ping(self) -> None:
        """Ask for an Alive."""

    def excuse(self) -> str | None:
        """Say why the last connection attempt failed, if librtr printed it."""

    def close(self) -> None:
        """Let go; returns at once. The descriptors are closed afterwards."""

    def forked(self) -> None:
        """Close a forked child's copies of the descriptors: whoever is at the other end notices nothing."""
