"""What `make deb` puts beside the code: its configuration, man pages that groff has nothing to say of."""

import os
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from rtrd import config
from rtrd.config import ConfigError
from rtrd.version import __version__
from tests.lab import ROOT
from tests.lab.programs import rtrd, run

SHIPPED = ROOT / "packaging" / "rtrd.yaml"
WHEELS = ROOT / "packaging" / "wheels.txt"
PAGES = {"rtrd.1": "commands.md", "rtrd.yaml.5": "configuration.md", "rtrlib.3": "rtrlib.md"}


def test_the_shipped_configuration_decides_nothing_and_names_no_cache() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text())
    assert "policy" not in shipped
    assert shipped["caches"] is None


def test_rtrd_says_what_the_shipped_configuration_lacks() -> None:
    done = rtrd("check", SHIPPED)
    assert done.returncode == 2
    assert ":6: caches: expected" in done.stderr


def test_its_commented_cache_is_right() -> None:
    text = SHIPPED.read_text()
    try:
        config.loads(text.replace("\n  # ", "\n  "), SHIPPED)
    except ConfigError as error:
        pytest.fail(str(error))


@pytest.mark.parametrize("name", PAGES)
def test_a_man_page_is_whole_and_fits_a_terminal(name: str, tmp_path: Path) -> None:
    missing = [program for program in ("lowdown", "man") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{missing} not installed: as root: .ci/packages deb")
    page = f"{tmp_path}/{name}"
    run("make", "-s", page, f"man={tmp_path}", cwd=ROOT, check=True, seconds=60)
    environment = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = run("man", "--warnings", "-l", page, env=environment, check=True, seconds=60)
    assert done.stderr == ""
    heads = [line for line in done.stdout.splitlines() if line and line == line.upper() and line[0].isalpha()]
    assert heads == ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "FILES", "SEE ALSO"]


def test_the_changelog_has_the_release_that_the_package_claims_to_be() -> None:
    assert f"\n## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text()
    assert (ROOT / "debian" / "changelog").read_text().startswith(f"rtrd ({__version__}) ")


def test_what_the_package_carries_is_pinned_with_hashes() -> None:
    pinned = dict(
        re.findall(r"^(\S+)==\S+ ((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)", WHEELS.read_text(), re.MULTILINE)
    )
    names = {name.lower().replace("_", "-") for name in pinned}
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    wanted = settings["options"]["install_requires"]
    assert {re.split("[>=]", line)[0].lower().replace("_", "-") for line in wanted.split()} <= {*names, "rtrlib"}


def control(field: str) -> set[str]:
    """The packages that a field of debian/control names."""
    text = (ROOT / "debian" / "control").read_text()
    (value,) = re.findall(rf"^{field}: (.*(?:\n .*)*)", text, re.MULTILINE)
    names = {word.split("(")[0].strip() for word in value.split(",")}
    return {name for name in names if not name.startswith("$")}


def test_what_the_build_runs_and_asks_for_is_installed_for_it() -> None:
    """On a Debian with git and make alone: the build has the program print its completions, with what it imports."""
    lists = dict(re.findall(r"^(\w+)=\((.*)\)$", (ROOT / ".ci" / "packages").read_text(), re.MULTILINE))
    brought = {*lists["build"].split(), *lists["deb"].split(), "debhelper-compat"}
    assert control("Depends") <= control("Build-Depends")
    assert control("Build-Depends") <= brought
