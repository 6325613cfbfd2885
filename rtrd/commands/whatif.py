"""`rtrd whatif`: which routes of the daemon would change validity with other VRPs, or be judged otherwise by ASPAs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any

from rtrd.base.text import counted, printable
from rtrd.cli import BAD_USAGE, FAILED
from rtrd.commands import common, dumps, http_client
from rtrd.vrps import allow_bad

TIMEOUT = 300.0
"""Seconds: a full table under another set takes some, beside the router."""

_ROW = "{:<20} {:<43} {:<10} {:<12} {:<10} {:<10} {}"
_COVERS = {
    "unreachable": "unreachable",
    "covered-by-valid": "covered by a valid route",
    "covered-by-not-found": "covered by a not-found route",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd whatif`."""
    # argparse would take -192.0.2.0/24@64500 for an option; what looks like a negative number it takes as it is.
    parser._negative_number_matcher = re.compile("-[0-9A-Fa-f:]")  # noqa: SLF001
    parser.add_argument(
        "what",
        metavar="FILE|+VRP|-VRP",
        nargs="*",
        help="a VRP file instead of what the caches say, or VRPs that appear (+) or disappear (-),"
        " such as +192.0.2.0/24-24@AS64500",
    )
    parser.add_argument(
        "--aspa",
        metavar="AS:AS,AS",
        action="append",
        help="instead of VRPs: an ASPA as it would be, the customer and its providers, such as 64496:64497,64498;"
        " 64496:0: it has none; 64496: alone: its ASPA disappears; may be given several times",
    )
    dumps.add_options(parser)
    allow_bad.add_option(parser)
    parser.add_argument(
        "--rows",
        metavar="N",
        type=common.number(0, 10_000),
        default=1000,
        help="list at most N routes (default: 1000, at most 10000)",
    )
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the daemon, or send it the VRPs of a file."""
    if args.aspa is not None or not args.what:
        return _of_paths(args)
    if dumps.misused(args, "whatif"):
        return BAD_USAGE
    files = [text for text in args.what if text[0] not in "+-"]
    if files and len(args.what) > 1:
        print("rtrd whatif: expected one FILE, or VRPs each with + or -", file=sys.stderr)
        return BAD_USAGE
    if args.mrt is not None:
        return dumps.judged(args, "whatif", lambda file: dumps.whatif(args, file, lines))
    if not files:
        return _ask(args)
    from rtrlib.vrp_entries import VRPFileError

    try:
        file = common.read_vrp_file("whatif", files[0], args.allow_bad)
    except VRPFileError as error:
        hint = "; a VRP is given with + or - before it" if "@" in files[0] or "=>" in files[0] else ""
        print(f"rtrd whatif: {error}{hint}", file=sys.stderr)
        return FAILED
    request = http_client.url("/whatif", {"rows": str(args.rows)})
    return common.ask(
        args, request, lambda answer: lines(answer.value()), method="POST", body=file.packed, timeout=TIMEOUT
    )


def _ask(args: argparse.Namespace) -> int:
    from urllib.parse import quote

    from rtrd.vrps.notation import parse_edit

    try:
        for text in args.what:
            parse_edit(text)
    except ValueError as error:
        print(f"rtrd whatif: {error}", file=sys.stderr)
        return BAD_USAGE
    request = http_client.url("/whatif", {"rows": str(args.rows)}) + "".join(
        f"&vrp={quote(text)}" for text in args.what
    )
    return common.ask(args, request, lambda answer: lines(answer.value()), timeout=TIMEOUT)


def _of_paths(args: argparse.Namespace) -> int:
    if args.aspa is None:
        print("rtrd whatif: expected a FILE, VRPs each with + or -, or --aspa", file=sys.stderr)
        return BAD_USAGE
    if args.what or args.mrt is not None or args.vrps is not None:
        print("rtrd whatif: --aspa asks the daemon, and of nothing else: no VRPs, --mrt, --vrps", file=sys.stderr)
        return BAD_USAGE
    from urllib.parse import quote

    from rtrd.rib.path_whatif import parse_aspa

    try:
        for text in args.aspa:
            parse_aspa(text)
    except ValueError as error:
        print(f"rtrd whatif: {error}", file=sys.stderr)
        return BAD_USAGE
    request = http_client.url("/whatif/aspas", {"rows": str(args.rows)}) + "".join(
        f"&aspa={quote(text)}" for text in args.aspa
    )
    return common.ask(args, request, lambda answer: path_lines(answer.value()), timeout=TIMEOUT)


def path_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines for an answer about ASPAs: how many routes would change, how, and which, and why."""
    yield f"{counted(answer['routes'], 'route')} looked at; newly invalid: {answer['newly_invalid']}"
    for change in answer["changes"]:
        yield f"  {change['now']} -> {change['then']}: {change['routes']}"
    for customer in answer["without_effect"]:
        yield f"without effect: the ASPA of AS{customer}"
    if answer["changed"]:
        yield _ROW.format("NEIGHBOR", "PREFIX", "PATH-ID", "ORIGIN", "NOW", "THEN", "").rstrip()
    for route in answer["changed"]:
        yield _row(route, printable(route["reason"] or ""))
    if answer["left_out"]:
        yield f"and {answer['left_out']} more"


def _row(route: dict[str, Any], more: str) -> str:
    return _ROW.format(
        printable(route["neighbor"]),
        route["prefix"],
        "-" if route["path_id"] is None else route["path_id"],
        "none" if route["origin_as"] is None else f"AS{route['origin_as']}",
        route["now"],
        route["then"],
        more,
    ).rstrip()


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines for an answer: how many routes would change, how, and which."""
    covers = answer["newly_invalid"]
    routes = answer["routes"]
    yield f"{counted(routes, 'route')} looked at; newly invalid: {sum(covers.values())}"
    if any(covers.values()):
        yield "  " + ", ".join(f"{covers[key]} {text}" for key, text in _COVERS.items())
    for change in answer["changes"]:
        yield f"  {change['now']} -> {change['then']}: {change['routes']}"
    for vrp in answer["without_effect"]:
        yield f"without effect: {printable(vrp)}"
    if answer["changed"]:
        yield _ROW.format("NEIGHBOR", "PREFIX", "PATH-ID", "ORIGIN", "NOW", "THEN", "").rstrip()
    for route in answer["changed"]:
        yield _row(route, _COVERS.get(route["cover"], ""))
    if answer["left_out"]:
        yield f"and {answer['left_out']} more"
