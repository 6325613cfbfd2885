"""`rtrd bird`: compares BIRD's tables with the VRPs of the daemon or of a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, Final

from rtrd.base import socket_paths
from rtrd.base.text import counted
from rtrd.bird.audit import Audit, Check
from rtrd.cli import DONE, FAILED
from rtrd.commands import common, http_client
from rtrd.vrps import allow_bad
from rtrlib.vrp import VRP
from rtrlib.vrp_set import VRPSet

BIRD_SOCKET: Final = "/run/bird/bird.ctl"
MOST_SHOWN: Final = 100_000
_VRPS: Final = "/json?exclude=routerKeys,aspas"
_COVERED: Final = {
    "unreachable": "nothing else leads there",
    "covered-by-valid": "a valid route leads there",
    "covered-by-not-found": "a not-found route leads there",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what `rtrd bird` does."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    for name, text in (
        ("audit", "list the invalid routes in BIRD's tables"),
        ("check", "compare BIRD's ROA tables with the VRPs in force"),
    ):
        each = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        each.add_argument("--bird", metavar="PATH", default=BIRD_SOCKET, help=f"BIRD's control socket ({BIRD_SOCKET})")
        each.add_argument(
            "--table", metavar="NAME", action="append", default=[], help="only this table (may be repeated)"
        )
        each.add_argument("--vrps", metavar="FILE", help="use the VRPs of this file instead of asking the daemon")
        allow_bad.add_option(each)
        common.add_options(each)


def run(args: argparse.Namespace) -> int:
    """Look at BIRD. A difference that `check` finds ends with 1, as one that can't be looked for."""
    from rtrd.bird import audit
    from rtrd.bird.client import Bird
    from rtrd.bird.limits import limited
    from rtrd.bird.replies import BirdError
    from rtrlib.vrp_entries import VRPFileError

    try:
        vrp_set = _vrp_set(args)
        with limited(), Bird(args.bird) as bird:
            found = audit.protocols(bird)
            if args.action == "audit":
                audited = audit.audit(bird, found, vrp_set, only=args.table, most=MOST_SHOWN)
                invalid = [one._asdict() for one in audited.invalid]
                common.show(args, {**audited._asdict(), "invalid": invalid}, _invalid(args.bird, audited))
                return DONE
            checked = audit.check(bird, found, b"".join(vrp_set.packed()), only=args.table)
            lists = {"missing": list(map(_vrp, checked.missing)), "extra": list(map(_vrp, checked.extra))}
            common.show(args, {**checked._asdict(), **lists, "same": checked.same}, _differences(args.bird, checked))
            return DONE if checked.same else FAILED
    except (BirdError, VRPFileError) as error:
        print(f"rtrd bird {args.action}: {error}", file=sys.stderr)
        return FAILED


def _vrp_set(args: argparse.Namespace) -> VRPSet:
    from rtrlib.vrp import VRP, pack

    if args.vrps is not None:
        records = common.read_vrp_file(f"bird {args.action}", args.vrps, args.allow_bad).packed
    else:
        with http_client.ask(socket_paths.socket_path(args.socket), "/status") as answer:
            if not answer.value()["ready"]:
                raise http_client.RefusedError("no VRP set is usable yet: there is nothing to compare with", 503)
        with http_client.ask(socket_paths.socket_path(args.socket), _VRPS) as answer:
            records = b"".join(pack(VRP(one["prefix"], one["maxLength"], one["asn"])) for one in answer.items())
            if answer.changed_meanwhile:
                raise http_client.RefusedError("the VRPs change all the time: there is no set to compare with", 503)
    return common.vrp_set_of(records)


def _invalid(bird: str, found: Audit) -> Iterator[str]:
    counts = ", ".join(f"{count} {validity}" for validity, count in found.routes.items())
    yield f"{bird}: {', '.join(found.tables) or 'no tables'}: {counts}"
    for one in found.invalid:
        origin = "NONE" if one.origin_as is None else f"AS{one.origin_as}"
        where = f"{one.table}, by {one.protocol}"
        yield f"  {one.prefix} {origin} in {where}: invalid ({one.reason}); {_COVERED[one.cover]}"
    left_out = found.routes["invalid"] - len(found.invalid)
    if left_out:
        yield f"  and {left_out} more"


def _differences(bird: str, found: Check) -> Iterator[str]:
    names = ", ".join(found.tables) or "no ROA tables"
    if found.same:
        yield f"{bird}: {names}: the same {counted(found.vrps, 'VRP')}"
        return
    yield f"{bird}: {names}: {counted(found.vrps, 'VRP')}, {len(found.missing)} missing, {len(found.extra)} too many"
    for sign, vrps in (("missing", found.missing), ("too many", found.extra)):
        for vrp in vrps:
            yield f"  {sign:<8} {vrp.prefix} max {vrp.max_length} AS{vrp.asn}"


def _vrp(vrp: VRP) -> dict[str, Any]:
    return {"asn": vrp.asn, "prefix": vrp.prefix, "maxLength": vrp.max_length}
