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


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for command in cli.COMMANDS:
        assert command in text
