"""Connections to a NATS server, by nats-py: opened, asked for a stream, ended; each lives until its first failure.

nats-py's own reconnecting and its buffers are left out: what is not acknowledged stays in the spool, and a connection
that fails is replaced by another one. So nothing is kept twice, and nothing waits for longer than is said here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import re
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from rtrd.base.endpoint import Endpoint
from rtrd.base.file_thread import in_thread
from rtrd.base.text import printable
from rtrd.config import Events
from rtrlib.key_files import KeyFileError, read_file, read_password

if TYPE_CHECKING:
    from nats.aio.client import Client

ANSWER: Final = 5.0
"""Seconds within which a server must answer."""
ENDING: Final = 1.0
"""Seconds that a connection has to end in order."""
_LOOK_UP: Final = "$JS.API.STREAM.NAMES"
_NOT_ENABLED: Final = (10039, 10076)
"""Errors of JetStream: it is not for this account, or not for anybody."""
_VIOLATION: Final = re.compile(r'permissions violation for (publish|subscription) to "(.*?)".*', re.IGNORECASE)
_REFUSED: Final = re.compile("authorization|authentication", re.IGNORECASE)
"""How a server begins what it says to who is not allowed."""

T = TypeVar("T")


class NotTakenError(Exception):
    """The server is away, refuses us, or takes nothing; the text says why."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        """`lasting`: it does not pass by itself, such as a refusal."""
        super().__init__(why)
        self.lasting = lasting


class _StreamNames(msgspec.Struct):
    """What JetStream answers, when asked which streams have a subject."""

    streams: list[str] | None = None
    error: dict[str, Any] | None = None


class Keeping(NamedTuple):
    """Who keeps what is published to a subject."""

    stream: str | None
    """None: nobody, or the server does not say."""
    acknowledges: bool
    """JetStream does, or may."""
    none: str = "no stream was looked for"
    """Why there is no stream, as a sentence, where nobody acknowledges."""
    refusal: str | None = None
    """What the server has said to the question, if we may not ask."""


async def look_up(client: Client, subject: str, told: Told) -> Keeping:
    """Ask who keeps what is published to a subject. NotTakenError."""
    import nats.errors  # noqa: PLC0415 - only where NATS is used: it takes memory

    has = bool(getattr(client, "_server_info", {}).get("jetstream"))
    none = f"no stream of it keeps {subject}" if has else "it has no JetStream, so that no stream keeps anything"
    told.asks((_LOOK_UP,))
    try:
        question = msgspec.json.encode({"subject": str(subject)})
        asked = client.request(_LOOK_UP, question, timeout=ANSWER if has else ENDING)
        answer = await told.unless_refused(asked)
        names = msgspec.json.decode(answer.data, type=_StreamNames)
    except nats.errors.NoRespondersError:
        return Keeping(None, acknowledges=False, none=none)
    except (nats.errors.TimeoutError, NotTakenError) as error:
        if isinstance(error, NotTakenError) and not told.errors:
            raise
        # Who may not ask gets no answer; whether JetStream is there the server has said by itself.
        refusal = told.forgive(answers=has)
        return Keeping(None, acknowledges=has, none=none, refusal=refusal)
    except (nats.errors.Error, msgspec.DecodeError, OSError) as error:
        raise NotTakenError(sentence(error)) from error
    if names.streams:
        return Keeping(printable(names.streams[0], 60), acknowledges=True, none=none)
    if names.error is not None and names.error.get("err_code") in _NOT_ENABLED:
        return Keeping(None, acknowledges=False, none=printable(str(names.error.get("description")), 200))
    return Keeping(None, acknowledges=has and names.error is not None, none=none)


async def end(client: Client) -> None:
    """End a connection in order, or else at once: to a server that hangs, what is written would never go."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), ENDING)
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


class Opened(NamedTuple):
    """A connection."""

    client: Client
    told: Told
    address: str
    """Of the server."""


async def open_client(settings: Events, name: str) -> Opened:
    """Connect to a server; `name`: by which it knows us. NotTakenError: nobody is there, or we are refused."""
    try:
        make = await in_thread(ANSWER, _nats)
        needs = await in_thread(ANSWER, _needs, settings)
    except (OSError, KeyFileError) as error:
        raise NotTakenError(sentence(error), lasting=True) from error
    servers = list(settings.nats.servers)
    random.shuffle(servers)  # hosts spread over a cluster
    found: dict[Endpoint, NotTakenError] = {}
    for server in servers:
        try:
            return await _open_one(make, settings, needs, server, name)
        except NotTakenError as error:
            found[server] = error
    if len(servers) == 1:
        raise found[servers[0]]
    each = "; ".join(f"{server}: {found[server]}" for server in settings.nats.servers)
    raise NotTakenError(printable(each, 1000), lasting=all(error.lasting for error in found.values()))


async def _open_one(
    make: Callable[..., Client], settings: Events, needs: _Needs, server: Endpoint, name: str
) -> Opened:
    """Connect to a server, by the first of its addresses where that can be done. NotTakenError."""
    try:
        addresses = await in_thread(ANSWER, _addresses, server.host, server.port)
    except OSError as error:
        raise NotTakenError(sentence(error)) from error
    failed = NotTakenError("its name has no address")
    for address in addresses:
        try:
            of_it = needs._replace(host=server.host)
            return await _open(make(wants_tls=settings.nats.tls), settings, of_it, Endpoint(address, server.port), name)
        except NotTakenError as error:
            failed = error
    raise failed


def _nats() -> Callable[..., Client]:
    """Give what makes a client. For a thread: it takes a while."""
    import nats.aio.client  # noqa: PLC0415 - only where events are published: it takes memory

    logging.getLogger("nats").setLevel(logging.CRITICAL)  # what went wrong is said by ourselves

    class Careful(nats.aio.client.Client):
        """Says who it is over TLS only, if that is wanted: nats-py leaves it to the server whether there is TLS."""

        wants_tls = False

        def _connect_command(self) -> bytes:
            writer = getattr(self._transport, "_io_writer", None)
            if self.wants_tls and (writer is None or writer.get_extra_info("ssl_object") is None):
                raise NotTakenError("it offers no TLS: tls:// is for a server with TLS", lasting=True)
            return super()._connect_command()

    def make(*, wants_tls: bool) -> Client:
        client = Careful()
        client.wants_tls = wants_tls
        return client

    return make


class _Needs(NamedTuple):
    """What a connection needs of files."""

    password: str | None
    tls: ssl.SSLContext | None
    host: str = ""
    """The name of the server, in its certificate."""


def _needs(settings: Events) -> _Needs:
    """Read them. OSError, KeyFileError. For a thread."""
    password = settings.nats.password
    if settings.password_file is not None:
        try:
            password = read_password("password file", settings.password_file).decode()
        except UnicodeDecodeError:
            raise KeyFileError(f"the password file {settings.password_file} is not UTF-8") from None
    tls = None
    if settings.nats.tls:
        try:
            ca = None if settings.ca is None else read_file("CA", settings.ca).decode()
            tls = ssl.create_default_context(cadata=ca)
            if settings.certificate is not None:
                tls.load_cert_chain(settings.certificate, settings.key)
        except (ssl.SSLError, ValueError) as error:
            raise KeyFileError(f"the files of TLS can't be used: {error}") from error
    return _Needs(password, tls)


def _addresses(host: str, port: int) -> list[str]:
    """Resolve a name. OSError. For a thread."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Told:
    """What nats-py tells of a connection."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        """The last ones, each as the server has said it."""
        self._asked: dict[str, str] = {}
        self._refused = asyncio.Event()
        self._ended = asyncio.Event()

    def asks(self, subjects: Iterable[str]) -> None:
        """Take note to which subjects we are about to publish: nats-py tells of errors in small letters."""
        self._asked = {subject.lower(): subject for subject in subjects}

    async def error(self, error: Exception) -> None:
        """Note one."""
        match = _VIOLATION.fullmatch(sentence(error))
        if match is None:
            self.errors.append(sentence(error))
        else:
            what, subject = match.groups()
            known = self._asked.get(subject, subject.replace("_inbox.", "_INBOX.").replace("$js.", "$JS."))
            self.errors.append(f'Permissions Violation for {what.capitalize()} to "{known}"')
            self._refused.set()
        del self.errors[:-10]

    async def end(self) -> None:
        """Note the end."""
        self._ended.set()

    def forgive(self, *, answers: bool) -> str | None:
        """Go on after a refusal, and give what was refused. NotTakenError: no answer would come, and `answers` must."""
        if answers and any("Subscription" in error for error in self.errors):
            raise self.refusal
        said = self.errors[-1] if self.errors else None
        self.errors.clear()
        self._refused.clear()
        return said

    @property
    def refusal(self) -> NotTakenError:
        """What the server has said last."""
        return NotTakenError(self.errors[-1], lasting=True)

    def failure(self, error: BaseException) -> NotTakenError:
        """Say what the server has said, if it has, and else what went wrong."""
        return self.refusal if self.errors else NotTakenError(sentence(error))

    async def unless_refused(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something. NotTakenError, as soon as the server refuses something, or ends the connection."""
        doing = asyncio.ensure_future(work)
        refused, ended = asyncio.ensure_future(self._refused.wait()), asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((doing, refused, ended), return_when=asyncio.FIRST_COMPLETED)
            if doing.done() and not self._refused.is_set():
                return doing.result()
        finally:
            for each in (doing, refused, ended):
                each.cancel()
            await asyncio.gather(doing, refused, ended, return_exceptions=True)
        if self.errors:
            raise self.refusal
        raise NotTakenError("it has ended the connection")


async def _open(client: Client, settings: Events, needs: _Needs, at: Endpoint, name: str) -> Opened:
    told, tls = Told(), settings.nats.tls
    try:
        async with asyncio.timeout(ANSWER):
            await client.connect(
                f"{'tls' if tls else 'nats'}://{at}", name=name, error_cb=told.error, closed_cb=told.end,
                allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0, connect_timeout=int(ANSWER),
                ping_interval=20, max_outstanding_pings=2, pending_size=1 << 20, tls=needs.tls,
                tls_hostname=needs.host if tls else None, **_credentials(settings, needs),
            )  # fmt: skip
    except BaseException as error:
        await end(client)
        if not isinstance(error, Exception) or isinstance(error, NotTakenError):
            raise
        said = [] if isinstance(error, TimeoutError) else told.errors
        refused = isinstance(error, ssl.SSLError) or bool(_REFUSED.match(said[-1] if said else ""))
        raise NotTakenError(said[-1] if said else sentence(error), lasting=refused) from error
    if not client.is_connected:
        await end(client)
        raise NotTakenError("it does not speak NATS")
    told.errors.clear()
    return Opened(client, told, str(at))


def _credentials(settings: Events, needs: _Needs) -> dict[str, Any]:
    if settings.nats.user is not None:
        return {"user": settings.nats.user, "password": needs.password or ""}
    return {} if needs.password is None else {"token": needs.password}


def sentence(error: BaseException) -> str:
    """Say what went wrong, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the server's certificate can't be verified: {printable(error.verify_message, 200)}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {printable(str(error.reason or error), 200).replace('_', ' ').lower()}"
    if isinstance(error, KeyFileError):
        return printable(str(error), 200)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else printable(str(error.strerror), 200)
    text = str(error) or type(error).__name__
    return printable(text.removeprefix("nats: ").strip("' "), 200)
