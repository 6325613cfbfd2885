"""The guard of VRPs and ASPAs: changes that would do too much are held until they may be applied (rtrd.vrps.guard).

Judging goes over the routes that the change covers, in slices between which the loop does its other work. What is held
costs no memory: the set itself knows what is in force and what is pending. Everything is a task of the set's queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator, Iterator
from math import inf
from typing import Any, Final, Protocol, get_args

from rtrd.base import log
from rtrd.base.clock import Clock, timestamp
from rtrd.base.registry import Problem, Registry
from rtrd.base.text import counted
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.guard import Figures, Guard, GuardAction, GuardLimits, NothingHeldError, State
from rtrd.vrps.task_queue import TaskQueue
from rtrlib import aspas
from rtrlib.vrp_set import Apply, VRPChanges, VRPSet

BUDGET: Final = 2000
"""Routes that are judged in one go: some milliseconds."""
MOST_LISTED: Final = 16384
"""Changed VRPs that are remembered one by one; beyond that all routes are looked at."""

TICK: Final = 1.0
"""Most seconds between two looks at the clock while there is a time to wait for."""

_OFF: Final = GuardLimits(newly_invalid=inf, shrink=inf, hold=0)
"""Which nothing is judged by."""

logger = log.get("guard")


class Impact(Protocol):
    """What all that is pending in the VRP set would do to the routes of every router."""

    def work(self, budget: int) -> bool:
        """Look at about `budget` more routes. True: there are more."""

    @property
    def routes(self) -> int:
        """How many routes there are."""

    @property
    def newly_invalid(self) -> int:
        """How many of those looked at would become invalid."""


class _NoPaths:
    """Where no path is judged."""

    routes = newly_invalid = 0

    def work(self, budget: int) -> bool:  # noqa: ARG002 - there is nothing to do
        return False


class Guarding:
    """The guard of one VRP set, whose changes are pending until they are taken, as long as there are limits."""

    def __init__(
        self,
        limits: GuardLimits | None,
        vrp_set: VRPSet,
        task_queue: TaskQueue,
        impact: Callable[[VRPChanges | None], Impact],
        took: Callable[[VRPChanges], None],
        *,
        path_impact: Callable[[bytes], Impact] = lambda _: _NoPaths(),
        aspa_set: ASPASet | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Join the sets and all that changes them. `limits`: None while every change is in force at once.

        `impact`: looks at the routes that these pending VRPs cover, or at all routes. `took`: what was held, or took
        long to judge, is in force now. `path_impact`: looks at the paths that these changes of ASPAs (rtrlib.aspas) are
        about.
        """
        self.guard = Guard(limits or _OFF)
        self.enabled = limits is not None
        """There are limits."""
        self._vrp_set = vrp_set
        self._aspa_set = aspa_set or ASPASet()
        self._task_queue = task_queue
        self._impact = impact
        self._path_impact = path_impact
        self._took = took
        self._clock = clock or Clock()
        self._listed: VRPChanges | None = VRPChanges()  # all that is pending; None: too much to list
        self._causes: list[str] = []
        self._accepted = ""
        self._judged_at = 0.0  # when it was known what all that is pending would do (steady)
        self._good: dict[int, float] = {}  # until when the VRPs of a source count
        self._judging: list[Impact] = []  # of VRPs, then of ASPAs
        self._slice: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        vrp_set.defer(defer=self.enabled)

    @property
    def pending(self) -> bool:
        """Something the caches or the SLURM files say is not in force, yet or at all."""
        return self.guard.state != "following"

    @property
    def cause(self) -> str:
        """Who brought about what is held, or was taken last."""
        return ", ".join(self._causes) + self._accepted

    @property
    def until(self) -> float | None:
        """When what is held is applied at the latest (Unix time); None: nothing is held, or no time is set."""
        if self.guard.figures is None or self.guard.until is None:
            return None
        return self._clock.date_of(self.guard.until)

    def confirmed(self, source: int, seconds: float) -> None:
        """Note that a source said a moment ago what VRPs it has, which count for so long."""
        self._good[source] = self._clock.steady() + seconds

    def forget(self, source: int) -> None:
        """Note that a source has no VRPs now: what it says next, or another with its number, takes none away."""
        self._good.pop(source, None)

    # -- what happens

    def submit(
        self, changes: VRPChanges, cause: str, sources: Collection[int], *, keep: bool, aspas: bool = False
    ) -> Apply:
        """Take a pending change, as a part of a task; give which VRPs are in force because of it.

        `cause`: who, for people. `sources`: whose VRPs it may take away. `keep`: see Guard.changed. `aspas`: other
        ASPAs are due, too; they are in force when nothing is pending any more.
        """
        if not (len(changes) or aspas) or not self.enabled:
            return changes
        state = self.guard.state
        self._note(changes, cause)
        expires = min((self._good.get(source, inf) for source in sources), default=inf)
        pending = self._something_waits()
        action = self.guard.changed(self._clock.steady(), pending=pending, keep=keep, expires=expires)
        if not pending and state in ("held", "rejected"):
            logger.info("the held change is gone: what is in force is what the caches say")
        return (yield from self._do(action, ""))

    def dropped(self) -> Apply:
        """Note that VRPs which expired were dropped; give what else is in force because of it."""
        return (yield from self._do(self.guard.shrunk(pending=self._something_waits()), ""))

    def expired(self) -> Apply:
        """Note that all that is in force is too old; give what is in force instead."""
        return (yield from self._do(self.guard.expired(), "what was in force is past the expire interval"))

    def accept(self, by: str = "an operator") -> None:
        """Take what is held; `by`: who wants it. Raises NothingHeldError."""
        self.guard.check_held()
        self._task_queue.do(self._accept(by))

    def reject(self, by: str = "an operator") -> None:
        """Keep what is in force; `by`: who wants it. Raises NothingHeldError."""
        self.guard.reject()
        self._stop_judging()
        self._set_timer()
        text = "the held change is rejected; what is in force stays until the next change"
        logger.warning(text, by=by, **self._fields())

    def change(self, limits: GuardLimits | None) -> None:
        """Go by other limits; None: by none, and all that is held is in force at once."""
        self._task_queue.do(self._change(limits))

    def tick(self) -> None:
        """Do what is due; called by its own timer."""
        self._task_queue.do(self._tick())

    def register(self, registry: Registry) -> None:
        """Offer what is held."""
        registry.status_of(guard=lambda: self.status() if self.enabled else None)
        registry.problems_of(self._problems)
        registry.metric(
            "rtrd_guard_state", "1 for the state that the guard is in.",
            lambda: [((state,), self.guard.state == state) for state in get_args(State) if self.enabled], ("state",),
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_holds_total", "Changes of the VRPs that were held.",
            lambda: self.guard.holds if self.enabled else None,
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_newly_invalid_routes", "Routes that the held change would turn invalid.",
            lambda: getattr(self.guard.figures, "newly_invalid", None),
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_newly_invalid_paths", "Routes whose paths the held change would turn invalid.",
            lambda: getattr(self.guard.figures, "paths_newly_invalid", None),
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_due_aspas", "Customers whose ASPAs are in force once the held change is applied.",
            lambda: getattr(self.guard.figures, "aspas_then", None),
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_due_vrps", "VRPs in force once the held change is applied.",
            lambda: getattr(self.guard.figures, "vrps_then", None),
        )  # fmt: skip
        registry.metric(
            "rtrd_guard_until_timestamp_seconds", "When the held change is applied at the latest.", lambda: self.until
        )

    def _problems(self) -> Iterator[Problem]:
        guard, figures, until = self.guard, self.guard.figures, self.until
        if figures is None:
            return
        end = "" if until is None else f" until {timestamp(until)}"
        of_aspas = self._aspa_set.pending
        of_vrps = bool(self._vrp_set.pending) or not of_aspas
        routes = counted(figures.routes, "route")
        would = []
        if of_vrps:
            vrps = counted(figures.vrps_then, "VRP")
            would.append(f"turn {figures.newly_invalid} of {routes} invalid, with {vrps} instead of {figures.vrps}")
        if of_aspas:
            those = counted(figures.aspas_then, "ASPA")
            paths = f"turn the paths of {figures.paths_newly_invalid} of {routes} invalid"
            would.append(f"{paths}, with {those} instead of {figures.aspas}")
        would[-1] += f" (judged at {self._judged})"
        what = "rejected" if guard.state == "rejected" else "held"
        of = " and ".join(["VRPs"] * of_vrps + ["ASPAs"] * of_aspas)
        text = f"a change of the {of} by {self.cause} is {what}{end}: it would {', and '.join(would)}"
        yield Problem(text, None, "warning", f"guard {what}")

    def close(self) -> None:
        """Stop judging; what is pending stays so."""
        self._stop_judging()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def status(self) -> dict[str, Any]:
        """Say what is held: for how long (seconds, and the time at which it ends), why, and what it would do."""
        guard, figures, until = self.guard, self.guard.figures, self.until
        if figures is None:
            return {"state": guard.state, "held": None}
        return {
            "state": guard.state,
            "held": {
                "cause": list(self._causes),
                **figures._asdict(),
                "judged": self._judged,
                "seconds_left": None if until is None else max(0, round(until - self._clock.wall())),
                "until": None if until is None else timestamp(until),
            },
        }

    # -- inside

    @property
    def _judged(self) -> str:
        """When the figures were true: routes come and go, and are not looked at again for what is held."""
        return timestamp(self._clock.date_of(self._judged_at))

    def _something_waits(self) -> bool:
        return bool(self._vrp_set.pending) or self._aspa_set.pending

    def _note(self, changes: VRPChanges, cause: str) -> None:
        if not self.pending:
            self._listed = VRPChanges()
            self._causes.clear()
        if cause not in self._causes:
            self._causes.append(cause)
        if self._listed is not None and len(self._listed) + len(changes) <= MOST_LISTED:
            self._listed.add(changes)
        else:
            self._listed = None

    def _do(self, action: GuardAction, why: str) -> Apply:
        """Do what the guard says, with its first slice; give what is in force because of it."""
        taken = VRPChanges()
        if action is not GuardAction.NOTHING:
            self._stop_judging()
        if action is GuardAction.JUDGE:
            self._judging = [self._impact(self._listed)]
            if self._aspa_set.pending:
                change = aspas.changes(self._aspa_set.effective, self._aspa_set.due)
                self._judging.append(self._path_impact(change))
            taken = yield from self._judge()
        elif action is GuardAction.TAKE:
            taken = yield from self._take(why)
        self._set_timer()
        return taken

    def _accept(self, by: str) -> Generator[None]:
        try:
            action = self.guard.accept()
        except NothingHeldError:
            logger.info("the change that was accepted is no longer held", by=by)
            return
        self._accepted = f"; {by} accepted it"
        try:
            yield from self._later(action, f"{by} accepted it")
        finally:
            self._accepted = ""

    def _change(self, limits: GuardLimits | None) -> Generator[None]:
        if limits is not None:
            self._vrp_set.defer(defer=True)
            self.enabled = True
            yield from self._later(self.guard.change(limits, self._clock.steady()), "it is longer than `hold` is now")
            return
        yield from self._later(self.guard.expired(), "the guard was removed from the configuration")
        self._vrp_set.defer(defer=False)
        self.enabled = False

    def _tick(self) -> Generator[None]:
        rejected = self.guard.state == "rejected"
        why = "what was in force would be too old" if rejected else "its time is over"
        yield from self._later(self.guard.tick(self._clock.steady()), why)

    def _later(self, action: GuardAction, why: str) -> Generator[None]:
        self._tell((yield from self._do(action, why)))

    def _tell(self, taken: VRPChanges) -> None:
        if len(taken) or (self._aspa_set.pending and not self.pending):
            self._took(taken)

    def _take(self, why: str) -> Apply:
        if why:
            logger.warning("the held change is applied", why=why, cause=self.cause)
        taken = yield from self._vrp_set.apply_pending(self._listed)
        if self._vrp_set.pending:  # this can't happen; but what is pending by mistake would stay so for good
            logger.error("some VRPs were not applied with their change; they are now", vrps=self._vrp_set.pending)
            taken.add((yield from self._vrp_set.apply_pending()))
        return taken

    def _judge(self) -> Apply:
        """Do a slice; with the last one, what follows."""
        self._slice = None
        impacts = self._judging
        if not impacts:  # it was ended while this waited for its turn
            return VRPChanges()
        if any(impact.work(BUDGET) for impact in impacts):
            self._slice = asyncio.get_running_loop().call_soon(self._go_on)
            return VRPChanges()
        vrp_set = self._vrp_set
        figures = Figures(
            routes=impacts[0].routes,
            newly_invalid=impacts[0].newly_invalid,
            vrps=vrp_set.count(4) + vrp_set.count(6),
            vrps_then=vrp_set.due(4) + vrp_set.due(6),
            aspas=aspas.count(self._aspa_set.effective),
            aspas_then=aspas.count(self._aspa_set.due),
            paths_newly_invalid=sum(impact.newly_invalid for impact in impacts[1:]),
        )
        self._stop_judging()
        self._judged_at = self._clock.steady()
        held = self.guard.state == "held"
        action = self.guard.judged(figures)
        if action is GuardAction.TAKE:
            return (yield from self._take("it is within the limits by now" if held else ""))
        if not held and self.pending:
            logger.warning("a change of VRPs or ASPAs is held: accept or reject it", **self._fields())
        return VRPChanges()

    def _go_on(self) -> None:
        self._task_queue.do(self._go_on_judging())

    def _go_on_judging(self) -> Generator[None]:
        taken = yield from self._judge()
        self._set_timer()
        self._tell(taken)

    def _stop_judging(self) -> None:
        self._judging = []
        if self._slice is not None:
            self._slice.cancel()
            self._slice = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.guard.until is not None:
            seconds = min(TICK, max(0.0, self.guard.until - self._clock.steady()))
            self._timer = asyncio.get_running_loop().call_later(seconds, self.tick)

    def _fields(self) -> dict[str, Any]:
        held = self.status()["held"] or {}
        return {**held, "cause": self.cause}
