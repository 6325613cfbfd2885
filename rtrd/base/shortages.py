"""What the host had no more of, in a sentence: no fault of ours, and no trace of our code helps the operator."""

from __future__ import annotations

from typing import Final

NO_MEMORY: Final = "no memory is to be had: the limit of this process or of its host is reached (MemoryMax=, ulimit -v)"
NO_THREAD: Final = "no thread can be started: the limit of processes and threads is reached (TasksMax=, ulimit -u)"


def shortage(error: BaseException | None) -> str | None:
    """Say what was short; None: the error is of another kind."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":  # Python's word for it
        return NO_THREAD
    return None
