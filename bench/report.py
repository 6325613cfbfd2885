"""Measured rounds in; medians, ratios within a round, and whether a target is met, as Markdown and JSON, out."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Comparison:
    """What ours takes beside what others take; each number is from the same round as its neighbours."""

    name: str
    unit: str
    rounds: dict[str, list[float]]
    """By what was measured; the first is ours."""
    against: str | None = None
    """Which of the others the target speaks of."""
    most: float | None = None
    """Target: ours is at most so many times that; without `against`, at most so many units."""
    notes: list[str] = field(default_factory=list)

    @property
    def ours(self) -> str:
        return next(iter(self.rounds))

    def median(self, what: str) -> float:
        return statistics.median(self.rounds[what])

    def ratio(self, what: str) -> float:
        """Median of the rounds' ratios of ours to another."""
        pairs = zip(self.rounds[self.ours], self.rounds[what], strict=True)
        return statistics.median(ours / other for ours, other in pairs)

    @property
    def measured(self) -> float | None:
        if self.most is None:
            return None
        return self.ratio(self.against) if self.against else self.median(self.ours)

    @property
    def is_met(self) -> bool | None:
        return None if self.most is None or self.measured is None else self.measured <= self.most


def interleaved(rounds: int, **measures: Callable[[], float]) -> dict[str, list[float]]:
    """Run each once a round, so that what else the machine does falls on all of them."""
    names = [name.replace("_", " ") for name in measures]
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name, measure in zip(names, measures.values(), strict=True):
            found[name].append(measure())
        print(f"  round {number + 1}: " + ", ".join(f"{name} {found[name][-1]:.4g}" for name in names), flush=True)
    return found


def machine() -> dict[str, str]:
    """Where and with what this was measured."""

    def first(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0] if lines else "unknown"

    model = "unknown"
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": first("git", "describe", "--always", "--dirty"),
        "processor": f"{model}, {os.cpu_count()} CPUs",
        "load at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cffi": version("cffi"),
        "librtr": first("dpkg-query", "-W", "-f", "${Version}", "librtr0"),
        "stayrtr": first("dpkg-query", "-W", "-f", "${Version}", "stayrtr"),
        "rtr-tools": first("dpkg-query", "-W", "-f", "${Version}", "rtr-tools"),
        "compiler": first("cc", "--version"),
    }


def markdown(about: dict[str, str], found: list[Comparison]) -> str:
    """Give the whole page."""
    lines = [
        "# What was measured",
        "",
        "By `make bench`, which writes this page. Medians; a ratio is the median of",
        "",
    ]
    lines[2:] = [
        "`make bench` wrote this page. Each number is a median; a ratio is the median of the ratios within a round, in",
        "which everything of one table runs in turn.",
        "",
        *(f"- {name}: {value}" for name, value in about.items()),
        "",
    ]
    for one in found:
        lines += [f"## {one.name}", ""]
        lines += [
            f"| what | median, {one.unit} | lowest | highest | ours is so many times that |",
            "|---|---|---|---|---|",
        ]
        for what, values in one.rounds.items():
            ratio = "" if what == one.ours else f"{one.ratio(what):.2f}"
            lines.append(f"| {what} | {one.median(what):.4g} | {min(values):.4g} | {max(values):.4g} | {ratio} |")
        lines.append("")
        if one.most is not None:
            of = f" times {one.against}" if one.against else f" {one.unit}"
            verdict = "met" if one.is_met else "**missed**"
            lines += [f"Target: at most {one.most:.3g}{of}; measured {one.measured:.3g}: {verdict}.", ""]
        lines += [*one.notes, ""] if one.notes else []
    return "\n".join(lines)


def write(folder: Path, found: list[Comparison], about: dict[str, str]) -> None:
    """Write RESULTS.md and results.json."""
    (folder / "RESULTS.md").write_text(markdown(about, found), encoding="utf-8")
    results = [
        {**asdict(one), "median": {what: one.median(what) for what in one.rounds}, "measured": one.measured}
        | {"met": one.is_met}
        for one in found
    ]
    text = json.dumps({"machine": about, "results": results}, indent=1)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
