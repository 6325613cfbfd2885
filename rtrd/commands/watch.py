"""`rtrd watch`: the daemon's events as they happen, one line each."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator

import msgspec

from rtrd.base.text import printable
from rtrd.commands import common, http_client, terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd watch`."""
    parser.add_argument(
        "--last",
        metavar="N",
        type=common.number(0, 99999),
        default=0,
        help="start with the last N events, 0 to 99999 (200 about routes and VRPs are kept, and 200 others)",
    )
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print events until Ctrl-C, or until the daemon ends."""
    request = http_client.url("/events", {"last": str(args.last)})
    width = terminal.width(wide=args.wide or not sys.stdout.isatty())  # in a pipe each event is a line
    return common.ask(args, request, lambda answer: lines(answer, width), forever=True)


def lines(answer: http_client.Answer, width: int) -> Iterator[str]:
    """Return a line for each event, or more where it is too long: its time of this host, its kind, what happened."""
    import datetime as dt

    decode = msgspec.json.Decoder(dict[str, object]).decode
    for line in answer.lines():
        event = decode(line)
        time = event["time"]
        local = dt.datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S") if isinstance(time, str) else "-"
        style = {"lost": "bad", "route": str(event.get("validity"))}.get(str(event["kind"]), "soft")
        kind = terminal.paint(printable(str(event["kind"])), style, 8)
        text = printable(str(event["text"]))
        first, *more = textwrap.wrap(text, max(20, width - 18), break_on_hyphens=False) or [""]
        yield f"{local:<8} {kind} {first}"
        yield from (f"{'':<18}{line}" for line in more)
