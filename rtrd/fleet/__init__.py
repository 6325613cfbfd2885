"""`rtrd fleet`: all hosts whose rtrd publishes to a NATS server, as a list or as a page."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from rtrd.base.endpoint import Endpoint, parse_endpoint
from rtrd.cli import DONE, CommandError
from rtrd.commands import common
from rtrd.config import Events
from rtrd.config.nats import parse_nats_server, parse_subject
from rtrd.events.client import NotTakenError
from rtrd.events.reader import ONE_EACH, read
from rtrd.fleet.hosts import Fleet, lines

ALL: Final = "rtrd.events.>"
PATIENCE: Final = 90.0
"""Seconds to read all that there is."""
AGAIN: Final = 3.0
"""Seconds until the server is asked again, for the page."""

T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd fleet`."""
    parser.add_argument(
        "--nats",
        metavar="URL",
        required=True,
        type=_argument(parse_nats_server),
        help="nats://HOST:PORT or tls://HOST:PORT; of a cluster several, with commas between them",
    )
    parser.add_argument(
        "--subject", metavar="SUBJECT", default=ALL, type=_argument(_subject),
        help=f"what to read; `>` at its end stands for all that follows (default: {ALL})",
    )  # fmt: skip
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="the password of the URL's user, or a token")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="with tls://: the CAs of the server's certificate")
    parser.add_argument("--certificate", metavar="FILE", type=Path, help="with tls://: our certificate")
    parser.add_argument("--key", metavar="FILE", type=Path, help="its private key")
    parser.add_argument(
        "--listen", metavar="ADDRESS:PORT", type=_argument(parse_endpoint), help="serve a page there, until Ctrl-C"
    )
    common.add_options(parser, socket=False)


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _subject(text: str) -> str:
    """Parse a subject with `*` for a part and `>` for the rest. ValueError: a sentence."""
    parts = text.split(".")
    if parts[-1] == ">" and len(parts) > 1:
        parts.pop()
    parse_subject(".".join("x" if part == "*" else part for part in parts))
    return text


def run(args: argparse.Namespace) -> int:
    """Print how all hosts are, or serve it."""
    settings = Events(
        nats=args.nats, subject=args.subject, password_file=args.password_file, ca=args.ca,
        certificate=args.certificate, key=args.key,
    )  # fmt: skip
    fleet = Fleet()
    if args.listen is not None:
        return asyncio.run(_serve(settings, fleet, args.listen))
    asyncio.run(_read_once(settings, fleet))
    view = fleet.view(time.time())
    common.show(args, view, lines(view))
    return DONE


async def _read_once(settings: Events, fleet: Fleet) -> None:
    """Read until all that there was is taken. Raises CommandError."""

    def not_kept(why: str) -> None:
        sys.stderr.write(f"rtrd fleet: {why}: listening for {ONE_EACH:g} s\n")

    done = asyncio.Event()
    reading = asyncio.ensure_future(read(settings, fleet.take, done.set, not_kept))
    waiting = asyncio.ensure_future(done.wait())
    try:
        await asyncio.wait((reading, waiting), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return
        if not reading.done():
            raise CommandError(f"NATS server {settings.nats}: not everything came in {PATIENCE:g} s")
        reading.result()
    except NotTakenError as error:
        raise CommandError(f"NATS server {settings.nats}: {error}") from None
    finally:
        for task in (reading, waiting):
            task.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)


class Following:
    """Reads all the time, for a page."""

    def __init__(self, settings: Events, fleet: Fleet) -> None:
        self.why: str | None = "it was not asked yet"
        """Why nothing is read now."""
        self._settings = settings
        self._fleet = fleet

    async def run(self) -> None:
        """Read, and connect again when that fails."""
        while True:
            try:
                await read(self._settings, self._take, self._caught_up)
            except NotTakenError as error:
                self.why = str(error)
            await asyncio.sleep(AGAIN)

    def view(self) -> dict[str, Any]:
        """Give what is shown."""
        return {**self._fleet.view(time.time()), "nats": str(self._settings.nats), "why": self.why}

    def _take(self, payload: bytes, at: float) -> None:
        self.why = None
        self._fleet.take(payload, at)

    def _caught_up(self) -> None:
        self.why = None


async def _serve(settings: Events, fleet: Fleet, where: Endpoint) -> int:
    """Serve the page until a signal. Raises CommandError."""
    from rtrd.fleet.page import serve  # noqa: PLC0415 - aiohttp is only for the page

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    following = Following(settings, fleet)
    reading = asyncio.create_task(following.run())
    try:
        async with serve(where, following.view) as at:
            sys.stdout.write(f"listening on http://{at}/\n")
            sys.stdout.flush()
            ended = asyncio.create_task(stop.wait())
            await asyncio.wait((ended, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    return DONE
