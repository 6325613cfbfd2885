"""The change of the VRPs that the guard holds in; the same change in force, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.commands import common, http_client

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd accept`."""
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; it refuses when nothing is held."""
    return common.ask(
        args, http_client.url("/accept"), lambda _: ["the held change of the VRPs counts now"], method="POST"
    )
