"""What commands do with a table dump and a VRP file, without a daemon: `rtrd whatif --mrt`, `rtrd routes --mrt`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from rtrd.cli import BAD_USAGE, DONE, FAILED
from rtrd.commands import common
from rtrd.mrt import audit
from rtrd.mrt.files import DumpError
from rtrd.mrt.judged_paths import JudgedPaths
from rtrd.mrt.records import DumpRoute
from rtrd.mrt.table_dump import TableDump
from rtrd.vrps.notation import parse_edit
from rtrlib.vrp import pack
from rtrlib.vrp_entries import VRPFile, VRPFileError
from rtrlib.vrp_set import VALIDITIES, VRPSet

ALL = {(validity, validity) for validity in VALIDITIES}
OTHER = {(now, then) for now in VALIDITIES for then in VALIDITIES if now != then}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that may read a dump."""
    parser.add_argument(
        "--mrt", metavar="FILE", type=Path, help="use the routes of this table dump (MRT) instead of asking the daemon"
    )
    parser.add_argument("--vrps", metavar="FILE", help="with --mrt: the VRPs that judge its routes")
    add_partial(parser)


def add_partial(parser: argparse.ArgumentParser) -> None:
    """Add `--partial`."""
    parser.add_argument("--partial", action="store_true", help="count what can be read of a dump that is cut or broken")


def misused(args: argparse.Namespace, command: str) -> bool:
    """Tell whether options that belong together are not there together; says it."""
    if (args.mrt is None) == (args.vrps is None) and not (args.mrt is None and args.partial):
        return False
    print(f"rtrd {command}: --mrt needs --vrps, and --vrps and --partial need --mrt", file=sys.stderr)
    return True


def judged(args: argparse.Namespace, command: str, work: Callable[[VRPFile], tuple[Any, Iterable[str]]]) -> int:
    """Read the VRP file, and show what `work` makes of the dump."""
    try:
        value, lines = work(common.read_vrp_file(command, args.vrps, args.allow_bad))
    except (DumpError, VRPFileError) as error:
        print(f"rtrd {command}: {error}", file=sys.stderr)
        return FAILED
    except ValueError as error:
        print(f"rtrd {command}: {error}", file=sys.stderr)
        return BAD_USAGE
    common.show(args, value, lines)
    return DONE


def audited(args: argparse.Namespace, file: VRPFile) -> tuple[Any, Iterable[str]]:
    """Do what `rtrd audit` does."""
    vrps = common.vrp_set_of(file.packed)
    paths = None if not args.local_role else JudgedPaths(file.aspas, args.local_role)
    dump = TableDump(args.mrt, vrps, vrps, {("invalid", "invalid")}, paths=paths)
    reading = audit.read(dump, partial=args.partial, most=None if args.json else args.rows)
    answer = audit.audited(dump, reading, vrps)
    return answer, audit.lines(answer, args.rows)


def whatif(
    args: argparse.Namespace, file: VRPFile, lines: Callable[[dict[str, Any]], Iterator[str]]
) -> tuple[Any, Iterable[str]]:
    """Do what `rtrd whatif --mrt` does."""
    now = common.vrp_set_of(file.packed)
    then, without_effect = _then(args, now)
    dump = TableDump(args.mrt, now, then, OTHER)
    answer = audit.changed(dump, audit.read(dump, partial=args.partial, most=args.rows), without_effect)
    return answer, [*lines(answer), *audit.notes(answer)]


def routes(
    args: argparse.Namespace,
    lines: Callable[[Iterable[dict[str, Any]]], Iterable[str]],
    wanted: Callable[[DumpRoute], bool],
) -> int:
    """Do what `rtrd routes --mrt` does: each route is printed as soon as it is read.

    `wanted`: of the routes of the validity that was asked for, which are shown.
    """
    try:
        vrps = common.vrp_set_of(common.read_vrp_file("routes", args.vrps, args.allow_bad).packed)
        pairs: Collection[tuple[str, str]] = ALL if args.validity is None else {(args.validity, args.validity)}
        dump = TableDump(args.mrt, vrps, vrps, pairs, within=args.prefix.get("prefix"))
        rows = audit.rows(dump, vrps, wanted, partial=args.partial)
        for line in json_lines("routes", rows) if args.json else lines(rows):
            print(line)
    except (DumpError, VRPFileError) as error:
        print(f"rtrd routes: {error}", file=sys.stderr)
        return FAILED
    for note in audit.notes(audit.left_out(dump)):
        print(f"rtrd routes: {note}", file=sys.stderr)
    return DONE


def json_lines(name: str, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Give an object with one array as JSON, a line for each of its members."""
    before = f'{{"{name}": ['
    for row in rows:
        yield before + msgspec.json.encode(row).decode()
        before = ","
    yield "]}" if before == "," else before + "]}"


def _then(args: argparse.Namespace, now: VRPSet) -> tuple[VRPSet, list[str]]:
    """Give the set as it would be, and the edits that change nothing. ValueError, VRPFileError."""
    if args.what[0][0] not in "+-":
        return common.vrp_set_of(common.read_vrp_file("whatif", args.what[0], args.allow_bad).packed), []
    edits = [parse_edit(text) for text in args.what]
    then = common.vrp_set_of(b"".join(now.packed()))
    idle = []
    for one in edits:
        if one.appears == any(found.vrp == one.vrp for found in now.covering(one.vrp.prefix)):
            idle.append(("+" if one.appears else "-") + str(one.vrp))
        else:
            then.stage(0, pack(one.vrp, announce=one.appears))
    then.commit(0)
    return then, idle
