"""Processes of ours are started in one way, which works however rtrd is installed; their last words are heard."""

import ast
import asyncio
import gc
import os
import sys
from pathlib import Path

import pytest

from rtrd.base import apart
from rtrlib import children
from rtrlib.children import KEPT, LastWords, how_it_ended
from tests.lab import our_children, programs


class WorkError(Exception):
    """What the test's children fail with."""


def run(module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.syspath_prepend(str(folder))
    return asyncio.run(apart.run(module, "/here", WorkError))


def test_nothing_else_starts_this_python() -> None:
    found = {file: our_children.starts_by_itself(code) for file, code in our_children.sources()}
    wrong = {file: what for file, what in found.items() if what and file not in our_children.MAY_START}
    assert wrong == {}, "start it by rtrlib.children"
    assert not [what for each in found.values() for what in each if what.endswith("executable")]


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nargv = [sys.executable, '-m', 'rtrd.vrps.reader']",
        "from sys import executable",
        "import subprocess",
        "from subprocess import run",
        "import asyncio\nasyncio.create_subprocess_exec('python3')",
        "from asyncio import create_subprocess_shell",
        "import os\nos.execv('/usr/bin/python3', [])",
        "from multiprocessing import Process",
    ],
)
def test_a_forgotten_way_to_start_one_is_found(code: str) -> None:
    assert our_children.starts_by_itself(ast.parse(code))


def test_each_program_of_ours_is_a_child_that_is_tested_or_started_by_people() -> None:
    known = {*our_children.children(), *our_children.PROGRAMS, "rtrlib.child"}
    assert our_children.with_a_main() == known
    assert {"rtrd.vrps.reader", "rtrd.bird.worker"} <= known


def test_each_child_starts_from_the_source_tree() -> None:
    done = programs.run(sys.executable, "-c", our_children.START_EACH, *our_children.children(), cwd="/", seconds=60)
    assert done.returncode == 0, done.stderr


def test_a_child_finds_what_only_this_program_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("import sys; print(sys.argv[1], sys.path[0])")
    assert run("only_here", tmp_path, monkeypatch) == f"/here {tmp_path}\n".encode()


def test_a_child_that_dies_before_it_read_everything_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dies.py").write_text("import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), 9)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WorkError, match="died of SIGKILL"):
        asyncio.run(apart.run("dies", "/here", WorkError, bytes(1 << 24)))
    gc.collect()
    assert caplog.records == []


def test_a_child_does_not_look_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "decodes.py").write_text("import json")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(tmp_path)
    assert run("decodes", tmp_path / "there", monkeypatch) == b""


def test_variables_for_other_pythons_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    environment = children.module("x").env
    assert "PYTHONHOME" not in environment
    assert "/nowhere" not in environment["PYTHONPATH"].split(os.pathsep)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise MemoryError('no room')", "ended with status 1: MemoryError: no room"),
        ("import no_such_module", "ended with status 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "died of SIGKILL"),
        ("import sys; sys.stderr.write('x' * 9_000_000 + '\\nthe end'); sys.exit(1)", "ended with status 1: the end"),
    ],
)
def test_its_last_line_says_why(code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails.py").write_text(code)
    with pytest.raises(WorkError) as raised:
        run("fails", tmp_path, monkeypatch)
    assert str(raised.value) == f"/here: the process that read it {said}"


def test_last_words_are_bounded() -> None:
    words = LastWords()
    for _ in range(100):
        words.add(b"x" * KEPT)
    words.add(b"\nend")
    assert len(str(words)) == KEPT
    assert words.take().endswith("\nend")
    assert str(words) == ""


def test_how_a_process_ended() -> None:
    assert how_it_ended(None, "") == "closed its socket"
    assert how_it_ended(-6, "one\ntwo") == "died of SIGABRT: two"
    assert how_it_ended(3, "") == "ended with status 3"
