"""The blocks of docs/commands.md that need no daemon: typed as they stand, they print what they show."""

import bz2
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.lab import ROOT, mrt
from tests.lab.mrt import Entry
from tests.lab.programs import rtrd

PAGE = (ROOT / "docs" / "commands.md").read_text()
BLOCKS = re.findall(r"```(?:console|sh)\n(?:\$ )?(rtrd \w+ [^\n]*--mrt[^\n]*)\n(.*?)```", PAGE, re.DOTALL)
GOOD, OTHER, WRONG = ([(2, [64501, origin])] for origin in (64511, 64512, 64599))
WITH_SET = [(2, [64503]), (1, [64511])]
DUMP = mrt.peers([("192.0.2.1", 64501), ("2001:db8::2", 64502), ("192.0.2.3", 64503)]) + b"".join(
    mrt.rib(prefix, entries)
    for prefix, entries in (
        ("192.0.2.0/24", [Entry(0, WRONG), Entry(2, WRONG)]),
        ("198.18.0.0/15", [Entry(0, WRONG), Entry(2, WRONG)]),
        ("198.51.100.0/24", [Entry(0, GOOD), Entry(1, OTHER), Entry(2, GOOD)]),
        ("203.0.113.0/24", [Entry(0, GOOD), Entry(1, OTHER), Entry(2, GOOD)]),
        ("203.0.113.0/25", [Entry(2, WITH_SET)]),
        ("203.0.113.128/25", [Entry(0, GOOD), Entry(1, GOOD)]),
    )
)
VRPS = [("192.0.2.0/24", 64500), ("198.51.100.0/24", 64511), ("203.0.113.0/24", 64511)]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rib.20261001.0000.bz2").write_bytes(bz2.compress(DUMP))
    Path("vrps.json").write_text(
        json.dumps({"roas": [{"prefix": prefix, "maxLength": 24, "asn": asn} for prefix, asn in VRPS]})
    )


def words(text: str) -> list[list[str]]:
    """Give the lines of a text; how far their columns are apart does not count."""
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize(("typed", "shown"), BLOCKS)
def test_a_block_about_a_dump(typed: str, shown: str) -> None:
    done = rtrd(*shlex.split(typed)[1:])
    assert (done.returncode, done.stderr) == (0, "")
    if shown:
        assert words(done.stdout) == words(shown)


def test_the_page_has_them() -> None:
    assert {typed.split()[1] for typed, _ in BLOCKS} == {"audit", "whatif"}
