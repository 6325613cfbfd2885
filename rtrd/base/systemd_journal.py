"""Logs as entries of the systemd journal, with fields of their own.

The journal's socket takes an entry as a datagram, or, if that is too long, as a sealed file. Nobody waits for a journal
that doesn't read, or the routers would wait with it: what it has no room for is lost and counted, as on stderr.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from array import array
from collections.abc import Mapping
from typing import Any, Final

from rtrd.base.log_values import field

SOCKET: Final = "/run/systemd/journal/socket"

SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""What the journal wants of a file: that nobody changes it any more."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3)."""

_FIELD: Final = re.compile("[A-Z][A-Z0-9_]{0,63}")
_TAKEN: Final = re.compile("MESSAGE|PRIORITY|ERRNO|(CODE|SYSLOG|OBJECT|COREDUMP)_.*")


def is_journal(fd: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a descriptor is the journal's own stream (JOURNAL_STREAM of systemd.exec(5))."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


class JournalWriter:
    """Takes what structlog made of an event; also the factory that structlog asks for one."""

    def __init__(self, path: str = SOCKET) -> None:
        """`path`: the journal's socket."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._lost = 0

    def __call__(self, *_args: object) -> JournalWriter:
        """Give itself: there is one for all loggers."""
        return self

    def msg(self, **fields: str) -> None:
        """Send one entry, or count it as lost."""
        if self._lost:
            told = f"{self._lost} log entries were lost: the journal did not read them"
            if not self._sent({"MESSAGE": told, "PRIORITY": "4"}):
                self._lost += 1
                return
            self._lost = 0
        if not self._sent(fields):
            self._lost += 1

    debug = info = warning = error = critical = exception = fatal = failure = err = warn = log = msg

    def _sent(self, fields: Mapping[str, str]) -> bool:
        """Tell whether the journal has taken an entry; one that is restarted takes none."""
        entry = b"".join(_encoded(name, value) for name, value in fields.items())
        try:
            self._socket.sendto(entry, self._path)
        except OSError as error:
            return error.errno in {errno.EMSGSIZE, errno.ENOBUFS} and self._sent_as_file(entry)
        return True

    def _sent_as_file(self, entry: bytes) -> bool:
        """Hand over an entry that is longer than a datagram may be, such as one with a long traceback."""
        try:
            with os.fdopen(os.memfd_create("entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
                file.write(entry)
                file.flush()
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
                handed = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()]))
                self._socket.sendmsg([], [handed], 0, self._path)  # send_fds of Python 3.11 forgets the address
        except OSError:
            return False
        return True


def _encoded(name: str, value: str) -> bytes:
    """Write a field as the journal's native protocol does: a value of several lines has its length before it."""
    text = value.encode(errors="replace")
    if b"\n" not in text:
        return b"%s=%s\n" % (name.encode(), text)
    return b"%s\n%s%s\n" % (name.encode(), len(text).to_bytes(8, "little"), text)


def render(_logger: object, method: str, event: dict[str, Any]) -> dict[str, str]:
    """Make fields of an event whose values are escaped already. The last of structlog's processors."""
    level = str(event.pop("level", method))
    event.pop("timestamp", None)
    exception = event.pop("exception", None)
    what = str(event.pop("event", ""))
    fields = {"PRIORITY": str(PRIORITIES.get(level, PRIORITIES["info"])), "SYSLOG_IDENTIFIER": "rtrd"}
    words = [what]
    for key, value in event.items():
        name = key.upper()
        if _FIELD.fullmatch(name) and not _TAKEN.fullmatch(name):
            fields[name] = str(value)
        if key != "part":
            words.append(field(key, value))
    message = " ".join(words)
    if exception is not None:
        fields["EXCEPTION"] = str(exception)
        message += f"\n{exception}"
    return {"MESSAGE": message, **fields}
