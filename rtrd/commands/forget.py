"""`rtrd forget`: has the daemon no longer expect a router that is gone for good."""

from __future__ import annotations

import argparse

from rtrd.commands import common, http_client


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd forget`."""
    parser.add_argument("router", metavar="ROUTER", help="its name, as the status has it")
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses when the router is attached, configured, or unknown."""
    url = http_client.url("/forget", {"router": args.router})
    return common.ask(args, url, lambda _: [f"{args.router} is forgotten"], method="POST")
