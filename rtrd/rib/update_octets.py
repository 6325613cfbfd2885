"""BGP UPDATEs from octets, for who wants to know what is in one; `RouteTable.receive` takes one without that.

The decoder is native (ffi/native/bgp/update.h); here its numbers get their words.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

import _rov
from _rov import ffi, lib
from rtrd.rib.bgp_events import Update
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.native_terms import prefix_text
from rtrd.rib.receivers import packed

FAULTS: dict[int, str] = {
    lib.BGP_LENGTHS: "the lengths of withdrawn routes and path attributes don't fit the message",
    lib.BGP_NLRI: "a prefix is too long, or cut off",
    lib.BGP_MP_TWICE: "MP_REACH_NLRI or MP_UNREACH_NLRI comes twice",
    lib.BGP_MP_LENGTHS: "MP_REACH_NLRI or MP_UNREACH_NLRI is shorter than it says",
    lib.BGP_OVERRUN: "a path attribute is longer than what is left",
    lib.BGP_FLAGS: "a path attribute has wrong flags",
    lib.BGP_MISSING: "ORIGIN, AS_PATH or NEXT_HOP is missing",
    lib.BGP_UNKNOWN_WELL_KNOWN: "a well-known path attribute is unknown",
    lib.BGP_ORIGIN: "ORIGIN is malformed",
    lib.BGP_AS_PATH: "AS_PATH is malformed",
    lib.BGP_EMPTY_AS_PATH: "AS_PATH of an external neighbor is empty",
    lib.BGP_AS_ZERO: "AS 0 is in the AS_PATH",
    lib.BGP_NEXT_HOP: "the next hop has a wrong length",
    lib.BGP_MED: "MULTI_EXIT_DISC is malformed",
    lib.BGP_LOCAL_PREF: "LOCAL_PREF is malformed",
    lib.BGP_COMMUNITIES: "COMMUNITIES is malformed",
    lib.BGP_ORIGINATOR_ID: "ORIGINATOR_ID is malformed",
    lib.BGP_CLUSTER_LIST: "CLUSTER_LIST is malformed",
    lib.BGP_EXTENDED_COMMUNITIES: "EXTENDED COMMUNITIES is malformed",
    lib.BGP_LARGE_COMMUNITIES: "LARGE_COMMUNITIES is malformed",
    lib.BGP_OTC: "OTC is malformed",
    lib.BGP_DUPLICATE: "a path attribute comes twice",
    lib.BGP_ATOMIC_AGGREGATE: "ATOMIC_AGGREGATE is malformed",
    lib.BGP_AGGREGATOR: "AGGREGATOR is malformed",
    lib.BGP_AS4_PATH: "AS4_PATH is malformed",
    lib.BGP_AS4_AGGREGATOR: "AS4_AGGREGATOR is malformed",
    lib.BGP_AIGP: "AIGP is malformed",
}
"""A sentence for each number of `enum bgp_fault`; RFC 7606 says what becomes of the routes."""

TOO_MANY = "max-attributes"
"""Why routes are left out whose neighbor has as many attribute sets as it may."""
_NO_UNICAST = {
    lib.BGP_UNSPECIFIED: "unspecified",
    lib.BGP_LOOPBACK: "loopback",
    lib.BGP_LINK_LOCAL: "link-local",
    lib.BGP_MULTICAST: "multicast",
    lib.BGP_CLASS_E: "class-e",
}

_UNREADABLE = (1 << lib.BGP_FIRST_WITHDRAWN) - 1
_WITHDRAWN = (1 << lib.BGP_FIRST_DISCARDED) - 1


class Consequence(NamedTuple):
    """What is wrong with an UPDATE, and what becomes of it."""

    what: tuple[str, ...]
    routes: str


def consequence(faults: int) -> Consequence | None:
    """Say what `faults` of an UPDATE mean; None: nothing is wrong."""
    if not faults:
        return None
    routes = "kept" if not faults & _WITHDRAWN else "left as they were" if faults & _UNREADABLE else "withdrawn"
    return Consequence(tuple(text for number, text in FAULTS.items() if faults >> number & 1), routes)


def left_out(received: _rov.BgpReceived) -> Iterator[tuple[str, int]]:
    """Say why an UPDATE's routes were left out, and how many for each reason."""
    for kind, name in _NO_UNICAST.items():
        for count, what in ((received.by_prefix[kind], "prefix"), (received.by_next_hop[kind], "next-hop")):
            if count:
                yield f"{name}-{what}", count
    if received.by_attributes:
        yield TOO_MANY, received.by_attributes


def native_session(session: BGPSession) -> _rov.BgpSession:
    """Give a session as the core wants it."""
    addresses = [octets for octets in map(packed, session.addresses[:2]) if octets]
    return ffi.new(
        "struct bgp_session *",
        {
            "local_as": session.local_as,
            "peer_as": session.peer_as,
            "router_id": session.router_id,
            "peer_router_id": session.peer_router_id,
            "addresses": addresses,
            "addresses_n": [len(octets) for octets in addresses],
            "four_octet_as": session.four_octet_as,
            "path_ids_ipv4": 4 in session.path_ids,
            "path_ids_ipv6": 6 in session.path_ids,
            "extended_next_hop": session.extended_next_hop,
            "confederation": session.confederation,
        },
    )


def read_update(neighbor: str, session: BGPSession, body: bytes) -> tuple[Update, int]:
    """Read an UPDATE's routes as text, and what is wrong with it (enum bgp_fault). One that is unreadable has none.

    Routes that nobody should announce are told, too.
    """
    native, update = native_session(session), ffi.new("struct bgp_update *")
    lib.bgp_update_read(update, native, ffi.from_buffer(body), len(body))
    withdrawn = [route for i in range(update.withdrawn_n) for route in _routes(_run(update.withdrawn[i]))]
    announced: list[tuple[bytes, list[str]]] = []
    for i in range(update.announced_n):
        run = _run(update.announced[i])
        if update.faults & _WITHDRAWN:
            withdrawn += _routes(run)
        else:
            key = lib.bgp_set_key(update, native, run)
            announced.append((ffi.buffer(key.at, key.n)[:], list(_routes(run))))
    return Update(neighbor, withdrawn, announced, update.others), update.faults


def _run(run: _rov.BgpRun) -> _rov.BgpRun:
    """Copy it: what an array has is no pointer."""
    return ffi.new("struct bgp_run *", run)


def _routes(run: _rov.BgpRun) -> Iterator[str]:
    """Give the routes as text."""
    rest, nlri = ffi.new("struct octets *", run.nlri), ffi.new("struct nlri *")
    while lib.bgp_next_route(rest, run, nlri):
        text = prefix_text(nlri.prefix)
        yield f"{text} {ipaddress.IPv4Address(nlri.path_id)}" if nlri.has_path_id else text
