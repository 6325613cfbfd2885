"""The frames in which librtr's callbacks report a cache, checked: from a queue in this process, or up a socketpair.

Their layout is that of ffi/native/librtr/queue.h. They may come from a process that went wrong, so nothing in them is
believed: no length, no type, no number.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

from rtrlib.causes import STARVED, fault_of
from rtrlib.faults import Fault, FaultError
from rtrlib.link import Alive, Ended, Event, Failure, Heard, RouterKeyEvent, SessionState, VRPs
from rtrlib.servers import Server

__all__ = ["Decoder", "FrameError", "FrameType"]

CHUNK: Final = 65536
"""QUEUE_CHUNK: no frame is longer than this, header included."""
VRP_SIZE: Final = 24
HEADER: Final = struct.Struct("=II")
STATE: Final = struct.Struct("=8I")
ROUTER_KEY: Final = struct.Struct("=IB3x20s91sx")


class FrameType(enum.IntEnum):
    """`enum frame_type` of queue.h."""

    VRPS = 1
    STATE = 2
    ROUTER_KEY = 3
    ALIVE = 4
    FAULT = 5
    LOST = 6
    STARVED = 7
    HEARD = 8


class FrameError(FaultError):
    """The bytes are not frames; the text says what is wrong."""


SIZES: Final[dict[FrameType, int]] = {
    FrameType.STATE: STATE.size,
    FrameType.ROUTER_KEY: ROUTER_KEY.size,
    FrameType.ALIVE: 0,
    FrameType.HEARD: 0,
    FrameType.LOST: 0,
    FrameType.STARVED: 0,
}


PLAIN: Final[dict[FrameType, Event]] = {
    FrameType.ALIVE: Alive(),
    FrameType.HEARD: Heard(),
    FrameType.LOST: Ended(Fault.PROCESS, "changes came faster than they could be read"),
    FrameType.STARVED: Ended(Fault.ENDLESS, STARVED),
}
"""What frames without a payload tell."""


class Decoder:
    """Turns a stream of bytes, cut anywhere, into what they tell. Holds one unfinished frame at most."""

    def __init__(self, server: Server) -> None:
        """`server`: what a sentence about it names."""
        self._server = server
        self._bytes = bytearray()

    def decode(self, data: bytes) -> list[Event]:
        """Return what whole frames tell. FrameError: the stream is of no further use."""
        return [self._event(kind, payload) for kind, payload in self.frames(data)]

    def frames(self, data: bytes) -> list[tuple[FrameType, bytes]]:
        """Return whole frames, as type and payload. FrameError: see `decode`."""
        self._bytes += data
        frames: list[tuple[FrameType, bytes]] = []
        at = 0
        with memoryview(self._bytes) as view:
            while len(view) - at >= HEADER.size:
                number, size = HEADER.unpack_from(view, at)
                kind = _checked(number, size)
                end = at + HEADER.size + size
                if end > len(view):
                    break
                frames.append((kind, bytes(view[at + HEADER.size : end])))
                at = end
        del self._bytes[:at]
        return frames

    def _event(self, kind: FrameType, payload: bytes) -> Event:
        match kind:
            case FrameType.VRPS:
                return VRPs(payload)
            case FrameType.STATE:
                return SessionState._make(STATE.unpack(payload))
            case FrameType.ROUTER_KEY:
                asn, announce, ski, spki = ROUTER_KEY.unpack(payload)
                return RouterKeyEvent(asn, ski, spki, bool(announce))
            case FrameType.FAULT:
                return Failure(*fault_of(payload, self._server))
            case _:
                return PLAIN[kind]


def _checked(number: int, size: int) -> FrameType:
    try:
        kind = FrameType(number)
    except ValueError:
        raise FrameError(f"frame of unknown type {number}") from None
    if size > CHUNK - HEADER.size:
        raise FrameError(f"{kind.name} frame of {size} bytes: at most {CHUNK - HEADER.size} are allowed")
    if kind is FrameType.VRPS:
        if size == 0 or size % VRP_SIZE:
            raise FrameError(f"VRPS frame of {size} bytes: not a multiple of {VRP_SIZE}")
    elif SIZES.get(kind, size) != size:
        raise FrameError(f"{kind.name} frame of {size} bytes instead of {SIZES[kind]}")
    return kind
