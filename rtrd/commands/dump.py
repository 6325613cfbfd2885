"""`rtrd dump`: one JSON file for a bug report, about the daemon and its host, without secrets."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from rtrd.base import socket_paths
from rtrd.cli import DONE, FAILED, CommandError
from rtrd.commands import common, http_client
from rtrd.version import __version__

PACKAGES = ("aiohttp", "cffi", "exabgp", "msgspec", "prometheus_client", "PyYAML", "rich", "shtab", "structlog")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd dump`."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file to write, readable by its owner only (default: standard output)",
    )
    common.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Gather, and write. Without a daemon the host's side is written all the same, and the exit code is 3."""
    code, daemon = _ask(socket_paths.socket_path(args.socket))
    found = msgspec.json.format(msgspec.json.encode({"host": host(), **daemon})) + b"\n"
    if args.output is None:
        sys.stdout.buffer.write(found)
        return code
    try:
        with os.fdopen(os.open(args.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(found)
    except OSError as error:
        print(f"rtrd dump: {args.output}: {error.strerror}", file=sys.stderr)
        return FAILED
    if not args.json:
        print(f"{args.output}: {len(found)} bytes; look through it before you share it: it names your addresses")
    return code


def _ask(socket: Path) -> tuple[int, dict[str, Any]]:
    try:
        with http_client.ask(socket, "/dump") as answer:
            return DONE, answer.value()
    except CommandError as error:
        print(f"rtrd dump: {error}", file=sys.stderr)
        return error.code, {"daemon": None}


def host() -> dict[str, Any]:
    """Say what this runs on."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "rtrd": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "packages": versions,
    }
