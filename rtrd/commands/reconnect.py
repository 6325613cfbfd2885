"""`rtrd reconnect`: has the daemon ask caches now, instead of when their retry interval is over."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from urllib.parse import urlencode

from rtrd.base.text import printable
from rtrd.commands import common, http_client


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd reconnect`."""
    parser.add_argument(
        "caches", metavar="CACHE", nargs="*",
        help="a cache, as HOST or HOST:PORT (default: those that failed, or all if none did)",
    )  # fmt: skip
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses a name that it does not know."""
    query = urlencode([("cache", cache) for cache in args.caches])
    return common.ask(args, "/reconnect" + (f"?{query}" if query else ""), lines, method="POST")


def lines(answer: http_client.Answer) -> Iterator[str]:
    """Return a line for each cache that is asked."""
    for cache in answer.value()["reconnected"]:
        yield f"cache {printable(cache)} is asked now"
