"""`rtrd slurm check`: every fault of SLURM files as `FILE:LINE: what`, or what they hold. Asks no daemon."""

from __future__ import annotations

import argparse
from pathlib import Path

from rtrd.base.faults import FaultyFileError
from rtrd.base.text import counted
from rtrd.cli import DONE
from rtrd.commands import common
from rtrd.vrps import slurm_files
from rtrd.vrps.slurm import File


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what `rtrd slurm` does."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="check SLURM files as one set, print every mistake", allow_abbrev=False)
    check.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a SLURM file (RFC 8416)")
    common.add_options(check, socket=False)


def run(args: argparse.Namespace) -> int:
    """Check the files as the daemon would; faults go to stderr (to stdout with `--json`), then 2."""
    try:
        files = slurm_files.read(args.files)
    except FaultyFileError as error:
        return common.refuse(args, error)
    value = {"good": True, "faults": [], "files": [{"path": one.name, **_counts(one)} for one in files]}
    common.show(args, value, map(_line, files))
    return DONE


def _line(file: File) -> str:
    parts = [counted(number, name.replace("_", " ").removesuffix("s")) for name, number in _counts(file).items()]
    return f"{file.name}: good: {', '.join(parts)}"


def _counts(file: File) -> dict[str, int]:
    found = file.slurm
    return {
        "prefix_filters": len(found.filters),
        "prefix_assertions": len(found.assertions),
        "bgpsec_filters": len(found.key_filters),
        "bgpsec_assertions": len(found.key_assertions),
        "aspa_filters": len(found.aspa_filters),
        "aspa_assertions": len(found.aspa_assertions),
    }
