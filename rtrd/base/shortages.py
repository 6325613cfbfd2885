"""What the host had no more of, in a sentence: no fault of ours, and no trace of our code helps the operator."""

from __future__ import annotations

import errno
import time
from typing import Final, NamedTuple

NO_MEMORY: Final = "no memory is to be had: the limit of this process or of its host is reached (MemoryMax=, ulimit -v)"
NO_THREAD: Final = "no thread can be started: the limit of processes and threads is reached (TasksMax=, ulimit -u)"

NO_DESCRIPTOR: Final = "no descriptor is to be had: the limit of open files is reached (LimitNOFILE=, ulimit -n)"
_OF_SYSTEM: Final = {
    errno.EMFILE: NO_DESCRIPTOR,
    errno.ENFILE: NO_DESCRIPTOR,
    errno.ENOMEM: NO_MEMORY,
    errno.ENOBUFS: NO_MEMORY,
}

NEARLY_NONE: Final = "nearly all descriptors are taken, and connections by TCP are refused (LimitNOFILE=, ulimit -n)"
TOLD: Final = 60.0
"""Seconds for which it is told that something was short."""


class _Seen(NamedTuple):
    """When something was short, first and last (seconds of the steady clock)."""

    first: float
    last: float


_seen: Final[dict[str, _Seen]] = {}
"""By the sentences above."""


def note(why: str, now: float | None = None) -> None:
    """Note that something is short now; `why` is one of the sentences above."""
    now = time.monotonic() if now is None else now
    before = _seen.get(why)
    _seen[why] = _Seen(now if before is None or now - before.last > TOLD else before.first, now)


def forget() -> None:
    """Have nothing noted."""
    _seen.clear()


def noted(now: float | None = None) -> list[tuple[str, float]]:
    """Give what was short not long ago, and since when (seconds of the steady clock)."""
    now = time.monotonic() if now is None else now
    return [(why, seen.first) for why, seen in _seen.items() if now - seen.last <= TOLD]


def shortage(error: BaseException | None) -> str | None:
    """Say what was short; None: the error is of another kind."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":  # Python's word for it
        return NO_THREAD
    if isinstance(error, ImportError) and "failed to map segment" in str(error):  # the dynamic linker's
        return NO_MEMORY
    if isinstance(error, OSError):
        return _OF_SYSTEM.get(error.errno or 0)
    return None


def met(error: BaseException | None) -> str | None:
    """Say what was short, as `shortage` does, and note it."""
    why = shortage(error)
    if why is not None:
        note(why)
    return why
