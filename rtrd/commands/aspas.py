"""`rtrd aspas`: who may be whose provider, by the ASPAs in force."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from rtrd.base.text import printable
from rtrd.commands import common, http_client, terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd aspas`."""
    parser.add_argument(
        "asn",
        metavar="AS",
        nargs="?",
        type=common.asn,
        help="only this AS: its providers, who says so, and whose provider it is",
    )
    common.add_wide(parser)
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for the ASPAs and print one a line, or all about one AS."""
    width = terminal.width(wide=args.wide)
    request = http_client.url("/aspas", {"asn": args.asn})
    make = lines if args.asn is None else about
    return common.ask(
        args, request, lambda answer: (row for line in make(answer) for row in terminal.wrapped(line, width))
    )


def lines(answer: http_client.Answer) -> Iterator[str]:
    """Return `CUSTOMER PROVIDERS` for each ASPA; without any, a line that says so."""
    found = False
    for each in answer.items():
        found = True
        yield f"{'AS' + str(each['customer_asid']):<12} {named(each['providers'])}"
    if not found:
        yield "no ASPAs"


def about(answer: http_client.Answer) -> Iterator[str]:
    """Return what there is to say of one AS."""
    found: dict[str, Any] = answer.value()
    asn, providers = f"AS{found['asn']}", found["providers"]
    yield f"{asn} has no ASPA in force" if providers is None else f"{asn}: providers {named(providers)}"
    for one in found["caches"]:
        yield f"  cache {printable(one['cache'])}: {named(one['providers'])}"
    if found["filtered"]:
        yield "  a SLURM file filters what caches say of it"
    if found["asserted"] is not None:
        yield f"  a SLURM file asserts: {named(found['asserted'])}"
    customers = found["customers"]
    yield f"{asn} is a provider of {named(customers)}" if customers else f"no ASPA names {asn} as a provider"


def named(asns: Iterable[int]) -> str:
    """Name ASes; AS 0 alone says that there is none."""
    text = ", ".join(f"AS{asn}" for asn in asns)
    return "none (AS0)" if text == "AS0" else text
