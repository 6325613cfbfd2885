"""Reads what hosts publish: the last message of each subject that JetStream kept, then each one as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rtrd.config import Events
from rtrd.events.client import ANSWER, NotTakenError, end, look_up, open_client

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.subscription import Subscription
    from nats.js.client import JetStreamContext

Take = Callable[[bytes, float], None]
"""Takes a message, and the Unix time at which the server got it."""

ONE_EACH: Final = 35.0
"""Seconds after which each host has published a summary again."""


async def read(
    settings: Events, take: Take, caught_up: Callable[[], None], not_kept: Callable[[str], None] = lambda _: None
) -> None:
    """Read until the connection fails: NotTakenError says why. `caught_up`: called when all that there was is taken.

    A subject that ends with a wildcard is read from what its stream kept; of another one, or without a stream, hosts
    are heard when they publish their next summaries: `not_kept` is called then, and is told why.
    """
    import nats.errors  # noqa: PLC0415 - only where NATS is used

    client, told, _ = await open_client(settings, "rtrd fleet")
    try:
        keeping = await look_up(client, settings.subject, told)
        if keeping.stream is None or not settings.subject.endswith((".>", ".*")):
            not_kept(keeping.refusal or (keeping.none if keeping.stream is None else "only the last one would be seen"))
            await told.unless_refused(_read_new(client, settings.subject, take, caught_up))
        else:
            told.asks((f"$JS.API.CONSUMER.CREATE.{keeping.stream}",))
            await told.unless_refused(_read_kept(client, keeping.stream, settings.subject, take, caught_up))
    except (nats.errors.Error, OSError) as error:
        raise told.failure(error) from error
    finally:
        await end(client)
    raise told.failure(NotTakenError("it has ended the connection"))


async def _read_new(client: Client, subject: str, take: Take, caught_up: Callable[[], None]) -> None:
    subscription = await client.subscribe(subject)
    began, waiting = time.monotonic(), True
    while not client.is_closed:
        if waiting and time.monotonic() - began > ONE_EACH:
            waiting = False
            caught_up()
        await _next(subscription, take)


async def _read_kept(client: Client, stream: str, subject: str, take: Take, caught_up: Callable[[], None]) -> None:
    from nats.js.api import DeliverPolicy  # noqa: PLC0415 - only where NATS is used

    subscription = await client.jetstream(timeout=ANSWER).subscribe(
        subject, stream=stream, ordered_consumer=True, deliver_policy=DeliverPolicy.LAST_PER_SUBJECT
    )
    waiting = True
    while not client.is_closed:
        left = await _next(subscription, take)
        # NATS 2.9 may count too many that are left: that none comes for a second says the same.
        if waiting and not left:
            waiting = False
            caught_up()


async def _next(subscription: Subscription | JetStreamContext.PushSubscription, take: Take) -> int | None:
    """Take the next message, if one comes soon; give how many more the stream has."""
    import nats.errors  # noqa: PLC0415 - only where NATS is used

    try:
        message = await subscription.next_msg(timeout=1.0)
    except nats.errors.TimeoutError:
        return None
    try:
        metadata = message.metadata
    except nats.errors.NotJSMessageError:
        take(message.data, time.time())
        return None
    take(message.data, metadata.timestamp.timestamp())
    return metadata.num_pending
