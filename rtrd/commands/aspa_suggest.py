"""`rtrd aspa-suggest AS`: which providers its ASPA has to name, for the routes of today to stay what they are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from rtrd.base.text import counted, printable
from rtrd.commands import common, http_client, terminal

TIMEOUT = 300.0
"""Seconds: a full table takes some, beside the router."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd aspa-suggest`."""
    parser.add_argument("asn", metavar="AS", type=common.asn, help="the AS whose ASPA it is")
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the daemon."""
    width = terminal.width(wide=args.wide)
    request = http_client.url("/aspas/suggestion", {"asn": args.asn})
    return common.ask(
        args,
        request,
        lambda answer: (row for line in lines(answer.value()) for row in terminal.wrapped(line, width)),
        timeout=TIMEOUT,
    )


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Give the suggestion, why each provider is in it, and what can't be seen from here."""
    asn, providers = f"AS{found['asn']}", found["providers"]
    if not providers:
        yield f"no route seen here needs an ASPA of {asn}: nothing can be suggested"
    else:
        yield f"{asn} should name: {', '.join(found['aspa']['providers'])}"
    for each in providers:
        yield f"  AS{each['asn']}: {'; '.join(_reasons(each, asn))}"
    yield from _beside(found, asn)
    yield f"judged: {counted(found['routes'], 'route')} of neighbors with a local-role"
    yield (
        "Paths that do not come here are not seen: of a provider that is only a backup, or where others prefer"
        " another way. Name every provider of the AS, not only these."
    )


def _reasons(provider: dict[str, Any], asn: str) -> Iterator[str]:
    if provider["customers"]:
        yield f"it is ours, and {asn} is our customer ({', '.join(map(printable, provider['customers']))})"
    if provider["neighbors"]:
        yield f"it is a provider of ours ({', '.join(map(printable, provider['neighbors']))})"
    if provider["routes"]:
        example = provider["example"]
        path = " ".join(map(str, example["path"]))
        needed = counted(provider["routes"], "route")
        yield f"{needed} would be invalid without it, such as {printable(example['prefix'])} by {path}"
    if provider["alternatives"]:
        others = ", ".join(f"AS{asn}" for asn in provider["alternatives"])
        yield f"for some of them {others} would do instead"


def _beside(found: dict[str, Any], asn: str) -> Iterator[str]:
    today = found["in_force"]
    if today is not None:
        said = ", ".join(f"AS{each}" for each in today)
        yield f"in force today: {said}"
    if found["not_needed"]:
        named = ", ".join(f"AS{each}" for each in found["not_needed"])
        yield f"named today, and no route seen here needs it: {named}"
    for each in found["route_servers"]:
        yield f"AS{each} is a route server of ours: name it only if it puts its AS into paths"
    if found["invalid_anyway"]:
        yield f"{counted(found['invalid_anyway'], 'route')} would be invalid whatever {asn} names"
    if found["left_out"]:
        yield f"{counted(found['left_out'], 'route')} of too many different paths were not looked at"
