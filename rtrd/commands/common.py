"""What the commands that ask the daemon share: options, requests, output, exit codes."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import msgspec

from rtrd.base import socket_paths
from rtrd.base.faults import FaultyFileError
from rtrd.base.notation import Prefix, parse_address, parse_asn, parse_prefix, said
from rtrd.base.text import counted
from rtrd.cli import BAD_USAGE, DONE
from rtrd.commands import http_client, terminal
from rtrlib.vrp_entries import VRPFile
from rtrlib.vrp_set import OF_PREFIX, VRPSet

T = TypeVar("T")


def add_options(parser: argparse.ArgumentParser, *, socket: bool = True) -> None:
    """Add `--json` and, for commands that ask the daemon, `--socket`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    if socket:
        parser.add_argument(
            "--socket",
            metavar="PATH",
            help=f"the daemon's control socket (default: RTRD_SOCKET, else {socket_paths.DEFAULT_SOCKET})",
        )


def read_vrp_file(command: str, path: str, allow_bad: float) -> VRPFile:
    """Read a VRP file; says on stderr what of it is left out. Raises VRPFileError."""
    from rtrd.vrps import files

    file = files.read(path, allow_bad)
    for fault in file.faults:
        print(f"rtrd {command}: left out: {fault}", file=sys.stderr)
    if file.fault_count > len(file.faults):
        print(f"rtrd {command}: {path}: {file.fault_count - len(file.faults)} more left out", file=sys.stderr)
    for note in file.notes:
        print(f"rtrd {command}: {note}", file=sys.stderr)
    return file


def ask(
    args: argparse.Namespace,
    request: str,
    lines: Callable[[http_client.Answer], Iterable[str]],
    *,
    method: str = "GET",
    body: bytes | None = None,
    forever: bool = False,
    timeout: float | None = None,
) -> int:
    """Ask the daemon and print the answer, as it came with `--json`, else as the lines made of it.

    `forever`: it never ends, and each line is printed at once. `timeout`: see http_client.ask.
    """
    path = socket_paths.socket_path(args.socket)
    with http_client.ask(path, request, method=method, body=body, forever=forever, timeout=timeout) as answer:
        if forever:
            _follow(answer, lines, as_json=args.json)
        elif args.json:
            with terminal.progress("bytes") as done:
                for chunk in answer.chunks():
                    sys.stdout.buffer.write(chunk)
                    done(len(chunk))
        else:
            with terminal.progress("lines") as done:
                for line in lines(answer):
                    print(line)
                    done(1)
    return DONE


def _end_with_reader() -> None:
    gone = select.poll()
    gone.register(sys.stdout.fileno(), 0)  # POLLERR and POLLHUP come unasked, of a file never
    gone.poll()
    os._exit(128 + signal.SIGPIPE)


def _follow(answer: http_client.Answer, lines: Callable[[http_client.Answer], Iterable[str]], *, as_json: bool) -> None:
    """Print each line at once, until whoever reads them is gone: what comes next may come in hours."""
    threading.Thread(target=_end_with_reader, daemon=True).start()
    if as_json:
        for chunk in answer.chunks():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    else:
        for line in lines(answer):
            print(line, flush=True)


def vrp_set_of(records: bytes) -> VRPSet:
    """Put packed VRPs into force in a set of their own; says on stderr how many of one prefix are too many for it."""
    vrp_set = VRPSet()
    vrp_set.replace(0, records)
    if crowded := vrp_set.faults["crowded"]:
        print(f"rtrd: {counted(crowded, 'VRP')} left out: more than {OF_PREFIX} of exactly one prefix", file=sys.stderr)
    vrp_set.activate([0])
    vrp_set.usable = True
    return vrp_set


def show(args: argparse.Namespace, value: object, lines: Iterable[str]) -> None:
    """Print a value as JSON with `--json`, else as the lines made of it."""
    print(msgspec.json.format(msgspec.json.encode(value)).decode() if args.json else "\n".join(lines))


def refuse(args: argparse.Namespace, error: FaultyFileError, **about: str) -> int:
    """Print all faults of files that people write: to stderr, or with `--json` to stdout. Gives the exit code."""
    if args.json:
        show(args, {**about, "good": False, "faults": error.faults}, ())
    else:
        print(error, file=sys.stderr)
    return BAD_USAGE


def add_wide(parser: argparse.ArgumentParser) -> None:
    """Add `--wide`."""
    parser.add_argument("--wide", action="store_true", help="print all columns, however wide the terminal is")


def prefix_or_address(text: str) -> dict[str, str]:
    """Parse a PREFIX or an ADDRESS of the command line, for argparse; give it as the query of a request."""
    if "/" in text:
        return {"prefix": str(prefix(text))}
    try:
        return {"address": parse_address(text)}
    except ValueError as error:
        expected = "a prefix as 192.0.2.0/24, or an address as 192.0.2.1"
        what = f"{said(text)} is neither a prefix nor an IP address: expected {expected}"
        raise argparse.ArgumentTypeError(str(error) if "%" in text else what) from None


def prefix(text: str) -> Prefix:
    """Parse a PREFIX of the command line, for argparse."""
    return argument(parse_prefix, text)


def neighbor(text: str) -> str:
    """Parse a neighbor's ADDRESS of the command line, for argparse; two spellings of one give the same."""
    return argument(partial(parse_address, zone=True), text)


def asn(text: str) -> int:
    """Parse an ASN of the command line, for argparse."""
    return argument(parse_asn, text)


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what parses a number of the command line within bounds, for argparse."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{said(text)} is not {least} to {most}")
        return int(text)

    return parse


def argument(parse: Callable[[str], T], text: str) -> T:
    """Parse a text of the command line, for argparse: the sentence of a ValueError is what it shows."""
    try:
        return parse(text)
    except ValueError as error:
        # argparse shows the sentence of this one only.
        raise argparse.ArgumentTypeError(str(error)) from None
