"""When lines bring routes in; whether what is to be said of them waits for that of the next lines, out. Pure.

Routes come in small UPDATEs, one line after the other, and one command for many costs ExaBGP far less than many for a
few each (docs/exabgp.md).
"""

from __future__ import annotations

LINGER = 0.01
"""Seconds that the first route waits for others at most."""


class Coalescing:
    """The routes of the latest lines. Times are seconds of any one clock that doesn't go back."""

    def __init__(self, enough: int, linger: float = LINGER) -> None:
        """Wait for no more than `enough` routes, and no longer than `linger` seconds."""
        self._enough = enough
        self._linger = linger
        self._since: float | None = None

    def came(self, now: float) -> None:
        """Take note that a line brought routes."""
        if self._since is None:
            self._since = now

    def over(self) -> None:
        """Wait for no line more: what is to be said now is not of lines alone."""
        self._since = None

    def waits(self, now: float, routes: int) -> bool:
        """Tell whether `routes`, which have something to be said, wait for more; an answer between two ends no wait."""
        if self._since is None:
            return False
        if 0 < routes < self._enough and now - self._since < self._linger:
            return True
        self._since = None
        return False

    def next_deadline(self, now: float) -> float | None:
        """Give the seconds after which `waits` may say something else though nothing was read."""
        return None if self._since is None else max(0.0, self._since + self._linger - now)
