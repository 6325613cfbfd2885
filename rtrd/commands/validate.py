"""`rtrd validate`: the validity of a route and the reason, and of its path, by the daemon or by a VRP file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE, DONE, FAILED
from rtrd.commands import common, http_client, terminal, validate_path
from rtrd.rib import validity
from rtrd.rib.paths import origin_of
from rtrd.vrps import allow_bad

_LISTS = (("matched", "matches"), ("unmatched_as", "other AS"), ("unmatched_length", "too short"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd validate`."""
    parser.add_argument("prefix", metavar="PREFIX", type=common.prefix, help="the prefix, such as 192.0.2.0/24")
    parser.add_argument("asn", metavar="ASN", type=common.asn, help="its origin AS, such as AS64500 or 64500")
    validate_path.add_path_options(parser)
    parser.add_argument("--vrps", metavar="FILE", help="use the VRPs of this file instead of asking the daemon")
    allow_bad.add_option(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Validate one route. The validity doesn't show in the exit code."""
    if (wrong := _misused(args)) is not None:
        print(f"rtrd validate: {wrong}", file=sys.stderr)
        return BAD_USAGE
    if args.vrps is None:
        return _asked(args)
    from rtrlib.vrp_entries import VRPFileError

    try:
        file = common.read_vrp_file("validate", args.vrps, args.allow_bad)
    except VRPFileError as error:
        print(f"rtrd validate: {error}", file=sys.stderr)
        return FAILED
    covering = [found.vrp for found in common.vrp_set_of(file.packed).covering(str(args.prefix))]
    origin = args.asn if args.path is None else origin_of(args.path, args.asn)
    explained = validity.explain(args.prefix, origin, covering)
    if args.path is not None:
        explained["path"] = validate_path.by_file(args, args.path, file)
    common.show(args, explained, lines(explained))
    return DONE


def _misused(args: argparse.Namespace) -> str | None:
    """Say what is wrong with what is asked of the path."""
    if args.path is None:
        return "--local-role and --neighbor-as are for --path" if args.local_role or args.neighbor_as else None
    if args.local_role is None:
        return "--path needs --local-role: what we are to the neighbor"
    try:
        origin_of(args.path, args.asn)
    except ValueError as error:
        return str(error)
    return None


def _asked(args: argparse.Namespace) -> int:
    """Ask the daemon."""
    query = None if args.path is None else validate_path.question(args, args.path)
    request = http_client.url(f"/api/v1/validity/AS{args.asn}/{args.prefix}", query)
    return common.ask(args, request, lambda answer: lines(answer.value()))


def lines(explained: dict[str, Any]) -> Iterator[str]:
    """Return the lines for a validity object: the verdict, then each covering VRP and how it compares."""
    whole = explained["validated_route"]
    route, found = whole["route"], whole["validity"]
    reason = f" ({found['reason']})" if "reason" in found else ""
    state = terminal.paint(f"{found['state']}{reason}", found["state"])
    yield f"{route['prefix']} {route['origin_asn'] or 'without an origin AS'}: {state}: {found['description']}"
    for key, label in _LISTS:
        for vrp in found["VRPs"][key]:
            yield f"  {label:<10} {_vrp(vrp)}"
    slurm = explained.get("slurm", {})
    for vrp in slurm.get("asserted", ()):
        yield f"  {_vrp(vrp)} is there by {_by(vrp['by'])}"
    for vrp in slurm.get("filtered", ()):
        yield f"  filtered   {_vrp(vrp)} does not count by {_by(vrp['by'])}"
    if (held := explained.get("held")) is not None:
        yield validate_path.held_line(held, "route", found["state"])
    if "path" in explained:
        yield from validate_path.lines(explained["path"])


def _vrp(vrp: dict[str, Any]) -> str:
    return f"{vrp['prefix']} max {vrp['max_length']} {vrp['asn']}"


def _by(reasons: list[dict[str, Any]]) -> str:
    """Name the exempt, or the file with its filter or assertion, and the comment."""
    return " and ".join(map(_reason, reasons)) or "a SLURM file that changed just now"


def _reason(one: dict[str, Any]) -> str:
    comment = f" ({printable(one['comment'])})" if one["comment"] else ""
    if one.get("exempt"):
        return "rtrd exempt" + comment + ("" if one["until"] is None else f", until {printable(one['until'])}")
    if "prefix" not in one:
        return f"an assertion of SLURM file {printable(one['file'])}{comment}"
    what = " ".join([one["prefix"] or "", "" if one["asn"] is None else f"AS{one['asn']}"]).strip()
    return f"the filter {what} of SLURM file {printable(one['file'])}{comment}"
