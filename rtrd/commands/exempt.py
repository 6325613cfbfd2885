"""`rtrd exempt`: lets a prefix with an origin AS be valid, from now on, whatever the caches say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from rtrd.base.notation import Prefix
from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE
from rtrd.commands import common, http_client

PATIENCE = 60.0
"""Seconds: it is in force when the command ends, and while a cache syncs that takes some."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd exempt`."""
    parser.add_argument("prefix", metavar="PREFIX", nargs="?", type=_prefix, help="such as 192.0.2.0/24")
    parser.add_argument("asn", metavar="ASN", nargs="?", type=common.asn, help="its origin AS, such as AS64500")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="print the exempts in force")
    action.add_argument("--remove", action="store_true", help="end the exempt of this prefix and AS")
    parser.add_argument("--comment", metavar="TEXT", help="why: it is shown wherever the exempt is")
    parser.add_argument("--until", metavar="TIME", help="when it ends by itself: 2026-11-27T06:00Z, or +2h")
    parser.add_argument("--force", action="store_true", help="even if other routes become invalid by it")
    common.add_options(parser)


def _prefix(text: str) -> Prefix:
    """Want the length, too: an exempt is for exactly this prefix, and an address alone would be for none."""
    found = common.prefix(text)
    if "/" not in text:
        raise argparse.ArgumentTypeError(f"{text} has no length: expected a prefix such as 192.0.2.0/24")
    return found


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; what it refuses has changed nothing."""
    if wrong := _wrong(args) or _wrong_comment(args.comment):
        print(f"rtrd exempt: {wrong}", file=sys.stderr)
        return BAD_USAGE
    if args.list:
        return common.ask(args, "/exempts", lambda answer: _listed(answer.items()))
    key = {"prefix": str(args.prefix), "asn": f"AS{args.asn}"}
    more = {"comment": args.comment, "until": args.until, "force": "yes" if args.force else None}
    request = http_client.url("/exempt", {**key, **more})
    method, lines = ("DELETE", _removed) if args.remove else ("POST", _added)
    try:
        return common.ask(args, request, lambda answer: lines(answer.value()), method=method, timeout=PATIENCE)
    except http_client.RefusedError as error:
        if error.status != http_client.BAD_REQUEST:
            raise
        print(f"rtrd exempt: {error}", file=sys.stderr)
        return BAD_USAGE


def _wrong(args: argparse.Namespace) -> str | None:
    """Say what of the command line does not go together."""
    if args.list:
        given = args.prefix or args.comment or args.until or args.force
        return "--list takes nothing else" if given else None
    if args.prefix is None or args.asn is None:
        return "expected PREFIX ASN, or --list"
    if args.remove and (args.comment or args.until or args.force):
        return "--remove takes nothing else than PREFIX ASN"
    return None


def _wrong_comment(comment: str | None) -> str | None:
    from rtrd.vrps.exempt import parse_comment

    try:
        parse_comment(comment or "")
    except ValueError as error:
        return str(error)
    return None


def _added(one: dict[str, Any]) -> Iterator[str]:
    until = "" if one["until"] is None else f", until {printable(one['until'])}"
    yield f"{one['prefix']} {one['asn']} is exempted{until}"
    if not one["usable"]:
        yield "no VRP set is usable yet, so no route is judged: it counts as soon as a cache has answered"
    before = one["replaced"] or one
    if before["until"] not in (None, one["until"]):
        now = "" if until else ": it has none now"
        yield f"its earlier end, {printable(before['until'])}, does not count any more{now}"
    if before["comment"] not in ("", one["comment"]):
        yield f"its earlier comment is replaced: {printable(before['comment'])}"
    if one["kept"] is None:
        yield "it is not kept, for no state folder is configured: it ends when rtrd does"


def _removed(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['prefix']} {one['asn']} is exempted no more"


def _listed(exempts: Iterator[dict[str, Any]]) -> Iterator[str]:
    none = True
    for one in exempts:
        none = False
        until = "" if one["until"] is None else f"  until {printable(one['until'])}"
        comment = f"  {printable(one['comment'])}" if one["comment"] else ""
        yield f"{one['prefix']:<20} {one['asn']:<12}{until}{comment}".rstrip()
    if none:
        yield "no exempt is in force"
