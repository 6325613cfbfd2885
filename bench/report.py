"""Reports measured rounds as Markdown and JSON: medians, ratios within a round, and whether a target is met."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[1]
PAGE = "RESULTS.md"
DATA = "results.json"
CHART = "results.svg"


@dataclass
class Comparison:
    """What ours takes beside what others take; each number is from the same round as its neighbors."""

    name: str
    unit: str
    rounds: dict[str, list[float]]
    """By what was measured; the first is ours."""
    against: str | None = None
    """Which of the others the target speaks of."""
    most: float | None = None
    """Target: ours is at most so many times that; without `against`, at most so many units."""
    notes: list[str] = field(default_factory=list)
    """Paragraphs."""
    quantile: float = 0.5
    """Of ours, which the target is for: 0.5 the median, 1 the highest. Of ratios it is the median always."""

    @property
    def ours(self) -> str:
        return next(iter(self.rounds))

    def median(self, what: str) -> float:
        return statistics.median(self.rounds[what])

    def ratio(self, what: str) -> float:
        """Median of the rounds' ratios of ours to another."""
        pairs = zip(self.rounds[self.ours], self.rounds[what], strict=True)
        return statistics.median(ours / other if other else math.inf for ours, other in pairs)

    @property
    def measured(self) -> float | None:
        """What the target bounds; None without one."""
        if self.most is None:
            return None
        if self.against:
            return self.ratio(self.against)
        ours = sorted(self.rounds[self.ours])
        if self.quantile == 0.5:
            return self.median(self.ours)
        return ours[min(len(ours) - 1, math.ceil(self.quantile * len(ours)) - 1)]

    @property
    def is_met(self) -> bool | None:
        return None if self.most is None or self.measured is None else self.measured <= self.most


def interleaved(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run each once a round, so that what else the machine does falls on all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
        said = ", ".join(f"{name} {figure(values[-1])}" for name, values in found.items())
        print(f"  round {number + 1}: {said}", flush=True)
    return found


def figure(value: float) -> str:
    """Give a number as a person reads it, in three or four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def first_line(*command: str) -> str:
    """Give the first line that a command says; its errors count, too."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def surroundings(packages: Iterable[str], distributions: Iterable[str]) -> dict[str, str]:
    """Tell where, when and with what is measured."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = first_line("git", "-C", str(REPO), "rev-parse", "--short", "HEAD")
    status = ("git", "-C", str(REPO), "status", "--porcelain", "--", ".", f":!bench/{PAGE}", f":!bench/{DATA}")
    changed = subprocess.run(status, capture_output=True, check=False).stdout
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit + (" and changes" if changed else ""),
        "processor": f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GiB",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "kernel": platform.release(),
        "compiler": first_line("cc", "--version"),
        "Python": platform.python_version(),
        **{name: version(name) for name in distributions},
        # A library that has 64 bits for times since Debian 13 has another name there.
        **{name: first_line("dpkg-query", "-W", "-f", "${Version}\n", name, f"{name}t64") for name in packages},
    }


def _table(one: Comparison) -> list[str]:
    lines = [
        f"### {one.name}",
        "",
        f"| what | median, {one.unit} | lowest | highest | ratio of ours to it |",
        "|---|---|---|---|---|",
    ]
    for what, values in one.rounds.items():
        ratio = "" if what == one.ours or one.ratio(what) == math.inf else f"{one.ratio(what):.2f}"
        numbers = (figure(number) for number in (one.median(what), min(values), max(values)))
        lines.append(f"| {what} | {' | '.join(numbers)} | {ratio} |")
    lines.append("")
    if one.most is not None and one.measured is not None:
        of = f"times {one.against}" if one.against else one.unit
        verdict = "met" if one.is_met else "**missed**"
        which = {0.5: "", 1.0: " at worst"}.get(one.quantile, f" at {one.quantile:.0%}")
        lines += [f"Target: at most {figure(one.most)} {of}; measured {figure(one.measured)}{which}: {verdict}.", ""]
    for note in one.notes:
        lines += [note, ""]
    return lines


def markdown(sections: dict[str, dict[str, Any]]) -> str:
    """Give the whole page, from what the JSON holds."""
    lines = [
        "# What was measured",
        "",
        "`make bench` wrote this page. All rows of a table run in turn, once per round. A ratio is the median of the",
        "ratios within a round, so other load on the machine affects both sides alike.",
        "",
    ]
    for name, section in sections.items():
        lines += [f"## {name}", "", "; ".join(f"{key} {value}" for key, value in section["about"].items()) + ".", ""]
        for result in section["results"]:
            known = {key: result[key] for key in Comparison.__dataclass_fields__ if key in result}  # of older runs, too
            lines += _table(Comparison(**known))
    return "\n".join(lines)


def _result(one: Comparison) -> dict[str, Any]:
    return {
        **asdict(one),
        "median": {what: one.median(what) for what in one.rounds},
        "measured": one.measured,
        "met": one.is_met,
    }


def sections(folder: Path) -> dict[str, Any]:
    """Give what results.json holds, by section."""
    data = folder / DATA
    found: dict[str, Any] = json.loads(data.read_text(encoding="utf-8"))["sections"] if data.exists() else {}
    return found


def keep(folder: Path, name: str, about: dict[str, str], found: list[Comparison], order: Sequence[str]) -> None:
    """Put a section's results into RESULTS.md and results.json, beside those that the others of `order` have there."""
    data = folder / DATA
    known = sections(folder)
    known[name] = {"about": about, "results": [_result(one) for one in found]}
    ordered = {each: known[each] for each in order if each in known}
    data.write_text(json.dumps({"sections": ordered}, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(markdown(ordered), encoding="utf-8")
