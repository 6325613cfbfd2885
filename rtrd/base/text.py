"""Makes other people's text safe to show. Imports nothing: the commands start by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MAX_VALUE: Final = 500
"""Characters of one value that are shown."""
MOST_MEANT: Final = 60
"""Characters of a word that are compared with those that are known."""


def counted(count: int, what: str, one: str = "", many: str = "") -> str:
    """Say how many there are: `1 route`, `2 routes`; then what holds of one of them, or of many."""
    return f"{count} {what} {one}".rstrip() if count == 1 else f"{count} {what}s {many}".rstrip()


def meant(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that a mistyped one probably is."""
    import difflib  # noqa: PLC0415 - only for mistakes

    written = word[:MOST_MEANT].lower().replace("_", "-")
    names = {name.lower(): name for name in known}
    near = next(iter(difflib.get_close_matches(written, names, n=1)), None)
    if near is None or ("valid" in written and ("invalid" in written) != ("invalid" in near)):
        return None  # the opposite is no mistyping
    return names[near]


def printable(text: str, limit: int = MAX_VALUE) -> str:
    """Escape what a terminal or a log reader could take as more than text, and cut what is too long."""
    if len(text) > limit:
        text = text[:limit] + "..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
