"""Whether a change of the VRPs is too large to be applied at once. Pure: no clock, no set.

A change is pending until it is judged, and applied at once when it is harmless. One that would turn too many routes
invalid, or shrink the set too much, is held: what is in force stays, until the time is over, an operator decides, or
what is in force would be too old. Changes that follow join it, and the whole is judged again: when it is harmless by
then it is applied, when nothing is left of it the hold is over. The time never starts again: a chatty cache prolongs
nothing.
"""

from __future__ import annotations

import enum
from math import inf
from typing import Literal, NamedTuple

State = Literal["following", "judging", "held", "rejected"]
"""`following`: nothing is pending. `rejected`: an operator keeps what is in force, until the next change."""


class Limits(NamedTuple):
    """When a change is too much, and how long it is held then."""

    newly_invalid: float
    """Share of all routes that it may turn invalid."""
    shrink: float
    """Share of the VRPs by which it may shrink the set."""
    hold: float
    """Seconds."""


class Figures(NamedTuple):
    """What a change would do."""

    routes: int
    """All routes."""
    newly_invalid: int
    """Routes that would be invalid and are not."""
    vrps: int
    """In force now."""
    vrps_then: int

    def exceed(self, limits: Limits) -> bool:
        """Tell whether it is too much: more than a share, not equal to it."""
        shrinks = self.vrps - self.vrps_then > limits.shrink * self.vrps
        return shrinks or self.newly_invalid > limits.newly_invalid * self.routes


class Action(enum.Enum):
    """What is to be done after an event."""

    NOTHING = enum.auto()
    JUDGE = enum.auto()
    """Find out, from the beginning, what all that is pending would do, and report it (`judged`)."""
    TAKE = enum.auto()
    """Put all that is pending into force."""


class NothingHeldError(Exception):
    """There is nothing to accept or reject; the text says how things are."""


class Guard:
    """The state of one VRP set's changes. Times are seconds of any clock that never goes back."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state: State = "following"
        self.figures: Figures | None = None
        """Of what is held or rejected, as it was judged last."""
        self.holds = 0
        """How many changes were held so far."""
        self._began = inf
        self._expires = inf

    @property
    def until(self) -> float | None:
        """When what is held will be applied at the latest; None: nothing is held, or no time is set."""
        at = min(self._expires, inf if self.state == "rejected" else self._began + self.limits.hold)
        return None if at == inf else at

    def changed(self, now: float, *, pending: bool, keep: bool, expires: float = inf) -> Action:
        """Note that a change is pending.

        `pending`: something differs from what is in force. `keep`: what is in force is worth keeping; the first VRPs
        after a start, or after all expired, are never held. `expires`: when what it takes away will be too old.
        """
        if not pending or not keep:
            self._follow()
            return Action.TAKE if pending else Action.NOTHING
        if self.state in ("following", "rejected"):
            self.state = "judging"
            self._began = now
        self._expires = min(self._expires, expires)
        return self.tick(now) if now >= self._expires else Action.JUDGE

    def shrunk(self, *, pending: bool) -> Action:
        """Note that VRPs expired, which no guard holds up: what is pending is another change now."""
        if not pending:
            self._follow()
            return Action.NOTHING
        return Action.JUDGE if self.state in ("judging", "held") else Action.NOTHING

    def judged(self, figures: Figures) -> Action:
        """Note what all that is pending would do."""
        if self.state not in ("judging", "held"):
            return Action.NOTHING
        if not figures.exceed(self.limits):
            return self._take()
        self.holds += self.state != "held"
        self.state = "held"
        self.figures = figures
        return Action.NOTHING

    def change(self, limits: Limits, now: float) -> Action:
        """Go by other limits: what is held is judged again, and its time runs from when it began.

        What an operator rejected stays out until the next change.
        """
        self.limits = limits
        if self.state not in ("judging", "held"):
            return Action.NOTHING
        return self._take() if self.until is not None and now >= self.until else Action.JUDGE

    def tick(self, now: float) -> Action:
        """Note that time has passed."""
        return self._take() if self.until is not None and now >= self.until else Action.NOTHING

    def expired(self) -> Action:
        """Note that what is in force is kept no longer: it is too old, or the guard ends."""
        return self._take() if self.state != "following" else Action.NOTHING

    def check_held(self) -> None:
        """Raise NothingHeldError when nothing is held or was rejected."""
        if self.state not in ("held", "rejected"):
            raise NothingHeldError("no VRP change is held")

    def accept(self) -> Action:
        """Take what is held or was rejected, as an operator says. Raises NothingHeldError."""
        self.check_held()
        return self._take()

    def reject(self) -> None:
        """Keep what is in force, as an operator says. Raises NothingHeldError.

        The next change is judged with what was rejected still pending, for the caches still say it.
        """
        if self.state == "rejected":
            raise NothingHeldError("the change is already rejected; the next one will be judged with it")
        if self.state != "held":
            raise NothingHeldError("no VRP change is held")
        self.state = "rejected"

    def _take(self) -> Action:
        self._follow()
        return Action.TAKE

    def _follow(self) -> None:
        self.state = "following"
        self.figures = None
        self._began = self._expires = inf
