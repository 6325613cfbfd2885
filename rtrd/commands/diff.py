"""`rtrd diff`: the VRPs and ASPAs on which the daemon's caches disagree, and who has them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from rtrd.base.text import counted, printable
from rtrd.cli import BAD_USAGE
from rtrd.commands import common, http_client
from rtrd.commands.aspas import named


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd diff`."""
    parser.add_argument(
        "caches", metavar="CACHE", nargs="*", help="two caches, as HOST or HOST:PORT (default: all that have VRPs)"
    )
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the VRPs that differ and print one a line."""
    if len(args.caches) == 1:
        print("rtrd diff: expected two caches, or none for all", file=sys.stderr)
        return BAD_USAGE
    from urllib.parse import quote

    query = "&".join(f"cache={quote(cache)}" for cache in args.caches)
    return common.ask(args, http_client.url("/diff") + (f"?{query}" if query else ""), lines)


def lines(answer: http_client.Answer) -> Iterator[str]:
    """Return a line for each VRP, with who has it and who has not, one for each ASPA, and how many there are."""
    count = customers = 0
    for vrp in answer.items():
        if "customer_asid" in vrp:
            customers += 1
            yield f"AS{vrp['customer_asid']}: " + "; ".join(map(_said, vrp["lists"]))
            continue
        count += 1
        text = f"{vrp['prefix']}-{vrp['maxLength']} => AS{vrp['asn']}"
        yield f"{text:<60} in {printable(', '.join(vrp['in']))}; not in {printable(', '.join(vrp['not_in']))}"
    yield f"{counted(count, 'VRP')} differ" + "s" * (count == 1)
    if customers:
        yield f"{counted(customers, 'ASPA')} differ" + "s" * (customers == 1)


def _said(one: dict[str, Any]) -> str:
    what = "no ASPA" if one["providers"] is None else named(one["providers"])
    return f"{printable(one['cache'])} has {what}"
