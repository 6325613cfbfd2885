"""FIFOs that take a file's place, and a file system that hangs: said, and no obstacle to rtrd's end."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rtrd.base.file_thread import PATIENCE
from tests.lab import hung
from tests.lab.programs import RTRD
from tests.lab.slurm_text import slurm_text
from tests.lab.wait import wait_until

VRPS = '{"roas": [{"asn": 64500, "prefix": "192.0.2.0/24"}]}\n'


def started(folder: Path, *argv: str | Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([RTRD, *argv], stdout=log, stderr=log)


def said(folder: Path, what: str) -> bool:
    return what in (folder / "log").read_text()


def end(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """How it ended after SIGTERM, and after how many seconds."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(60), time.monotonic() - began
    finally:
        process.kill()


def daemon(folder: Path, files: Path) -> subprocess.Popen[bytes]:
    config = folder / "rtrd.yaml"
    config.write_text(
        "caches:\n  groups:\n    - {name: a, preference: 1, servers: [{host: 127.0.0.1, port: 9}]}\n"
        f"control: {folder}/s\nslurm: [{files}/slurm.json]\nstate: {files}\n"
    )
    (files / "slurm.json").write_text(slurm_text())
    process = started(folder, "run", "-c", config)
    wait_until(lambda: said(folder, "the API is served"), "the daemon")
    return process


def test_a_fifo_that_takes_the_place_of_a_slurm_file_is_said_and_left(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    process = daemon(tmp_path, files)
    try:
        os.mkfifo(files / "fifo")
        (files / "fifo").rename(files / "slurm.json")
        wait_until(lambda: said(tmp_path, "slurm.json: cannot be read: it is a FIFO, not a file"), "the refusal")
    finally:
        code, seconds = end(process)
    assert (code, seconds < 5) == (0, True)


def test_a_fifo_that_takes_the_place_of_a_vrp_file_is_said_and_left(tmp_path: Path) -> None:
    vrps = tmp_path / "vrps"
    vrps.write_text(VRPS)
    process = started(tmp_path, "cache", "--vrps", vrps, "--listen", "127.0.0.1:0")
    try:
        wait_until(lambda: said(tmp_path, "listening on"), "the cache")
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "fifo").rename(vrps)
        wait_until(lambda: said(tmp_path, "vrps: it is a FIFO, not a file"), "the refusal")
    finally:
        code, seconds = end(process)
    assert (code, seconds < 5) == (0, True)


@pytest.mark.skipif(hung.why_not() is not None, reason=str(hung.why_not()))
def test_a_file_system_that_hangs_is_said_and_keeps_nobody_from_ending(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    process = daemon(tmp_path, files)
    with hung.hung(files):
        try:
            for what in ("slurm.json: cannot be read: the file system does not answer", "state folder"):
                wait_until(lambda what=what: said(tmp_path, what), what)  # type: ignore[misc]
        finally:
            code, seconds = end(process)
    assert (code, seconds < 8 * PATIENCE) == (0, True)


@pytest.mark.skipif(hung.why_not() is not None, reason=str(hung.why_not()))
def test_a_vrp_file_on_a_file_system_that_hangs(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "vrps").write_text(VRPS)
    process = started(tmp_path, "cache", "--vrps", files / "vrps", "--listen", "127.0.0.1:0")
    try:
        wait_until(lambda: said(tmp_path, "listening on"), "the cache")
        with hung.hung(files):
            wait_until(lambda: said(tmp_path, "the file system does not answer"), "the refusal")
            code, seconds = end(process)
    finally:
        process.kill()
    assert (code, seconds < 5) == (0, True)
