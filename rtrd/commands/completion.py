"""`rtrd completion`: the script by which a shell completes rtrd's commands and options."""

from __future__ import annotations

import argparse
import sys

from rtrd import cli

SHELLS = ("bash", "zsh", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd completion`."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def run(args: argparse.Namespace) -> int:
    """Print the script. It is whole: completing starts no Python."""
    import shtab

    sys.stdout.write(shtab.complete(cli.parser(whole=True), shell=args.shell))
    return cli.DONE
