"""`rtrd audit`: the routes of a table dump judged by a VRP file, without a daemon."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rtrd.commands import common, dumps
from rtrd.config import NeighborConfig
from rtrd.config.types import NeighborMatch, parse_neighbor_match
from rtrd.vrps import allow_bad
from rtrlib.aspa_paths import LOCAL_ROLES

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
    parser.add_argument(
        "--local-role",
        metavar="[WHO=]ROLE",
        type=_role,
        action="append",
        default=[],
        help="judge the paths of peers, too, by the ASPAs in the VRP file: what whoever wrote the dump is to WHO, an"
        " address, a prefix or an AS (AS64496), else to all; may be repeated, the first that names a peer counts",
    )
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


def _role(text: str) -> NeighborConfig:
    who, equals, role = text.rpartition("=")
    if role not in LOCAL_ROLES:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a role, or WHO=ROLE; roles: {', '.join(LOCAL_ROLES)}")
    try:
        match = (parse_neighbor_match(who),) if equals else (NeighborMatch("0.0.0.0/0"), NeighborMatch("::/0"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return NeighborConfig(match=match, local_role=role)


def run(args: argparse.Namespace) -> int:
    """Read both files, print what was found. Invalid routes don't show in the exit code."""
    return dumps.judged(args, "audit", partial(dumps.audited, args))
