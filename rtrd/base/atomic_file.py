"""A file that is replaced whole or not at all, in a folder where others may write, too."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_new(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file that is there for nobody before, and have it on the disk; its mode is 0600. For a thread.

    What is in its place is removed, and no link is followed. OSError: a part of it may be there.
    """
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(number, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(number)


def replace(path: Path, *parts: bytes | memoryview) -> None:
    """Write beside it and rename, so that it is on the disk when this returns; its mode is 0600. For a thread.

    OSError: the old file is as it was.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        write_new(fresh, *parts)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        # On a full disk half a file would take the room that a whole one needs later.
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
