"""Native records of the route table in, the same in words out: what is listed, what changed, what is to be said.

No text of BGP: prefixes are printed from numbers.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from _rov import ffi, lib
from rtrlib.vrp import unpack
from rtrlib.vrp_set import VALIDITIES

if TYPE_CHECKING:
    import _rov
    from rtrlib.vrp import VRP

_NONE = 0xFFFFFFFF
_TEXT = 64  # octets of a prefix as text, and more

ACTIONS = ("observe", "hold", "withdraw", "announce")
"""Of a route: the words for the native core's numbers, by index."""

UPDATE = 0
"""The cause that is the router's own word."""
UNKNOWN = 0xFFFFFFFF
"""The cause that nobody named."""


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

    def nlri(self) -> list[str]:
        """Give the NLRI, as of an update: `PREFIX`, with a path id `PREFIX PATH-ID`."""
        suffix = "" if self.path_id is None else f" {ipaddress.IPv4Address(self.path_id)}"
        return [prefix + suffix for prefix in self.prefixes.split()]


class Route(NamedTuple):
    """A row of the table, for people."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    validity: str
    decision: str
    attributes: int
    advertised: int
    """Receivers at which our announcement of it stands, by bit."""
    waiting: bool


class RouteChange(NamedTuple):
    """A route whose validity changed, or that came and is invalid."""

    prefix: str
    path_id: int | None
    neighbor: int
    origin: int | None
    was: str | None
    """Its validity before; None: it was not there."""
    validity: str
    decision: str
    cause: int
    """UPDATE, or what `because` gave."""
    vrp: tuple[VRP, bool] | None
    """A VRP that covers it and appeared (True) or disappeared."""


def listed(row: _rov.RouteRow) -> Route:
    """Give a `struct route_row`."""
    return Route(
        prefix=prefix_text(row.prefix),
        path_id=row.path_id if row.has_path_id else None,
        neighbor=row.neighbor,
        origin=None if row.origin < 0 else row.origin,
        validity=VALIDITIES[row.validity],
        decision=ACTIONS[row.action],
        attributes=row.attrs,
        advertised=row.advertised,
        waiting=bool(row.waiting),
    )


def prefix_text(native: _rov.Prefix) -> str:
    """Give the text of a `struct prefix`, which is copied: it may be of any lifetime."""
    text = ffi.new("char[]", _TEXT)
    return bytes(ffi.buffer(text, lib.prefix_print(ffi.new("struct prefix *", native), text))).decode("ascii")


def changed(event: _rov.RouteChange) -> RouteChange:
    """Give a `struct route_change`."""
    vrp = None
    if event.has_vrp:
        vrp = next(unpack(ffi.buffer(ffi.addressof(event, "vrp"))[:]))
    return RouteChange(
        prefix=prefix_text(event.prefix),
        path_id=event.path_id if event.has_path_id else None,
        neighbor=event.neighbor,
        origin=None if event.origin < 0 else event.origin,
        was=VALIDITIES[event.was] if event.was < len(VALIDITIES) else None,
        validity=VALIDITIES[event.now],
        decision=ACTIONS[event.action],
        cause=event.cause,
        vrp=vrp,
    )


def written(native: _rov.Command) -> Command:
    """Give a `struct command`."""
    return Command(
        announce=bool(native.announce),
        receivers=native.receivers,
        family=native.family,
        attributes=native.attrs,
        variant=native.variant,
        path_id=native.path_id if native.has_path_id else None,
        prefixes=ffi.buffer(native.text, native.size)[:].decode("ascii"),
        size=native.n,
        previous_run=None if native.previous_run == _NONE or not native.announce else native.previous_run,
    )
