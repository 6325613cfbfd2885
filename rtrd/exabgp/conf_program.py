"""The program of a process in ExaBGP's configuration, looked at on this host: ExaBGP refuses a file that names some."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from rtrd.base.files import mode_of

_LOOKED_FIRST: Final = "/etc/exabgp"
_ANY_EXECUTE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def why_not_run(program: str, file: str) -> str | None:
    """Say why ExaBGP would not run a program; None: it would, or that can't be seen. `file`: what names the program."""
    try:
        modes = [mode for path in _places(program, file) if (mode := mode_of(path)) is not None]
    except OSError as error:
        return "is not on this host" if error.errno == errno.ENAMETOOLONG else None
    if not modes:
        return "is not on this host"
    mode = modes[-1]
    if stat.S_ISDIR(mode):
        return "is a folder"
    if mode & stat.S_ISUID:
        return "is setuid: ExaBGP refuses such programs; have ExaBGP's own unit choose the user"
    return None if mode & _ANY_EXECUTE else "is not executable"


def _places(program: str, file: str) -> list[Path]:
    """Give where ExaBGP looks; the last one that is there counts. Its PATH is taken to be ours."""
    if program.startswith("/"):
        return [Path(program)]
    folders = [_LOOKED_FIRST, str(Path(file).parent), *os.get_exec_path()]
    return [Path(folder) / program for folder in folders]
