"""One connection to a NATS server, by nats-py: who is there, what it takes, and what it has not taken.

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
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rtrd.base.endpoint import Endpoint
from rtrd.base.file_thread import in_thread
from rtrd.base.text import printable
from rtrd.events.spool import Message
from rtrlib.key_files import KeyFileError, read_file, read_password

if TYPE_CHECKING:
    from nats.aio.client import Client

    from rtrd.config import Events

ANSWER: Final = 5.0
"""Seconds within which a server must answer."""
ENDING: Final = 1.0
"""Seconds that a connection has to end in order."""
SLICE: Final = 16
"""Messages that are handed over in one turn of the loop."""
HEADERS: Final = 128
"""Octets that the headers of a message take, at most."""
_LOOK_UP: Final = "$JS.API.STREAM.NAMES"
_TOO_LARGE: Final = (10054,)
"""Errors of JetStream that a message will always get (JSStreamMessageExceedsMaximumErr)."""


class NotTakenError(Exception):
    """The server is away, refuses us, or takes nothing; the text says why."""


class Outcome(NamedTuple):
    """What became of messages."""

    done: int
    """So many of the first ones are acknowledged, or will never be taken."""
    refused: Sequence[Message]
    """Of these, those that will never be taken."""
    why: str | None
    """Why the one behind them is not; None: all are done."""


class _StreamNames(msgspec.Struct):
    """What JetStream answers, when asked which streams have a subject."""

    streams: list[str] | None = None
    error: dict[str, Any] | None = None


class _Ack(msgspec.Struct):
    """What JetStream answers to a message."""

    stream: str | None = None
    error: dict[str, Any] | None = None


class Connection:
    """A connection that was opened; after NotTakenError it is of no use."""

    def __init__(self, client: Client, told: _Told) -> None:
        self.stream: str | None = None
        """The stream that keeps our messages; None: none does, or the server does not say."""
        self.acknowledges = False
        """Each message is acknowledged by JetStream; else the server has only got it."""
        self._client = client
        self._errors = told.errors
        self._ended = told.ended

    @property
    def server(self) -> str:
        """The version of the server."""
        return printable(str(self._client.connected_server_version), 60)

    @property
    def most(self) -> int:
        """Octets of a message that the server takes, with its headers."""
        return self._client.max_payload - HEADERS

    @property
    def closed(self) -> bool:
        """It has ended."""
        return not self._client.is_connected

    async def look_up(self, subject: str) -> None:
        """Ask whether a stream keeps what is published to a subject. NotTakenError."""
        import nats.errors  # noqa: PLC0415 - only where events are published

        has = bool(getattr(self._client, "_server_info", {}).get("jetstream"))
        self.stream, self.acknowledges = None, False
        try:
            answer = await self._client.request(
                _LOOK_UP, msgspec.json.encode({"subject": subject}), timeout=ANSWER if has else ENDING
            )
            names = msgspec.json.decode(answer.data, type=_StreamNames)
        except nats.errors.NoRespondersError:
            return
        except nats.errors.TimeoutError:
            # Who may not ask gets no answer; whether JetStream is there the server has said by itself.
            self.acknowledges = has
            self._errors.clear()
            return
        except (nats.errors.Error, msgspec.DecodeError, OSError) as error:
            raise NotTakenError(_sentence(error)) from error
        if names.error is not None:
            self.acknowledges = has
        elif names.streams:
            self.stream, self.acknowledges = printable(names.streams[0], 60), True

    async def publish(self, messages: Sequence[Message]) -> Outcome:
        """Publish some messages. NotTakenError: the connection is of no use any more, and none was taken for sure."""
        work = asyncio.ensure_future(self._publish(messages))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            work.cancel()
            ended.cancel()
        raise NotTakenError(self._errors[-1] if self._errors else "it has ended the connection")

    async def _publish(self, messages: Sequence[Message]) -> Outcome:
        import nats.errors  # noqa: PLC0415 - only where events are published

        fitting = [message for message in messages if len(message.payload) <= self.most]
        too_large = [message for message in messages if len(message.payload) > self.most]
        try:
            if self.acknowledges:
                return await self._acknowledged(messages, fitting)
            for place, message in enumerate(fitting, start=1):
                await self._client.publish(message.subject, message.payload, headers=_headers(message))
                if place % SLICE == 0:
                    await asyncio.sleep(0)
            await self._client.flush(timeout=ANSWER)  # type: ignore[arg-type]
        except (nats.errors.Error, OSError) as error:
            raise NotTakenError(self._why(error)) from error
        if self._errors:
            raise NotTakenError(self._errors[-1])
        return Outcome(len(messages), too_large, None)

    async def _acknowledged(self, messages: Sequence[Message], fitting: Sequence[Message]) -> Outcome:
        """Publish them to JetStream, and wait for its word on each."""
        answers = await self._answers(fitting)
        of = dict(zip((message.number for message in fitting), answers, strict=True))
        refused: list[Message] = []
        for done, message in enumerate(messages):
            answer = of.get(message.number)
            if answer is None:
                refused.append(message)
                continue
            why, forever = self._refusal(answer)
            if forever:
                refused.append(message)
            elif why is not None:
                return Outcome(done, refused, why)
        return Outcome(len(messages), refused, None)

    async def _answers(self, messages: Sequence[Message]) -> list[Any]:
        """Ask JetStream to keep them, a few in a turn of the loop; give what came of each, also what was raised."""
        requests: list[asyncio.Future[Any]] = []
        try:
            for place, message in enumerate(messages, start=1):
                request = self._client.request(
                    message.subject, message.payload, timeout=ANSWER, headers=_headers(message)
                )
                requests.append(asyncio.ensure_future(request))
                if place % SLICE == 0:
                    await asyncio.sleep(0)
            return await asyncio.gather(*requests, return_exceptions=True)
        finally:
            for each in requests:
                each.cancel()

    def _refusal(self, answer: Any) -> tuple[str | None, bool]:
        """Say why a message is not taken, and whether it never will be."""
        import nats.errors  # noqa: PLC0415 - only where events are published

        if isinstance(answer, nats.errors.NoRespondersError):
            return "no stream of the server keeps its subject any more", False
        if isinstance(answer, (nats.errors.Error, OSError)):
            raise NotTakenError(self._why(answer)) from answer
        if isinstance(answer, BaseException):
            raise answer
        try:
            ack = msgspec.json.decode(answer.data, type=_Ack)
        except msgspec.DecodeError:
            return "its answer is none of JetStream's", False
        if ack.error is not None:
            what = printable(str(ack.error.get("description", "no reason is given")), 200)
            return f"JetStream refuses it: {what}", ack.error.get("err_code") in _TOO_LARGE
        if ack.stream is not None:
            self.stream = printable(ack.stream, 60)
        return None, False

    def _why(self, error: BaseException) -> str:
        """Say what the server has said, if it has, and else what went wrong."""
        return self._errors[-1] if self._errors else _sentence(error)

    async def close(self) -> None:
        """End it; what is under way is not waited for."""
        await end(self._client)


def _headers(message: Message) -> dict[str, str]:
    return {"Nats-Msg-Id": message.number}


async def end(client: Client) -> None:
    """End a connection in order, or else at once: to a server that hangs, what is written would never go."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), ENDING)
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


async def connect(settings: Events, name: str) -> Connection:
    """Connect. NotTakenError: nobody is there, or we are refused."""
    try:
        nats = await in_thread(ANSWER, _nats)
        needs = await in_thread(ANSWER, _needs, settings)
        addresses = await in_thread(ANSWER, _addresses, settings.nats.host, settings.nats.port)
    except (OSError, KeyFileError) as error:
        raise NotTakenError(_sentence(error)) from error
    except ImportError as error:
        raise NotTakenError("the Python package nats-py is missing: pip install nats-py") from error
    why = "its name has no address"
    for address in addresses:
        try:
            return await _connect(nats, settings, needs, address, name)
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


class _Told:
    """What nats-py tells of a connection."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        """The last ones."""
        self.ended = asyncio.Event()

    async def error(self, error: Exception) -> None:
        """Note one."""
        self.errors.append(_sentence(error))
        del self.errors[:-10]

    async def end(self) -> None:
        """Note the end."""
        self.ended.set()


async def _connect(nats: ModuleType, settings: Events, needs: _Needs, address: str, name: str) -> Connection:
    where, told = settings.nats, _Told()
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
        raise NotTakenError(said[-1] if said else _sentence(error)) from error
    if not client.is_connected:
        await end(client)
        raise NotTakenError("it does not speak NATS")
    told.errors.clear()
    return Connection(client, told)


def _credentials(settings: Events, needs: _Needs) -> dict[str, Any]:
    if settings.nats.user is not None:
        return {"user": settings.nats.user, "password": needs.password or ""}
    return {} if needs.password is None else {"token": needs.password}


def _sentence(error: BaseException) -> str:
    """Say what went wrong, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, (ssl.SSLError, KeyFileError)):
        return printable(str(error), 200)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else printable(str(error.strerror), 200)
    text = str(error) or type(error).__name__
    return printable(text.removeprefix("nats: ").strip("' "), 200)
