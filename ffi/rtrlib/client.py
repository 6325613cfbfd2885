"""Print each change of VRPs, router keys and states that caches cause.

`python -m rtrlib.client`: what librtr's rtrclient and rtrlib-python's rtrclient.py do.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from rtrlib.exceptions import RTRInitError
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.rtr_manager import RTRManager
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import CacheGroup, Server, SSHServer, TCPServer
from rtrlib.templates import TEMPLATES, render
from rtrlib.vrp_files import written

__all__ = ["main"]

PROGRAM: Final = "python -m rtrlib.client"
USAGE: Final = f"""{PROGRAM} [-kps] [-e] [-t TEMPLATE] [-o FILE] SOCKET [SOCKET ...]
       {PROGRAM} -l [-t TEMPLATE]

sockets:
  tcp [-kps] [-b ADDRESS] HOST PORT
  ssh [-kps] [-b ADDRESS] [-r | -w] HOST PORT USERNAME PRIVATE_KEY|PASSWORD [HOST_KEY]
"""
LOOK_EVERY: Final = 0.05
"""Seconds."""
WORDS: Final = {"tcp": 2, "ssh": 4}
"""What begins a socket, and how many words that are no options it wants at least."""


class Printer:
    """Callbacks that print; `ending` is set when nobody reads what they print."""

    def __init__(self) -> None:
        self.ending = threading.Event()

    def pfx(self, record: PFXRecord, added: bool, _data: object) -> None:
        """Print a VRP."""
        sign = "+" if added else "-"
        self._print(f"{sign} {record.prefix:<40}   {record.min_len:3} - {record.max_len:3}   {record.asn:10}")

    def spki(self, record: SPKIRecord, added: bool, _data: object) -> None:
        """Print a router key."""
        sign = "+" if added else "-"
        self._print(f"{sign} router key {record.ski.hex()} {record.spki.hex()} {record.asn:10}")

    def status(self, group: ManagerGroup, status: ManagerGroupStatus, socket: RTRSocket, _data: object) -> None:
        """Print a state."""
        why = f": {socket.error}" if socket.error else ""
        self._print(f"{socket} {socket.state.name}, {group.name} {status.name}{why}")

    def _print(self, line: str) -> None:
        if self.ending.is_set():
            return
        try:
            print(line, flush=True)  # noqa: T201 - it is what this program is for
        except OSError:
            self.ending.set()
            # What is buffered still has nowhere to go; Python would complain of that at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM, or until nobody reads; 2 when the arguments are wrong."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    starts = _starts(argv)
    parser = _parser()
    options = parser.parse_args(argv[: starts[0]] if starts else argv)
    servers = []
    printer = Printer()
    try:
        template = _template(options.t)
        if options.l:
            print(template if options.t else "\n".join(TEMPLATES), end="" if options.t else "\n")  # noqa: T201
            return 0
        if not starts:
            parser.error("no socket is given")
        for start, end in pairwise([*starts, len(argv)]):
            servers.append(_server(argv[start], argv[start + 1 : end], options))
        manager = _manager(servers, printer, options)
    except (OSError, RTRInitError, TypeError, ValueError) as fault:
        parser.error(str(fault))
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: printer.ending.set())
    if options.e:
        return _export(manager, template, options.o, printer.ending)
    if options.p:
        print(f"{'Prefix':<40}   {'Prefix Length'}         ASN", flush=True)  # noqa: T201
    manager.start(wait=False)
    printer.ending.wait()
    manager.stop()
    return 0


def _manager(servers: list[Server], printer: Printer, options: argparse.Namespace) -> RTRManager:
    return RTRManager(
        groups=[CacheGroup(1, servers)],
        pfx_update_callback=printer.pfx if options.p and not options.e else None,
        spki_update_callback=printer.spki if options.k and not options.e else None,
        status_callback=printer.status if options.s and not options.e else None,
    )


def _template(name: str | None) -> str:
    """Give a template by its name or file, the default one for None. OSError, ValueError: what is wrong with it."""
    text = TEMPLATES.get(name or "default")
    if text is None:
        text = Path(str(name)).read_text(encoding="utf-8")
    list(render(text, ()))
    return text


def _export(manager: RTRManager, template: str, file: str | None, ending: threading.Event) -> int:
    """Write all VRPs as soon as they are in force; 1 when that is not possible, or the program is ended before."""
    manager.start(wait=False)
    try:
        while not manager.is_synced():
            if ending.wait(LOOK_EVERY):
                return 1
        pieces = render(template, manager)
        if file is None:
            sys.stdout.writelines(pieces)
            sys.stdout.flush()
        else:
            written(pieces, file)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as fault:
        print(f"{file or 'stdout'}: {fault.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        manager.stop()
    return 0


def _starts(argv: list[str]) -> list[int]:
    """Give where sockets begin: `tcp` or `ssh`, but not where the socket before still wants a word (a host `tcp`)."""
    starts, wanted, value = [], 0, False
    for i, word in enumerate(argv):
        if value:
            value = False
        elif word in {"-b", "-t", "-o"}:
            value = True
        elif word in WORDS and wanted <= 0:
            starts.append(i)
            wanted = WORDS[word]
        elif not word.startswith("-"):
            wanted -= 1
    return starts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, usage=USAGE, description="Print what RTR caches say.")
    _flags(parser)
    parser.add_argument("-e", action="store_true", help="export the VRPs as soon as they are there, and end")
    parser.add_argument("-t", metavar="TEMPLATE", help="the template of an export: a name that -l lists, or a file")
    parser.add_argument("-o", metavar="FILE", help="where an export goes; stdout if it is not given")
    parser.add_argument("-l", action="store_true", help="list the templates; with -t, print that one")
    return parser


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", action="store_true", help="print router keys that come and go")
    parser.add_argument("-p", action="store_true", help="print VRPs that come and go")
    parser.add_argument("-s", action="store_true", help="print states of caches and of their group")


def _is_file(word: str) -> bool:
    """Tell whether a word names a file. What can't be looked at is a password, which no error may print."""
    try:
        return stat.S_ISREG(Path(word).stat().st_mode)
    except (OSError, ValueError):
        return False


def _server(transport: str, words: list[str], options: argparse.Namespace) -> Server:
    """Read one socket; what it wants printed is added to `options`."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {transport}")
    _flags(parser)
    parser.add_argument("-b", metavar="ADDRESS", help="connect from this address")
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT")
    if transport == "ssh":
        parser.add_argument("username", metavar="USERNAME")
        parser.add_argument("secret", metavar="PRIVATE_KEY|PASSWORD")
        parser.add_argument("host_key", metavar="HOST_KEY", nargs="?")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("-r", action="store_true", help="the fourth word is the file of a private key")
        kind.add_argument("-w", action="store_true", help="the fourth word is a password")
    found = parser.parse_args(words)
    for flag in ("k", "p", "s"):
        setattr(options, flag, getattr(options, flag) or getattr(found, flag))
    if transport == "tcp":
        return TCPServer(found.host, found.port, bind=found.b)
    is_file = found.r or (not found.w and _is_file(found.secret))
    return SSHServer(
        found.host,
        found.port,
        bind=found.b,
        username=found.username,
        private_key=found.secret if is_file else None,
        password=None if is_file else found.secret,
        host_key=found.host_key,
    )


if __name__ == "__main__":
    sys.exit(main())
