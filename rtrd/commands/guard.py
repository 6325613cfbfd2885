"""`rtrd accept` and `rtrd reject`: what becomes of the change of the VRPs that the guard holds."""

from __future__ import annotations

import argparse

from rtrd.commands import common, http_client

_DONE = {"accept": "the held change is in force now", "reject": "the held change is not applied"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of both."""
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses when nothing is held."""
    return common.ask(args, http_client.url(f"/{args.command}"), lambda _: [_DONE[args.command]], method="POST")
