"""How many UPDATEs ExaBGP has sent to whom in, whether what it was told may be told anew out. Pure.

What ExaBGP is told waits in a batch until it is sent, grouped by attributes: two commands for one prefix in one batch
arrive in an order of its own, and the older one may win (docs/exabgp.md). So each place is written once in a round, and
a round ends when all of it is sent. ExaBGP doesn't say that; but while it has something to send, the column `#sent` of
`show neighbor summary` grows between two questions. When it has not grown three times, all is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ALIKE = 3
"""Answers in a row that must be alike."""
WAIT = 0.25
"""Seconds that something may wait for the next round while there is other work."""
QUIET = 0.5
"""Seconds without a command after which a round ends by itself, so that nothing has to wait for it."""
SILENCE = 3.0
"""Seconds without an answer after which the round counts as sent: this ExaBGP answers nothing."""
LONGEST = 60.0
"""Seconds that a round may take to end; then a receiver is stuck, and the others shall not wait for it."""


class SendBarrier:
    """When rounds end. Times are seconds of any one clock that doesn't go back."""

    def __init__(self) -> None:
        self.forced = 0
        """SendBarrier that ended without knowing that all was sent."""
        self.draining = False
        """Nothing may be written until the round ends."""
        self._written: float | None = None  # when something was written last in this round
        self._waiting: float | None = None  # since when something waits for the next one
        self._began = 0.0  # when the draining began
        self._heard = 0.0
        self._counts: dict[str, int] | None = None  # the answer that is being read
        self._last: Mapping[str, int] | None = None
        self._alike = 0

    def wrote(self, now: float) -> None:
        """Take note of a command that changes what ExaBGP sends."""
        self._written = now
        self._forget()

    def drain(self, now: float) -> None:
        """End this round before anything is written."""
        if not self.draining:
            self.draining = True
            self._written = now
            self._began = self._heard = now
            self._forget()

    def look(self, now: float, *, parked: bool, full: bool, idle: bool) -> None:
        """Decide whether this round must end: routes are parked for the next one, it is full, nothing else is to do."""
        if not parked:
            self._waiting = None
        elif self._waiting is None:
            self._waiting = now
        if full or (self._waiting is not None and (idle or now - self._waiting >= WAIT)):
            self.drain(now)

    def asks(self, now: float) -> bool:
        """Tell whether ExaBGP is to be asked what it has sent, it having executed all that was written."""
        return self.draining or (self._written is not None and now - self._written >= QUIET)

    def next_deadline(self, now: float) -> float | None:
        """Give the seconds after which something here may change though nothing was read."""
        if self.draining:
            return 0.5
        if self._waiting is not None:
            return max(0.01, self._waiting + WAIT - now)
        return None if self._written is None else max(0.01, self._written + QUIET - now)

    # -- what is read

    def answer_begins(self, now: float) -> bool:
        """Take the first line of an answer, which ends the one before. True: all is sent, a new round begins."""
        self._heard = now
        if self._counts is not None:
            self._alike = self._alike + 1 if self._counts == self._last else 1
            self._last = self._counts
        self._counts = {}
        return self._alike >= ALIKE and self._end()

    def sent(self, address: str, count: int) -> None:
        """Take a row of the answer: UPDATEs sent to a neighbor whose session is up."""
        if self._counts is not None:
            self._counts[address] = count

    def overdue(self, now: float) -> bool:
        """Tell whether a round must count as sent though it is not known. True: a new round begins."""
        if not self.draining or (now - self._heard < SILENCE and now - self._began < LONGEST):
            return False
        self.forced += 1
        return self._end()

    def _end(self) -> bool:
        ended = self._written is not None or self.draining
        self.draining = False
        self._written = self._waiting = None
        self._forget()
        return ended

    def _forget(self) -> None:
        self._counts = self._last = None
        self._alike = 0
