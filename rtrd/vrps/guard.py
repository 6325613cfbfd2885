"""Whether a change of the VRPs and ASPAs is too large to be applied at once. Pure: no clock, no set.

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


class GuardLimits(NamedTuple):
    """When a change is too much, and how long it is held then."""

    newly_invalid: float
    """Share of all routes that it may turn invalid."""
    shrink: float
    """Share of the VRPs, and of the ASPAs, by which it may shrink their set."""
    hold: float
    """Seconds."""
    path_invalid: float = inf
    """Share of all routes whose path it may turn invalid."""


class Figures(NamedTuple):
    """What a change would do."""

    routes: int
    """All routes."""
    newly_invalid: int
    """Routes that would be invalid and are not."""
    vrps: int
    """In force now."""
    vrps_then: int
    aspas: int = 0
    """In force now."""
    aspas_then: int = 0
    paths_newly_invalid: int = 0
    """Routes whose path would be invalid and is not."""

    def exceed(self, limits: GuardLimits) -> bool:
        """Tell whether it is too much: more than a share, not equal to it."""
        shrinks = any(
            now - then > limits.shrink * now
            for now, then in ((self.vrps, self.vrps_then), (self.aspas, self.aspas_then))
        )
        invalid = self.newly_invalid > limits.newly_invalid * self.routes
        return shrinks or invalid or self.paths_newly_invalid > limits.path_invalid * self.routes


class GuardAction(enum.Enum):
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

    def __init__(self, limits: GuardLimits) -> None:
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

    def changed(self, now: float, *, pending: bool, keep: bool, expires: float = inf) -> GuardAction:
        """Note that a change is pending.

        `pending`: something differs from what is in force. `keep`: what is in force is worth keeping; the first VRPs
        after a start, or after all expired, are never held. `expires`: when what it takes away will be too old.
        """
        if not pending or not keep:
            self._follow()
            return GuardAction.TAKE if pending else GuardAction.NOTHING
        if self.state in ("following", "rejected"):
            self.state = "judging"
            self._began = now
        self._expires = min(self._expires, expires)
        return self.tick(now) if now >= self._expires else GuardAction.JUDGE

    def shrunk(self, *, pending: bool) -> GuardAction:
        """Note that VRPs expired, which no guard holds up: what is pending is another change now."""
        if not pending:
            self._follow()
            return GuardAction.NOTHING
        return GuardAction.JUDGE if self.state in ("judging", "held") else GuardAction.NOTHING

    def judged(self, figures: Figures) -> GuardAction:
        """Note what all that is pending would do."""
        if self.state not in ("judging", "held"):
            return GuardAction.NOTHING
        if not figures.exceed(self.limits):
            return self._take()
        self.holds += self.state != "held"
        self.state = "held"
        self.figures = figures
        return GuardAction.NOTHING

    def change(self, limits: GuardLimits, now: float) -> GuardAction:
        """Go by other limits: what is held is judged again, and its time runs from when it began.

        What an operator rejected stays out until the next change.
        """
        self.limits = limits
        if self.state not in ("judging", "held"):
            return GuardAction.NOTHING
        return self._take() if self.until is not None and now >= self.until else GuardAction.JUDGE

    def tick(self, now: float) -> GuardAction:
        """Note that time has passed."""
        return self._take() if self.until is not None and now >= self.until else GuardAction.NOTHING

    def expired(self) -> GuardAction:
        """Note that what is in force is kept no longer: it is too old, or the guard ends."""
        return self._take() if self.state != "following" else GuardAction.NOTHING

    def check_held(self) -> None:
        """Raise NothingHeldError when nothing is held or was rejected."""
        if self.state not in ("held", "rejected"):
            raise NothingHeldError("no change is held")

    def accept(self) -> GuardAction:
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
            raise NothingHeldError("no change is held")
        self.state = "rejected"

    def _take(self) -> GuardAction:
        self._follow()
        return GuardAction.TAKE

    def _follow(self) -> None:
        self.state = "following"
        self.figures = None
        self._began = self._expires = inf
