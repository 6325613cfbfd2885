"""What the benchmarks' report says of measured rounds, and what it keeps."""

import json
from pathlib import Path

import pytest

from bench import report
from bench.report import Comparison, figure, interleaved, keep

ABOUT = {"date": "today"}
ROUNDS = {"ours": [1.0, 4.0, 3.0], "theirs": [2.0, 2.0, 2.0]}


def test_a_ratio_is_of_neighbors_in_a_round() -> None:
    one = Comparison("a name", "s", {"ours": [1.0, 10.0, 2.0], "theirs": [1.0, 10.0, 1.0]}, "theirs", 1.0)
    assert one.median("ours") == 2.0
    assert one.ratio("theirs") == one.measured == 1.0
    assert one.is_met


@pytest.mark.parametrize(
    ("against", "most", "met"),
    [("theirs", 1.5, True), ("theirs", 1.4, False), (None, 3.0, True), (None, 2.9, False), (None, None, None)],
)
def test_a_target_is_met_or_missed(against: str | None, most: float | None, met: bool | None, tmp_path: Path) -> None:
    keep(tmp_path, "first", ABOUT, [Comparison("a name", "s", ROUNDS, against, most)], ["first"])
    (result,) = json.loads((tmp_path / report.DATA).read_text())["sections"]["first"]["results"]
    assert result["met"] is met
    assert (": met." in (tmp_path / report.PAGE).read_text()) is (met is True)
    assert ("**missed**" in (tmp_path / report.PAGE).read_text()) is (met is False)


def test_what_did_not_run_stays_and_what_is_no_section_any_more_goes(tmp_path: Path) -> None:
    order = ["first", "second", "old"]
    for name in reversed(order):
        keep(tmp_path, name, ABOUT, [Comparison(f"the {name} one", "s", ROUNDS)], order)
    keep(tmp_path, "first", {"date": "tomorrow"}, [Comparison("the first one again", "s", ROUNDS)], order[:2])
    page = (tmp_path / report.PAGE).read_text()
    titles = [line.lstrip("# ") for line in page.splitlines() if line.startswith("##")]
    assert titles == ["first", "the first one again", "second", "the second one"]
    assert "date tomorrow." in page
    assert "date today." in page
    assert "| ours | 3 | 1 | 4 |  |\n| theirs | 2 | 2 | 2 | 1.50 |" in page


def test_beside_nothing_there_is_no_ratio(tmp_path: Path) -> None:
    keep(tmp_path, "first", ABOUT, [Comparison("a name", "ms", {**ROUNDS, "waited": [0.0, 0.0, 1.0]})], ["first"])
    assert "| waited | 0 | 0 | 1 |  |" in (tmp_path / report.PAGE).read_text()


def test_everything_runs_once_a_round() -> None:
    ran: list[str] = []

    def measure(name: str) -> float:
        ran.append(name)
        return len(ran)

    found = interleaved(2, {"ours": lambda: measure("ours"), "theirs": lambda: measure("theirs")})
    assert found == {"ours": [1, 3], "theirs": [2, 4]}
    assert ran == ["ours", "theirs"] * 2


def test_figures() -> None:
    assert [figure(number) for number in (1_270_000, 1234.5, 86.43, 0.98765)] == ["1,270,000", "1,234", "86.4", "0.988"]
