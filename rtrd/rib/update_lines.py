"""Lines of text that carry UPDATEs and are like one that was understood before (ffi/native/bgp/lines.h)."""

from __future__ import annotations

from typing import NamedTuple

import _rov
from _rov import ffi, lib
from rtrd.rib.neighbor_sessions import NeighborSession, NeighborSessions


class Parts(NamedTuple):
    """What a line has in common with others: all but two numbers, and the UPDATE's header and the rest of it in hex."""

    common: tuple[bytes, bytes, bytes]
    """Before the first number, before the second, and behind the header: of the lines of all sessions."""
    head: bytes
    """Between the second number and the header."""
    tail: bytes
    """Behind the UPDATE, without the line feed."""


class Taken(NamedTuple):
    """What became of lines."""

    size: int
    """Their octets, line feeds included."""
    lines: int
    names: list[str]
    """Of the sessions that they were of."""
    told: tuple[str, int] | None = None
    """Of the last line, if there is something to say of it: the name of its session, what is wrong (enum bgp_fault)."""
    memory: bool = False
    """Some of its routes found no memory."""


class UpdateLines:
    """The lines that were understood: one of each session."""

    def __init__(self) -> None:
        self.native: _rov.BgpLines = ffi.new("struct bgp_lines *")
        self._sessions: list[tuple[str, NeighborSession, _rov.BgpSession]] = []
        self._common: tuple[bytes, bytes, bytes] | None = None
        self._own: set[tuple[bytes, bytes]] = set()
        self._buffers: list[_rov.Array[int]] = []  # what the core reads

    def add(self, parts: Parts, name: str, session: NeighborSession) -> None:
        """Take note of a line, and of the session (by its name) whose UPDATE was read from it."""
        lines, own = self.native, (parts.head, parts.tail)
        full = len(self._sessions) == lib.BGP_FRAMES_MOST
        if session.native is None or full or own in self._own or parts.common != (self._common or parts.common):
            return
        if self._common is None:
            self._common = parts.common
            for octets, text in zip((lines.start, lines.middle, lines.octets), parts.common, strict=True):
                self._show(text, octets)
        frame = lines.frames[len(self._sessions)]
        self._show(parts.head, frame.head)
        self._show(parts.tail, frame.tail)
        frame.session, frame.neighbor = session.native, session.number
        self._own.add(own)
        self._sessions.append((name, session, session.native))
        lines.frames_n = len(self._sessions)

    def _show(self, text: bytes, octets: _rov.Octets) -> None:
        """Let the core read a text where it is."""
        self._buffers.append(ffi.from_buffer("uint8_t[]", text))
        octets.at, octets.n = self._buffers[-1], len(text)

    def clear(self) -> None:
        """Forget them: what is known of a session may have changed."""
        self.native.frames_n = self.native.last = 0
        self._sessions.clear()
        self._common = None
        self._own.clear()
        self._buffers.clear()

    def current(self, sessions: NeighborSessions) -> bool:
        """Tell whether there are lines. They are forgotten when a session is not what it was."""
        by_name = sessions.by_name
        if any(by_name.get(name) is not known or known.native is not native for name, known, native in self._sessions):
            self.clear()
        return bool(self._sessions)

    def session(self, number: int) -> tuple[str, NeighborSession]:
        """Give the session of a frame, with its name."""
        return self._sessions[number][:2]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sessions)
