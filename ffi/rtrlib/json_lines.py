"""The line of a value in a JSON text, which no JSON reader of ours tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Names of members and indices of elements, from the outermost value inwards."""

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")


def line_of(text: str, path: Path) -> int:
    """Give the line where a value begins in a JSON text; if there is none, the line of what should hold it."""
    at = _past_blank(text, 0)
    for name in path:
        below = _value_at(text, at, name)
        if below is None:
            break
        at = below
    return text.count("\n", 0, at) + 1


def _value_at(text: str, at: int, name: str | int) -> int | None:
    """Give where a member or element of the object or array at `at` begins."""
    for key, begin in _members(text, at) if text[at] in "{[" else ():
        if key == name:
            return begin
    return None


def _members(text: str, at: int) -> Iterator[tuple[str | int, int]]:
    is_object = text[at] == "{"
    index = 0
    at = _past_blank(text, at + 1)
    while text[at] not in "}]":
        key: str | int = index
        if is_object:
            key, at = _DECODER.raw_decode(text, at)
            at = _past_blank(text, _past_blank(text, at) + 1)
        yield key, at
        _, at = _DECODER.raw_decode(text, at)
        at = _past_blank(text, at)
        if text[at] == ",":
            at = _past_blank(text, at + 1)
        index += 1


def _past_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
