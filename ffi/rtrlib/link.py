"""One connection to one cache, as a cache's life (rtrlib.cache) sees it: what it tells, or why it ended.

Three kinds: `ProcessLink` (librtr in a child process), `ThreadLink` (librtr's threads in this process) and `NativeLink`
(an RTR client of our own). Each can be thrown away at any moment and replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias

from rtrlib.aspa_answer import LeftOut
from rtrlib.faults import Fault, FaultError
from rtrlib.rtr_pdus import ASPA_VERSION, MAX_VERSION

__all__ = [
    "MEMORY_LIMIT",
    "ASPAs",
    "ASPAsLeftOut",
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


class ASPAs(NamedTuple):
    """All ASPAs that the cache has, from the End of Data on that follows (RTR version 2), as a set of rtrlib.aspas."""

    held: bytes


class ASPAsLeftOut(NamedTuple):
    """ASPAs of the cache, or parts of them, that are not used, and how often each reason occurred."""

    counts: Mapping[LeftOut, int]


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
    """Another link, at once, does better; it is no fault, unless the kind is one that is counted (OLD_DRAFT)."""
    drop: bool = False
    """The cache wants all that it said dropped."""
    wait: float = 0.0
    """Seconds, at least, to the next attempt."""


class Alive(NamedTuple):
    """The answer to a ping."""


class Heard(NamedTuple):
    """The cache has sent something on this connection."""


Event: TypeAlias = (
    VRPs | ASPAs | ASPAsLeftOut | RouterKeyEvent | FullSet | SessionState | Failure | Ended | Alive | Heard
)


@dataclass
class Resume:
    """What the sessions with a cache leave to the next one (RFC 8210 sections 5.1 and 7). Links read and write it."""

    max_version: int = MAX_VERSION
    """The newest version to speak."""
    version: int = MAX_VERSION
    """The version to begin with."""
    version_until: float = 0.0
    """Until when a lower one is kept, by the caller's clock."""
    misled: bool = False
    """It is kept since the cache speaks the newer one as it should not."""
    wanted: int | None = None
    """The version in which the next connection is to begin, and no other: the cache wants it."""
    refused: set[int] = field(default_factory=set)
    """Versions that the cache refused since it agreed to one."""
    spoken: int = -1
    """The newest version that the cache has spoken."""
    silent: int = 0
    """Connections in a row that it ended without a word on a version that it has never spoken."""
    session_id: int | None = None
    """None: begin with a Reset Query."""
    serial: int = 0
    session_version: int = MAX_VERSION
    """Of the session: in another one there is none yet, whatever its number (draft-ietf-sidrops-8210bis section 7)."""
    aspas: bytes = b""
    """The set (rtrlib.aspas) that the cache has, by what it said last in a version that has ASPAs."""

    def forget(self) -> None:
        """Begin the next session with a Reset Query."""
        self.session_id = None

    def known(self, version: int) -> int | None:
        """Give the session that can be taken up in a version."""
        return self.session_id if self.session_version == version else None

    def mislead(self, until: float) -> None:
        """Take note that the cache speaks version 2 as it should not: version 1 is spoken until then."""
        self.version, self.version_until, self.misled = ASPA_VERSION - 1, until, True


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
