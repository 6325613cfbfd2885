"""Makes other people's text safe to show. Imports nothing: the commands start by it."""

from __future__ import annotations

from typing import Final

MAX_VALUE: Final = 500
"""Characters of one value that are shown."""


def counted(count: int, what: str, one: str = "", many: str = "") -> str:
    """Say how many there are: `1 route`, `2 routes`; then what holds of one of them, or of many."""
    return f"{count} {what} {one}".rstrip() if count == 1 else f"{count} {what}s {many}".rstrip()


def printable(text: str, limit: int = MAX_VALUE) -> str:
    """Escape what a terminal or a log reader could take as more than text, and cut what is too long."""
    if len(text) > limit:
        text = text[:limit] + "..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
