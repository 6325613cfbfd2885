"""One thing has one word, and American spelling: the words that went stay away."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GONE = {
    # spelling
    "neighbours?": "neighbor",
    "behaviours?": "behavior",
    "colour\\w*": "color",
    "favours?|honours?|centres?|licences?|catalogues?": "the American spelling",
    # routes of the router, and what it has
    "own[_ ]routes?": "local routes",
    "own[_ ]tags?": "our tags",
    "egress": "local routes",
    "standing|stood": "advertised",
    "former": "previous run",
    "unsaid": "not announced",
    "routes_said": "announce_batch",
    # how routes are decided and written
    "manner": "variant",
    "respell\\w*": "retag",
    "rechecks?|rechecked|recheck\\w+": "revalidate",
    "relearn\\w*": "start-up",
    "lens": "lengths",
    "lingers?": "exit slowly",
    # parts
    "suppositions?": "what-if",
    "Durations|ReloadError": "a histogram of prometheus_client, FaultyFileError",
    "rtrd[./]ops|rtrd[./]engine|rtrd[./]routes|ops[./]http": "rtrd/api, rtrd/base, rtrd/rib",
    # no English
    "no (?:YAML|JSON|UTF-8|VRP file|IP address|AS number|prefix):": "not YAML, not a VRP file",
    "a sync goes on": "sync in progress",
}
"""Each word that went, as a regular expression, and what is said instead (or where it is said)."""

ALLOWED = {
    ("tests/unit/test_words.py", ".*"): "this list",
    ("CHANGELOG.md", ".*"): "what a name was is told there",
    ("bench/RESULTS.md", ".*"): "measured before, and printed as it was",
    ("bench/results.json", ".*"): "measured before",
    ("tests/samples/.*", ".*"): "ExaBGP's own words",
}
"""Where which of them may stand (regular expressions of both), and why."""


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def allowed(file: str, word: str) -> bool:
    return any(re.fullmatch(where, file) and re.fullmatch(what, word) for where, what in ALLOWED)


@pytest.mark.parametrize("word", GONE)
def test_a_word_that_went_is_nowhere(word: str) -> None:
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])")
    found = []
    for path in files():
        name = str(path.relative_to(ROOT))
        try:
            lines = path.read_text().splitlines()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        found += [
            f"{name}:{number}: {match[0]!r}, say: {GONE[word]}"
            for number, line in enumerate(lines, 1)
            for match in pattern.finditer(line)
            if not allowed(name, match[0])
        ]
    assert found == []
