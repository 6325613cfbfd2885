"""Where librtr is not installed, what needs it says what to install; all else works."""

import os
import subprocess
from pathlib import Path

import pytest

import _rtrlib
from rtrd.cli import COMMANDS
from tests.lab import programs
from tests.lab.programs import RTRD

SENTENCE = "rtrd: librtr.so.0 is missing: apt install librtr0\n"
CONFIG = "caches: {groups: [{name: a, preference: 1, servers: [{host: 127.0.0.1, port: 1}]}]}\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An extension that wants a library which no host has comes first."""
    assert _rtrlib.__file__
    built = Path(_rtrlib.__file__)
    (tmp_path / built.name).write_bytes(built.read_bytes().replace(b"librtr.so.0", b"librtr.so.9"))
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def rtrd(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return programs.rtrd(*words, env=environment)


@pytest.mark.parametrize("options", [[], ["--exabgp"]])
def test_the_daemon_says_what_to_install(tmp_path: Path, environment: dict[str, str], options: list[str]) -> None:
    file = tmp_path / "rtrd.yaml"
    file.write_text(f"{CONFIG}control: {tmp_path}/socket\n")
    argv = [RTRD, "run", "-c", str(file), *options]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == SENTENCE
        if options:
            process.terminate()  # as ExaBGP's process it ends slowly
        assert "Traceback" not in process.stderr.read()
    assert options or process.returncode == 1


def test_all_else_works(tmp_path: Path, environment: dict[str, str]) -> None:
    for command in COMMANDS:
        done = rtrd(environment, command, "--help")
        assert (done.returncode, done.stderr) == (0, ""), command
    vrps = tmp_path / "vrps.json"
    vrps.write_text('{"roas": [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24}]}')
    done = rtrd(environment, "validate", "--vrps", str(vrps), "192.0.2.0/24", "64500")
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "rtrd.yaml"
    file.write_text(CONFIG)
    assert rtrd(environment, "check", str(file)).returncode == 0
