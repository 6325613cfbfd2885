"""`rtrd audit`: the routes of a table dump judged by a VRP file, without a daemon."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rtrd.commands import common, dumps
from rtrd.vrps import allow_bad

ROWS = 20
"""Invalid routes that are named as text; JSON names all."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd audit`."""
    parser.add_argument(
        "--mrt",
        metavar="FILE",
        type=Path,
        required=True,
        help="a table dump or a file of BGP messages (MRT), plain or packed as .gz, .bz2, .xz, .zst",
    )
    parser.add_argument("--vrps", metavar="FILE", required=True, help="the VRPs that judge its routes")
    dumps.add_partial(parser)
    allow_bad.add_option(parser)
    parser.add_argument(
        "--rows",
        metavar="N",
        type=common.number(0, 10_000_000),
        default=ROWS,
        help=f"name at most N invalid routes as text (default: {ROWS}); with --json all are named",
    )
    common.add_options(parser, socket=False)


def run(args: argparse.Namespace) -> int:
    """Read both files, print what was found. Invalid routes don't show in the exit code."""
    return dumps.judged(args, "audit", partial(dumps.audited, args))
