"""Who is at the other end of a unix socket (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

NOBODY: Final = 65534
"""What the kernel says instead of a user whom our user namespace does not have (`overflowuid`, user_namespaces(7))."""


class PeerProcess(NamedTuple):
    """A process, and its user."""

    pid: int
    uid: int | None
    """None: a user whom we can't see, as systemd's PrivateUsers= has it for all but root and rtrd's own."""


def peer_process(connection: socket.socket) -> PeerProcess:
    """Give the process that connected."""
    pid, uid, _ = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return PeerProcess(pid, uid if uid != NOBODY or _sees_nobody() else None)


def is_mapped(uid: int, uid_map: Iterable[str]) -> bool:
    """Tell whether a user is one of a user namespace, by the lines of its /proc/PID/uid_map."""
    ranges = [tuple(map(int, line.split())) for line in uid_map]
    return any(first <= uid < first + count for first, _, count in ranges)


@cache
def _sees_nobody() -> bool:
    try:
        return is_mapped(NOBODY, Path("/proc/self/uid_map").read_text("ascii").splitlines())
    except OSError:
        return True
