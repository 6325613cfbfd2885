"""`rtrd check`: what is wrong in a configuration, in the files that it names, and in ExaBGP's; `FILE:LINE: what`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from rtrd.base import socket_paths
from rtrd.base.clock import timestamp
from rtrd.base.faults import FileFault, Severity
from rtrd.base.files import absolute, read_file
from rtrd.base.text import counted, printable
from rtrd.base.tls import TLSError, server_context
from rtrd.cli import BAD_USAGE, DONE
from rtrd.commands import attach, common
from rtrd.config import Config, Examined, accounts, certificates, examine, host, schema
from rtrd.config.cache_servers import Common, cache_server
from rtrd.config.yaml_reader import Node
from rtrd.exabgp import conf_check, conf_file, conf_receivers, recommended
from rtrd.vrps import slurm_files
from rtrd.vrps.slurm import SlurmError
from rtrlib import preparation
from rtrlib.key_files import KeyFileError

_MOST_ENVIRONMENT: Final = 1 << 16
_MOST_CERTIFICATES: Final = 1 << 20
_CERTIFICATES: Final[dict[str, Callable[[list[float]], float]]] = {"certificate": min, "ca": max, "client-ca": max}
"""A chain ends with the first of it, and of CAs one is enough."""
_SOON: Final = 14 * 86400
_MODE: Final = "has mode"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd check`."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="the configuration")
    parser.add_argument("--exabgp", metavar="FILE", help="check that ExaBGP's configuration has what rtrd needs")
    parser.add_argument(
        "--user",
        help="who runs rtrd, and has to read what the file names (default: for root the unit's user, else you)",
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the configuration, for editors")
    common.add_options(parser, socket=False)
    parser.set_defaults(bad_usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Check what was named; what is wrong goes to stderr (to stdout with `--json`), and faults end with 2."""
    if args.schema:
        print(schema.text(), end="")
        return DONE
    if args.file is None and args.exabgp is None:
        args.bad_usage("name a FILE to check, or --exabgp FILE, or both")
    findings: list[FileFault] = []
    about: dict[str, Any] = {}
    lines: list[str] = []
    checked = None
    if args.exabgp is not None:
        checked = _check_exabgp(args.exabgp, findings)
        hint, listens = _check_environment(Path(args.exabgp).parent / "exabgp.env", findings)
        findings += [] if listens else conf_receivers.check_waiting(args.exabgp, checked.sessions)
        about |= {"exabgp": args.exabgp, "neighbors": len(checked.sessions)}
        lines.append(f"{args.exabgp}: good: {counted(len(checked.sessions), 'neighbor')}{hint}")
        findings += _check_readable(args)
    if args.file is not None:
        examined = _check_file(args, findings, in_exabgp=checked is not None and _runs(checked, args.file))
        about["file"] = args.file
        sessions = None if checked is None else checked.sessions
        findings += conf_receivers.check_receivers(examined.root, args.file, sessions)
        if examined.config is not None:
            if checked is not None:
                findings += _check_commands(examined.config, args, checked)
                findings += conf_receivers.check_state(examined.config.state, args.file, checked.sessions)
            counts = _counts(examined.config)
            about |= counts
            lines.append(f"{args.file}: good: {_summary(counts)}")
    return _tell(args, sorted(findings), about, lines)


def _check_readable(args: argparse.Namespace) -> Iterator[FileFault]:
    """Check that ExaBGP's user may read its file: ExaBGP reads it again at each reload."""
    try:
        why = host.look_at(Path(args.exabgp), accounts.exabgp_account())
    except accounts.UnknownUserError:
        return
    if why is not None:
        yield FileFault(args.exabgp, 0, why.removeprefix(f"{args.exabgp}: "), "warning")


def _runs(checked: conf_check.Checked, file: str) -> bool:
    """Tell whether ExaBGP itself runs rtrd with this configuration, and so as its own user."""
    named = [_options(words) for _, words in checked.commands if words[1:2] == ("run",)]
    return any(Path(one.get("-c") or one.get("--config") or "/") == absolute(Path(file)) for one in named)


def _check_file(args: argparse.Namespace, findings: list[FileFault], *, in_exabgp: bool) -> Examined:
    """Check the configuration and what of this host it names. `in_exabgp`: ExaBGP's user runs it."""
    examined = examine(args.file)
    findings += examined.findings
    try:
        who = accounts.exabgp_account(args.user) if in_exabgp else accounts.account(Path(args.file), args.user)
        found = host.look(examined, Path(args.file), who, in_exabgp=in_exabgp)
        if (why := host.look_at(Path(args.file), who)) is not None:
            findings.append(FileFault(args.file, 0, why.removeprefix(f"{args.file}: "), "warning"))
    except accounts.UnknownUserError as error:
        args.bad_usage(f"argument --user: {error}")
    findings += found
    settings = examined.config
    if settings is None:
        return examined
    try:
        slurm_files.read(settings.slurm)
    except SlurmError as error:
        findings += error.faults
    findings += _check_keys(examined, args.file, found)
    return examined


def _check_keys(examined: Examined, file: str, found: Sequence[FileFault]) -> Iterator[FileFault]:
    """Check that the keys and certificates of each section can be used; `found`: what is said already."""
    settings = examined.config
    if settings is None:
        return
    sections = [*_with_keys_of_ours(settings, examined.root), *_with_keys_of_caches(settings, examined.root)]
    for section, line, severity, read in sections:
        paths = list(_paths(section))
        try:
            read()
        except (TLSError, KeyFileError) as error:
            if not _is_said(str(error), [path for _, path in paths], found):
                yield FileFault(file, line, f"{section.path}: {error}", severity)
        for place, path in paths:
            choose = _CERTIFICATES.get(place.path.rpartition(".")[2])
            if choose is not None and (when := _end_of(path, choose)) is not None:
                yield FileFault(file, place.line, f"{place.path}: {path}: {when}", "warning")


def _is_said(error: str, paths: Sequence[Path], found: Sequence[FileFault]) -> bool:
    """Tell whether what can't be used is said of one of its files already: it isn't there, or its mode is wrong."""
    return any(
        str(path) in error and f"{path}: " in one.what and (_MODE in one.what) == (_MODE in error)
        for path in paths
        for one in found
    )


def _paths(section: Node) -> Iterator[tuple[Node, Path]]:
    """Give the files that a section names, and what is in it."""
    for place in section.keys.values():
        if isinstance(place.value, Path):
            yield place, place.value
        yield from _paths(place)


def _end_of(path: Path, choose: Callable[[list[float]], float]) -> str | None:
    """Say that a certificate has expired, or soon will; None: it has time, or can't be read here."""
    try:
        found = list(certificates.ends(read_file(path, _MOST_CERTIFICATES)))
    except OSError:
        return None
    if not found or (end := choose(found)) > time.time() + _SOON:
        return None
    return f"the certificate {'expired' if end <= time.time() else 'expires'} at {timestamp(end)}"


_WithKeys: TypeAlias = tuple[Node, int, Severity, Callable[[], object]]
"""A section, its line, what a fault in it is, and what reads its files."""


def _with_keys_of_ours(settings: Config, root: Node) -> Iterator[_WithKeys]:
    server = settings.rtr_server
    for name, where in (("rtr-server", server), ("bmp", settings.bmp)):
        if where is not None and (tls := where.tls) is not None:
            in_file = root.keys[name].keys["tls"]
            read = partial(server_context, tls.certificate, tls.key, tls.client_ca)
            yield in_file, in_file.line_of("certificate"), "fault", read
    for number, clients in enumerate(() if server is None else server.clients):
        in_file = root.keys["rtr-server"].keys["clients"].items[number]
        signature = partial(preparation.read_signature, clients.md5_password_file, clients.tcp_ao)
        yield in_file, in_file.line, "fault", signature


def _with_keys_of_caches(settings: Config, root: Node) -> Iterator[_WithKeys]:
    for group, in_file in zip(settings.caches.groups, root.keys["caches"].keys["groups"].items, strict=True):
        for server, section in zip(group.servers, in_file.keys["servers"].items, strict=True):
            if server.engine != "librtr":
                read = partial(preparation.read_keys, cache_server(server, Common()))
                yield section, section.line, "warning", read


def _check_exabgp(file: str, findings: list[FileFault]) -> conf_check.Checked:
    """Check ExaBGP's configuration."""
    try:
        checked = conf_check.check(conf_file.read(Path(file)), file)
    except conf_file.ConfFileError as error:
        checked = conf_check.Checked([FileFault(file, 0, str(error))], [], [])
    findings += checked.findings
    return checked


def _check_environment(path: Path, findings: list[FileFault]) -> tuple[str, bool]:
    """Check the environment of ExaBGP if its file is there. Gives what is to be said if not; whether ExaBGP listens."""
    try:
        data = read_file(path, _MOST_ENVIRONMENT)
        text = data.decode("utf-8", "strict" if len(data) <= _MOST_ENVIRONMENT else "replace")
    except UnicodeDecodeError:
        findings.append(FileFault(str(path), 0, "ExaBGP does not start: the file is not UTF-8"))
        return "", True
    except OSError:
        wanted = (f"exabgp.{each.section}.{each.key}={each.write}" for each in recommended.ENVIRONMENT)
        return f"; there is no exabgp.env beside it to look at: want {', '.join(wanted)}", False
    findings += recommended.check_environment(text, str(path))
    return "", recommended.listens(text)


def _check_commands(settings: Config, args: argparse.Namespace, checked: conf_check.Checked) -> Iterator[FileFault]:
    """Check that ExaBGP runs rtrd with the same configuration."""
    for line, words in checked.commands:
        options = _options(words)
        wrong = None
        if words[1:2] == ("attach",) and (socket := options.get("--socket", socket_paths.DEFAULT_SOCKET)):
            if Path(socket) != settings.control:
                wrong = f"attaches at {socket}, but `control` of {args.file} is {settings.control}"
        elif (named := options.get("-c", options.get("--config"))) and Path(named) != absolute(Path(args.file)):
            wrong = f"runs rtrd with {named}, not with {args.file}"
        name = options.get("--name", attach.NAME)
        if words[1:2] == ("attach",) and settings.routers and name not in settings.routers:
            wrong = f"attaches as {name}, which is not in `routers` of {args.file}"
        if wrong:
            yield FileFault(args.exabgp, line, f"run: {printable(wrong)}", "warning")


def _options(words: Sequence[str]) -> dict[str, str]:
    """Give the options of a command line, written with a blank or with `=`."""
    found = {}
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("-"):
            found[name] = value if equals else following
    return found


def _counts(settings: Config) -> dict[str, int]:
    groups = settings.caches.groups
    return {
        "caches": sum(len(group.servers) for group in groups),
        "groups": len(groups),
        "rules": len(settings.policy),
    }


def _summary(counts: dict[str, int]) -> str:
    parts = ", ".join(counted(number, name[:-1]) for name, number in counts.items())
    return parts if counts["rules"] else f"{parts}; without rules rtrd only observes"


def _tell(args: argparse.Namespace, findings: list[FileFault], about: dict[str, Any], lines: list[str]) -> int:
    faults = [each for each in findings if each.severity == "fault"]
    if args.json:
        warnings = [each for each in findings if each.severity == "warning"]
        common.show(args, {"good": not faults, "faults": faults, "warnings": warnings, **about}, ())
    else:
        for each in findings:
            print(each, file=sys.stderr)
        for line in lines if not faults else ():
            print(line)
    return BAD_USAGE if faults else DONE
