"""The processes that a router started, and their end."""

import os
import select
import signal
from pathlib import Path

from rtrd.demo.lab import session_members


def children(router: int) -> list[int]:
    """Return the pids of those that it started itself."""
    found = []
    for pid in session_members(router):
        try:
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if parent == str(router):
            found.append(pid)
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process, and return when it ended."""
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, number)
    assert is_gone(handle)
    os.close(handle)


def is_gone(handle: int) -> bool:
    """Whether a process ends within 10 s: its pidfd is readable then."""
    return bool(select.select([handle], [], [], 10)[0])
