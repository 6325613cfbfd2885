"""The lab itself: what it starts is awaited by event and always ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtrd.demo.lab import Lab, LabError, PortTakenError, Process, find_program, on_free_port, session_members
from rtrd.demo.ports import free_port
from tests.lab.router_children import is_gone

LISTEN = """
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); print("here", flush=True); time.sleep(60)
"""
LINE = "import time; print('\\x1b[1mready\\x1b[0m now', flush=True); time.sleep(60)"
PARENT = """
import subprocess, time
subprocess.Popen(["sleep", "60"]); print("started", flush=True); time.sleep(60)
"""


def python(folder: Path, script: str, *arguments: str, name: str = "python") -> Process:
    return Process(name, [sys.executable, "-c", script, *arguments], folder)


def gone(pid: int) -> bool:
    """Whether a process ended; one that nobody has reaped yet has."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def test_a_line_is_awaited_and_dated(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        process = lab.start(python(tmp_path, LINE))
        assert process.wait_for("^ready now$").time <= time.monotonic()
        assert process.log.read_text() == "\x1b[1mready\x1b[0m now\n"


def test_an_early_end_is_told_with_the_log(tmp_path: Path) -> None:
    process = python(tmp_path, "print('no such thing'); raise SystemExit(3)")
    process.start()
    with pytest.raises(LabError, match=r"(?s)ended \(3\).*no such thing"):
        process.wait_for("ready")


def test_everything_ends_with_the_block_also_after_an_error(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    process = python(tmp_path, PARENT)

    def experiment() -> None:
        with lab:
            lab.start(process)
            process.wait_for("started")
            assert len(session_members(process.pid)) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        experiment()
    assert session_members(process.pid) == {}
    assert [text.split()[0] for text in lab.leftovers] == ["sleep"]


def test_a_program_that_ignores_sigterm_is_killed_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrd.demo.lab.STOP_SECONDS", 0.2)
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    with Lab(tmp_path) as lab:
        process = lab.start(python(tmp_path, f"{script}; time.sleep(60)"))
        process.wait_for("deaf")
    assert not process.running
    assert lab.leftovers == [f"python (pid {process.pid}) ignored SIGTERM"]


def test_nothing_survives_a_killed_lab(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from rtrd.demo.lab import Process
process = Process("child", ["sh", "-c", "echo up; exec sleep 60"], Path({str(tmp_path)!r}))
process.start()
process.wait_for("up")
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        handle = os.pidfd_open(pid)
        other.send_signal(signal.SIGKILL)
    assert is_gone(handle)
    assert gone(pid)


def test_a_taken_port_is_told_from_our_own(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        process = python(tmp_path, LISTEN, str(taken))
        process.start()
        with pytest.raises(PortTakenError):
            process.wait_listening(taken)


def test_another_port_is_tried_when_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other, Lab(tmp_path) as lab:
        other.bind(("127.0.0.1", 0))
        other.listen()
        offered = iter([other.getsockname()[1], other.getsockname()[1]])
        monkeypatch.setattr("rtrd.demo.lab.free_port", lambda address: next(offered, None) or free_port(address))

        def attempt(port: int) -> Process:
            process = lab.start(python(tmp_path, LISTEN, str(port), name=f"listen-{port}"))
            process.wait_listening(port)
            return process

        assert on_free_port("127.0.0.1", attempt).running


def test_a_missing_program_names_what_installs_it() -> None:
    with pytest.raises(LabError, match="no-such-router is not installed: as root: apt-get install no-such"):
        find_program("no-such-router", "as root: apt-get install no-such")
