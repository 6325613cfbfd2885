"""A group of processes whose memory the kernel bounds, as systemd's MemoryMax does (cgroups(7))."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

_MOUNTS: Final = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),
)
"""Where version 1 and version 2 have the controller of memory; the limit, and what counts the kills."""


class MemoryGroup:
    """One group."""

    def __init__(self, folder: Path, limit: str, events: str) -> None:
        self._folder, self._limit, self._events = folder, limit, events

    def end(self) -> None:
        """Let its processes go, and remove it."""
        for pid in (self._folder / "cgroup.procs").read_text().split():
            (self._folder.parent / "cgroup.procs").write_text(pid)
        self._folder.rmdir()

    def bound(self, octets: int) -> None:
        """Let its processes take so many octets from now on; more has one of them killed."""
        (self._folder / self._limit).write_text(str(octets))

    def take(self, pid: int) -> None:
        """Have a process in it; what that had taken before counts elsewhere."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed."""
        words = dict(line.split() for line in (self._folder / self._events).read_text().splitlines())
        return int(words["oom_kill"])


@contextmanager
def memory_group() -> Iterator[MemoryGroup]:
    """Give a new group, which is gone afterwards; skips the test, with the reason, where none can be made."""
    for mount, limit, events in _MOUNTS:
        try:
            folder = Path(mkdtemp(prefix="rtrd-", dir=mount))
        except OSError:
            continue
        group = MemoryGroup(folder, limit, events)
        try:
            if (folder / limit).exists():
                yield group
                return
        finally:
            group.end()
    pytest.skip(
        "no group of processes with bounded memory can be made here: it needs root and a cgroup that may be written"
    )
