"""Decodes the JSON lines that ExaBGP writes to its process: UPDATEs, and what happens to sessions.

Both dialects are read, 4.2 and 5.0, and newer ones by their shape. The decoder is typed (msgspec); it skips what it
doesn't know. An UPDATE is octets in any case: in packets mode ExaBGP hands them on, else parsed.py makes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from rtrd.exabgp.parsed import Message, Parsed, parsed
from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.bgp_session import BGPSession

_UNICAST = {"ipv4 unicast": 4, "ipv6 unicast": 6}
_IPV4_OVER_IPV6 = "ipv4 unicast ipv6"
_NONE = re.compile(rb'("(?:local|peer)": )None')
_ABSENT = msgspec.Raw(b"")  # msgspec takes a union with Raw for null alone


class _Message(msgspec.Struct):
    update: Message | None = None
    body: str | None = None  # of packets mode: the message behind its header, in hex


class _Address(msgspec.Struct):
    peer: str
    local: msgspec.Raw = _ABSENT


_Number = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]


class _Asn(msgspec.Struct, gc=False):
    local: _Number | None
    """None: `local-as auto`, or `peer-as auto`, of ExaBGP 5.0."""
    peer: _Number | None


class _Neighbor(msgspec.Struct):
    address: _Address
    asn: _Asn | None = None
    direction: str = ""
    state: str = ""
    reason: str = ""
    message: _Message | None = None
    negotiated: msgspec.Raw = _ABSENT


class _Line(msgspec.Struct):
    type: str = ""
    time: msgspec.Raw = _ABSENT
    neighbor: _Neighbor | None = None


class OtherEvent(NamedTuple):
    """An event that changes no route."""

    kind: str
    neighbor: str | None = None


class Octets(NamedTuple):
    """A message as it was on the wire: an UPDATE or an OPEN (`receive { packets; }`)."""

    neighbor: str
    local: str
    """ExaBGP's own address; empty: it is not told."""
    kind: Literal["update", "open"]
    direction: str
    """`receive` or `send`."""
    body: bytes
    """What follows its header."""
    agreed: BGPSession | None = None
    """Of an UPDATE: what the line says of its session (`negotiated`)."""


Event = Parsed | State | OtherEvent | Negotiated | Octets


class DecodeError(ValueError):
    """A line that is no JSON object of the shape that ExaBGP writes."""


class _AddPath(msgspec.Struct):
    receive: list[str] = []


class _Capabilities(msgspec.Struct):
    nexthop: list[str] = []
    asn4: bool = False
    add_path: _AddPath = msgspec.field(default_factory=_AddPath)


_decoder = msgspec.json.Decoder(_Line)
_capabilities = msgspec.json.Decoder(_Capabilities)


def decode(line: bytes) -> Event:
    """Decode one JSON line. Raises DecodeError with what is wrong, in words of ours: none of the line's."""
    try:
        decoded = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not JSON of the shape that ExaBGP writes: {error}") from error
    neighbor, read = decoded.neighbor, _READERS.get(decoded.type)
    if neighbor is None:
        return OtherEvent(decoded.type)
    event = None if read is None else read(neighbor)
    if isinstance(event, State):
        time = _plain(decoded.time)
        return event._replace(time=None if isinstance(time, str) else time)
    return event or OtherEvent(decoded.type, neighbor.address.peer)


def _decode(line: bytes) -> _Line:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        # `peer-as auto` of 5.0: Python's None, which is no JSON, also while the session is up
        said = _NONE.sub(rb"\1null", line)
        if said == line:
            raise
        return _decoder.decode(said)


def _octets(neighbor: _Neighbor, kind: Literal["update", "open"]) -> Octets | None:
    body = None if neighbor.message is None else neighbor.message.body
    if body is None:
        return None
    try:
        octets = bytes.fromhex(body.removeprefix("0x"))
        agreed = _agreed(neighbor) if kind == "update" and bytes(neighbor.negotiated) else None
        return Octets(neighbor.address.peer, _local(neighbor), kind, neighbor.direction, octets, agreed)
    except ValueError as error:
        raise DecodeError("a message whose octets are no hexadecimal digits") from error


def _asns(neighbor: _Neighbor) -> tuple[int, int] | None:
    """Give both AS numbers of a session, if the line has both."""
    said = neighbor.asn
    return None if said is None or said.local is None or said.peer is None else (said.local, said.peer)


def _agreed(neighbor: _Neighbor) -> BGPSession | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        said = _capabilities.decode(neighbor.negotiated)
        if (asns := _asns(neighbor)) is not None:
            path_ids = frozenset(number for name, number in _UNICAST.items() if name in said.add_path.receive)
            over_ipv6 = _IPV4_OVER_IPV6 in said.nexthop
            return BGPSession(*asns, said.asn4, path_ids, over_ipv6)
    return None


def _message(neighbor: _Neighbor) -> Event | None:
    octets = _octets(neighbor, "update")
    if octets is not None:
        return octets
    update = None if neighbor.message is None else neighbor.message.update
    if update is None:  # End-of-RIB (RFC 4724 section 2), for one
        return OtherEvent("send", neighbor.address.peer) if neighbor.direction == "send" else None
    if (asns := _asns(neighbor)) is None:
        raise DecodeError("an UPDATE without AS numbers")
    return parsed(neighbor.address.peer, _local(neighbor), neighbor.direction, asns, update)


def _state(neighbor: _Neighbor) -> Event | None:
    if neighbor.state not in ("up", "down"):
        return None
    return State(neighbor.address.peer, neighbor.state == "up", neighbor.reason, _local(neighbor))


def _local(neighbor: _Neighbor) -> str:
    return _text(bytes(neighbor.address.local))


@lru_cache(maxsize=1024)
def _text(raw: bytes) -> str:
    found = _plain(raw)
    return found if isinstance(found, str) else ""


def _plain(raw: msgspec.Raw | bytes) -> str | float | None:
    """Give a string or a number; None for anything else, which is no reason to leave the line out."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(raw, type=str | float)
    return None


def _negotiated(neighbor: _Neighbor) -> Event | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):  # of a line without it, too
        capabilities = _capabilities.decode(neighbor.negotiated)
        return Negotiated(neighbor.address.peer, _IPV4_OVER_IPV6 in capabilities.nexthop, capabilities.asn4)
    return None


_READERS: dict[str, Callable[[_Neighbor], Event | None]] = {
    "update": _message,
    "open": lambda neighbor: _octets(neighbor, "open"),
    "state": _state,
    "negotiated": _negotiated,
}
