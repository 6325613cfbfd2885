"""The send barrier: what is announced again for an NLRI waits until ExaBGP has sent what it was told before.

ExaBGP puts what it is told into a batch until it is sent, grouped by attributes: two commands for one NLRI in one batch
arrive in an order of its own, and the older one may win (docs/exabgp.md). So each NLRI is written once before the next
barrier, and the barrier falls when all of it is sent. ExaBGP doesn't say that; but while it has something to send, the
column `#sent` of `show neighbor summary` grows between two questions. When it has not grown three times, all is sent.
Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

ALIKE = 3
"""Answers in a row that must be alike."""
WAIT = 0.25
"""Seconds that something may wait for the barrier while there is other work."""
QUIET = 0.5
"""Seconds without a command after which ExaBGP is asked anyway, so that nothing has to wait for it later."""
SILENCE = 3.0
"""Seconds without an answer after which all counts as sent: this ExaBGP answers nothing."""
UNLISTED = 1.0
"""The same after an answer that has no list: this ExaBGP answers, and tells nothing."""
LONGEST = 60.0
"""Seconds that it may take to send all; then a receiver is stuck, and the others shall not wait for it."""


class SendBarrier:
    """When all that was written is sent. Times are seconds of any one clock that doesn't go back."""

    def __init__(self) -> None:
        self.draining = False
        """Nothing may be written until the barrier falls."""
        self.pending = False
        """Something was written, or waits, since it fell."""
        self._written: float | None = None  # when something was written last since it fell
        self._waiting: float | None = None  # since when something waits for it
        self._began = 0.0  # when the draining began
        self._heard = 0.0
        self._asked: float | None = None  # when ExaBGP was asked; None: it has answered
        self._counts: dict[str, int] | None = None  # the answer that is being read
        self._last: Mapping[str, int] | None = None
        self._alike = 0
        self._unlisted = math.inf  # when it has answered without a list

    def wrote(self, now: float) -> None:
        """Take note of a command that changes what ExaBGP sends."""
        self.pending = True
        self._written = now
        self._asked = None
        self._forget()

    def drain(self, now: float) -> None:
        """Let nothing be written before all is sent."""
        if not self.draining:
            self.draining = self.pending = True
            self._written = now
            self._began = self._heard = now
            unlisted = self._unlisted  # of all that was written
            self._forget()
            self._unlisted = unlisted

    def look(self, now: float, *, parked: bool, full: bool, idle: bool) -> None:
        """Drain if it must be: no more can be written, or something waits (`parked`) and has nothing to wait for."""
        if not parked:
            self._waiting = None
        elif self._waiting is None:
            self._waiting = now
            self.pending = True
        if full or (self._waiting is not None and (idle or now >= self._waiting + WAIT)):
            self.drain(now)

    def asks(self, now: float) -> bool:
        """Tell whether ExaBGP is to be asked what it has sent, it having executed all that was written."""
        if self._asked is not None:
            return False
        return self.draining or (self._written is not None and now >= self._written + QUIET)

    def asked(self, now: float) -> None:
        """Take note that it was asked."""
        self._asked = now

    def deadline(self, *, unanswered: bool) -> float | None:
        """Give when something changes here though nothing is read. `unanswered`: an answer of ExaBGP is to come."""
        if self.draining:
            return min(self._heard + SILENCE, self._began + LONGEST, self._unlisted + UNLISTED)
        times = [] if self._waiting is None else [self._waiting + WAIT]
        if self._unlisted < math.inf:
            times.append(self._unlisted + UNLISTED)
        if not unanswered and self._written is not None:
            times.append(self._written + QUIET if self._asked is None else self._asked + SILENCE)
        return min(times, default=None)

    # -- what is read

    def answer_begins(self, now: float) -> bool:
        """Take the first line of an answer, which ends the one before. True: all is sent."""
        self._heard = now
        self._asked = None
        if self._counts is not None:
            self._alike = self._alike + 1 if self._counts == self._last else 1
            self._last = self._counts
        self._counts = {}
        return self._alike >= ALIKE and self._fall()

    def answered_without_list(self, now: float) -> None:
        """Take an answer that is over and had no first line: what is sent can't be known."""
        if self._asked is not None:
            self._heard = now
            self._unlisted = min(self._unlisted, now)

    def sent(self, address: str, count: int) -> None:
        """Take a row of the answer: UPDATEs sent to a neighbor whose session is up."""
        if self._counts is not None:
            self._counts[address] = count

    def overdue(self, now: float, *, unanswered: bool) -> bool:
        """Tell whether all must count as sent though that is not known. True: it does from here on."""
        if self.draining:
            over = now >= self._heard + SILENCE or now >= self._began + LONGEST
        else:
            over = not unanswered and self._asked is not None and now >= self._asked + SILENCE
        over = over or now >= self._unlisted + UNLISTED
        return over and self._fall()

    def _fall(self) -> bool:
        fell = self._written is not None or self.draining
        self.draining = self.pending = False
        self._written = self._waiting = self._asked = None
        self._forget()
        return fell

    def _forget(self) -> None:
        self._counts = self._last = None
        self._alike = 0
        self._unlisted = math.inf
