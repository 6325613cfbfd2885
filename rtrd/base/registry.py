"""What the parts of a daemon offer: each registers its metrics, its status, its problems, and settings that can change.

Nothing is counted or kept here: every number exists where it belongs, and is read when somebody asks. Prometheus'
rules: base units in the name, `_total` for counters and nothing else, timestamps instead of ages, no label whose values
have no bound. docs/metrics.md has a row for each metric.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple, cast

from prometheus_client import Histogram, disable_created_metrics
from prometheus_client import Metric as Family
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from rtrd.base.text import printable

Samples = Iterable[tuple[tuple[object, ...], float | None]]
"""Values of the labels, and the number; None: there is none now."""

MOST_NEIGHBORS: Final = 1000
"""Of a router; the others have no series of their own, so that a scrape stays bounded."""

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

    def family(self) -> Family:
        """Read it now."""
        if self.kind == "histogram":
            return cast("Family", self.read())
        family: GaugeMetricFamily | CounterMetricFamily = _FAMILIES[self.kind](self.name, self.help, labels=self.labels)
        for labels, value in self.read() if self.labels else (((), self.read()),):
            if value is not None:
                family.add_metric([printable(str(label)) for label in labels], value)
        return family


class Setting(NamedTuple):
    """Keys of the configuration (`policy`, `caches.refresh`) that a reload changes, and what takes their values."""

    keys: tuple[str, ...]
    apply: Callable[..., Awaitable[None] | None]


class Problem(NamedTuple):
    """What an operator should know, as its part sees it now."""

    what: str
    """A sentence without a full stop."""
    since: float
    """Unix time."""
    severity: Literal["warning", "critical"]
    """Critical: routes may be judged wrongly, or not at all."""

    def answer(self) -> dict[str, str]:
        """Give it as `problems` of the status has it (a contract of DESIGN)."""
        since = dt.datetime.fromtimestamp(self.since, dt.UTC).isoformat(timespec="seconds")
        return {"what": self.what, "since": since, "severity": self.severity}


class Registry:
    """What the parts of one daemon registered."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []
        self.settings: list[Setting] = []
        """In the order in which a reload applies them; only the first may refuse."""
        self._status: dict[str, Callable[[], Any]] = {}
        self._problems: list[Callable[[], Iterable[Problem]]] = []

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
        """Offer parts of the status, by their names in the JSON."""
        self._status.update(parts)

    def problems_of(self, read: Callable[[], Iterable[Problem]]) -> None:
        """Offer a part's problems: `read` gives those that it has now."""
        self._problems.append(read)

    def problems(self) -> list[Problem]:
        """Give what every part finds wrong: critical problems first, then the oldest first."""
        found = [problem for read in self._problems for problem in read()]
        return sorted(found, key=lambda problem: (problem.severity != "critical", problem.since, problem.what))

    def collect(self) -> Iterator[Family]:
        """Read one metric after the other; between two of them the loop may turn."""
        return (metric.family() for metric in self.metrics)

    def status(self) -> dict[str, Any]:
        """Give the whole status (DESIGN's contract of `rtrd status --json`)."""
        return {name: read() for name, read in self._status.items()}
