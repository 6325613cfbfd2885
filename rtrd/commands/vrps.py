"""`rtrd vrps`: the VRPs in force, all or those that cover a prefix or lie within it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE
from rtrd.commands import common, http_client, terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd vrps`."""
    parser.add_argument(
        "prefix",
        metavar="PREFIX",
        nargs="?",
        type=common.prefix,
        help="only VRPs that cover this prefix, or lie within it",
    )
    parser.add_argument("--covering", action="store_true", help="only VRPs that cover the prefix")
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the VRPs and print one a line; `--json` prints a VRP file."""
    if args.covering and args.prefix is None:
        print("rtrd vrps: --covering wants a PREFIX", file=sys.stderr)
        return BAD_USAGE
    query = {"prefix": args.prefix, "covering": "yes" if args.covering else None}
    width = terminal.width(wide=args.wide)
    return common.ask(args, http_client.url("/vrps", query), lambda answer: lines(answer, width))


def lines(answer: http_client.Answer, width: int) -> Iterator[str]:
    """Return `PREFIX max LENGTH AS SOURCES` for each VRP; without any, a line that says so."""
    found = False
    for vrp in answer.items():
        found = True
        sources = printable(" ".join(vrp["sources"]))
        # Room for nearly all prefixes: the rare longer one moves its own row alone.
        line = f"{vrp['prefix']:<24} max {vrp['maxLength']:<3} {'AS' + str(vrp['asn']):<12} {sources}"
        yield from terminal.wrapped(line, width)
    if not found:
        yield "no VRPs"
    if answer.changed_meanwhile:
        print("rtrd vrps: the VRPs changed while they were listed: they were not all in force at once", file=sys.stderr)
