"""A file system that hangs: a FUSE mount whose server never answers. Wants root."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_DETACH = 2


def why_not() -> str | None:
    """Why there can't be one here; None: there can."""
    if os.geteuid() != 0:
        return "only root mounts"
    return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "there is no FUSE"


@contextmanager
def hung(folder: Path) -> Iterator[Path]:
    """Let all that looks at this folder wait, until the end."""
    server = os.open("/dev/fuse", os.O_RDWR)
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
        if _libc.mount(b"hung", os.fsencode(folder), b"fuse", 0, options):
            raise OSError(ctypes.get_errno(), "mount")
        try:
            yield folder
        finally:
            _libc.umount2(os.fsencode(folder), _DETACH)
    finally:
        os.close(server)  # what waits is told that its server is gone
