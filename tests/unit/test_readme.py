"""What README.md shows works: its configuration, its links, its commands, its examples."""

import os
import re
from pathlib import Path

from rtrd import cli, config
from rtrd.cli import COMMANDS
from tests.lab import ROOT
from tests.lab.programs import RTRD, run

README = (ROOT / "README.md").read_text()


def test_the_first_configuration_is_a_good_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "rtrd.yaml"
    file.write_text(block)
    assert [group.name for group in config.load(file).caches.groups] == ["primary", "backup"]


def test_the_table_names_the_commands_that_there_are() -> None:
    assert {words.split()[0] for words in re.findall(r"^\| `rtrd ([^`]+)`", README, re.MULTILINE)} == set(COMMANDS)


def test_the_first_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    ((script, shown),) = re.findall(r"```sh\n([^`]*)```\n\n```text\n(.*?)```", README, re.DOTALL)
    environment = {**os.environ, "PATH": f"{Path(RTRD).parent}:{os.environ['PATH']}"}
    done = run("sh", "-e", "-c", script, cwd=tmp_path, env=environment)
    assert (done.stdout, done.stderr) == (shown, "")


def test_the_commands_of_the_examples_are_commands() -> None:
    commands = re.findall(r"^rtrd (.+)$", "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE)
    assert len(commands) == 2
    for words in commands:
        assert cli.parser(whole=True).parse_args(words.split()).command == words.split()[0]


def test_the_license_is_named_and_is_that_of_the_packages() -> None:
    assert "MIT license: [LICENSE](LICENSE)" in README
    license_ = " ".join((ROOT / "LICENSE").read_text().split())
    assert license_.startswith("MIT License Copyright (c) 2026 the rtrd maintainers Permission is hereby granted")
    debian = (ROOT / "debian" / "copyright").read_text()
    assert "Copyright: 2026 the rtrd maintainers\nLicense: Expat\n" in debian
    assert " ".join(debian.partition("\n Permission")[2].replace("\n .\n", "\n").split()) in license_
    assert "license = MIT\n" in (ROOT / "setup.cfg").read_text()
