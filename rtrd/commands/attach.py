"""`rtrd attach`: hands ExaBGP's stdin and stdout to the service (SCM_RIGHTS), and ends with ExaBGP.

The other end of rtrd.exabgp.attachments, which has the protocol.
It outlives the service: while none answers it reads what ExaBGP writes, since ExaBGP stops when nobody reads. What it
reads it keeps for the service, up to a bound; beyond that the service asks for everything again. It imports little,
being there only to wait.
"""

from __future__ import annotations

import argparse
import contextlib
import grp
import os
import pwd
import re
import select
import socket
import time
from pathlib import Path

from rtrd.base import socket_paths
from rtrd.base.shortages import shortage
from rtrd.cli import BAD_USAGE, DONE
from rtrd.exabgp.slow_exit import slowly

NAME = "exabgp"
"""Of a router that has no `--name`."""
RETRY = 0.5
"""Seconds between two looks for a service."""
ANSWER = 10.0
"""Seconds that a service has to answer; one that is busy for longer is asked again."""

KEPT = 4 << 20
"""Bytes that are kept for the service. Of more all is forgotten, but for what comes then."""

STDIN, STDOUT, STDERR = 0, 1, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd attach`."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help=f"the service's control socket (default: RTRD_SOCKET, else {socket_paths.DEFAULT_SOCKET})",
    )
    parser.add_argument(
        "--name",
        default=NAME,
        help=f"name of this router in the status and the logs; each needs its own (default: {NAME})",
    )


def run(args: argparse.Namespace) -> int:
    """Hand ExaBGP over again and again, until it ends; what fails otherwise ends late."""
    return slowly(lambda: _attach(args), STDIN)


def _attach(args: argparse.Namespace) -> int:
    if not re.fullmatch("[A-Za-z0-9._-]{1,64}", args.name):
        _say("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
        return BAD_USAGE
    with contextlib.suppress(_ExaBGPGone):
        _Attach(socket_paths.attach_path(socket_paths.socket_path(args.socket)), args.name).run()
    return DONE


class _ExaBGPGone(Exception):  # noqa: N818 - it is what is waited for, and no error
    """ExaBGP closed its pipe."""


class _Attach:
    """One ExaBGP, and the service that has it if one does."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._mid_line = False  # what is kept begins within a line
        self._kept: int | None = None  # a file in memory
        self._size = 0  # of it
        self._said: str | None = None
        self._room = [bytearray(1 << 16)]  # what is read is read to: there may be no memory any more

    def run(self) -> None:
        """Look for a service, hand over, begin again when it is lost. Raises _ExaBGPGone."""
        while True:
            try:
                why = self._attach()
            except (OSError, MemoryError) as error:
                why = shortage(error) or str(error)
            if why is not None and why != self._said:
                _say(f"{why}; ExaBGP is still read meanwhile, and the service is tried again")
            self._said = why
            self._read_for(RETRY)

    def _attach(self) -> str | None:
        """Have a service take ExaBGP and wait until it is lost. Gives a sentence when none took it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as service:
            service.settimeout(RETRY)
            try:
                service.connect(str(self._path))
                socket.send_fds(service, [b"attach " + self._name.encode()], [STDIN, STDOUT])
            except PermissionError as error:
                return f"{self._path} may not be opened ({error.strerror}): {_lacking(self._path)}"
            except OSError as error:
                return f"no service answers at {self._path} ({error.strerror or error})"
            answer = self._answer(service)
            if answer != b"take":
                said = answer.removeprefix(b"refused ").decode("ascii", "backslashreplace")
                return f"the service refused this router: {said}" if said else "the service ended"
            # From here on no byte is read: the rest is the service's.
            with contextlib.suppress(OSError):
                yours = b"yours mid-line" if self._mid_line else b"yours"
                if self._kept is None:
                    service.send(yours)
                else:
                    socket.send_fds(service, [yours], [self._kept])
            self._forget()
            self._said = None
            self._wait(service)
        # Where in a line it stopped is not known; what is left of one is no JSON, and does no harm.
        self._mid_line = False
        return None

    def _answer(self, service: socket.socket) -> bytes:
        """Read ExaBGP until the service answers; nothing: it won't."""
        poll = select.poll()
        poll.register(STDIN, select.POLLIN)
        poll.register(service, select.POLLIN)
        until = time.monotonic() + ANSWER
        while (left := until - time.monotonic()) > 0:
            for fd, _ in poll.poll(1000 * left):
                if fd == STDIN:
                    self._read()
                else:
                    with contextlib.suppress(OSError):
                        return service.recv(512)
                    return b""
        return b""

    def _wait(self, service: socket.socket) -> None:
        """Wait until the service has lost ExaBGP. Only the end of ExaBGP's pipe is looked at, never what is in it."""
        poll = select.poll()
        poll.register(STDIN, 0)  # POLLHUP comes unasked
        poll.register(service, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == STDIN:
                    raise _ExaBGPGone
                try:
                    said = service.recv(512)
                except OSError:
                    said = b""
                if said == b"gone":
                    raise _ExaBGPGone
                if not said:
                    return

    def _read_for(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(STDIN, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if poll.poll(1000 * left):
                self._read()

    def _read(self) -> None:
        """Read what is there, and keep it."""
        try:
            read = os.readv(STDIN, self._room)
        except BlockingIOError:
            return
        except OSError:
            raise _ExaBGPGone from None
        if not read:
            raise _ExaBGPGone
        if not self._keep(read):
            self._forget()
            self._mid_line = self._room[0][read - 1] != ord(b"\n")

    def _keep(self, read: int) -> bool:
        """Keep what was read. False: that would be too much, or there is no room for it."""
        if self._size + read > KEPT:
            return False
        try:
            if self._kept is None:
                self._kept = os.memfd_create("rtrd attach", os.MFD_CLOEXEC)
            self._size += read
            return os.write(self._kept, memoryview(self._room[0])[:read]) == read
        except (OSError, MemoryError):
            return False

    def _forget(self) -> None:
        if self._kept is not None:
            os.close(self._kept)
        self._kept, self._size = None, 0


def _lacking(path: Path) -> str:
    """Say what gives us a socket that we may not open. The change of users by ExaBGP itself leaves groups behind."""
    try:
        of_socket = path.stat().st_gid
        user = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(of_socket).gr_name
        member = of_socket in os.getgrouplist(user.pw_name, user.pw_gid)
    except (OSError, KeyError):
        return "add ExaBGP's user to the group of that socket, and restart ExaBGP"
    if not member:
        return f"add ExaBGP's user to the group of that socket (adduser {user.pw_name} {group}), and restart ExaBGP"
    return (
        f"{user.pw_name} is in the group {group}, but ExaBGP runs without it: restart ExaBGP, and not as root, for its"
        " own change to that user (exabgp.daemon.user) takes no groups along; `User=` of a unit does"
    )


def _say(what: str) -> None:
    """Write a line to stderr, which is ExaBGP's, unless nobody reads there: this process must not block."""
    poll = select.poll()
    poll.register(STDERR, select.POLLOUT)
    with contextlib.suppress(OSError):
        if poll.poll(0):
            os.write(STDERR, f"rtrd attach: {what}\n".encode("ascii", "backslashreplace"))
