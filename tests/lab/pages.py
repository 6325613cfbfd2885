"""What stands in our Markdown: sections, tables, anchors, and the tests that it names."""

import re
from functools import cache

from tests.lab import ROOT

DOCS = ROOT / "docs"


def anchors(text: str) -> set[str]:
    """What links inside a page can lead to."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def section(text: str, title: str) -> str:
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"there is no section {title!r}"
    return match[2]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of its tables, the heads too."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named_tests(text: str) -> list[tuple[str, str]]:
    return sorted(set(re.findall(r"`(test_\w+)::(test_\w+)`", text)))


@cache
def code_of_test(module: str) -> str:
    return "".join(file.read_text() for file in (ROOT / "tests").glob(f"*/{module}.py"))


def check_test(module: str, name: str) -> None:
    """Fail unless there is a test of this name."""
    assert re.search(rf"^ *(?:async )?def {name}\(", code_of_test(module), re.MULTILINE)


NAMES_TESTS = r"`test_\w+::test_\w+`(, `test_\w+::test_\w+`)*"
"""A cell that says which tests show something."""
