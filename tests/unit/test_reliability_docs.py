"""docs/reliability.md: every promise names the tests that show it, and they are there."""

import re

import pytest

from tests.lab import pages

PAGE = (pages.DOCS / "reliability.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith(("| promise |", "|---"))]


@pytest.mark.parametrize(("module", "name"), pages.named_tests(PAGE))
def test_every_test_that_is_named_exists(module: str, name: str) -> None:
    pages.check_test(module, name)


@pytest.mark.parametrize("row", ROWS)
def test_every_promise_says_which_test_shows_it(row: str) -> None:
    promise, shown = row.strip("| ").split(" | ")
    assert promise[0] == promise[0].lower()
    assert not promise.endswith(".")
    assert re.fullmatch(pages.NAMES_TESTS, shown)


def test_every_section_has_promises() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) >= 3
    assert [text.splitlines()[0] for text in sections if "\n| promise | shown by |\n|---|---|\n| " not in text] == []
