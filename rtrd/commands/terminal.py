"""Colors, tables and progress where stdout or stderr is a terminal; none for a pipe.

rich is imported only where a terminal is: it takes longer to import than a status takes to print.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from rich.console import RenderableType

STYLES: Final = {
    "valid": "green",
    "invalid": "red",
    "not-found": "blue",
    "unverified": "yellow",
    "good": "green",
    "bad": "red",
    "fair": "yellow",
    "soft": "bright_black",
}
"""A color for each validity, and for how something is."""

NO_TERMINAL: Final = 80
"""Columns of a table that goes into a file or a pipe."""
TIME: Final = 20
"""Columns of a time."""
MOST_NARROW: Final = 40
"""A terminal with fewer columns is taken for one of so many."""
MOST_WIDE: Final = 1000
"""Of a table of rich, which would pad more to any width."""
_CODES: Final = {"green": 32, "red": 31, "blue": 34, "yellow": 33, "bright_black": 90}


def colored() -> bool:
    """Tell whether stdout takes colors: a terminal, unless NO_COLOR is set (https://no-color.org) or it is dumb."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, width: int = 0) -> str:
    """Color a text if stdout takes colors, and fill it with blanks up to `width` in any case."""
    if style in STYLES and colored():
        blanks = " " * max(0, width - len(text))
        return f"\x1b[{_CODES[STYLES[style]]}m{text}\x1b[0m{blanks}"
    return text.ljust(width)


def width(*, wide: bool = False) -> int:
    """Give the columns that a table may take: those of the terminal, 80 of what is none, any number with `wide`."""
    if wide:
        return sys.maxsize
    return (
        max(MOST_NARROW, os.get_terminal_size(sys.stdout.fileno()).columns or NO_TERMINAL)
        if sys.stdout.isatty()
        else NO_TERMINAL
    )


def to_second(time: str) -> str:
    """Give a time of the API, which is UTC, to the second: `2026-11-27T06:00:00Z`."""
    return f"{time[: TIME - 1]}Z"


def wrapped(text: str, columns: int) -> Iterator[str]:
    """Give a sentence as lines that fit, the later ones further to the right."""
    if len(text) <= columns:
        yield text
        return
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    yield from textwrap.wrap(text, columns, subsequent_indent=indent, break_on_hyphens=False)


class Column(NamedTuple):
    """A column of a table: its heading, and how wide it usually is."""

    title: str
    width: int
    if_room: bool = False
    """It is left out where the table would be wider than it may be."""


class Columns:
    """A table printed row by row: a long cell pushes those behind it, and a row that is full goes on in a new line."""

    def __init__(self, columns: Sequence[Column], most: int) -> None:
        """Take the columns that fit into `most`."""
        self.shown = list(columns)
        self.most = most
        while self._needs() > most and (last := [column for column in self.shown if column.if_room]):
            self.shown.remove(last[-1])

    def has(self, title: str) -> bool:
        """Tell whether a column is shown."""
        return any(column.title == title for column in self.shown)

    def _needs(self) -> int:
        return sum(column.width + 1 for column in self.shown) - 1

    def heading(self) -> str:
        """Give the line of headings."""
        return self._placed([(column.title, "") for column in self.shown])

    def line(self, cells: Mapping[str, tuple[str, str]]) -> str:
        """Give a row; `cells`: the text and style of each, by heading."""
        return self._placed([cells[column.title] for column in self.shown])

    def _placed(self, cells: Sequence[tuple[str, str]]) -> str:
        lines, line, at, start = [], "", 0, 0
        for (text, style), column in zip(cells, self.shown, strict=True):
            if text and max(at + 1 if at else 0, start) + len(text) > self.most and at:
                lines.append(line)
                line, at = "", 0
            place = max(at + 1 if at else 0, min(start, max(0, self.most - len(text))))
            if text:
                line += " " * (place - at) + paint(text, style)
                at = place + len(text)
            start += column.width + 1
        return "\n".join([*lines, line])


def rendered(*parts: RenderableType, columns: int) -> Iterator[str]:
    """Give tables and texts of rich as lines of so many columns at most; `[` in them is no markup of ours."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, no_color=not colored(), width=min(columns, MOST_WIDE))
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    yield from (line.rstrip() for line in captured.get().splitlines())


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Show how far something is on stderr, if that is a terminal and stdout is not the same one.

    Gives a function that takes how much more was done; how much there is, nobody knows.
    """
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # stdout goes elsewhere and must not be taken for a part of the bar.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=None)
        yield lambda more: bar.advance(task, more)
