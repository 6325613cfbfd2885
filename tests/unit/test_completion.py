"""The script for bash completes commands, options and values in a real bash."""

import subprocess
from pathlib import Path

import pytest

from rtrd import cli


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rtrd"
    file.write_text(script("bash", capsys))

    def completed(*words: str) -> set[str]:
        ask = 'source "$0"; COMP_WORDS=(rtrd "$@"); COMP_CWORD=$#; _shtab_rtrd; printf "%s\\n" "${COMPREPLY[@]}"'
        argv = ["bash", "--norc", "-c", ask, str(file), *words]
        return set(subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.split())

    assert completed("stat") == {"status"}
    assert set(cli.COMMANDS) <= completed("")
    assert completed("routes", "--val") == {"--validity"}
    assert completed("routes", "--validity", "") == {"valid", "invalid", "not-found", "unverified"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_other_shells_get_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for command in cli.COMMANDS:
        assert command in text


def test_fish_gets_options_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    lines = script("fish", capsys).splitlines()
    assert all(line.startswith("complete -c rtrd ") for line in lines)
    routes = [line for line in lines if "__fish_seen_subcommand_from routes" in line]
    (validity,) = (line for line in routes if " -l validity " in line)
    assert " -x -a '" in validity
    assert all(word in validity for word in ("valid", "invalid", "not-found", "unverified"))
    assert any(" -a audit " in line for line in lines), "the commands of a command, too"
    # A quote in a help text ends no string: fish's quotes are balanced once the escaped ones are gone.
    assert all(line.replace("\\\\", "").replace("\\'", "").count("'") % 2 == 0 for line in lines)
