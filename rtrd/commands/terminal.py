"""Colors, tables and progress where stdout or stderr is a terminal; none for a pipe.

rich is imported only where a terminal is: it takes longer to import than a status takes to print.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

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


def rendered(*parts: RenderableType) -> Iterator[str]:
    """Give tables and texts of rich as lines, as wide as the terminal; `[` in them is no markup of ours."""
    from rich.console import Console

    # Whoever takes a table of a narrow terminal into a bug report wants whole words.
    width = max(80, os.get_terminal_size(sys.stdout.fileno()).columns) if sys.stdout.isatty() else None
    console = Console(highlight=False, markup=False, emoji=False, no_color=not colored(), width=width)
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
