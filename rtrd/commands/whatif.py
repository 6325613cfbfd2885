"""`rtrd whatif`: which routes of the daemon would change validity with other VRPs, or be judged otherwise by ASPAs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rtrd.base import socket_paths
from rtrd.base.text import counted, printable
from rtrd.cli import BAD_USAGE, DONE, FAILED
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
        metavar="FILE|+VRP|-VRP|+ASPA|-AS",
        nargs="*",
        help="a VRP file instead of what the caches say, ASPAs included; or VRPs that appear (+) or disappear (-),"
        " such as +192.0.2.0/24-24@AS64500, and ASPAs, such as +64496:64497,64498 and -64500",
    )
    parser.add_argument(
        "--aspa",
        metavar="AS:AS,AS",
        action="append",
        help="an ASPA as it would be, as + says it: the customer and its providers, such as 64496:64497,64498;"
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
    """Ask the daemon of VRPs, of ASPAs or of both, or send it those of a file."""
    if dumps.misused(args, "whatif"):
        return BAD_USAGE
    try:
        vrps, aspas = _edits(args)
    except ValueError as error:
        print(f"rtrd whatif: {error}", file=sys.stderr)
        return BAD_USAGE
    files = [text for text in args.what if text[0] not in "+-"]
    if wrong := _misused(args, files, aspas):
        print(f"rtrd whatif: {wrong}", file=sys.stderr)
        return BAD_USAGE
    if args.mrt is not None:
        return dumps.judged(args, "whatif", lambda file: dumps.whatif(args, file, lines))
    rows = {"rows": str(args.rows)}
    if files:
        return _of_file(args, files[0], rows)
    answer = _answer(args, _ask("/whatif", rows, "vrp", vrps)) if vrps else None
    paths = _answer(args, _ask("/whatif/aspas", rows, "aspa", aspas)) if aspas else None
    return _show(args, answer, paths)


def _edits(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Give the VRPs and the ASPAs that are asked of, as the API takes them; ValueError for what is neither."""
    from rtrd.rib.path_whatif import parse_aspa, parse_aspa_edit
    from rtrd.vrps.notation import parse_edit

    vrps, aspas = [], list(args.aspa or ())
    for text in aspas:
        parse_aspa(text)
    for text in args.what:
        if text[0] not in "+-":
            continue
        if (aspa := parse_aspa_edit(text)) is not None:
            aspas.append(f"{aspa.customer}:{','.join(map(str, aspa.providers))}")
        else:
            parse_edit(text)
            vrps.append(text)
    return vrps, aspas


def _misused(args: argparse.Namespace, files: list[str], aspas: list[str]) -> str | None:
    if not args.what and not aspas:
        return "expected a FILE, or VRPs and ASPAs each with + or -"
    if files and (len(args.what) > 1 or aspas):
        return "expected one FILE, or VRPs and ASPAs each with + or -"
    if aspas and (args.mrt is not None or args.vrps is not None):
        return "ASPAs are asked of the daemon: not with --mrt and --vrps"
    return None


def _of_file(args: argparse.Namespace, path: str, rows: Mapping[str, str]) -> int:
    from rtrlib.vrp_entries import VRPFileError

    try:
        file = common.read_vrp_file("whatif", path, args.allow_bad)
    except VRPFileError as error:
        hint = "; a VRP is given with + or - before it" if "@" in path or "=>" in path else ""
        print(f"rtrd whatif: {error}{hint}", file=sys.stderr)
        return FAILED
    answer = _answer(args, http_client.url("/whatif", rows), file.packed)
    paths = _answer(args, http_client.url("/whatif/aspas", rows), file.aspas) if file.aspas else None
    return _show(args, answer, paths, () if file.aspas else ("the file has no ASPAs: nothing is asked of paths",))


def _ask(path: str, rows: Mapping[str, str], key: str, texts: Iterable[str]) -> str:
    from urllib.parse import quote

    return http_client.url(path, rows) + "".join(f"&{key}={quote(text)}" for text in texts)


def _answer(args: argparse.Namespace, request: str, body: bytes | None = None) -> dict[str, Any]:
    method = "GET" if body is None else "POST"
    path = socket_paths.socket_path(args.socket)
    with http_client.ask(path, request, method=method, body=body, timeout=TIMEOUT) as answer:
        value: dict[str, Any] = answer.value()
        return value


def _show(
    args: argparse.Namespace, answer: dict[str, Any] | None, paths: dict[str, Any] | None, notes: Iterable[str] = ()
) -> int:
    """Print what was answered of VRPs, of ASPAs, or of both: then that of ASPAs is the member `paths`."""
    both = {**(answer or {}), "paths": paths} if answer and paths else answer or paths
    texts = [*(lines(answer) if answer else ()), *(_of_paths(paths, alone=answer is None) if paths else ()), *notes]
    common.show(args, both, texts)
    return DONE


def _of_paths(paths: dict[str, Any], *, alone: bool) -> Iterator[str]:
    if not alone:
        yield "paths, by ASPAs:"
    yield from path_lines(paths)


def path_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines for an answer about ASPAs: how many routes would change, how, and which, and why."""
    yield from _counts(answer)
    for change in answer["changes"]:
        yield f"  {change['now']} -> {change['then']}: {change['routes']}"
    for customer in answer["without_effect"]:
        yield f"without effect: the ASPA of AS{customer}"
    if answer["changed"]:
        yield _ROW.format("NEIGHBOR", "PREFIX", "PATH-ID", "ORIGIN", "NOW", "THEN", "").rstrip()
    for route in answer["changed"]:
        cover = f"; {_COVERS[route['cover']]}" if route["cover"] else ""
        yield _row(route, f"{printable(route['reason'] or '')}{cover}")
    if answer["left_out"]:
        yield f"and {answer['left_out']} more"


def _counts(answer: dict[str, Any]) -> Iterator[str]:
    covers = answer["newly_invalid"]
    yield f"{counted(answer['routes'], 'route')} looked at; newly invalid: {sum(covers.values())}"
    if any(covers.values()):
        yield "  " + ", ".join(f"{covers[key]} {text}" for key, text in _COVERS.items())


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
    yield from _counts(answer)
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
