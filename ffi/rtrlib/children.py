"""How a process of ours is started, whatever way rtrd is installed, how it is buried, and its last words.

A folder of packages may be known to this program alone: /usr/bin/rtrd puts /usr/lib/rtrd into its sys.path, which no
other Python does. So a child is told where this program finds its modules. Nothing else may start this Python.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

KEPT: Final = 4096
"""Octets of a child's stderr."""


_lock = threading.Lock()
_dying: list[subprocess.Popen[bytes]] = []
"""Killed, not yet waited for; of all managers of this program, whichever thread they are in."""


class CommandLine(NamedTuple):
    """What subprocess and asyncio take to start a process."""

    argv: list[str]
    env: dict[str, str]


def module(name: str, *arguments: str) -> CommandLine:
    """Run a module of rtrd or rtrlib; it finds all that this program finds, in the same order."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return CommandLine([sys.executable, "-P", "-s", "-m", name, *arguments], env)


def file(path: str, arguments: Sequence[str], folders: Sequence[str]) -> CommandLine:
    """Run a file that needs nothing but Python's own library and these folders, which it is told last."""
    return CommandLine([sys.executable, "-I", "-S", path, *arguments, *folders], dict(os.environ))


def _forget() -> None:
    """In a forked child: what dies is the parent's."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for process in _dying:
        process.returncode = 0
    _dying.clear()


os.register_at_fork(after_in_child=_forget)


def bury(killed: subprocess.Popen[bytes]) -> None:
    """Have `reap` wait for a process that was killed."""
    with _lock:
        _dying.append(killed)


def reap(timeout: float = 0.0) -> int:
    """Collect children that were killed; wait up to `timeout` seconds for each. Returns how many are left."""
    with _lock:
        dying = list(_dying)
    for process in dying:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
    with _lock:
        _dying[:] = [process for process in _dying if process.returncode is None]
        return len(_dying)


class LastWords:
    """The end of what a child wrote to stderr: a traceback, or an abort, says why in its last line."""

    def __init__(self) -> None:
        self._octets = b""

    def add(self, octets: bytes) -> None:
        """Take what was read; only the end is kept."""
        self._octets = (self._octets + octets)[-KEPT:]

    def take(self) -> str:
        """Give what was kept, and forget it."""
        text, self._octets = str(self), b""
        return text

    def __str__(self) -> str:
        return self._octets.decode(errors="backslashreplace").strip()


def how_it_ended(code: int | None, words: str) -> str:
    """Say how a process ended, and its last line: `died of SIGKILL`, `ended with status 1: MemoryError`."""
    if code is None:
        how = "closed its socket"
    else:
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    lines = words.splitlines()
    return f"{how}: {lines[-1]}" if lines else how
