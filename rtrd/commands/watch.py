"""`rtrd watch`: the daemon's events as they happen, one line each."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator

import msgspec

from rtrd.base.text import printable
from rtrd.commands import common, http_client, terminal

_INDENT = terminal.TIME + 10
"""Columns before the text."""


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
    """Return a line for each event, or more where it is too long: its time, its kind, what happened."""
    decode = msgspec.json.Decoder(dict[str, object]).decode
    for line in answer.lines():
        event = decode(line)
        time = event["time"]
        when = terminal.to_second(time) if isinstance(time, str) else "-"
        style = {"lost": "bad", "route": str(event.get("validity"))}.get(str(event["kind"]), "soft")
        kind = terminal.paint(printable(str(event["kind"])), style, 8)
        text = printable(str(event["text"]))
        first, *more = textwrap.wrap(text, max(20, width - _INDENT), break_on_hyphens=False) or [""]
        yield f"{when:<{terminal.TIME}} {kind} {first}"
        yield from (f"{'':<{_INDENT}}{line}" for line in more)
