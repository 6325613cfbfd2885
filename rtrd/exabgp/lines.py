"""Bytes of a pipe in, in pieces of any size; whole lines out. Pure."""

from __future__ import annotations

MOST_LINE = 16 << 20
"""Bytes of one line; a longer one is skipped and counted."""


class Lines:
    """One pipe's lines."""

    def __init__(self, *, mid_line: bool = False) -> None:
        """`mid_line`: the first bytes are the rest of a line that somebody else began to read."""
        self.too_long = 0
        """Lines that were skipped."""
        self._partial: list[bytes] = []
        self._size = 0
        self._skipping = mid_line

    def feed(self, data: bytes) -> bytes:
        """Take bytes; give the lines that they end, each with its LF."""
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        lines = data[:end] if rest else data
        if end:
            if self._partial:
                lines = b"".join((*self._partial, lines))
                self._partial.clear()
                self._size = 0
            if self._skipping:
                self._skipping = False
                lines = lines[lines.index(b"\n") + 1 :]
        else:
            lines = b""
        if rest and not self._skipping:
            self._partial.append(rest)
            self._size += len(rest)
            if self._size > MOST_LINE:
                self._partial.clear()
                self._size = 0
                self._skipping = True
                self.too_long += 1
        return lines
