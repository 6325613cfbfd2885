"""`rtrd validate-path`: whether ASPAs allow a path, hop by hop, by the daemon or by a VRP file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE, DONE, FAILED
from rtrd.commands import common, http_client, terminal
from rtrd.rib.paths import Path, explain_path, parse_path, parse_path_asn, sentence_of
from rtrd.vrps import allow_bad
from rtrlib.aspa_paths import LOCAL_ROLES, Hop
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp_entries import VRPFile

MOST_ASKED = 500
"""AS numbers of a path that the daemon is asked for: they must fit a line of HTTP."""
STYLES = {"valid": "valid", "invalid": "invalid", "unknown": "not-found"}

Explain = Callable[[Path], dict[str, Any]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd validate-path`."""
    parser.add_argument(
        "path",
        metavar="AS",
        nargs="+",
        help="the path: the neighbor first, the origin last; or - for paths on stdin, one a line",
    )
    parser.add_argument(
        "--local-role",
        metavar="ROLE",
        choices=LOCAL_ROLES,
        required=True,
        help=f"what we are to the neighbor (RFC 9234): {', '.join(LOCAL_ROLES)}",
    )
    parser.add_argument(
        "--neighbor-as",
        metavar="AS",
        type=_neighbor_as,
        help="the neighbor's AS, which must be the first one of the path, unless it is a route server",
    )
    parser.add_argument("--as-set", action="store_true", help="the path also has an AS_SET")
    parser.add_argument("--vrps", metavar="FILE", help="use the ASPAs of this file instead of asking the daemon")
    allow_bad.add_option(parser)
    common.add_options(parser)


def add_path_options(parser: argparse.ArgumentParser) -> None:
    """Add the options by which `rtrd validate` takes a path, too."""
    parser.add_argument(
        "--path", metavar="PATH", type=_path, help='its AS path, the neighbor first, the origin last: "64496 64500"'
    )
    parser.add_argument("--local-role", metavar="ROLE", choices=LOCAL_ROLES, help="with --path: as of validate-path")
    parser.add_argument("--neighbor-as", metavar="AS", type=_neighbor_as, help="with --path: as of validate-path")


def _neighbor_as(text: str) -> int:
    return common.argument(parse_path_asn, text)


def _path(text: str) -> Path:
    path = common.argument(parse_path, text)
    if path.length > MOST_ASKED:
        raise argparse.ArgumentTypeError(f"a path of {path.length} AS numbers: expected at most {MOST_ASKED}")
    return path


def by_file(args: argparse.Namespace, path: Path, file: VRPFile) -> dict[str, Any]:
    """Judge a path by the ASPAs of a file."""
    return explain_path(ASPAIndex(file.aspas), path, args.local_role, neighbor_as=args.neighbor_as)


def run(args: argparse.Namespace) -> int:
    """Judge paths. Their outcomes don't show in the exit code."""
    if args.vrps is None:
        return _answer(args, lambda path: by_daemon(args, path, as_set=args.as_set))
    from rtrlib.vrp_entries import VRPFileError

    try:
        file = common.read_vrp_file("validate-path", args.vrps, args.allow_bad)
    except VRPFileError as error:
        print(f"rtrd validate-path: {error}", file=sys.stderr)
        return FAILED
    index = ASPAIndex(file.aspas)
    return _answer(
        args,
        lambda path: explain_path(index, path, args.local_role, neighbor_as=args.neighbor_as, as_set=args.as_set),
    )


def by_daemon(args: argparse.Namespace, path: Path, *, as_set: bool = False) -> dict[str, Any]:
    """Have the daemon judge a path."""
    if path.length > MOST_ASKED:
        raise ValueError(f"a path of {path.length} AS numbers: the daemon takes at most {MOST_ASKED}; use --vrps")
    query = question(args, path, as_set=as_set)
    from rtrd.base import socket_paths

    with http_client.ask(socket_paths.socket_path(args.socket), http_client.url("/api/v1/path", query)) as answer:
        found: dict[str, Any] = answer.value()
    return found


def question(args: argparse.Namespace, path: Path, *, as_set: bool = False) -> dict[str, str]:
    """Give the query by which the daemon is asked of a path."""
    query = {"path": path.text, "local-role": args.local_role}
    if args.neighbor_as is not None:
        query["neighbor-as"] = str(args.neighbor_as)
    if as_set:
        query["as-set"] = "yes"
    return query


def _answer(args: argparse.Namespace, explain: Explain) -> int:
    try:
        if args.path == ["-"]:
            _each(args, _lines(sys.stdin.buffer), explain)
        else:
            explained = explain(parse_path(" ".join(args.path)))
            common.show(args, explained, lines(explained))
    except ValueError as error:
        print(f"rtrd validate-path: {error}", file=sys.stderr)
        return BAD_USAGE
    return DONE


def _lines(file: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: not ASCII: expected AS numbers") from None


def _each(args: argparse.Namespace, texts: Iterable[str], explain: Explain) -> None:
    """Print an answer a line; it stops at a line that is no path."""
    for number, text in enumerate(texts, 1):
        try:
            explained = explain(parse_path(text))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        print(msgspec.json.encode(explained).decode() if args.json else summary(explained))


def summary(explained: dict[str, Any]) -> str:
    """Return the line for a path: its outcome, and why."""
    path = explained["as_path"] or "empty path"
    outcome = explained["outcome"]
    return f"{path}: {terminal.paint(outcome, STYLES[outcome])} ({explained['procedure']}): {explained['reason']}"


def lines(explained: dict[str, Any]) -> Iterator[str]:
    """Return the lines for a path: its outcome and why, then what each AS attests."""
    yield summary(explained)
    hops = [Hop(**hop) for hop in explained["hops"]]
    down = explained["procedure"] == "downstream"
    for number, hop in enumerate(hops):
        where = "" if not down else "up    " if number < len(hops) // 2 else "down  "
        yield f"  {where}{sentence_of(hop)}"
    if (held := explained.get("held")) is not None:
        why = "" if held["then"] == explained["outcome"] else f": {held['reason']}"
        yield held_line(held, "path", explained["outcome"]) + why


def held_line(held: dict[str, Any], what: str, now: str) -> str:
    """Return the line that says what a route or its path would be with a change that the guard holds."""
    until = "" if held["until"] is None else f" until {printable(held['until'])}"
    same = " still" if held["then"] == now else ""
    return (
        f"  the guard {'keeps out' if held['state'] == 'rejected' else 'holds'} a change{until}"
        f" (by {printable(', '.join(held['cause']))}): with it the {what} would{same} be {held['then']}"
    )
