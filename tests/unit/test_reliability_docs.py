"""docs/reliability.md: every promise names the tests that show it, and they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
TESTS = {file.stem: file.read_text() for file in (ROOT / "tests").glob("*/test_*.py")}
NAMED = sorted(set(re.findall(r"`(test_\w+)::(test_\w+)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith(("| promise |", "|---"))]


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_every_test_that_is_named_exists(module: str, name: str) -> None:
    assert re.search(rf"^ *(?:async )?def {name}\(", TESTS[module], re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_promise_says_which_test_shows_it(row: str) -> None:
    promise, shown = row.strip("| ").split(" | ")
    assert promise[0] == promise[0].lower()
    assert not promise.endswith(".")
    assert re.fullmatch(r"`test_\w+::test_\w+`(, `test_\w+::test_\w+`)*", shown)


def test_every_section_has_promises() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) >= 3
    assert [text.splitlines()[0] for text in sections if "\n| promise | shown by |\n|---|---|\n| " not in text] == []
