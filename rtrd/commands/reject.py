"""The change of the VRPs that the guard holds in; what is in force kept, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.commands import common, http_client

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd reject`."""
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses when nothing is held."""
    return common.ask(args, http_client.url("/reject"), lambda _: ["the held change stays out for now"], method="POST")
