"""Reads files that people name: never waits for anything but a file, and never reads more than makes sense."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from pathlib import Path
from typing import Final

_GIVEN_OPEN: Final = re.compile(r"/dev/(?:stdin|fd/[0-9]+)|/proc/self/fd/[0-9]+")
"""What whoever started us opened for us (`rtrd check <(...)`) may be a pipe: they know who writes into it."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def absolute(path: Path) -> Path:
    """Give a path from the root on; as it is where the folder that it starts from was removed meanwhile."""
    try:
        return path.absolute()
    except FileNotFoundError:
        return path


class NotAFileError(OSError):
    """A folder, FIFO, socket or device stands where a file belongs; `strerror` says which."""


def mode_of(path: Path) -> int | None:
    """Give the mode of what is there; None: nothing is. OSError: it can't be looked at.

    Path.exists() and the like raise then, or say that nothing is there, as the version of Python has it.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL, which no name has
        return None


def want_file(path: Path, mode: int | None = None) -> None:
    """Raise NotAFileError for what is no regular file, OSError when it can't be looked at. `mode`: as stat gave it."""
    mode = path.stat().st_mode if mode is None else mode
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
        raise NotAFileError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def open_file(path: Path) -> io.FileIO:
    """Open a regular file to read it. OSError: it can't be opened, or is no file."""
    given = _GIVEN_OPEN.fullmatch(str(path)) is not None
    if not given:
        want_file(path)  # looked at before it is opened: to open a device may already do something
    file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if given else os.O_NONBLOCK)))
    if not given:
        try:
            want_file(path, os.fstat(file.fileno()).st_mode)
        except OSError:
            file.close()
            raise
    return file


def read_file(path: Path, most: int) -> bytes:
    """Read a regular file up to an octet more than `most`. OSError: it can't be read, or is no file."""
    with io.BufferedReader(open_file(path)) as file:
        return file.read(most + 1)
