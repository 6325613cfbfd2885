"""`rtrd routes`: the routes of the daemon, with validity and decision."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE
from rtrd.commands import common, dumps, http_client, terminal
from rtrd.mrt.records import DumpRoute
from rtrd.tags import VALIDITIES
from rtrd.vrps import allow_bad

_COLUMNS = (
    terminal.Column("ROUTER", 12, if_room=True),
    terminal.Column("NEIGHBOR", 15),
    terminal.Column("PREFIX", 18),
    terminal.Column("PATH-ID", 7),
    terminal.Column("ORIGIN", 10),
    terminal.Column("VALIDITY", 10),
    terminal.Column("DECISION", 8),
    terminal.Column("REASON", 6),
    terminal.Column("ASPA", 7, if_room=True),
    terminal.Column("LEAK", 4, if_room=True),
    terminal.Column("KEPT-BACK", 9, if_room=True),
    terminal.Column("SINCE", terminal.TIME, if_room=True),
    terminal.Column("PATH", 24, if_room=True),
    terminal.Column("WHY", 24, if_room=True),
)


_OF_DAEMON = {"ROUTER", "DECISION", "ASPA", "LEAK", "KEPT-BACK", "SINCE", "PATH", "WHY"}
_OF_DUMP = tuple(one for one in _COLUMNS if one.title not in _OF_DAEMON)


_STYLES = {"valid": "valid", "invalid": "invalid", "unknown": "not-found"}
"""How what ASPAs make of a path is painted."""


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
    parser.add_argument(
        "--aspa",
        choices=("valid", "invalid", "unknown", "none"),
        help="only routes whose paths ASPAs make so; none: those whose paths are not judged",
    )
    parser.add_argument("--leak", choices=("yes", "no"), help="only routes that have leaked (RFC 9234), or the others")
    dumps.add_options(parser)
    allow_bad.add_option(parser)
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the routes and print one a line."""
    wanted = ("validity", "covered", "neighbor", "origin", "direction", "aspa", "leak")
    query = {**{name: getattr(args, name) for name in wanted}, **args.prefix}
    if dumps.misused(args, "routes"):
        return BAD_USAGE
    if args.mrt is not None:
        return _of_dump(args)
    columns = terminal.Columns(_COLUMNS, terminal.width(wide=args.wide))
    return common.ask(args, http_client.url("/routes", query), lambda answer: lines(answer, columns))


def _of_dump(args: argparse.Namespace) -> int:
    if "address" in args.prefix or args.covered or args.direction or args.aspa or args.leak:
        print("rtrd routes: with --mrt: only PREFIX, --validity, --neighbor, --origin", file=sys.stderr)
        return BAD_USAGE
    columns = terminal.Columns(_OF_DUMP, terminal.width(wide=args.wide))

    def wanted(route: DumpRoute) -> bool:
        origin = "none" if route.origin is None else str(route.origin)
        return args.neighbor in (None, route.peer) and args.origin in (None, origin)

    return dumps.routes(args, lambda rows: _lines(rows, columns), wanted)


def _origin(text: str) -> str:
    return text if text == "none" else str(common.asn(text))


def lines(answer: http_client.Answer, columns: terminal.Columns) -> Iterator[str]:
    """Return a heading and a line for each route; without any, a line that says so."""
    return _lines(answer.items(), columns)


def _lines(routes: Iterable[dict[str, Any]], columns: terminal.Columns) -> Iterator[str]:
    count = 0
    for count, route in enumerate(routes, 1):
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
                "DECISION": (route.get("decision", ""), ""),
                "REASON": (route.get("reason") or "", ""),
                "ASPA": (route.get("aspa") or "-", _STYLES.get(route.get("aspa") or "", "")),
                "LEAK": ("yes" if route.get("leak") else "", "invalid"),
                "KEPT-BACK": (_kept_back(route), ""),
                "SINCE": ("-" if since is None else terminal.to_second(since), ""),
                "PATH": ("-" if (path := route.get("as_path")) is None else path or "empty", ""),
                "WHY": (why := _why(route), ""),
            }
        )
        if why and not columns.has("WHY"):
            yield from terminal.wrapped(f"  {why}", columns.most)
    if not count:
        yield "no routes"


def _kept_back(route: dict[str, Any]) -> str:
    """Say from whom a route is kept back; of several, from how many."""
    those = route.get("kept_back") or []
    return printable(str(those[0]["neighbor"])) if len(those) == 1 else f"{len(those)} neighbors" if those else ""


def _why(route: dict[str, Any]) -> str:
    """Say why a path is invalid, or why the route has leaked; nothing of any other."""
    wrong = route.get("aspa") == "invalid" or route.get("leak")
    return printable(route.get("path_reason") or "") if wrong else ""
