"""sd_notify(3) messages about the daemon. Without a NOTIFY_SOCKET nothing happens.

The watchdog is fed from the event loop that reads the routers' pipes: when that loop stops, so does the feeding, and
systemd ends a process that would hold up its routers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from rtrd.base import log

STATUS_EVERY: Final = 1.0
"""Seconds between two looks at what the status says."""
AGAIN: Final = 0.1
"""Seconds until a manager that has no room for a message is told again."""


def _sender(address: str) -> Callable[[str], object]:
    """Give what sends a message to the service manager's socket, as sd_notify(3) does: `@` is for an abstract one."""
    path = f"\0{address[1:]}" if address.startswith("@") else address
    # One for all: the watchdog is fed also when descriptors are short. It doesn't wait: the routers would, too.
    sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    return lambda message: sending.sendto(message.encode(), path)


class Notifier:
    """Tells the service manager how the daemon is, from `ready` to `stopping`."""

    def __init__(
        self,
        status: Callable[[], str],
        send: Callable[[str], object] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`status` gives one line for people. `send` takes a message; by default the service manager's socket."""
        address = environment.get("NOTIFY_SOCKET")
        self._status = status
        self._send = (send or _sender(address)) if address else None
        self._log = log.get("daemon")
        self._limiter = log.RateLimiter()
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, str] = {}  # the last message of each kind
        self._said = ""
        self._feed_every = _watchdog(environment) / 2

    def ready(self) -> None:
        """Say that requests are answered; from here on the status is kept up to date and the watchdog fed."""
        self._tell("READY=1")
        self._say_status()
        self._feed()

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def reloaded(self) -> None:
        """Say that it was read, with success or without."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Say that the daemon ends. The watchdog is fed on: what is left to do is bounded."""
        self._tell("STOPPING=1")

    def close(self) -> None:
        """Say nothing any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _tell(self, message: str, kind: str = "state") -> None:
        if self._send is not None:
            self._waiting.pop(kind, None)
            self._waiting[kind] = message
            self._say(self._send)

    def _say(self, send: Callable[[str], object]) -> None:
        """Send what waits; a manager that is busy, as at a boot, gets it a little later."""
        if (timer := self._timers.pop("again", None)) is not None:
            timer.cancel()
        for kind, message in list(self._waiting.items()):
            try:
                send(message)
            except BlockingIOError:
                self._timers["again"] = self._loop.call_later(AGAIN, self._say, send)
                return
            except OSError as error:
                more = self._limiter.rate_limited("unheard")
                if more is not None:
                    self._log.warning("the service manager can't be told", what=message, reason=error.strerror, **more)
            del self._waiting[kind]

    def _say_status(self) -> None:
        if self._send is None:
            return
        self._timers["status"] = self._loop.call_later(STATUS_EVERY, self._say_status)  # whatever fails below
        status = self._status()
        if status != self._said:
            self._said = status
            self._tell(f"STATUS={status}", "status")

    def _feed(self) -> None:
        if self._send is None or not self._feed_every:
            return
        self._timers["watchdog"] = self._loop.call_later(self._feed_every, self._feed)
        self._tell("WATCHDOG=1", "watchdog")


def _watchdog(environment: Mapping[str, str]) -> float:
    """Give the seconds within which the watchdog wants to be fed (sd_watchdog_enabled(3)); 0: there is none."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() else 0.0
