"""`rtrd reload`: has the daemon read its configuration again, and prints what changed."""

from __future__ import annotations

import argparse
import sys

from rtrd.base import socket_paths
from rtrd.base.text import printable
from rtrd.cli import BAD_USAGE, DONE
from rtrd.commands import common, http_client

PATIENCE = 60.0
"""Seconds: a large file takes some to read."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd reload`."""
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Have the daemon read its file again; a refused file's faults go to stderr, and the exit code is 2."""
    socket = socket_paths.socket_path(args.socket)
    try:
        with http_client.ask(socket, "/reload", method="POST", timeout=PATIENCE) as answer:
            if args.json:
                sys.stdout.buffer.write(b"".join(answer.chunks()))
                return DONE
            done = answer.value()
    except http_client.RefusedError as error:
        if error.status != http_client.CONFLICT:
            raise
        print(error, file=sys.stderr)
        return BAD_USAGE
    changed = "" if done["changes"] else " nothing changed"
    print(f"{printable(done['file'])}, read by the rtrd at {printable(str(socket))}:{changed}")
    for change in done["changes"]:
        print(change["what"] + (" (only after a restart)" if change["restart"] else ""))
    for cache in done["reconnected"]:
        print(f"cache {printable(cache)} is asked now: it had failed, or its keys have changed")
    return DONE
