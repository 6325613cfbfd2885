"""The script for each shell completes commands, their commands, options and values, in the real shell."""

import shutil
from pathlib import Path

import pytest

from rtrd import cli
from tests.lab.programs import run

BASH = r"""
source "$1/_rtrd"
read -ra COMP_WORDS <<<"$2"
[[ $2 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_rtrd
printf '%s\n' "${COMPREPLY[@]}"
"""
# zsh completes only at a terminal: it gets one of its own, in which the matches are written down, too.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D
compadd() {
  local -a found
  [[ \" \$* \" == *\ -[OAD]\ * ]] || { builtin compadd -O found \"\$@\"; print -rl -- \$found >>$1/found }
  builtin compadd \"\$@\"
}
finish() { zle complete-word; : >$1/done }
zle -N finish; bindkey '^X' finish"
zpty -w -n shell "$2"$'\x18'
for n in {1..1200}; do [[ -e $1/done ]] && break; zpty -r -t shell >/dev/null; sleep 0.05; done
zpty -d shell
cat $1/found
"""
FISH = r"""
source $argv[1]/_rtrd
complete -C $argv[2]
"""
SHELLS = {
    "bash": ["bash", "--norc", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_it_completes(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: as root: .ci/packages test")
    assert cli.main(["completion", shell]) == 0
    text = capsys.readouterr().out

    def completed(line: str) -> set[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "_rtrd").write_text(text)
        done = run(*SHELLS[shell], folder, line, check=True, seconds=90)
        assert done.stderr == ""
        return {each.split("\t")[0].strip() for each in done.stdout.splitlines()} - {""}

    assert completed("rtrd stat") == {"status"}
    assert set(cli.COMMANDS) <= completed("rtrd ")
    assert {"--validity"} == completed("rtrd routes --val")
    assert {"valid", "invalid", "not-found", "unverified"} == completed("rtrd routes --validity ")
    # Commands of a command; one of them is named as a command of rtrd's own, with other options.
    assert {"audit", "check"} <= completed("rtrd bird ")
    assert "check" in completed("rtrd slurm ")
    assert {"--bird", "--table", "--vrps", "--json", "--socket"} <= completed("rtrd bird check --")
    assert {"--bird", "--vrps"}.isdisjoint(completed("rtrd check --"))
    assert {"--bird", "--table", "--vrps"}.isdisjoint(completed("rtrd slurm check --"))


def test_tcsh_gets_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command in text
