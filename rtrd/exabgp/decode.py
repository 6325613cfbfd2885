"""Decodes the JSON lines that ExaBGP writes to its process: UPDATEs, and what happens to sessions.

Both dialects are read, 4.2 and 5.0, and newer ones by their shape. The decoder is typed (msgspec); it skips what it
doesn't know. Path attributes stay raw: the octets are the key of an attribute set, which exabgp/attributes.py decodes
once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal, NamedTuple

import msgspec

from rtrd.rib.bgp_events import Negotiated, Sent, State, Update

UNICAST = ("ipv4 unicast", "ipv6 unicast")

_NO_ATTRIBUTES = msgspec.Raw(b"{}")
_LINK_LOCAL = re.compile("fe[89ab][0-9a-f]:", re.IGNORECASE).match  # fe80::/10
_ABSENT = msgspec.Raw(b"")  # msgspec takes a union with Raw for null alone


class _Nlri(msgspec.Struct, gc=False):
    nlri: str | None = None  # other families have other keys
    path_information: str | None = msgspec.field(name="path-information", default=None)


class _Update(msgspec.Struct):
    attribute: msgspec.Raw = _NO_ATTRIBUTES
    # exabgp.api.compact writes a prefix without path id as a string
    announce: dict[str, dict[str, list[_Nlri | str]]] = {}
    withdraw: dict[str, list[_Nlri | str]] = {}


class _Message(msgspec.Struct):
    update: _Update | None = None
    body: str | None = None  # of packets mode: the message behind its header, in hex


class _Address(msgspec.Struct):
    peer: str
    local: msgspec.Raw = _ABSENT


class _Asn(msgspec.Struct, gc=False):
    local: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0


class _Neighbor(msgspec.Struct):
    address: _Address
    asn: _Asn = msgspec.field(default_factory=_Asn)
    direction: str = ""
    state: str = ""
    reason: str = ""
    message: _Message | None = None
    negotiated: msgspec.Raw = _ABSENT


class _Line(msgspec.Struct):
    type: str = ""
    time: msgspec.Raw = _ABSENT
    neighbor: _Neighbor | None = None


class Other(NamedTuple):
    """An event that changes no route."""

    kind: str
    neighbor: str | None = None


class Octets(NamedTuple):
    """A message as it was on the wire: an UPDATE or an OPEN (`receive { packets; }`)."""

    neighbor: str
    kind: Literal["update", "open"]
    direction: str
    """`receive` or `send`."""
    body: bytes
    """What follows its header."""


Event = Update | Sent | State | Other | Negotiated | Octets


class DecodeError(ValueError):
    """A line that is no JSON object of the shape that ExaBGP writes."""


class _Capabilities(msgspec.Struct):
    nexthop: list[str] = []


_decoder = msgspec.json.Decoder(_Line)
_capabilities = msgspec.json.Decoder(_Capabilities)


def attribute_key(attributes: bytes, next_hop: str, own_as: int, family: str) -> bytes:
    """Give the key of an attribute set: the raw attributes, the next hop, the speaker's own AS and the family.

    They belong to it: they decide what is announced, and the origin AS of an empty path.
    """
    return b"%b\0%b\0%d\0%b" % (
        attributes,
        next_hop.encode("ascii", "replace").replace(b"\0", b"?"),
        own_as,
        b"4" if family == "ipv4 unicast" else b"6",
    )


def decode(line: bytes) -> Event:
    """Decode one JSON line. Raises DecodeError with what is wrong, in words of ours: none of the line's."""
    try:
        decoded = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not JSON of the shape that ExaBGP writes: {error}") from error
    neighbor, read = decoded.neighbor, _READERS.get(decoded.type)
    if neighbor is None:
        return Other(decoded.type)
    event = None if read is None else read(neighbor)
    if isinstance(event, State):
        time = _plain(decoded.time)
        return event._replace(time=None if isinstance(time, str) else time)
    return event or Other(decoded.type, neighbor.address.peer)


def _octets(neighbor: _Neighbor, kind: Literal["update", "open"]) -> Octets | None:
    body = None if neighbor.message is None else neighbor.message.body
    if body is None:
        return None
    try:
        return Octets(neighbor.address.peer, kind, neighbor.direction, bytes.fromhex(body.removeprefix("0x")))
    except ValueError as error:
        raise DecodeError("a message whose octets are no hexadecimal digits") from error


def _message(neighbor: _Neighbor) -> Event | None:
    octets = _octets(neighbor, "update")
    if octets is not None:
        return octets
    update = None if neighbor.message is None else neighbor.message.update
    event = None if update is None else _update(neighbor, update)
    if neighbor.direction != "send":
        return event  # None: End-of-RIB (RFC 4724 section 2), for one
    return Other("send", neighbor.address.peer) if event is None else Sent(event)


def _state(neighbor: _Neighbor) -> Event | None:
    if neighbor.state not in ("up", "down"):
        return None
    local = _plain(neighbor.address.local)
    return State(
        neighbor.address.peer, neighbor.state == "up", neighbor.reason, local if isinstance(local, str) else ""
    )


def _plain(raw: msgspec.Raw) -> str | float | None:
    """Give a string or a number; None for anything else, which is no reason to leave the line out."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(raw, type=str | float)
    return None


def _negotiated(neighbor: _Neighbor) -> Event | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):  # of a line without it, too
        capabilities = _capabilities.decode(neighbor.negotiated)
        return Negotiated(neighbor.address.peer, "ipv4 unicast ipv6" in capabilities.nexthop)
    return None


_READERS: dict[str, Callable[[_Neighbor], Event | None]] = {
    "update": _message,
    "open": lambda neighbor: _octets(neighbor, "open"),
    "state": _state,
    "negotiated": _negotiated,
}


def _update(neighbor: _Neighbor, update: _Update) -> Update:
    withdrawn: list[str] = []
    announced: list[tuple[bytes, list[str]]] = []
    others = 0
    for family, entries in update.withdraw.items():
        if family in UNICAST:
            withdrawn += _prefixes(entries)
        else:
            others += len(entries)
    for family, next_hops in update.announce.items():
        if family not in UNICAST:
            others += sum(map(len, next_hops.values()))
            continue
        # An IPv6 next hop with a link-local one beside it (RFC 2545 section 3): ExaBGP names the same routes twice.
        beside = len(next_hops) > 1 and not all(map(_LINK_LOCAL, next_hops))
        for next_hop, entries in next_hops.items():
            if beside and _LINK_LOCAL(next_hop):
                continue
            key = attribute_key(bytes(update.attribute), next_hop, neighbor.asn.local, family)
            announced.append((key, _prefixes(entries)))
    return Update(neighbor.address.peer, withdrawn, announced, others)


def _prefixes(entries: list[_Nlri | str]) -> list[str]:
    return [
        entry
        if isinstance(entry, str)
        else entry.nlri or ""
        if entry.path_information is None
        else f"{entry.nlri} {entry.path_information}"
        for entry in entries
    ]
