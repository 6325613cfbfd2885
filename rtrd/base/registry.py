"""What the parts of a daemon offer: each registers its metrics, its status, its problems, and settings that can change.

Nothing is counted or kept here: every number exists where it belongs, and is read when somebody asks. Prometheus'
rules: base units in the name, `_total` for counters and nothing else, timestamps instead of ages, no label whose values
have no bound. docs/metrics.md has a row for each metric.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from prometheus_client import Histogram, disable_created_metrics
from prometheus_client import Metric as Family
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from rtrd.base.clock import timestamp
from rtrd.base.text import counted, printable
from rtrd.base.turn import SharedTurn

Samples = Iterable[tuple[tuple[object, ...], float | None]]
"""Values of the labels, and the number; None: there is none now."""

MOST_NEIGHBORS: Final = 1000
"""Of a router; the others have no series of their own, so that a scrape stays bounded."""

MOST_PROBLEMS: Final = 20
"""Of one part; those beyond are counted, so that a thousand sessions that are down fill no screen."""

_FAMILIES: Final = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metric(NamedTuple):
    """A metric: its name as it is scraped, and what gives its samples in microseconds, on the event loop."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[], Any]
    """Gives Samples; one number (or None) where there are no labels; a family of prometheus_client for a histogram."""

    def family(self) -> Iterator[Family | None]:
        """Read it now; before it None comes after each sample, where the loop may turn."""
        if self.kind == "histogram":
            yield cast("Family", self.read())
            return
        family: GaugeMetricFamily | CounterMetricFamily = _FAMILIES[self.kind](self.name, self.help, labels=self.labels)
        for labels, value in self.read() if self.labels else (((), self.read()),):
            if value is not None:
                family.add_metric([printable(str(label)) for label in labels], value)
            yield None
        yield family


class Setting(NamedTuple):
    """Keys of the configuration (`policy`, `caches.refresh`) that a reload changes, and what takes their values."""

    keys: tuple[str, ...]
    apply: Callable[..., Awaitable[None] | None]


class Problem(NamedTuple):
    """What an operator should know, as its part sees it now."""

    what: str
    """A sentence without a full stop."""
    since: float | None
    """Unix time; None: it is the registry that notes when it sees the problem first."""
    severity: Literal["warning", "critical"]
    """Critical: routes may be judged wrongly, or not at all."""
    key: str = ""
    """What tells it from the part's other problems, if its words change while it is the same."""
    logged: bool = False
    """Its part has a line in the log for it, with more in it."""

    def answer(self) -> dict[str, str]:
        """Give it as `problems` of the status has it (a contract of DESIGN)."""
        return {"what": printable(self.what), "since": timestamp(self.since or 0), "severity": self.severity}


Explain: TypeAlias = Callable[[dict[str, str]], tuple[Problem | None, dict[str, str]]]
"""Takes the faults of parts, by their names; gives the problem of the state folder, and those that it leaves."""


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Give critical problems first, then the oldest first."""
    return sorted(problems, key=lambda problem: (problem.severity != "critical", problem.since or 0, problem.what))


class Registry:
    """What the parts of one daemon registered."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """Know of no part yet. `wall`: seconds since 1970."""
        self.metrics: list[Metric] = []
        self.settings: list[Setting] = []
        """In the order in which a reload applies them; only the first may refuse."""
        self._status: dict[str, Callable[[], Any]] = {}
        self._kept: dict[str, tuple[Callable[[], str | None], Callable[[], None]]] = {}
        """Of each part that keeps something in the state folder: its fault, and what has it try again."""
        self._folder_fault: Callable[[], str | None] | None = None
        self._explain: Explain = lambda faults: (None, faults)
        self._problems: list[Callable[[], Iterable[Problem]]] = []
        self._making = asyncio.Lock()
        self._next_status: asyncio.Future[Mapping[str, Any]] | None = None
        self._wall = wall
        self._seen: dict[tuple[int, str], float] = {}
        """When each problem that does not say it was seen first."""

    def metric(
        self, name: str, text: str, read: Callable[[], float | Samples | None], labels: tuple[str, ...] = ()
    ) -> None:
        """Offer a number that goes up and down, or, by the name's `_total`, one that only grows."""
        self.metrics.append(Metric(name, "counter" if name.endswith("_total") else "gauge", text, labels, read))

    def histogram(self, name: str, text: str, labels: tuple[str, ...], histogram: Histogram) -> None:
        """Offer how often something took how long."""
        self.metrics.append(Metric(name, "histogram", text, labels, lambda: next(iter(histogram.collect()))))

    def on_reload(self, apply: Callable[..., Awaitable[None] | None], *keys: str) -> None:
        """Let a reload change these keys: `apply` takes their values, in this order, when one of them differs."""
        self.settings.append(Setting(keys, apply))

    def status_of(self, **parts: Callable[[], Any]) -> None:
        """Offer parts of the status, by their names in the JSON.

        One that may be long gives an iterator: of its items, and of None where the loop may turn besides.
        """
        self._status.update(parts)

    def problems_of(self, read: Callable[[], Iterable[Problem]]) -> None:
        """Offer a part's problems: `read` gives those that it has now."""
        self._problems.append(read)

    def kept_in_state(self, name: str, fault: Callable[[], str | None], again: Callable[[], None]) -> None:
        """Offer why what a part keeps in the state folder can't be read or written now; None: it can.

        `again`: has the part try now what failed.
        """
        if not self._kept:
            self.problems_of(self._state_problems)
        self._kept[name] = fault, again

    def state_folder(self, fault: Callable[[], str | None], explain: Explain) -> None:
        """Offer why nothing can be kept in the state folder (None: it can), and which faults that explains."""
        self._folder_fault, self._explain = fault, explain

    def state_faults(self) -> dict[str, str]:
        """Give why what parts keep in the state folder can't be read or written, by their names."""
        return {name: why for name, (fault, _) in self._kept.items() if (why := fault()) is not None}

    def retry_state(self) -> None:
        """Have those that fail try again now."""
        for name in self.state_faults():
            self._kept[name][1]()

    def state_samples(self) -> list[tuple[tuple[object, ...], float | None]]:
        """Give 1 for each part that has such a fault, 0 for the others."""
        faults = self.state_faults()
        folder = [] if self._folder_fault is None else [(("folder",), self._folder_fault() is not None)]
        return [*folder, *(((name,), name in faults) for name in self._kept)]

    def _state_problems(self) -> Iterator[Problem]:
        """Give the folder's, or one for each reason, however many parts have it."""
        folder, unexplained = self._explain(self.state_faults())
        if folder is not None:
            yield folder
        faults: dict[str, list[tuple[str, str]]] = {}
        for name, why in unexplained.items():
            faults.setdefault(why.rpartition(": ")[2], []).append((name, why))
        for reason, same in faults.items():
            names = ", ".join(name for name, _ in same)
            yield Problem(f"{names} in the state folder: {same[0][1]}", None, "warning", f"state {reason}")

    def problems(self) -> list[Problem]:
        """Give what every part finds wrong: critical problems first, then the oldest first."""
        before, self._seen = self._seen, {}
        found: list[Problem] = []
        for number, read in enumerate(self._problems):
            of_part = _in_order(self._dated(number, problem, before) for problem in read())
            found += of_part[:MOST_PROBLEMS]
            if more := of_part[MOST_PROBLEMS:]:
                since = min(problem.since or 0 for problem in more)
                what = f"{counted(len(more), 'more problem')} like this one: {more[0].what}"
                found.append(Problem(what, since, more[0].severity, f"more {number}"))
        return _in_order(found)

    def _dated(self, number: int, problem: Problem, before: dict[tuple[int, str], float]) -> Problem:
        """Give the problem of a part with the time at which it was seen first, unless the part knows."""
        if problem.since is not None:
            return problem
        key = number, problem.key or problem.what
        self._seen[key] = before.get(key) or self._wall()
        return problem._replace(since=self._seen[key])

    def collect(self) -> Iterator[Family | None]:
        """Read one metric after the other; where a None is between them, the loop may turn."""
        return chain.from_iterable(metric.family() for metric in self.metrics)

    async def status(self) -> Mapping[str, Any]:
        """Give the whole status (DESIGN's contract of `rtrd status --json`), with the loop turning meanwhile.

        Those who ask while one is made share the next one.
        """
        if self._next_status is None:
            self._next_status = asyncio.ensure_future(self._make_status())
        return await asyncio.shield(self._next_status)

    async def _make_status(self) -> Mapping[str, Any]:
        found = {}
        async with self._making, SharedTurn() as turn:
            self._next_status = None
            for name, read in self._status.items():
                value = read()
                if isinstance(value, Iterator):
                    items = []
                    for item in value:
                        if item is not None:
                            items.append(item)
                        if turn.over:
                            await turn.next()
                    value = items
                found[name] = value
        return found
