"""The window of unanswered commands: counts what was written and is not answered, and bounds it. Pure.

ExaBGP takes commands into an unbounded list, so how much it has is ours to bound. It answers `done` or `error` to each
(acks on), or nothing (acks off), and 4.2 sometimes never answers one. What always comes, in order behind the commands
before it, is the text of `show neighbor summary`: that is the fence. Without acks every window is closed by one; with
acks one is sent when an answer is overdue, and settles what it overtook.

Which it is shows at the start: `version` is answered at once in both, and only with acks a `done` comes between two.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import NamedTuple

from rtrd.rib.terms import Command

FENCE = "show neighbor summary\n"
HELLO = "# rtrd\nversion\nversion\n"
"""Begins with a comment: 4.2 puts what a killed process left of a line before it, which is then no command."""

FENCE_HEADER = "Peer "
"""How the answer to FENCE begins, in both versions."""

REFILL = 0.1
"""Seconds for which a window lasts where nobody answers."""


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

    def __init__(self, commands: int = 16, prefixes: int = 800, patience: float = 5.0, silence: float = 1.0) -> None:
        self._most_commands = commands
        self._most_prefixes = prefixes
        self._patience = patience
        self._silence = silence
        self.written: deque[Written] = deque()
        """What is not settled yet, in the order of writing."""
        self._weight = 0
        self._fences = 0
        self._answering = False  # the first fence: its text came, its `done` is due
        self._versions = 0
        self._done_between = False
        self._hello_owed = False
        self._started: float | None = None
        self._refill = 0.0
        self.acks = Acks.UNKNOWN
        self.full = False
        """Nothing more may be written; see `room`."""
        self.version: str | None = None
        self.errors = 0
        self.unanswered = 0
        """Commands that were settled by a fence though acks are on: answers that never came."""

    def start(self, now: float) -> str:
        """Give what is written first."""
        self._started = now
        self._refill = now
        return HELLO

    # -- what is written

    def room(self, now: float) -> bool:
        """Tell whether a command may be written now."""
        if self.acks is Acks.UNKNOWN and self._started is not None and now >= self._refill_due():
            # Nobody answers at all: a window each tenth of a second is less than the slowest ExaBGP executes.
            self._refill = now
            self._settle(len(self.written), answered=True)
        return not self.full

    def _changed(self) -> None:
        closed = self.acks is Acks.OFF and self._fences > 0
        self.full = closed or len(self.written) >= self._most_commands or self._weight >= self._most_prefixes

    def wrote(self, text: str, weight: int, now: float, command: Command | None = None) -> None:
        """Take note of a line that was written: how many prefixes are in it, which command of the engine it is."""
        self.written.append(Written(text, weight, now, command))
        self._weight += weight
        if text == FENCE:
            self._fences += 1
        self._changed()

    def fence(self, now: float) -> bool:
        """Tell whether a fence is to be written now (and then told to `wrote`)."""
        if self.acks is Acks.UNKNOWN or not self.written:
            return False
        return now >= self._fence_due()

    def _fence_due(self) -> float:
        last_fence = next((entry for entry in reversed(self.written) if entry.text == FENCE), None)
        if last_fence is not None:
            return last_fence.time + 6 * self._patience
        return self.written[0].time + (self._patience if self.acks is Acks.ON else 0)

    @property
    def greeted(self) -> bool:
        """Whether it is known how this ExaBGP answers."""
        return self.acks is not Acks.UNKNOWN

    # -- what is read

    def heard_version(self, text: str) -> None:
        """Take the answer to `version`: the line that is no `done`."""
        self.version = text
        self._versions += 1
        if self._versions == 2:
            self.acks = Acks.ON if self._done_between else Acks.OFF
            self._hello_owed = self._done_between
            self._changed()

    def heard_answer(self, *, error: bool) -> Written | None:
        """Take a `done` or `error`; give the command that it answers, None for one of the start."""
        if self._versions < 2:
            self._done_between = True
            return None
        if self._hello_owed:
            self._hello_owed = False
            return None
        if self.acks is Acks.OFF:
            # Somebody turned them on meanwhile (5.0: enable-ack): from here on they count.
            self.acks = Acks.ON
            self._changed()
        if error:
            self.errors += 1
        return self._take() if self.written else None

    def heard_fence(self) -> list[Written]:
        """Take the first line of the answer to a fence: all that was written before it is executed. Gives that."""
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

    def deadline(self) -> float | None:
        """Give when `room` or `fence` may say something else though nothing was read."""
        if not self.written:
            return None
        return self._refill_due() if self.acks is Acks.UNKNOWN else self._fence_due()

    def _refill_due(self) -> float:
        return max((self._started or 0.0) + self._silence, self._refill + REFILL)

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
