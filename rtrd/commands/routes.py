"""`rtrd routes`: the routes of the daemon, with validity and decision."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rtrd.base.text import printable
from rtrd.commands import common, http_client, terminal
from rtrd.tags import VALIDITIES

_ROW = "{:<20} {:<43} {:<10} {:<12} {:<10} {}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd routes`."""
    parser.add_argument(
        "prefix",
        metavar="PREFIX",
        nargs="?",
        type=common.prefix,
        help="only routes to this prefix or to more specific ones",
    )
    parser.add_argument("--validity", choices=VALIDITIES, help="only routes of this validity")
    parser.add_argument(
        "--covered", choices=("yes", "no"), help="only routes that a VRP covers (yes), or that none covers (no)"
    )
    parser.add_argument("--neighbor", metavar="ADDRESS", type=common.address, help="only routes of this neighbor")
    parser.add_argument(
        "--origin", metavar="ASN", type=_origin, help="only routes with this origin AS; none: routes without one"
    )
    parser.add_argument(
        "--direction",
        choices=("in", "out"),
        help="in: routes learned from neighbors (default); out: local routes, originated by the router",
    )
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the routes and print one a line."""
    wanted = ("validity", "prefix", "covered", "neighbor", "origin", "direction")
    request = http_client.url("/routes", {name: getattr(args, name) for name in wanted})
    return common.ask(args, request, lines)


def _origin(text: str) -> str:
    return text if text == "none" else str(common.asn(text))


def lines(answer: http_client.Answer) -> Iterator[str]:
    """Return a heading and a line for each route."""
    yield _ROW.format("NEIGHBOR", "PREFIX", "PATH-ID", "ORIGIN", "VALIDITY", "DECISION")
    for route in answer.items():
        path_id, origin = route["path_id"], route["origin_as"]
        yield _ROW.format(
            printable(str(route["neighbor"])),
            route["prefix"],
            "-" if path_id is None else path_id,
            "none" if origin is None else f"AS{origin}",
            terminal.paint(route["validity"], route["validity"], 10),
            route["decision"],
        )
