"""The window of unanswered commands: counts what was written and is not answered, and bounds it. Pure.

ExaBGP takes commands into an unbounded list, so how much it has is ours to bound. It answers `done` or `error` to each
(acks on), or nothing (acks off), and 4.2 sometimes never answers one. What always comes, in order behind the commands
before it, is the text of `show neighbor summary`: that is the fence. Without acks every window is closed by one; with
acks one is sent when an answer is overdue, and settles what it overtook.

Which it is shows at the start: `version` is answered at once in both, and only with acks a `done` comes between two.
Then answers may still come to commands of a process that is dead, as ExaBGP has one list for all. So a password
follows: questions of two kinds in a random order, whose answers in that order nobody else has asked for.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from rtrd.rib.terms import Command

FENCE = "show neighbor summary\n"
HELLO = "# rtrd\nversion\nversion\n"
"""Begins with a comment: 4.2 puts what a killed process left of a line before it, which is then no command."""

FENCE_HEADER = "Peer "
"""How the answer to FENCE begins, in both versions."""

PASSWORD = ("show adj-rib out 0.0.0.1 extensive\n", "show neighbor 0.0.0.1 summary\n")
"""Its questions, by bit, of a neighbor that there is not. They are answered in order, the second with a line."""
PASSWORD_BITS = 16
"""Half of them of each kind."""
PASSWORD_PATIENCE = 1.5
"""Seconds of silence after as many answers as it has, after which they count as its answers, whatever they were."""
AGAIN = 30.0
"""Seconds after which an ExaBGP that has not said its version is asked again."""
FOREIGN_AFTER = 3.0
"""Seconds after which an ExaBGP that says errors and no version is one whose API is another."""


NAMELESS_AFTER = 1.0
"""Seconds of silence after which an ExaBGP that says `done` to each `version`, and no version, counts as one that has
none to tell: whatever it was asked before us it has answered by then."""


class Acks(Enum):
    """Whether ExaBGP answers commands."""

    UNKNOWN = "unknown"
    ON = "on"
    OFF = "off"


class Written(NamedTuple):
    """A command that was written and not settled yet."""

    text: str
    weight: int
    """Prefixes in it; 0 for a fence."""
    time: float
    command: Command | None = None
    """The engine's command that it is, if it is one."""


class Window:
    """Flow control toward one ExaBGP. Times are seconds of any one clock that doesn't go back."""

    def __init__(
        self,
        commands: int = 16,
        prefixes: int = 800,
        patience: float = 5.0,
        password: Sequence[int] | None = None,
    ) -> None:
        """`password`: bits; None: random ones."""
        self._most_commands = commands
        self._most_prefixes = prefixes
        self._patience = patience
        self.written: deque[Written] = deque()
        """What is not settled yet, in the order of writing."""
        self._weight = 0
        self._fences = 0
        self._answering = False  # the first fence: its text came, its `done` is due
        self._versions = 0
        self._done_between = False
        self._hello_errors = 0
        self._hello_dones = 0
        self._asked: float | None = None  # when the last word of the greeting was written, or answered
        self._password = list(password or secrets.SystemRandom().sample((0, 1) * (PASSWORD_BITS // 2), PASSWORD_BITS))
        self._said = False  # the password
        self._answers: deque[int | None] = deque(maxlen=len(self._password))  # which each was to; None: an error
        self._line = 0  # a line came, and not yet its `done`
        self._lines = 0
        self.acks = Acks.UNKNOWN
        self.greeted = False
        """It is known how this ExaBGP answers, and from here on its answers are to this process."""
        self.nameless = False
        """It answers `version` with `done` alone: which one it is stays unknown."""
        self.foreign = False
        """It answers `error` to `version`: this API is not that of ExaBGP 4.2 and 5.0."""
        self.full = True
        """Nothing more may be written."""
        self.fence_due = math.inf
        """When a fence is to be written (and then told to `wrote`)."""
        self.version: str | None = None
        self.errors = 0
        self.unanswered = 0
        """Commands that were settled by a fence though acks are on: answers that never came."""

    @property
    def started(self) -> bool:
        """The first words were written."""
        return self._asked is not None

    def start(self, now: float) -> str:
        """Give what is written first."""
        self._asked = now
        return HELLO

    def says(self, now: float) -> str | None:
        """Give what the greeting says next, if it is time for it."""
        if self.greeted or self._asked is None:
            return None
        if self.acks is not Acks.UNKNOWN:
            if not self._said:
                self._said = True
                self._asked = now
                return "".join(PASSWORD[bit] for bit in self._password)
            if now >= self._asked + PASSWORD_PATIENCE and self._answered():
                self.acks = Acks.ON if self._answers else Acks.OFF
                self._greeted()
            return None
        if self._silent_on_version and now >= self._asked + NAMELESS_AFTER:
            self.nameless = True
            self.acks = Acks.ON
            return self.says(now)
        if not self.foreign and self._hello_errors >= 2 and now >= self._asked + FOREIGN_AFTER:
            self.foreign = True
        if now >= self._asked + AGAIN:
            self._asked = now
            return "version\n"
        return None

    @property
    def _silent_on_version(self) -> bool:
        """Whether each `version` was answered, without one."""
        return not self._versions and not self._hello_errors and self._hello_dones >= 2

    def _answered(self) -> bool:
        """Tell whether as much was heard as the password asks for, be it in another order, or without a `done`."""
        silenced = not self._answers and self._lines >= sum(self._password)
        return silenced or self.acks is Acks.OFF or len(self._answers) == len(self._password)

    def _greeted(self) -> None:
        self.greeted = True
        self.foreign = False
        self._changed()

    # -- what is written

    def _changed(self) -> None:
        closed = not self.greeted or (self.acks is Acks.OFF and self._fences > 0)
        self.full = closed or len(self.written) >= self._most_commands or self._weight >= self._most_prefixes
        if not (self.greeted and self.written):
            self.fence_due = math.inf
        elif self._fences:
            last = next(entry for entry in reversed(self.written) if entry.text == FENCE)
            self.fence_due = last.time + 6 * self._patience
        else:
            self.fence_due = self.written[0].time + (self._patience if self.acks is Acks.ON else 0)

    def wrote(self, text: str, weight: int, now: float, command: Command | None = None) -> None:
        """Take note of a line that was written: how many prefixes are in it, which command of the engine it is."""
        self.written.append(Written(text, weight, now, command))
        self._weight += weight
        if text == FENCE:
            self._fences += 1
        self._changed()

    # -- what is read

    def heard_version(self, text: str, now: float) -> None:
        """Take the answer to `version`: the line that is no `done`."""
        self.version = text
        self.nameless = False
        self._versions += 1
        if self._versions == 2 and not self.greeted:
            self.acks = Acks.ON if self._done_between else Acks.OFF
            self._asked = now

    def heard_answer(self, now: float, *, error: bool) -> Written | None:
        """Take a `done` or `error`; give the command that it answers, None for one of the greeting or of the dead."""
        self._done_between |= self._versions == 1 and not self.greeted
        if self.acks is Acks.UNKNOWN:
            self._hello_errors += error
            self._hello_dones += not error
            if self._silent_on_version:
                self._asked = now
            return None
        if not self.greeted:
            self._asked = now
            self._answers.append(None if error else self._line)
            self._line = 0
            if list(self._answers) == self._password:
                self._greeted()
            return None
        if self.acks is Acks.OFF:
            # Somebody turned them on meanwhile (5.0: enable-ack): from here on they count.
            self.acks = Acks.ON
            self._changed()
        if error:
            self.errors += 1
        return self._take() if self.written else None

    def heard_other(self, now: float) -> None:
        """Take a line of an answer to a process that is dead: more of it may come."""
        if self._asked is not None and self._said and not self.greeted:
            self._asked = now

    def heard_fence(self, now: float) -> list[Written]:
        """Take the first line of the answer to a fence: all that was written before it is executed. Gives that."""
        if not self.greeted:
            self._asked = now
            self._line = 1
            self._lines += self._said
            if self.acks is Acks.OFF and self._lines >= sum(self._password):
                self._greeted()
            return []
        if self._answering:
            # The `done` of the fence before would have come first: somebody turned acks off (5.0: silence-ack).
            self.acks = Acks.OFF
            self.unanswered += 1
            self._take()
        position = next((i for i, entry in enumerate(self.written) if entry.text == FENCE), None)
        if position is None:
            return []
        settled = self._settle(position, answered=self.acks is not Acks.ON)
        self._answering = self.acks is Acks.ON
        if not self._answering:
            self._take()
        return settled

    def unsettled(self) -> list[tuple[Command, str]]:
        """Give the engine's commands that ExaBGP may not have executed, with their lines, in the order of writing."""
        return [(entry.command, entry.text) for entry in self.written if entry.command is not None]

    def greeting_due(self) -> float | None:
        """Give when `says` may say something else though nothing was read."""
        if self.greeted or self._asked is None:
            return None
        if self.acks is not Acks.UNKNOWN:
            if not self._said:
                return self._asked
            return self._asked + PASSWORD_PATIENCE if self._answered() else None
        if self._silent_on_version:
            return self._asked + NAMELESS_AFTER
        waits_for_errors = self._hello_errors >= 2 and not self.foreign
        return self._asked + (FOREIGN_AFTER if waits_for_errors else AGAIN)

    def _take(self) -> Written:
        entry = self.written.popleft()
        self._weight -= entry.weight
        if entry.text == FENCE:
            self._fences -= 1
            self._answering = False
        self._changed()
        return entry

    def _settle(self, count: int, *, answered: bool) -> list[Written]:
        if not answered:
            self.unanswered += count
        return [self._take() for _ in range(count)]
