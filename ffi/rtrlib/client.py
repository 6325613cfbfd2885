"""Print each change of VRPs, router keys and states that caches cause.

`python -m rtrlib.client`: what librtr's rtrclient and rtrlib-python's rtrclient.py do.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
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

__all__ = ["main"]

PROGRAM: Final = "python -m rtrlib.client"
USAGE: Final = f"""{PROGRAM} [-kps] SOCKET [SOCKET ...]

sockets:
  tcp [-kps] [-b ADDRESS] HOST PORT
  ssh [-kps] [-b ADDRESS] [-r | -w] HOST PORT USERNAME PRIVATE_KEY|PASSWORD [HOST_KEY]
"""
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
    if not starts:
        parser.parse_args(argv)
        parser.error("no socket is given")
    options = parser.parse_args(argv[: starts[0]])
    servers = []
    try:
        for start, end in pairwise([*starts, len(argv)]):
            servers.append(_server(argv[start], argv[start + 1 : end], options))
        printer = Printer()
        manager = RTRManager(
            groups=[CacheGroup(1, servers)],
            pfx_update_callback=printer.pfx if options.p else None,
            spki_update_callback=printer.spki if options.k else None,
            status_callback=printer.status if options.s else None,
        )
    except (RTRInitError, TypeError) as fault:
        parser.error(str(fault))
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: printer.ending.set())
    if options.p:
        print(f"{'Prefix':<40}   {'Prefix Length'}         ASN", flush=True)  # noqa: T201
    manager.start(wait=False)
    printer.ending.wait()
    manager.stop()
    return 0


def _starts(argv: list[str]) -> list[int]:
    """Give where sockets begin: `tcp` or `ssh`, but not where the socket before still wants a word (a host `tcp`)."""
    starts, wanted, value = [], 0, False
    for i, word in enumerate(argv):
        if value:
            value = False
        elif word == "-b":
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
    return parser


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", action="store_true", help="print router keys that come and go")
    parser.add_argument("-p", action="store_true", help="print VRPs that come and go")
    parser.add_argument("-s", action="store_true", help="print states of caches and of their group")


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
    is_file = found.r or (not found.w and Path(found.secret).is_file())
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
