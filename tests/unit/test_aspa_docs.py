"""docs/aspa.md: the drafts are those of the code, and each program's row names tests that there are."""

import re

from rtrlib.aspas import DRAFTS
from tests.lab import ROOT

PAGE = (ROOT / "docs" / "aspa.md").read_text()


def test_the_drafts_are_those_of_the_code() -> None:
    assert re.findall(r"^\| (draft-\S+) \|", PAGE, re.MULTILINE) == list(DRAFTS)


def test_each_row_of_programs_names_tests_that_there_are() -> None:
    rows = PAGE.partition("## Programs that this was tried with")[2]
    named = re.findall(r"`(test_\w+)::(test_\w+)`", rows)
    assert len(named) > 5
    for module, test in named:
        [file] = (ROOT / "tests").glob(f"*/{module}.py")
        assert re.search(rf"^(async )?def {test}\(", file.read_text(), re.MULTILINE), test
