"""`rtrd routes`: the routes of the daemon, with validity and decision."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rtrd.base.text import printable
from rtrd.commands import common, http_client, terminal
from rtrd.tags import VALIDITIES

_COLUMNS = (
    terminal.Column("ROUTER", 12, if_room=True),
    terminal.Column("NEIGHBOR", 15),
    terminal.Column("PREFIX", 18),
    terminal.Column("PATH-ID", 7),
    terminal.Column("ORIGIN", 10),
    terminal.Column("VALIDITY", 10),
    terminal.Column("DECISION", 8),
    terminal.Column("REASON", 6),
    terminal.Column("SINCE", terminal.TIME, if_room=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd routes`."""
    parser.add_argument(
        "prefix",
        metavar="PREFIX",
        nargs="?",
        default={},
        type=common.prefix_or_address,
        help="only routes to this prefix or to more specific ones; of an address: those that cover it",
    )
    parser.add_argument("--validity", choices=VALIDITIES, help="only routes of this validity")
    parser.add_argument(
        "--covered", choices=("yes", "no"), help="only routes that a VRP covers (yes), or that none covers (no)"
    )
    parser.add_argument("--neighbor", metavar="ADDRESS", type=common.neighbor, help="only routes of this neighbor")
    parser.add_argument(
        "--origin", metavar="ASN", type=_origin, help="only routes with this origin AS; none: routes without one"
    )
    parser.add_argument(
        "--direction",
        choices=("in", "out"),
        help="in: routes learned from neighbors (default); out: local routes, originated by the router",
    )
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the routes and print one a line."""
    wanted = ("validity", "covered", "neighbor", "origin", "direction")
    query = {**{name: getattr(args, name) for name in wanted}, **args.prefix}
    columns = terminal.Columns(_COLUMNS, terminal.width(wide=args.wide))
    return common.ask(args, http_client.url("/routes", query), lambda answer: lines(answer, columns))


def _origin(text: str) -> str:
    return text if text == "none" else str(common.asn(text))


def lines(answer: http_client.Answer, columns: terminal.Columns) -> Iterator[str]:
    """Return a heading and a line for each route; without any, a line that says so."""
    count = 0
    for count, route in enumerate(answer.items(), 1):
        if count == 1:
            yield columns.heading()
        path_id, origin, since = route["path_id"], route["origin_as"], route.get("since")
        yield columns.line(
            {
                "ROUTER": (printable(str(route.get("router"))), ""),
                "NEIGHBOR": (printable(str(route["neighbor"])), ""),
                "PREFIX": (route["prefix"], ""),
                "PATH-ID": ("-" if path_id is None else str(path_id), ""),
                "ORIGIN": ("none" if origin is None else f"AS{origin}", ""),
                "VALIDITY": (route["validity"], route["validity"]),
                "DECISION": (route["decision"], ""),
                "REASON": (route.get("reason") or "", ""),
                "SINCE": ("-" if since is None else terminal.to_second(since), ""),
            }
        )
    if not count:
        yield "no routes"
