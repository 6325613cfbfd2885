"""`rtrd cache`: an RTR cache that serves a VRP file and follows its changes (RFC 8210, 8210bis)."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from rtrd.base import log, signals
from rtrd.base.endpoint import Endpoint, parse_endpoint
from rtrd.base.file_thread import LONG, PATIENCE, in_thread
from rtrd.base.notation import said
from rtrd.base.sockets import why_not
from rtrd.base.tls import TLSError, server_context
from rtrd.rtr.client import Goodbye, Limits
from rtrd.rtr.intervals import Intervals
from rtrd.rtr.server import RTRServer
from rtrd.rtr.store import VERSIONS, Store
from rtrd.rtr.versions import Versions
from rtrd.vrps import allow_bad as allowing
from rtrd.vrps import files
from rtrd.vrps.allow_bad import ALLOW_BAD
from rtrd.vrps.reader import read_apart
from rtrd.vrps.signature import Signature, signature
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.vrp_entries import VRPFileError

POLL = 0.25
"""Seconds between two looks at the file."""

LARGE = 1 << 20
"""Octets of a file that are read in a process of its own."""


class FileFollower:
    """Keeps an RTR server at what a VRP file says. A bad file leaves the old set in force."""

    def __init__(self, server: RTRServer, path: Path, allow_bad: float = ALLOW_BAD) -> None:
        self._server = server
        self._path = path
        self._allow_bad = allow_bad
        self._log = log.get("cache")
        self._seen: Signature | None = None
        self._asked = asyncio.Event()
        self.certificates: Callable[[], ssl.SSLContext] | None = None
        """Reads what TLS is spoken with; called when asked to reread."""

    async def load(self) -> None:
        """Read the file and serve it; raises VRPFileError."""
        # Taken before reading: a file that changes meanwhile differs at the next look.
        try:
            self._seen = await in_thread(PATIENCE, signature, self._path)
            if self._seen and self._seen.st_size > LARGE:
                async with asyncio.timeout(LONG):
                    file = await read_apart(self._path, self._allow_bad)
            else:
                file = await in_thread(PATIENCE, files.read, self._path, self._allow_bad)
        except OSError as error:  # a TimeoutError, too
            raise VRPFileError(f"{self._path}: {error.strerror or 'the file system does not answer'}") from error
        if file.fault_count:
            self._log.warning("entries left out", count=file.fault_count, first=file.faults)
        for note in file.notes:
            self._log.warning("not all of the VRP file is used", what=note)
        counts = {"vrps": file.count, "router_keys": len(file.router_keys), "aspas": file.aspa_count}
        updating = self._server.update(file.packed, file.router_keys, file.aspas)
        del file  # 17 MB, which would else be given back when routers ask for the change
        changed = await updating
        serials = [self._server.store.serial(version) for version in VERSIONS]
        self._log.info(
            "VRP file read" if changed else "VRP file read: nothing changed",
            path=str(self._path),
            **counts,
            serials=serials,
        )
        if not counts["vrps"]:
            self._log.warning("the VRP file has no VRPs: routers that ask get none", path=str(self._path))

    def ask(self) -> None:
        """Reread the file now, changed or not."""
        self._asked.set()

    def note_signal(self, name: str) -> None:
        """Log a signal that does nothing."""
        self._log.warning(signals.MEANS_NOTHING, signal=name)

    async def follow(self) -> None:
        """Reread the file whenever it changes or `ask` is called, until canceled."""
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), POLL)
            except TimeoutError:
                if await self._is_as_it_was():
                    continue
            if self._asked.is_set() and self.certificates is not None:
                await self._renew(self.certificates)
            self._asked.clear()
            try:
                await self.load()
            except VRPFileError as error:
                self._log.error("VRP file refused; the old set stays in force", fault=str(error))

    async def _is_as_it_was(self) -> bool:
        try:
            return await in_thread(PATIENCE, signature, self._path) == self._seen
        except OSError:  # reading it says so
            return False

    async def _renew(self, certificates: Callable[[], ssl.SSLContext]) -> None:
        try:
            self._server.renew_tls(await in_thread(PATIENCE, certificates))
        except (TLSError, OSError) as error:
            self._log.error("certificates refused; the old ones stay in force", fault=str(error))


async def run_cache(
    path: Path,
    addresses: Sequence[tuple[Endpoint, ssl.SSLContext | None]],
    *,
    intervals: Intervals | None = None,
    limits: Limits | None = None,
    allow_bad: float = ALLOW_BAD,
    as_json: bool = False,
    certificates: Callable[[], ssl.SSLContext] | None = None,
    check_address: bool = True,
    max_version: int = MAX_VERSION,
    goodbye: Goodbye = "restart",
) -> int:
    """Serve a VRP file until SIGTERM or SIGINT; returns the exit code of `rtrd cache`.

    `certificates`: reads those of TLS again, at SIGHUP. `check_address`: see RTRServer.

    Prints one line on stdout when all addresses are open and the set is served.
    """
    loop = asyncio.get_running_loop()
    server = RTRServer(Store(intervals), limits, check_address=check_address)
    server.limit_versions(Versions(max_version))
    follower = FileFollower(server, path, allow_bad)
    try:
        await follower.load()
    except VRPFileError as error:
        print(error, file=sys.stderr)  # noqa: T201  the command's own message
        return 2
    opened: list[Endpoint] = []
    for address, tls in addresses:
        try:
            opened += await server.listen(address, tls)
        except OSError as error:
            print(f"rtrd cache: cannot listen on {address}: {why_not(error)}", file=sys.stderr)  # noqa: T201
            await server.close()
            return 1
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if certificates is not None:
        follower.certificates = certificates
    loop.add_signal_handler(signal.SIGHUP, follower.ask)
    signals.name_stray(loop, follower.note_signal)
    if as_json:
        print(json.dumps({"listening": [{"host": one.host, "port": one.port} for one in opened]}), flush=True)  # noqa: T201
    else:
        print("listening on " + ", ".join(map(str, opened)), flush=True)  # noqa: T201
    following = asyncio.create_task(follower.follow())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    await server.close(goodbye)
    if following.done() and not following.cancelled():
        following.result()  # only ever an error: it is ours, and not to be hidden
    return 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of `rtrd cache`."""
    parser.add_argument("--vrps", required=True, type=Path, metavar="FILE", help="VRP file, JSON or CSV, or .gz")
    allowing.add_option(parser)
    parser.add_argument(
        "--listen",
        default=[],
        action="append",
        type=_address,
        metavar="ADDR:PORT",
        help="where routers connect; may be repeated; IPv6 as [::1]:323; port 0 lets the system choose",
    )
    tls = parser.add_argument_group("TLS")
    tls.add_argument(
        "--tls-listen",
        default=[],
        action="append",
        type=_address,
        metavar="ADDR:PORT",
        help="where they connect by TLS; may be repeated",
    )
    for name, text in (
        ("certificate", "our certificate and its chain, PEM"),
        ("key", "its private key, PEM, without a password"),
        ("client-ca", "the CAs, PEM, of the certificates that routers must show; without it any router is served"),
    ):
        tls.add_argument(f"--tls-{name}", type=Path, metavar="FILE", help=text)
    tls.add_argument(
        "--tls-any-address",
        action="store_true",
        help="with a client CA: serve routers whose certificate does not name the address that they connect from",
    )
    defaults = Intervals()
    for name, text in (
        ("refresh", "seconds after which routers ask again"),
        ("retry", "seconds after which they ask again when that failed"),
        ("expire", "seconds for which they keep data without an answer"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="S", help=f"{text} ({default})")
    parser.add_argument(
        "--notify-interval",
        type=_seconds,
        default=Limits().notify_interval,
        metavar="S",
        help="least seconds between two notifies to a router (60, as RFC 8210 says; less is for tests)",
    )
    parser.add_argument(
        "--max-version",
        type=int,
        choices=VERSIONS,
        default=MAX_VERSION,
        help=f"the highest version of RTR that is spoken ({MAX_VERSION}); ASPAs are in version 2 only",
    )
    parser.add_argument(
        "--on-stop",
        choices=get_args(Goodbye),
        default="shutdown",
        help="what routers of version 2 are told at its end: Cache Shutdown (default), Cache Restart, or nothing",
    )
    parser.add_argument("--json", action="store_true", help="print the addresses as JSON")


def _address(text: str) -> Endpoint:
    try:
        return parse_endpoint(text, names=True)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{said(text)}: {error}") from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{said(text)} is not 0 to 86400 seconds")
    return value


def _addresses(args: argparse.Namespace) -> list[tuple[Endpoint, ssl.SSLContext | None]]:
    """Join addresses with what is spoken there; raises ValueError, TLSError."""
    if not args.listen and not args.tls_listen:
        raise ValueError("--listen or --tls-listen is needed")
    files = (args.tls_certificate, args.tls_key, args.tls_client_ca)
    if not args.tls_listen:
        if any(files):
            raise ValueError("--tls-certificate, --tls-key and --tls-client-ca are for --tls-listen")
        return [(address, None) for address in args.listen]
    if not (args.tls_certificate and args.tls_key):
        raise ValueError("--tls-listen needs --tls-certificate and --tls-key")
    if args.tls_any_address and not args.tls_client_ca:
        raise ValueError("--tls-any-address is for --tls-client-ca")
    context = server_context(*files)
    return [(address, None) for address in args.listen] + [(address, context) for address in args.tls_listen]


def run(args: argparse.Namespace) -> int:
    """Run `rtrd cache` with parsed options; returns the exit code."""
    try:
        intervals = Intervals(args.refresh, args.retry, args.expire)
        addresses = _addresses(args)
    except (ValueError, TLSError) as error:
        print(f"rtrd cache: {error}", file=sys.stderr)  # noqa: T201
        return 2
    log.setup()
    limits = Limits(notify_interval=args.notify_interval)
    certificates = functools.partial(server_context, args.tls_certificate, args.tls_key, args.tls_client_ca)
    running = run_cache(
        args.vrps,
        addresses,
        intervals=intervals,
        limits=limits,
        allow_bad=args.allow_bad,
        as_json=args.json,
        certificates=certificates if args.tls_listen else None,
        check_address=not args.tls_any_address,
        max_version=args.max_version,
        goodbye=args.on_stop,
    )
    return asyncio.run(running)
