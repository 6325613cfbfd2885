"""The folders of the C core lie one upon the other, and no file needs one that needs it: by includes and by calls."""

import re
from functools import cache
from itertools import chain

from tests.lab import ROOT
from tests.lab.graphs import circles

NATIVE = ROOT / "ffi" / "native"
BELOW = {
    "base": {"base"},
    "vrps": {"base", "vrps"},
    "aspas": {"base", "aspas"},
    "rib": {"base", "vrps", "aspas", "rib"},
    "bgp": {"base", "vrps", "aspas", "rib", "bgp"},
    "rtr": {"base", "rtr"},
    "librtr": {"base", "librtr"},
}
"""Whose headers and functions a folder may use."""


@cache
def code(file: str) -> str:
    """A file's text without comments and strings, but for the names that it includes."""
    text = re.sub(r"/\*.*?\*/", "", (NATIVE / file).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r'(?<!#include )"(?:[^"\\\n]|\\.)*"', '""', text)


def files(ending: str) -> list[str]:
    return sorted(str(path.relative_to(NATIVE)) for path in NATIVE.glob(f"*/*{ending}"))


def included(file: str) -> set[str]:
    return set(re.findall(r'^#include "(.*)"', code(file), re.MULTILINE))


def definitions(file: str) -> set[str]:
    """The functions that other files can call: what is defined at a line's start, and not static."""
    return set(re.findall(r"^(?!static|typedef|return)\w[\w \t*]*?\b(\w+)\([^;{}]*\)\s*\{", code(file), re.MULTILINE))


def calls() -> dict[str, set[str]]:
    """Of each C file: the others whose functions it names. librtr/ is a module of its own, with names of its own."""
    graph = {}
    for file in files(".c"):
        words = set(re.findall(r"\w+", code(file)))
        graph[file] = {
            other
            for other in files(".c")
            if other != file and ("librtr" in other) == ("librtr" in file) and definitions(other) & words
        }
    return graph


def upward(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{file} -> {other}"
        for file, needs in sorted(graph.items())
        for other in sorted(needs)
        if other.split("/")[0] not in BELOW[file.split("/")[0]]
    ]


def test_no_include_goes_upward_or_in_a_circle() -> None:
    graph = {file: included(file) for file in chain(files(".c"), files(".h"))}
    assert set(BELOW) == {file.split("/")[0] for file in graph}
    assert upward(graph) == []
    assert circles(graph) == []


def test_no_call_goes_upward_or_in_a_circle() -> None:
    graph = calls()
    assert "vrps/vrpset.c" in graph["vrps/apply.c"]  # the test sees calls at all
    assert sum(len(definitions(file)) for file in graph) > 100
    assert upward(graph) == []
    assert circles(graph) == []
