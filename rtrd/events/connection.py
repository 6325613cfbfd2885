"""What is published over one connection to a NATS server, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rtrd.base.text import printable
from rtrd.config import Events
from rtrd.events.client import ANSWER, Keeping, Told, end, look_up, open_client
from rtrd.events.spool import Message

if TYPE_CHECKING:
    from nats.aio.client import Client

SLICE: Final = 16
"""Messages that are handed over in one turn of the loop."""
HEADERS: Final = 128
"""Octets that the headers of a message take, at most."""
_TOO_LARGE: Final = (10054,)
"""Errors of JetStream that a message will always get (JSStreamMessageExceedsMaximumErr)."""


class Outcome(NamedTuple):
    """What became of messages."""

    done: int
    """So many of the first ones are acknowledged, or will never be taken."""
    refused: Sequence[Message]
    """Of these, those that will never be taken."""
    why: str | None
    """Why the one behind them is not; None: all are done."""


class _Ack(msgspec.Struct):
    """What JetStream answers to a message."""

    stream: str | None = None
    error: dict[str, Any] | None = None


class Connection:
    """A connection that was opened; after NotTakenError it is of no use."""

    def __init__(self, client: Client, told: Told, address: str) -> None:
        """`address`: of the server."""
        self.address = address
        self._keeping = Keeping(None, acknowledges=False)
        self._client = client
        self._told = told

    @property
    def stream(self) -> str | None:
        """The stream that keeps our messages; None: none does, or the server does not say."""
        return self._keeping.stream

    @property
    def acknowledges(self) -> bool:
        """Each message is acknowledged by JetStream; else the server has only got it."""
        return self._keeping.acknowledges

    @property
    def without_stream(self) -> str:
        """Say that no stream keeps our messages, and why."""
        return self._keeping.none

    @property
    def server(self) -> str:
        """The version of the server."""
        said = str(self._client.connected_server_version)  # nats-py gives it in words of its own alone
        return printable(said.removeprefix("<nats server v").removesuffix(">"), 60)

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
        self._keeping = await look_up(self._client, subject, self._told)

    async def publish(self, messages: Sequence[Message]) -> Outcome:
        """Publish some messages. NotTakenError: the connection is of no use any more, and none was taken for sure."""
        self._told.asks(message.subject for message in messages)
        return await self._told.unless_refused(self._publish(messages))

    async def _publish(self, messages: Sequence[Message]) -> Outcome:
        import nats.errors  # noqa: PLC0415 - only where NATS is used

        fitting = [message for message in messages if len(message.payload) <= self.most]
        too_large = [message for message in messages if len(message.payload) > self.most]
        try:
            if self.acknowledges:
                return await self._acknowledged(messages, fitting)
            for place, message in enumerate(fitting, start=1):
                await self._client.publish(message.subject, message.payload, headers=_headers(message))
                if place % SLICE == 0:
                    await asyncio.sleep(0)
            await self._written()
            await self._client.flush(timeout=ANSWER)  # type: ignore[arg-type]
        except (nats.errors.Error, OSError) as error:
            raise self._told.failure(error) from error
        if self._told.errors:
            raise self._told.refusal
        return Outcome(len(messages), too_large, None)

    async def _written(self) -> None:
        """Wait until nothing is left in nats-py's buffer: its flush() sends the PING before what still is there."""
        async with asyncio.timeout(ANSWER):
            while self._client.pending_data_size:  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(0.001)

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
            why, forever = self._refusal(answer, message.subject)
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

    def _refusal(self, answer: Any, subject: str) -> tuple[str | None, bool]:
        """Say why a message is not taken, and whether it never will be."""
        import nats.errors  # noqa: PLC0415 - only where NATS is used

        if isinstance(answer, nats.errors.NoRespondersError):
            return f"no stream of it keeps {subject}", False
        if isinstance(answer, (nats.errors.Error, OSError)):
            raise self._told.failure(answer) from answer
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
            self._keeping = self._keeping._replace(stream=printable(ack.stream, 60), acknowledges=True)
        return None, False

    async def close(self) -> None:
        """End it; what is under way is not waited for."""
        await end(self._client)


def _headers(message: Message) -> dict[str, str]:
    return {"Nats-Msg-Id": message.number}


async def connect(settings: Events, name: str) -> Connection:
    """Connect. NotTakenError: nobody is there, or we are refused."""
    return Connection(*await open_client(settings, name))
