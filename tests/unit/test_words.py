"""One thing has one word, and American spelling: the words that went stay away."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.lab import ROOT

GONE = {
    # spelling
    "neighbours?": "neighbor",
    "behaviours?": "behavior",
    "colour\\w*": "color",
    "favours?|honours?|centres?|licences?|catalogues?|defences?|artefacts?|programmes?|whilst|towards|grey|judgements?"
    "|analys(?:e|ed|es|ing)|(?<!\\.)cancelled(?!\\()|labelled|modelled|travelled|fulfil": "the American spelling",
    "(?:recogn|normal|optim|summar|organ|serial|author|minim|maxim|priorit|special|util|synchron|initial|emphas|real"
    "|categor|standard|custom)is(?:e|ed|es|ing|ations?)": "-ize",
    "way round": "way around",
    "for ever": "forever",
    # NLRI and who receives them
    "(?<!the_)places?_(?:of|at|key)|(?:by|of|all)_places?": "NLRI",
    "facts?": "attribute summary",
    # routes of the router, and what it has
    "own[_ ]routes?": "local routes",
    "own[_ ]tags?": "our tags",
    "egress": "local routes",
    "standing|stood": "advertised",
    "former": "previous run",
    "unsaid": "not announced",
    "routes_said|because\\(": "announce_batch, set_cause",
    # how routes are decided and written
    "manners?": "variant",
    "respell\\w*": "retag",
    "rechecks?|rechecked|recheck\\w+": "revalidate",
    "relearn\\w*": "start-up",
    "lens": "lengths",
    "gathering": "coalescing",
    "linger\\w*": "exit slowly",
    "proposed": "pending",
    # parts
    "suppos\\w*": "what-if",
    "(?<!snapshot_)keepers?": "snapshot keeper",
    "intakes?": "transport",
    "journal_?events?|event_?journal": "event log",
    "(?-i:Durations|Reload_Error|End_Of_Rib|File_Feed)|class Answers": "what took its place",
    "rov\\.cdef|vrpset_list": "the header, a listing in parts",
    "rtrd[./]ops|rtrd[./]engine|rtrd[./]routes|ops[./]http": "rtrd/api, rtrd/base, rtrd/rib",
    # no English
    "no (?:YAML|JSON|UTF-8|VRP file|IP address|AS number|prefix):": "not YAML, not a VRP file",
    "a sync goes on": "sync in progress",
    "in[ _]the[ _]place[ _]of": "instead of",
}
"""Each word that went, as a regular expression, and what is said instead (or where it is said)."""

OF_THE_PRODUCT = {
    "(?<!route )targets?(?!=)": "receiver",
    "(?<!sip_)rounds?(?!\\()": "send barrier",
    "(?<!in )(?<!out of )places?": "NLRI",
}
"""The same, where only the product is meant: tests and benchmarks have other places, rounds and targets."""

ALLOWED = {
    ("tests/unit/test_words.py", ".*"): "this list",
    ("CHANGELOG.md", ".*"): "what a name was is told there",
    ("bench/RESULTS.md", ".*"): "measured before, and printed as it was",
    ("bench/results.json", ".*"): "measured before",
    ("tests/samples/.*", ".*"): "ExaBGP's own words",
    ("tests/lab/faulty_cache.py", "LINGER"): "the socket option",
    ("tests/integration/test_serial_notifies.py", "LINGER"): "the socket option",
    ("etc/grafana/.*", "targets"): "Grafana's word",
    ("rtrd/demo/frr.py", "targets"): "FRR's word",
    ("rtrd/api/page/page.css", "round"): "how lines are joined",
    ("rtrd/(?!rib/).*", "places?"): "of a file or a table",
}
"""Where which of them may stand (regular expressions of both), and why."""


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def allowed(file: str, word: str) -> bool:
    return any(re.fullmatch(where, file) and re.fullmatch(what, word) for where, what in ALLOWED)


def said(text: str) -> str:
    """Give the text with the parts of camel-case names apart."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)


@cache
def texts() -> dict[str, list[str]]:
    """Give the lines of each file of ours."""
    found = {}
    for path in files():
        with suppress(UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            found[str(path.relative_to(ROOT))] = [said(line) for line in path.read_text().splitlines()]
    return found


@pytest.mark.parametrize("word", [*GONE, *OF_THE_PRODUCT])
def test_a_word_that_went_is_nowhere(word: str) -> None:
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])", re.IGNORECASE)
    instead = GONE.get(word) or OF_THE_PRODUCT[word]
    where = "" if word in GONE else ("rtrd/", "ffi/", "etc/")
    found = [
        f"{name}:{number}: {match[0]!r}, say: {instead}"
        for name, lines in texts().items()
        if name.startswith(where)
        for number, line in enumerate(lines, 1)
        for match in pattern.finditer(line)
        if not allowed(name, match[0])
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["StandingRoutes", "test_that_lingered", "MOST_MANNERS", "Initialised", "a_place_of_it"]
)
def test_a_word_is_found_within_a_name(text: str) -> None:
    assert any(re.search(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])", said(text), re.IGNORECASE) for word in GONE)
