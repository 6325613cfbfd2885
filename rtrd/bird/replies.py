"""The replies of BIRD's control socket, cut into numbered lines. No socket, no clock.

A line is `NNNN-text` when more follow, `NNNN text` when it ends the reply, ` text` under the number of the line
before, and `+text` when it belongs to no reply. Numbers from 8000 on are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rtrd.base.text import printable

MAX_LINE: Final = 1 << 16
"""Octets: an AS path of 10,000 members fits."""
FIRST_ERROR: Final = 8000
_CODE: Final = 4


class BirdError(Exception):
    """BIRD can't be asked, or answers what can't be read; the text is a sentence."""


class Line(NamedTuple):
    """One line of a reply."""

    code: int
    text: str
    """Non-ASCII octets are replaced."""
    last: bool
    """The reply ends here."""


class Replies:
    """Cuts what arrives into lines. Raises BirdError for what is not a reply; after that it can't be used."""

    def __init__(self) -> None:
        self._rest = ""
        self._code: int | None = None

    def feed(self, octets: bytes) -> Iterator[Line]:
        """Take some octets, give the lines that are whole now."""
        *lines, self._rest = (self._rest + octets.decode("ascii", "replace")).split("\n")
        if len(self._rest) > MAX_LINE:
            raise BirdError(f"BIRD sends a line of more than {MAX_LINE} octets")
        for text in lines:
            if text[:1] == " " and self._code is not None:  # nearly all of them: a full table has six million
                yield Line(self._code, text[1:], False)
            elif text[:1] != "+":
                yield self._numbered(text)

    def _numbered(self, text: str) -> Line:
        number, end = text[:_CODE], text[_CODE : _CODE + 1]
        if not (len(number) == _CODE and number.isdecimal() and end in ("-", " ")):
            raise BirdError(f"this is not a line of BIRD's control socket: {printable(text[:60])!r}")
        last = end == " "
        self._code = None if last else int(number)
        return Line(int(number), text[_CODE + 1 :], last)
