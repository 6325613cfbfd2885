"""The change of the VRPs that the guard holds in; the same change in force, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.commands import common as asking
from rtrd.commands import http_client as client

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd accept`."""
    asking.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses when nothing is held."""
    return asking.ask(args, client.url("/accept"), lambda _: ["the held change of the VRPs counts now"], method="POST")
