"""What README.md shows works: its configuration, its links, its commands."""

from __future__ import annotations

import re
from pathlib import Path

from rtrd import config
from rtrd.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_configuration_is_a_good_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "rtrd.yaml"
    file.write_text(block)
    assert [group.name for group in config.load(file).caches.groups] == ["primary", "backup"]


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_names_the_commands_that_there_are() -> None:
    named = {words.split()[0] for words in re.findall(r"^\| `rtrd ([^`]+)`", README, re.MULTILINE)}
    assert named == set(COMMANDS)
