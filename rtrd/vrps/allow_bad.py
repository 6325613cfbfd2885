"""The option of commands that read a VRP file: how many of its entries may be unusable."""

from __future__ import annotations

import argparse
from typing import Final

ALLOW_BAD: Final = 50
"""Percent of a file's entries; of more, it isn't known what the file wants to say."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--allow-bad`."""
    parser.add_argument(
        "--allow-bad",
        nargs="?",
        const=100.0,
        default=float(ALLOW_BAD),
        type=_percent,
        metavar="PERCENT",
        help=f"take a VRP file with up to PERCENT of its entries unusable (default: {ALLOW_BAD}; alone: 100)",
    )


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not 0 to 100 percent")
    return value
