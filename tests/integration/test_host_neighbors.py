"""What others on the host do to a daemon: socket files that vanish, SIGHUP at any moment, slow senders."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from rtrd.base import signals, socket_paths
from rtrd.base.shortages import NO_THREAD
from rtrd.commands import http_client
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.daemons import Daemon
from tests.lab.programs import RTRD
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS, wait_until

VRPS = [VRP("192.0.2.0/24", 24, 64500)]


@pytest.fixture
def daemon(lab: Lab) -> Daemon:
    return lab.start(Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))]))


def test_a_socket_whose_file_is_removed_is_made_again(daemon: Daemon) -> None:
    paths = (daemon.socket, socket_paths.attach_path(daemon.socket))
    before = [path.stat().st_ino for path in paths]
    for path in paths:
        path.unlink()
    said = {f"{path} was removed; it was made again" for path in paths}
    daemon.wait_status(lambda status: said <= {one["what"] for one in status["problems"]}, "both sockets again")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(paths[1]))
    assert all(path.stat().st_ino != old for path, old in zip(paths, before, strict=True))
    daemon.stop()
    assert not any(path.exists() for path in paths)


def test_what_lies_where_the_socket_was_is_left_alone(daemon: Daemon) -> None:
    attach = socket_paths.attach_path(daemon.socket)
    attach.unlink()
    attach.write_text("mine")
    words = f"{attach} was removed, and can't be made again"
    status = daemon.wait_status(
        lambda status: any(one["what"].startswith(words) for one in status["problems"]), "what is in the way"
    )
    assert any("is not a socket; it is left alone" in one["what"] for one in status["problems"])
    assert attach.read_text() == "mine"


def test_hangups_from_the_first_moment_on_are_no_death(lab: Lab) -> None:
    """As of a `systemctl reload` just after the start; the interpreter's own start is nobody's to change."""
    daemon = Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))])
    argv = [RTRD, "run", "-c", str(daemon.config), "--log", "human"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: _handles_hangups(process.pid), "a handler")
        for _ in range(200):
            process.send_signal(signal.SIGHUP)
            if daemon.status() is not None:
                break
        wait_until(lambda: daemon.status() is not None, "an answer")
        process.terminate()
        assert process.wait(SECONDS) == 0


def test_signals_that_mean_nothing_end_nobody(daemon: Daemon) -> None:
    pid = daemon.process.pid
    assert pid is not None
    for number in (*signals.STRAY, signal.SIGUSR1):
        os.kill(pid, number)
    words = [f"signal={getattr(number, 'name', number)}" for number in signals.STRAY[:8]]
    wait_until(lambda: all(one in _log(daemon) for one in words), "a line for each")
    assert daemon.status() is not None
    assert _log(daemon).count("signal=SIGUSR1") == 1
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in [pid, *map(int, children)]:
        ignored = re.search(r"^SigIgn:\s+(\S+)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
        assert ignored is not None
        assert not int(ignored[1], 16) >> (signal.SIGUSR1 - 1) & 1


def _log(daemon: Daemon) -> str:
    return "\n".join(line.text for line in daemon.process.lines)


def _handles_hangups(pid: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGHUP - 1) & 1)
    return False


def test_slow_senders_of_vrp_files_hold_up_nobody(daemon: Daemon) -> None:
    head = b"POST /whatif HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2200\r\n\r\n" + os.urandom(10)
    with ExitStack() as slow:
        for _ in range(140):
            client = slow.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(daemon.socket))
            client.sendall(head)
        wait_until(lambda: _routes_looked_at(daemon) == 0, "an answer among them")


def _routes_looked_at(daemon: Daemon) -> int | None:
    refused = suppress(OSError, http_client.RefusedError, http_client.NoDaemonError)
    with refused, http_client.ask(daemon.socket, "/whatif?vrp=%2B192.0.2.0/24-24@64501") as answer:
        return int(answer.value()["routes"])
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="another user's limit of threads is root's to set")
@pytest.mark.parametrize("exabgp", [False, True])
def test_without_a_thread_to_be_had_it_is_said(*, exabgp: bool) -> None:
    groups = [{"name": "one", "preference": 1, "servers": [{"host": "localhost", "port": 9}]}]
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are root's alone
        folder = Path(name)
        folder.chmod(0o777)
        config = folder / "rtrd.yaml"
        config.write_text(json.dumps({"caches": {"groups": groups}, "control": str(folder / "s")}))
        alone = ["setpriv", "--reuid=54321", "--clear-groups", "prlimit", "--nproc=1:1"]
        command = [*alone, RTRD, "run", "-c", str(config), *(["--exabgp"] if exabgp else [])]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as process:
            try:
                wait_until(lambda: NO_THREAD in _problems(folder / "s"), "a problem that says so")
            finally:
                process.terminate()
                _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, "Traceback" in said) == (0, False)
    assert "no thread" in said


def _problems(control: Path) -> list[str]:
    with suppress(http_client.NoDaemonError):
        status = http_client.status(control)
        return [] if status is None else [one["what"] for one in status["problems"]]
    return []


def test_an_audit_of_bird_ends_with_the_daemon(tmp_path: Path) -> None:
    """However rtrd dies, and however long BIRD says nothing."""
    script = """
import asyncio, sys
from rtrd.base import apart
from rtrd.bird.replies import BirdError
asyncio.run(apart.run("rtrd.bird.worker", sys.argv[1], BirdError, b""))
"""
    with socket.socket(socket.AF_UNIX) as bird:
        bird.bind(str(tmp_path / "bird.ctl"))
        bird.listen()
        with subprocess.Popen([sys.executable, "-c", script, tmp_path / "bird.ctl"]) as parent:
            connection, _ = bird.accept()
            with connection:
                worker = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                parent.kill()
                connection.settimeout(5)  # its own patience with BIRD is longer
                assert connection.recv(1) == b"", "the worker is gone"
        wait_until(lambda: not Path(f"/proc/{worker}/cmdline").exists() or _is_dead(worker), "its end")


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
