"""A prefix, or none, in; the VRPs in force that cover it or lie within it, or all, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.commands import asking
from rtrd.ops import client

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd vrps`."""
    parser.add_argument(
        "prefix",
        metavar="PREFIX",
        nargs="?",
        type=asking.prefix,
        help="only VRPs that cover this prefix or lie within it",
    )
    asking.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the VRPs and print one a line; `--json` prints a VRP file."""
    return asking.ask(args, client.url("/vrps", {"prefix": args.prefix}), lines)


def lines(answer: client.Answer) -> Iterator[str]:
    """Return `PREFIX max LENGTH AS` for each VRP."""
    for vrp in answer.items():
        yield f"{vrp['prefix']:<43} max {vrp['maxLength']:<3} AS{vrp['asn']}"
