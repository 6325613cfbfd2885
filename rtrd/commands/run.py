"""`rtrd run`: the daemon, in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rtrd import config
from rtrd.base import log
from rtrd.base.faults import FaultyFileError
from rtrd.cli import BAD_USAGE, FAILED
from rtrd.exabgp.slow_exit import slowly
from rtrd.vrps import slurm_files
from rtrlib.exceptions import LibrtrMissingError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd run`."""
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the configuration")
    parser.add_argument(
        "--exabgp", action="store_true", help="run as ExaBGP's process: speak to ExaBGP on stdin and stdout"
    )
    parser.add_argument(
        "--log",
        choices=("auto", "human", "json", "journal"),
        default="auto",
        help="format of the log on stderr (default: auto, which is RTRD_LOG, or journal under systemd, else human)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="lowest level that is logged (default: info)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the daemon; as ExaBGP's process, fail slowly, also by a fault of ours."""
    if not args.exabgp:
        return start(args)
    os.environ.pop("NOTIFY_SOCKET", None)  # systemd gave it to ExaBGP: what ExaBGP is, is not ours to say
    return slowly(lambda: _start_or_say(args), 0)


def _start_or_say(args: argparse.Namespace) -> int:
    try:
        return start(args)
    except LibrtrMissingError as error:
        print(f"rtrd: {error}", file=sys.stderr, flush=True)
        return FAILED


def start(args: argparse.Namespace) -> int:
    """Check the configuration and the SLURM files that it names, then run the daemon."""
    try:
        slurm_files.read(config.load(args.config).slurm)
    except FaultyFileError as error:
        print(error, file=sys.stderr, flush=True)
        return BAD_USAGE
    log.setup(args.log, args.log_level)
    from rtrd import main

    return main.run(Path(args.config), exabgp=args.exabgp)
