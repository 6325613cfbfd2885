"""Structured logs, one line per event, on stderr; stdout belongs to the router.

Nothing of a line is trusted: control characters are escaped, long values cut. A full pipe at stderr costs
lines (counted, and said when there is room again), never time.
"""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, MutableMapping
from functools import partial
from typing import Any, Final, Literal

import structlog

from rtrd.base import systemd_journal
from rtrd.base.log_values import field, plain
from rtrd.base.shortages import met
from rtrd.base.text import counted, printable

Format = Literal["auto", "human", "json", "journal"]

MAX_KEYS: Final = 1024
"""Repeated faults that a RateLimiter tells apart; the one that was silent longest is forgotten first."""

MOST_KEPT: Final = 300
"""Records that are kept in memory, for a report of a fault."""

STDERR: Final = 2
_COLORS: Final = {"debug": 34, "warning": 33, "error": 31, "critical": 31}
_NUMBERS: Final = re.compile("[0-9]+")
_kept: Final[deque[dict[str, Any]]] = deque(maxlen=MOST_KEPT)


def setup(style: Format = "auto", level: str = "info", fd: int = STDERR) -> None:
    """Send all logs of the process, also those of libraries, to stderr.

    `auto` is JSON if the environment has RTRD_LOG=json, else entries with fields if stderr is the systemd journal, else
    text for people, colored on a terminal. A level is a name of the standard library's logging.
    """
    if style == "auto" and os.environ.get("RTRD_LOG") == "json":
        style = "json"
    elif style == "auto":
        style = "journal" if systemd_journal.is_journal(fd) else "human"
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _shortage,
            structlog.processors.format_exc_info,
            _escape,
            _keep,
            *_renderers(style, colors=os.isatty(fd)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=systemd_journal.JournalWriter() if style == "journal" else _Writer(fd),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_FromLibraries()]
    root.setLevel(max(number, logging.WARNING))


def get(name: str) -> Any:
    """Return a logger; `log.warning("what happened", cache="192.0.2.1:323")`."""
    return structlog.get_logger(part=name)


def recent() -> list[dict[str, Any]]:
    """Give the last MOST_KEPT records of the process, oldest first, with their values escaped and cut."""
    return list(_kept)


class RateLimiter:
    """Says whether a repeated fault is to be logged again, and how often it came meanwhile.

    `clock` gives seconds; it never has to be the time of day.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def rate_limited(self, key: Hashable, interval: float = 60.0) -> dict[str, str] | None:
        """Return None to be silent, or the fields that the line gets.

        The first time of a key there are none; once `interval` seconds have passed since the last line,
        `more` says how many were left out: "and 41 more in the last 60 s".
        """
        now = self._clock()
        began, silent = self._keys.get(key, (None, 0))
        if began is not None and now - began < interval:
            self._keys[key] = (began, silent + 1)
            return None
        self._keys[key] = (now, 0)
        self._keys.move_to_end(key)
        if len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)
        if not silent or began is None:
            return {}
        return {"more": f"and {silent} more in the last {now - began:.0f} s"}


class _Writer:
    """Writes lines to a descriptor that may be a full pipe; also the factory that structlog asks for one."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._lost = 0

    def __call__(self, *_args: object) -> _Writer:
        return self

    def msg(self, line: str) -> None:
        """Write one line, or count it as lost."""
        if self._lost:
            line = f"{counted(self._lost, 'log line', 'was', 'were')} lost: nobody read stderr\n{line}"
        data = (line + "\n").encode("utf-8", "backslashreplace")
        # O_NONBLOCK would be shared with whoever else has this stderr, so ask first: a pipe that poll calls
        # writable takes PIPE_BUF bytes without blocking (pipe(7)).
        for start in range(0, len(data), select.PIPE_BUF):
            try:
                writable = self._poll.poll(0)
                if not writable or not writable[0][1] & select.POLLOUT:
                    self._lost += 1
                    return
                os.write(self._fd, data[start : start + select.PIPE_BUF])
            except OSError:  # nobody reads stderr any more: nowhere is left to say so
                self._lost += 1
                return
        self._lost = 0

    debug = info = warning = error = critical = exception = fatal = failure = err = warn = log = msg


class _FromLibraries(logging.Handler):
    """Hands the records of libraries (rtrlib, asyncio, aiohttp) to structlog; what is repeated, not each time.

    Two records that differ in numbers only are one; not those of rtrlib, which are of one cache each and tell of waits
    that grow.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limiter = RateLimiter()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        key = printable(text)
        if not record.name.startswith("rtrlib"):
            key = _NUMBERS.sub("0", key)
        more = self._limiter.rate_limited((record.name, key))
        if more is not None:
            get(record.name).log(record.levelno, text, exc_info=record.exc_info, **more)


def _shortage(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say in a sentence what the host had no more of; a trace would only look like a fault of ours."""
    given = event.get("exc_info")
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    why = met(error) if given else None
    if why is not None:
        del event["exc_info"]
        event["why"] = why
    return event


def _escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make plain text of the values; a field without one is left out."""
    for key, value in list(event.items()):
        if value is None:
            del event[key]
        elif key == "exception":
            # Our own line breaks stay; indented, none of them can pass for a line of the log.
            event[key] = "\n".join("    " + printable(line) for line in str(value).splitlines())
        else:
            event[key] = plain(value)
    return event


def _keep(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    _kept.append(dict(event))
    return event


def _renderers(style: Format, *, colors: bool) -> list[Any]:
    if style == "journal":
        return [systemd_journal.render]
    if style == "json":
        return [structlog.processors.JSONRenderer()]
    return [partial(_line, colors=colors)]


def _line(_logger: object, method: str, event: MutableMapping[str, Any], *, colors: bool) -> str:
    """Make a line for people of an event whose values are escaped already."""
    level, exception = event.pop("level", method), event.pop("exception", None)
    time, what = event.pop("timestamp", ""), event.pop("event", "")
    start = f"{time} [{level:<9}] {what}"
    if colors:
        start = f"\x1b[2m{time}\x1b[0m [\x1b[{_COLORS.get(level, 32)}m{level:<9}\x1b[0m] \x1b[1m{what}\x1b[0m"
    line = " ".join([start, *(field(key, value) for key, value in event.items())])
    return line if exception is None else f"{line}\n{exception}"
