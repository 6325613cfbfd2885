"""What the route table is told and what it tells: its commands and routes, and the names of its numbers."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple, Protocol

from rtrd.policy import Demands
from rtrlib.vrp import VRP

TAG_KINDS = ("standard", "large", "extended")
"""Of a community: the words for the native core's numbers, by index."""

MOST_RECEIVERS = 64
LEARNED = 0xFFFFFFFF
"""As a local preference: the one that the route came with."""

FIT, UNFIT, FIT_EXTENDED_NEXT_HOP = 0, 1, 2
"""Where routes with an attribute set can be announced: everywhere, nowhere, where RFC 8950 was negotiated."""

KINDS = ("internal", "confederation", "client", "external")
"""What a neighbor is to the router: of its own AS, of another AS in its confederation (RFC 5065), a client of the route
server that it is (RFC 7947), or of another AS."""

BY_VALIDITY = 255
"""As an action for some paths: that of the route's validity."""

ROLES = (None, "provider", "customer", "peer", "rs", "rs-client")
"""What we are to a neighbor (RFC 9234): the words for the native core's numbers, by index."""

PATH_OUTCOMES = (None, "valid", "invalid", "unknown")
"""What a path is by ASPAs (draft-ietf-sidrops-aspa-verification), likewise; None: nobody judges it."""

COVERS = (None, "valid", "not-found")
"""What is left where a route goes, by its validity: the words for the native core's numbers, by index."""

OTC_AS_LEARNED, OTC_CHECKED, OTC_ADDED = range(3)
"""What a rule says of Only to Customer (RFC 9234 section 5): nothing; that it counts toward receivers; that it does,
and that all routes of the neighbor have it, since it is added as they come."""

ACTIONS = ("observe", "hold", "withdraw", "announce")
"""Of a route: the words for the native core's numbers, by index."""

UPDATE = 0
"""The cause of a change that an UPDATE brought."""
SESSION = 0xFFFFFFFE
"""The cause of a change that the end of the neighbor's session brought."""
UNKNOWN = 0xFFFFFFFF
"""The cause that nobody named."""

REASONS = (None, "as", "length")
"""Why a route is invalid, in Routinator's words: those for the native core's numbers, by index."""


class Command(NamedTuple):
    """What a router is to announce or withdraw; its dialect puts it into words."""

    announce: bool
    """False: withdraw."""
    receivers: int
    """Where, by bit."""
    family: int
    attributes: int
    """Number of the attribute set; of no meaning for a withdraw."""
    variant: int
    """Number of the treatment; of no meaning for a withdraw."""
    path_id: int | None
    prefixes: str
    """With a blank between two."""
    size: int
    """How many prefixes."""
    previous_run: int | None = None
    """Of an announcement: the attribute set that a previous run announced there, if that is advertised yet."""
    by_kind: bool = False
    """Of an announcement: its words are other ones for each kind of receiver,"""
    by_otc: bool = False
    """and for each Only to Customer that receivers get."""

    def nlri(self) -> list[str]:
        """Give the NLRI, as of an update: `PREFIX`, with a path id `PREFIX PATH-ID`."""
        suffix = "" if self.path_id is None else f" {ipaddress.IPv4Address(self.path_id)}"
        return [prefix + suffix for prefix in self.prefixes.split()]


class Route(NamedTuple):
    """A route of the table, for people."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    validity: str
    decision: str
    attributes: int
    advertised: int
    """Receivers to which our announcement of it is advertised, by bit."""
    waiting: bool
    reason: str | None
    """Why it is invalid, one of REASONS."""
    since: int
    """Unix time when its validity changed, or it came; 0: nobody said what time it was."""
    announced_path_id: int | None = None
    """The path id with which it is announced, at receivers that take some."""
    aspa: str | None = None
    """One of PATH_OUTCOMES."""
    leak: bool = False
    """It has leaked, as its Only to Customer says (RFC 9234 section 5)."""
    kept_back: int = 0
    """Receivers of its rule to which it is not announced, because of Only to Customer, by bit."""


class RouteChange(NamedTuple):
    """A route whose validity or command changed, that came or went."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    was: str | None
    """Its validity before; None: it was not there."""
    validity: str | None
    """None: it is not there any more."""
    did: str | None
    """The decision before."""
    decision: str | None
    """None: the route is gone, and nothing of ours was advertised for it."""
    cause: int
    """UPDATE, SESSION, or what `set_cause` was given."""
    vrp: tuple[VRP, bool] | None
    """A VRP that covers it and appeared (True) or disappeared."""
    judge: VRP | None
    """A VRP in force by which it is valid, or invalid."""
    aspa_was: str | None = None
    """One of PATH_OUTCOMES."""
    aspa: str | None = None
    leak_was: bool = False
    leak: bool = False


class ChangesLost(NamedTuple):
    """How many changes a table did not keep."""

    changes: int
    """They came faster than they were taken."""
    others: int
    """Routes that came or went and were not invalid, more than `allow_others` allowed."""


class AttributeSummary(NamedTuple):
    """What the table must know of an attribute set."""

    announced_hash: int
    """64 bits, equal for two sets that are announced in the same words."""
    origin: int
    """Origin AS; below 0: NONE."""
    local_preference: int
    path_length: int
    origin_code: int
    """0 IGP, 1 EGP, 2 INCOMPLETE (RFC 4271 section 5.1.1)."""
    fitness: int
    """FIT, UNFIT or FIT_EXTENDED_NEXT_HOP."""
    identity: int = 0
    """64 bits, equal for two sets of one next hop and path: most likely of one route."""
    traits: int = 0
    """What rules ask for: `enum trait` (ffi/native/rib/summary.h)."""
    conditions: int = 0
    """Those of the policy that it meets, by bit."""
    path_at: int = 0
    """Where the attribute AS_PATH begins in the set's octets; 0: it has none."""


class NeighborPolicy(NamedTuple):
    """What a rule of the policy says for one neighbor; of four values each is for one of VALIDITIES."""

    receivers: int
    """Bit i: announced and withdrawn at receiver i."""
    actions: tuple[str, str, str, str]
    variants: tuple[int, ...]
    """Equal for two validities whose announcements carry the same additions (16 bits). Of sixteen the second four are
    for paths that are invalid by ASPAs, the third four for routes that have leaked, the last four for both; sixteen
    more are for paths with an AS_SET, unless `as_set` is None."""
    local_preferences: tuple[int, ...]
    """As many likewise."""
    as_set: str | None = None
    """The action of paths with an AS_SET; None: that of the validity."""
    path_invalid: str | None = None
    """The action of paths that are invalid by ASPAs, if it is the more severe one; None: there is none."""
    leak: str | None = None
    """That of routes that have leaked, likewise."""
    enforce_first_as: bool = False
    """A path whose first AS is not the neighbor's is not announced."""
    conditions: int = 0
    """It is for attribute sets that meet one of them; 0: for all."""
    lengths: tuple[tuple[int, int], tuple[int, int]] = ((0, 32), (0, 128))
    """The shortest and the longest prefix that it is for, of IPv4 and of IPv6."""
    demands: Demands | None = None
    """What else it demands of a route; None: nothing."""
    covered_by: str | None = None
    """It is for routes without which one of this validity (COVERS) would be left, of its prefix or a less specific one;
    None: for all."""
    by_kind: int = 0
    """Bit i: what an announcement of `variants[i]` carries depends on the kind of the receiver."""
    otc: int = OTC_AS_LEARNED
    """What is done about Only to Customer."""


class RibState(Protocol):
    """What is asked of the table again and again: `struct rib_state` (rib.h), always as of now, read without a call."""

    routes: int
    validity_changes: int
    waiting: int
    parked: int
    changes: int
    written_set_full: bool
    searching: bool
    work: bool
