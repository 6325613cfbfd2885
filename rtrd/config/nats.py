"""Where events are published, read from text: the URL of a NATS server, and a subject; and what must agree there."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from rtrd.base.endpoint import Endpoint
from rtrd.base.faults import Report
from rtrd.config.types import parse_address, parse_host_name
from rtrd.config.yaml_reader import FAULTY, Node

NATS_PORT: Final = 4222

_ONE: Final = r"(nats|tls)://(?:([^\s:@/?#\[\]]+)(?::([^\s@/?#\[\]]*))?@)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?/?"
"""Scheme, user, password, IPv6 address, other host, port."""
URL: Final = rf"{_ONE}(,{_ONE})*"
"""Of one server, or of several of a cluster."""
MOST_SERVERS: Final = 16

SUBJECT: Final = r"([A-Za-z0-9_-]|\{host\}|\{router\}|\{kind\})+(\.([A-Za-z0-9_-]|\{host\}|\{router\}|\{kind\})+)*"
MOST_SUBJECT: Final = 200

SUBJECT_OF_ALL: Final = "rtrd.events.{host}.{router}.{kind}"

OVER_TLS: Final = ("ca", "certificate", "key")
"""The keys that only TLS has a use for."""


class NATSServer(msgspec.Struct, frozen=True):
    """A NATS server, or one of several in a cluster, and who we are to it."""

    host: str
    port: int = NATS_PORT
    tls: bool = False
    user: str | None = None
    password: str | None = None
    others: tuple[Endpoint, ...] = ()
    """Of the same cluster."""

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """Where they are."""
        return Endpoint(self.host, self.port), *self.others

    def __str__(self) -> str:
        """Give it as a URL, without the password."""
        user = "" if self.user is None else f"{self.user}@"
        return ",".join(f"{'tls' if self.tls else 'nats'}://{user}{server}" for server in self.servers)


class Subject(str):
    """A subject of NATS, with `{host}`, `{router}` and `{kind}` where these belong."""

    __slots__ = ()


def parse_nats_server(text: str) -> NATSServer:
    """Parse `nats://HOST:PORT` or `tls://HOST:PORT`, with `USER:PASSWORD@` before the host. ValueError: a sentence.

    With commas between them there may be several, of one cluster: with the same scheme, user and password, which others
    than the first may leave out.
    """
    first, *others = map(_parse_one, text.split(","))
    if len(others) >= MOST_SERVERS:
        raise ValueError(f"more than {MOST_SERVERS} servers")
    for other in others:
        if other.tls != first.tls:
            raise ValueError("servers of one cluster must be all of tls:// or all of nats://")
        if (other.user, other.password) not in ((None, None), (first.user, first.password)):
            raise ValueError("servers of one cluster must have the same user and password")
    return msgspec.structs.replace(first, others=tuple(Endpoint(other.host, other.port) for other in others))


def _parse_one(text: str) -> NATSServer:
    match = re.fullmatch(_ONE, text)
    if match is None:
        raise ValueError("expected nats://HOST:PORT or tls://HOST:PORT, for IPv6 nats://[ADDRESS]:PORT")
    scheme, user, password, address, name, port = match.groups()
    if port is not None and not 0 < int(port) < 1 << 16:
        raise ValueError(f"port {port} is out of range, expected 1 to 65535")
    return NATSServer(
        host=str(parse_host_name(name) if address is None else parse_address(address)),
        port=NATS_PORT if port is None else int(port),
        tls=scheme == "tls",
        user=None if user is None else unquote(user),
        password=None if password is None else unquote(password),
    )


def parse_subject(text: str) -> Subject:
    """Parse a subject. ValueError: a sentence."""
    if not re.fullmatch(SUBJECT, text):
        what = "letters, digits, `_`, `-`, {host}, {router} and {kind}, in parts with dots between them"
        raise ValueError(f"expected {what}")
    if len(text) > MOST_SUBJECT:
        raise ValueError(f"longer than {MOST_SUBJECT} characters")
    if text.partition(".")[0] == "_INBOX":
        raise ValueError("subjects of _INBOX are for answers")
    return Subject(text)


def check_events(found: Node, report: Report) -> None:
    """Want one password at most, and what TLS needs only where there is TLS."""
    server = found.get("nats")
    if server is FAULTY:
        return
    if server.password is not None:
        if "password-file" in found.keys:
            report(found.line_of("password-file"), f"{found.path}.password-file: not beside a password in `nats`")
        what = "the password stands in this file: password-file keeps it apart"
        report(found.line_of("nats"), f"{found.path}.nats: {what}", "warning")
    if server.user is not None and server.password is None and "password-file" not in found.keys:
        report(found.line_of("nats"), f"{found.path}.nats: the user {server.user!r} has no password", "warning")
    for key in OVER_TLS:
        if key in found.keys and not server.tls:
            report(found.line_of(key), f"{found.path}.{key}: only with tls://")
    if len({"certificate", "key"} & found.keys.keys()) == 1:
        report(found.line, f"{found.path}: 'certificate' and 'key' belong together")


def check_spooled(found: Node, report: Report) -> None:
    """Warn where events that wait are kept in memory only."""
    if "events" in found.keys and "state" not in found.keys:
        what = "without `state` events wait in memory only, 4 MiB of them at most, and a restart loses them"
        report(found.line_of("events"), f"events: {what}", "warning")
