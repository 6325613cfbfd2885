"""Logs as entries of the systemd journal, with fields of their own.

systemd-python does the sending. It would wait for a journal that doesn't read, and with it the routers: so the
journal's socket is asked before, and what it has no room for is lost and counted, as on stderr.
"""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from rtrd.base.log_values import field

SOCKET: Final = "/run/systemd/journal/socket"

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


def sender() -> Callable[..., object] | None:
    """Give systemd-python's sendv; None where it is not installed."""
    try:
        from systemd.journal import sendv  # type: ignore[import-untyped,import-not-found,unused-ignore] # noqa: PLC0415
    except ImportError:
        return None
    send: Callable[..., object] = sendv
    return send


class JournalWriter:
    """Takes what structlog made of an event; also the factory that structlog asks for one."""

    def __init__(self, send: Callable[..., object], path: str = SOCKET) -> None:
        """`send` takes fields, each `NAME=VALUE`; `path`: the socket that it sends to."""
        self._send = send
        self._path = path
        self._probe: socket.socket | None = None
        self._lost = 0

    def __call__(self, *_args: object) -> JournalWriter:
        """Give itself: there is one for all loggers."""
        return self

    def msg(self, **fields: str) -> None:
        """Send one entry, or count it as lost."""
        if not self._room():
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.msg(MESSAGE=f"{lost} log entries were lost: the journal did not read them", PRIORITY="4")
        try:
            self._send(*(f"{name}={value}" for name, value in fields.items()))
        except OSError:  # the journal is restarted: nowhere is left to say so
            self._lost += 1

    debug = info = warning = error = critical = exception = fatal = failure = err = warn = log = msg

    def _room(self) -> bool:
        """Tell whether the journal takes an entry now: poll(2) of a connected socket sees the other's queue."""
        try:
            if self._probe is None:
                self._probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                self._probe.connect(self._path)
            poll = select.poll()
            poll.register(self._probe, select.POLLOUT)
            events = poll.poll(0)
        except OSError:
            events = []
        room = bool(events) and not events[0][1] & (select.POLLERR | select.POLLHUP)
        if not room and self._probe is not None and (not events or events[0][1] & select.POLLERR):
            self._probe.close()  # perhaps it is another journal by now
            self._probe = None
        return room


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
