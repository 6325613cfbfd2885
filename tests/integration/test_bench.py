"""The benchmarks, small: they run, both sides of each do the same work, and the results are written."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from bench import hops
from tests.lab import ROOT
from tests.lab.programs import run

SMALL = ("--count", "2000", "--routes", "500", "--rounds", "1")
WALKS = 3
"""Before one counts as too long: what a timer does that is due on the way is not of the walk."""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "bench", *arguments, cwd=ROOT, seconds=300)


def test_each_section_by_itself(tmp_path: Path) -> None:
    for name, titles in (
        ("sync", ["First sync of 2,000 VRPs from `rtrd cache`", "First sync of 2,000 VRPs from StayRTR"]),
        (
            "vrps",
            [
                "Validate, one route at a time",
                "Validate, one route at a time from Python, beside pytricia",
                *(f"Validate, many routes in one call, beside {peer}" for peer in ("librtr", "py-radix", "pytricia")),
                "Load 2,000 VRPs from a file",
                "List 2,000 VRPs",
            ],
        ),
    ):
        done = bench(name, *SMALL, "--output", str(tmp_path))
        assert done.returncode in {0, 1}  # so small, targets mean nothing
        assert not done.stderr
        section = json.loads((tmp_path / "results.json").read_text())["sections"][name]
        assert section["about"]["librtr0"].startswith("0.8.0")
        for result, title in zip(section["results"], titles, strict=True):
            assert result["name"].startswith(title)
            assert all(len(numbers) == 1 and numbers[0] > 0 for numbers in result["rounds"].values())
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.index("## vrps") < page.index("## sync")
    assert page in done.stdout


def test_a_section_that_does_not_exist(tmp_path: Path) -> None:
    done = bench("flying", "--output", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "there is no section flying" in done.stderr
    assert not (tmp_path / "none").exists()


def test_the_walks_are_no_longer_than_documented() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (.+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    documented = {name: tuple(map(int, numbers)) for name, *numbers in rows}
    assert set(documented) == {hops.FIRST_LINE, hops.LINE, hops.CHANGED_VRP}
    long: list[str] = ["not walked yet"]
    for _ in range(WALKS):
        long = [
            str(walk)
            for walk in asyncio.run(hops.walks())
            if not all(map(int.__le__, (len(walk.files), walk.switches, len(walk.native)), documented[walk.name]))
        ]
        if not long:
            break
    assert not long, "\n".join(long)
