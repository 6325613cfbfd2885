"""Where the daemon's sockets are, from the command line or the environment. Imports next to nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DEFAULT_SOCKET: Final = "/run/rtrd/rtrd.sock"

ATTACH_SUFFIX: Final = ".attach"
"""Behind the control socket's name: the socket where routers are handed over (rtrd.exabgp.attachments)."""


def socket_path(given: str | None) -> Path:
    """Return where the daemon is asked: as given, else by RTRD_SOCKET in the environment, or the default."""
    return Path(given or os.environ.get("RTRD_SOCKET") or DEFAULT_SOCKET)


def attach_path(control: Path) -> Path:
    """Return where routers are handed over to the daemon with this control socket."""
    return control.with_name(control.name + ATTACH_SUFFIX)
