"""HTTP requests of the commands to the daemon, over its unix socket.

http.client and not aiohttp, which takes longer to import than a status takes to print.
"""

from __future__ import annotations

import http.client
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from rtrd.base.files import mode_of
from rtrd.cli import BAD_USAGE, NO_DAEMON, CommandError

BAD_REQUEST: Final = int(http.client.BAD_REQUEST)
CONFLICT: Final = int(http.client.CONFLICT)
TIMEOUT: Final = 10.0
"""Seconds of silence after which a daemon counts as not answering."""

CHUNK: Final = 1 << 16
MOST_OF_REQUEST: Final = 120_000
"""Octets of a request's line: what the daemon takes, and a little less."""


class NoDaemonError(CommandError):
    """Nobody answers at the socket; the CLI ends with 3."""

    code = NO_DAEMON


class TooLongError(CommandError):
    """What was given is too long for a request; the CLI ends with 2."""

    code = BAD_USAGE


class RefusedError(CommandError):
    """The daemon answered that it can't; the text is its sentence, `status` that of HTTP. The CLI ends with 1."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.status = status


def url(path: str, query: Mapping[str, str | None] | None = None) -> str:
    """Return the path of a request; a query's None is left out."""
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return quote(path) + (f"?{urlencode(given)}" if given else "")


class Answer:
    """An answer of the daemon: the whole of it, or line by line."""

    def __init__(self, path: Path, response: http.client.HTTPResponse) -> None:
        self._path = path
        self._response = response
        self.changed_meanwhile = False
        """Whether the items that were given were not all there at one moment; known at their end."""

    def value(self) -> Any:
        """Return the decoded answer."""
        return msgspec.json.decode(b"".join(self.chunks()))

    def chunks(self) -> Iterator[bytes]:
        """Yield the answer as it comes.

        Raises:
            NoDaemonError: the daemon went away in the middle.

        """
        try:
            while chunk := self._response.read1(CHUNK):
                yield chunk
            if self._response.length:
                raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException) as error:
            what = f"the daemon at {self._path} went away in the middle of its answer"
            raise NoDaemonError(what) from error

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of an answer as they come, without keeping the others."""
        rest = b""
        for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the items of a long answer, which has one a line."""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        for line in self.lines():
            if line.startswith(b"{") and line.endswith((b"}", b"},")):
                yield decode(line.rstrip(b","))
            elif line[:1] in (b"]", b",") and b'"changed_meanwhile": true' in line:
                self.changed_meanwhile = True


@contextmanager
def ask(
    path: Path,
    request: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    forever: bool = False,
    timeout: float | None = None,
) -> Iterator[Answer]:
    """Ask the daemon; use the answer in a `with`. `forever`: silence is no fault once it has begun to answer.

    `timeout`: seconds that this answer may take; None: TIMEOUT, as a daemon that does not hang needs at most.

    Raises:
        NoDaemonError: nobody answers.
        TooLongError: no daemon takes so long a request.
        RefusedError: the daemon answers with an error.

    """
    if timeout is None:
        timeout = TIMEOUT
    else:
        with ask(path, "/version"):  # one that hangs is told apart from one that works on the answer
            pass
    if len(request) > MOST_OF_REQUEST:
        raise TooLongError(f"the arguments are too long: {len(request)} octets of request, at most {MOST_OF_REQUEST}")
    with closing(_Connection(path, timeout)) as connection:
        try:
            connection.request(method, request, body)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NoDaemonError(f"no daemon answers at {path}{_why(error, path, timeout)}") from error
        if forever:
            connection.sock.settimeout(None)
        answer = Answer(path, response)
        if response.status != http.client.OK:
            try:
                what = str(answer.value()["error"])
            except (msgspec.DecodeError, KeyError, TypeError):
                what = f"{path} answered {response.status} {response.reason}; is it rtrd?"
            raise RefusedError(what, response.status)
        yield answer


def _why(error: OSError | http.client.HTTPException, path: Path, timeout: float) -> str:
    """Say what whoever asked can do about it."""
    if isinstance(error, PermissionError):
        return " (Permission denied): who asks must be its owner or in its group, see control-group"
    if isinstance(error, TimeoutError):
        return f": something listens there, but did not answer within {timeout:.0f} s"
    if isinstance(error, http.client.HTTPException):
        return ": something other than rtrd listens there"
    try:
        mode = mode_of(path)
    except OSError as unseen:
        return f": {unseen.strerror}"
    if mode is None:
        return ": there is no such socket: is rtrd running, with this as its `control`?"
    return ": is rtrd running?" if stat.S_ISSOCK(mode) else ": it is not a socket"


def status(path: Path) -> dict[str, Any] | None:
    """Give what the daemon says of itself; None when nobody answers. Raises RefusedError."""
    try:
        with ask(path, "/status") as answer:
            found: dict[str, Any] = answer.value()
    except NoDaemonError:
        return None
    return found


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
