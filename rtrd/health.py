"""How the daemon is: one reading of its parts' problems, which status, /healthz, systemd, page and log all repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from rtrd.base import log
from rtrd.base.background import Background
from rtrd.base.registry import Problem, Registry
from rtrd.base.text import counted

EVERY: Final = 1.0
"""Seconds between two looks whether a problem came or went."""

Status = Literal["ok", "degraded", "failed"]

logger = log.get("health")


class HealthReading(NamedTuple):
    """How it is now."""

    status: Status
    """`failed`: no VRPs can be relied on. `degraded`: there are, but something is critical."""
    summary: str
    """The same in a line for people, with the worst problem."""
    problems: Sequence[Problem]
    """The critical ones first, then the oldest first."""

    def answer(self) -> dict[str, Any]:
        """Give it as `health` of the status has it."""
        return {"status": self.status, "summary": self.summary}


def judge(problems: Sequence[Problem], why_unhealthy: str | None) -> HealthReading:
    """Say how it is. `problems`: the critical ones first. `why_unhealthy`: why no VRPs can be relied on, if so."""
    if why_unhealthy is not None:
        others = sum(problem.what != why_unhealthy for problem in problems)
        return HealthReading("failed", f"not healthy: {why_unhealthy}{_and_more(others)}", problems)
    if problems and problems[0].severity == "critical":
        return HealthReading("degraded", f"degraded: {problems[0].what}{_and_more(len(problems) - 1)}", problems)
    warnings = f", {counted(len(problems), 'warning')}" if problems else ""
    return HealthReading("ok", f"ready{warnings}", problems)


def _and_more(count: int) -> str:
    return f"; {counted(count, 'more problem')}" if count else ""


class Health:
    """Reads the problems of one daemon's parts, and logs those that come and go."""

    def __init__(self, registry: Registry, why_unhealthy: Callable[[], str | None]) -> None:
        """Log nothing yet. `why_unhealthy`: says why no VRPs can be relied on; None: they can."""
        self._registry = registry
        self._why_unhealthy = why_unhealthy
        self._known: dict[str, Problem] = {}
        self._background = Background("health")

    def read(self) -> HealthReading:
        """Say how it is now."""
        return judge(self._registry.problems(), self._why_unhealthy())

    def register(self, registry: Registry) -> None:
        """Offer the reading."""
        registry.status_of(
            health=lambda: self.read().answer(), problems=lambda: [one.answer() for one in registry.problems()]
        )
        registry.metric(
            "rtrd_healthy", "1 while /healthz answers 200: ready, and not all VRPs past their expiry.",
            lambda: self._why_unhealthy() is None,
        )  # fmt: skip
        registry.metric("rtrd_problems", "Problems that the status lists.", self._counts, ("severity",))

        registry.metric(
            "rtrd_state_fault", "1 while something can't be read from the state folder, or written there.",
            registry.state_samples, ("name",),
        )  # fmt: skip

    def _counts(self) -> list[tuple[tuple[object, ...], float | None]]:
        found = [problem.severity for problem in self._registry.problems()]
        return [((severity,), found.count(severity)) for severity in ("critical", "warning")]

    def start(self) -> None:
        """Log the problems that come and go from now on."""
        self._background.start(self._run)

    def close(self) -> None:
        """Log no more."""
        self._background.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                self.look()
            except Exception:
                logger.exception("problems could not be read; rtrd will look again")

    def look(self) -> None:
        """Log what came and what went since the last look."""
        before, self._known = self._known, {one.key or one.what: one for one in self._registry.problems()}
        for key, problem in self._known.items():
            if key not in before and not problem.logged:
                say = logger.error if problem.severity == "critical" else logger.warning
                say("problem", what=problem.what, severity=problem.severity)
        for key, problem in before.items():
            if key not in self._known and not problem.logged:
                logger.info("problem is over", what=problem.what, severity=problem.severity)
