"""What the host had no more of, in a sentence: no fault of ours, and no trace of our code helps the operator."""

from __future__ import annotations

import errno
from typing import Final

NO_MEMORY: Final = "no memory is to be had: the limit of this process or of its host is reached (MemoryMax=, ulimit -v)"
NO_THREAD: Final = "no thread can be started: the limit of processes and threads is reached (TasksMax=, ulimit -u)"

NO_DESCRIPTOR: Final = "no descriptor is to be had: the limit of open files is reached (LimitNOFILE=, ulimit -n)"
_OF_SYSTEM: Final = {
    errno.EMFILE: NO_DESCRIPTOR,
    errno.ENFILE: NO_DESCRIPTOR,
    errno.ENOMEM: NO_MEMORY,
    errno.ENOBUFS: NO_MEMORY,
}


def shortage(error: BaseException | None) -> str | None:
    """Say what was short; None: the error is of another kind."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":  # Python's word for it
        return NO_THREAD
    if isinstance(error, OSError):
        return _OF_SYSTEM.get(error.errno or 0)
    return None
