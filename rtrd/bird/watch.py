"""BIRD audited now and then; the last audit, for status and metrics. The loop never waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import msgspec

from rtrd.base import apart, log
from rtrd.base.background import lasting
from rtrd.base.clock import timestamp
from rtrd.base.registry import Problem, Registry
from rtrd.base.shortages import shortage
from rtrd.bird.limits import TIME
from rtrd.bird.replies import BirdError
from rtrd.bird.worker import AuditResult
from rtrd.config import Bird
from rtrd.vrps.copying import copy
from rtrlib.vrp_set import VRPSet

LIMIT: Final = TIME + 90.0
"""Seconds after which an audit's process is ended, should it not end by itself."""
ATTEMPTS: Final = 2
"""How often an audit is tried when the VRPs changed during it and its check found a difference."""
NOTIFY: Final = 90.0
"""Seconds after which BIRD should have what it lacked: RTR notifies at most once a minute."""
RETRY: Final = 30.0
"""Seconds until a BIRD is looked at again that could not be: it may be back at once."""
SETTLE: Final = 1.0
"""Seconds between two looks whether there are VRPs yet."""

logger = log.get("bird")


class Watch:
    """Repeats the audit of one BIRD. A BIRD that is away, restarts or hangs is a fault in the status, nothing more."""

    def __init__(self, settings: Bird, vrp_set: VRPSet, ready: Callable[[], bool]) -> None:
        """Look at nothing before `ready` says that the VRPs can be relied on."""
        self._settings = settings
        self._vrp_set = vrp_set
        self._ready = ready
        self._task: asyncio.Task[None] | None = None
        self.found: AuditResult | None = None
        """What the last audit that succeeded found."""
        self.date: float | None = None
        """When that was; Unix time."""
        self.seconds: float | None = None
        """How long it took."""
        self.fault: str | None = None
        """Why the last one failed; None: it didn't."""

        self._differs_since: float | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(lasting("bird", self._run), name="bird")

    async def close(self) -> None:
        """End, and end the process of an audit."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def register(self, registry: Registry) -> None:
        """Offer what the last audit found."""
        registry.status_of(bird=self.status)
        registry.problems_of(self._problems)
        registry.metric(
            "rtrd_bird_up", "1 if the last audit of BIRD succeeded.",
            lambda: self.found is not None and self.fault is None,
        )  # fmt: skip
        registry.metric(
            "rtrd_bird_audit_timestamp_seconds", "When the last audit of BIRD that succeeded ended.", lambda: self.date
        )
        registry.metric("rtrd_bird_audit_seconds", "How long it took.", lambda: self.seconds)
        registry.metric(
            "rtrd_bird_routes", "Accepted routes in BIRD's tables.",
            lambda: [((word,), count) for word, count in self._counts("routes").items()], ("validity",),
        )  # fmt: skip
        registry.metric(
            "rtrd_bird_invalid_routes", "Invalid ones, by what else leads to their prefixes.",
            lambda: [((word,), count) for word, count in self._counts("covers").items()], ("cover",),
        )  # fmt: skip
        registry.metric(
            "rtrd_bird_vrps", "VRPs in BIRD's ROA tables.", lambda: None if self.found is None else self.found.vrps
        )
        registry.metric(
            "rtrd_bird_vrps_wrong", "VRPs in which BIRD's ROA tables differ from ours.",
            lambda: [] if self.found is None else [(("missing",), self.found.missing), (("extra",), self.found.extra)],
            ("difference",),
        )  # fmt: skip

    def _problems(self) -> Iterator[Problem]:
        if self.fault is not None:
            yield Problem(f"BIRD can't be audited: {self.fault}", None, "warning", "audit")
        found, date, differs = self.found, self.date, self._differs_since
        if found is not None and date is not None and differs is not None and date - differs >= NOTIFY:
            what = f"BIRD's ROA tables are not the VRPs: {found.missing} are missing, {found.extra} are too many"
            yield Problem(what, differs, "warning", "tables")

    def _counts(self, what: Literal["routes", "covers"]) -> dict[str, int]:
        return {} if self.found is None else getattr(self.found, what)

    def status(self) -> dict[str, Any]:
        """Give what is known, for `rtrd status`."""
        found = None if self.found is None else msgspec.to_builtins(self.found)
        return {
            "socket": str(self._settings.socket),
            "every": self._settings.every,
            "last_audit": None if self.date is None else timestamp(int(self.date)),
            "seconds": self.seconds,
            "fault": self.fault,
            "found": found,
        }

    async def _run(self) -> None:
        while True:
            while not self._ready():  # noqa: ASYNC110 - the daemon's state has no event, and there is no hurry
                await asyncio.sleep(SETTLE)
            began = time.monotonic()
            await self._look()
            await asyncio.sleep(self.pause(time.monotonic() - began))

    def pause(self, took: float) -> float:
        """Give the seconds until the next audit. One that failed is tried again soon, but not if it took long."""
        every = float(self._settings.every)
        return every if self.fault is None else min(every, max(RETRY, 10 * took))

    async def _look(self) -> None:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT):
                found = await self._audit()
        except BirdError as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed(f"the audit took more than {LIMIT:g} s")
        except Exception as error:
            if (why := shortage(error)) is None:
                logger.exception("BIRD can't be audited")
            self._failed(why or "rtrd failed to audit BIRD; its log says why")
        else:
            if self.fault is not None or self.found is None:
                logger.info("BIRD audited", routes=sum(found.routes.values()), invalid=found.routes["invalid"])
            self.found, self.fault = found, None
            self.date, self.seconds = time.time(), round(time.monotonic() - begin, 3)
            differs = found.missing or found.extra
            self._differs_since = (self._differs_since or self.date) if differs else None

    async def _audit(self) -> AuditResult:
        for attempt in range(1, ATTEMPTS + 1):
            vrps = await copy(self._vrp_set)
            generation = self._vrp_set.generation
            output = await apart.run("rtrd.bird.worker", str(self._settings.socket), BirdError, vrps)
            found = msgspec.json.decode(output, type=AuditResult)
            changed = self._vrp_set.generation != generation
            if attempt == ATTEMPTS or not (changed and (found.missing or found.extra)):
                break
        return found

    def _failed(self, why: str) -> None:
        if why != self.fault:
            logger.error("BIRD can't be audited", why=why)
        self.fault = why
