"""`rtrd check`: every fault of a configuration and its SLURM files as `FILE:LINE: what`, or a summary."""

from __future__ import annotations

import argparse

from rtrd import config
from rtrd.base.faults import FaultyFileError
from rtrd.cli import DONE
from rtrd.commands import common
from rtrd.vrps import slurm_files


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd check`."""
    parser.add_argument("file", metavar="FILE", help="the configuration")
    common.add_options(parser, socket=False)


def run(args: argparse.Namespace) -> int:
    """Check the file and the SLURM files that it names; faults go to stderr (to stdout with `--json`), then 2."""
    try:
        found = config.load(args.file)
        slurm_files.read(found.slurm)
    except FaultyFileError as error:
        return common.refuse(args, error, file=args.file)
    groups = found.caches.groups
    counts = {
        "caches": sum(len(group.servers) for group in groups),
        "groups": len(groups),
        "rules": len(found.policy),
    }
    parts = [f"{number} {name if number != 1 else name[:-1]}" for name, number in counts.items()]
    note = "" if found.policy else "; without rules rtrd only observes"
    line = f"{args.file}: good: {', '.join(parts)}{note}"
    common.show(args, {"file": args.file, "good": True, "faults": [], **counts}, (line,))
    return DONE
