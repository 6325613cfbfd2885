"""Whether a file has changed since it was read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Signature(NamedTuple):
    """Two equal ones, taken before and after reading, mean one and the same content."""

    st_dev: int
    st_ino: int
    st_mtime_ns: int
    st_size: int


def signature(path: Path) -> Signature | None:
    """Look at a file; None when there is none, or it can't be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return Signature(stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
