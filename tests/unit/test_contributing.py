"""CONTRIBUTING.md and SECURITY.md name files, folders, make targets and options that exist."""

import re
import shlex

import pytest

from rtrd import cli
from rtrd.base.registry import Registry
from tests.lab import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PATHS = re.compile(r"`((?:\.ci|bench|docs|etc|ffi|rtrd|tests)/[\w./-]*)`")
NATIVE = re.compile(r"the C core: (.*?)\.", re.DOTALL)


def commands() -> list[list[str]]:
    (block,) = re.findall(r"```sh\n(.*?)```", CONTRIBUTING, re.DOTALL)
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def test_every_path_exists() -> None:
    paths = PATHS.findall(CONTRIBUTING)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_folders_of_the_c_core_are_all_named() -> None:
    named = NATIVE.search(CONTRIBUTING)
    assert named
    native = ROOT / "ffi" / "native"
    assert set(re.findall("`([^`]+)`", named[1])) == {folder.name for folder in native.iterdir() if folder.is_dir()}


def test_every_package_of_rtrd_has_its_row() -> None:
    packages = {folder.parent.name for folder in (ROOT / "rtrd").glob("*/__init__.py")} - {"demo"}
    assert packages <= set(re.findall(r"`rtrd/(\w+)/`", CONTRIBUTING))


@pytest.mark.parametrize("command", commands(), ids=shlex.join)
def test_every_command_can_be_run(command: list[str]) -> None:
    if command[0] == "make":
        for target in (word for word in command[1:] if "=" not in word):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
        return
    program = command[0].removeprefix(".venv/bin/")
    assert program in ("python", "ruff", "clang-format")
    if program == "python":
        assert command[1:3] == ["-m", "pytest"]
    for word in command[1:]:
        assert not word.startswith("tests/") or (ROOT / word).exists(), word


def test_what_a_part_registers_by_can_be_called() -> None:
    methods = set(re.findall(r"`registry\.(\w+)", CONTRIBUTING))
    assert len(methods) > 3
    assert [method for method in methods if not callable(getattr(Registry, method, None))] == []


def test_what_a_report_should_have_can_be_asked_for() -> None:
    for words in re.findall(r"`rtrd ((?!cache`)[^`]+)`", SECURITY):
        with pytest.raises(SystemExit) as end:
            cli.parser(whole=True).parse_args([*words.split(), "--help"])
        assert end.value.code == 0, words
