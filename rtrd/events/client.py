"""Connections to a NATS server, by nats-py: opened, asked for a stream, ended; each lives until its first failure.

nats-py's own reconnecting and its buffers are left out: what is not acknowledged stays in the spool, and a connection
that fails is replaced by another one. So nothing is kept twice, and nothing waits for longer than is said here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


class NotTakenError(Exception):
    """The server is away, refuses us, or takes nothing; the text says why."""


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


async def look_up(client: Client, subject: str, told: Told) -> Keeping:
    """Ask who keeps what is published to a subject. NotTakenError."""
    import nats.errors  # noqa: PLC0415 - only where NATS is used: it takes memory

    has = bool(getattr(client, "_server_info", {}).get("jetstream"))
    try:
        question = msgspec.json.encode({"subject": str(subject)})
        answer = await client.request(_LOOK_UP, question, timeout=ANSWER if has else ENDING)
        names = msgspec.json.decode(answer.data, type=_StreamNames)
    except nats.errors.NoRespondersError:
        return Keeping(None, acknowledges=False)
    except nats.errors.TimeoutError:
        # Who may not ask gets no answer; whether JetStream is there the server has said by itself.
        told.errors.clear()
        return Keeping(None, acknowledges=has)
    except (nats.errors.Error, msgspec.DecodeError, OSError) as error:
        raise NotTakenError(sentence(error)) from error
    if names.streams:
        return Keeping(printable(names.streams[0], 60), acknowledges=True)
    return Keeping(None, acknowledges=has and names.error is not None)


async def end(client: Client) -> None:
    """End a connection in order, or else at once: to a server that hangs, what is written would never go."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), ENDING)
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


async def open_client(settings: Events, name: str) -> tuple[Client, Told]:
    """Connect; `name`: by which the server knows us. NotTakenError: nobody is there, or we are refused."""
    try:
        nats = await in_thread(ANSWER, _nats)
        needs = await in_thread(ANSWER, _needs, settings)
        addresses = await in_thread(ANSWER, _addresses, settings.nats.host, settings.nats.port)
    except (OSError, KeyFileError) as error:
        raise NotTakenError(sentence(error)) from error
    why = "its name has no address"
    for address in addresses:
        try:
            return await _open(nats, settings, needs, address, name)
        except NotTakenError as error:
            why = str(error)
    raise NotTakenError(why)


def _nats() -> ModuleType:
    import nats.aio.client  # noqa: PLC0415 - only where events are published: it takes memory

    logging.getLogger("nats").setLevel(logging.CRITICAL)  # what went wrong is said by ourselves
    return nats.aio.client


class _Needs(NamedTuple):
    """What a connection needs of files."""

    password: str | None
    tls: ssl.SSLContext | None


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
        """The last ones."""
        self.ended = asyncio.Event()

    async def error(self, error: Exception) -> None:
        """Note one."""
        self.errors.append(sentence(error))
        del self.errors[:-10]

    async def end(self) -> None:
        """Note the end."""
        self.ended.set()


async def _open(nats: ModuleType, settings: Events, needs: _Needs, address: str, name: str) -> tuple[Client, Told]:
    where, told = settings.nats, Told()
    client: Client = nats.Client()
    url = f"{'tls' if where.tls else 'nats'}://{Endpoint(address, where.port)}"
    try:
        async with asyncio.timeout(ANSWER):
            await client.connect(
                url, name=name, error_cb=told.error, closed_cb=told.end, allow_reconnect=False,
                max_reconnect_attempts=1, reconnect_time_wait=0, connect_timeout=int(ANSWER), ping_interval=20,
                max_outstanding_pings=2, pending_size=1 << 20, tls=needs.tls,
                tls_hostname=where.host if where.tls else None, **_credentials(settings, needs),
            )  # fmt: skip
    except BaseException as error:
        await end(client)
        if not isinstance(error, Exception):
            raise
        said = [] if isinstance(error, TimeoutError) else told.errors
        raise NotTakenError(said[-1] if said else sentence(error)) from error
    if not client.is_connected:
        await end(client)
        raise NotTakenError("it does not speak NATS")
    told.errors.clear()
    return client, told


def _credentials(settings: Events, needs: _Needs) -> dict[str, Any]:
    if settings.nats.user is not None:
        return {"user": settings.nats.user, "password": needs.password or ""}
    return {} if needs.password is None else {"token": needs.password}


def sentence(error: BaseException) -> str:
    """Say what went wrong, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, (ssl.SSLError, KeyFileError)):
        return printable(str(error), 200)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else printable(str(error.strerror), 200)
    text = str(error) or type(error).__name__
    return printable(text.removeprefix("nats: ").strip("' "), 200)
