"""A user's program type-checks under mypy --strict; a wrong one does not."""

import os
import subprocess
import sys
from pathlib import Path

import rtrlib
from tests.lab import ROOT
from tests.lab.programs import run

WRONG = """
from rtrlib import RTRManager
manager = RTRManager("127.0.0.1", 3.5)
manager.validate("64500", "192.0.2.0", 24)
manager.ipv4_records().prefix
"""


def mypy(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it as a user would: without this repository's configuration."""
    argv = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", folder / "cache", *arguments]
    return run(*argv, cwd=folder, env={**os.environ, "MYPYPATH": str(ROOT / "ffi")}, seconds=300)


def test_a_users_program(tmp_path: Path) -> None:
    done = mypy(str(ROOT / "tests" / "typing" / "user_program.py"), folder=tmp_path)
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr
    wrong = mypy("-c", WRONG, folder=tmp_path)
    assert wrong.returncode == 1
    lines = wrong.stdout.splitlines()
    for line, code in ((3, "arg-type"), (4, "arg-type"), (5, "attr-defined")):
        assert any(f":{line}: error" in said and f"[{code}]" in said for said in lines), wrong.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert rtrlib.__file__
    assert (Path(rtrlib.__file__).parent / "py.typed").is_file()
