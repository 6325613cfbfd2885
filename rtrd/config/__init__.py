"""The configuration: what a file may say, and how it is read; every fault is reported at once, with its line.

The Structs here are the whole contract: the reader (yaml_reader.py), docs/configuration.md and its test follow them.
A Struct has the name of the part that it is for: `Caches` configures rtrd.caches.Caches.
Names are those of the YAML with `-` written as `_` (and `from_` for `from`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec
from msgspec import Meta

from rtrd.base.endpoint import Endpoint, parse_endpoint
from rtrd.base.faults import FaultyFileError, FileFault, Report
from rtrd.base.files import absolute, read_file
from rtrd.config import checks, rule_checks
from rtrd.config.mapping import Mapping
from rtrd.config.nats import (
    SUBJECT_OF_ALL,
    NATSServer,
    Subject,
    check_events,
    check_spooled,
    parse_nats_server,
    parse_subject,
)
from rtrd.config.types import (
    PARSERS,
    Address,
    ASNumber,
    DeviceName,
    HostName,
    Name,
    NeighborMatch,
    Network,
    RouterName,
    Share,
)
from rtrd.config.when import PrefixLengths, PrefixRange, When, alone, check_lengths, check_prefix_range, check_when
from rtrd.config.yaml_reader import FAULTY, Node, Schema, read
from rtrd.tags import Tag, TagSpec, parse_community, parse_tag

MAX_BYTES: Final = 1 << 18
"""A file of this size already takes seconds to parse; thousands of neighbors fit."""

MOST_ATTRIBUTES: Final = 1 << 27
"""Octets of the attribute sets of one neighbor: ten times those of a full table."""

ActionName = Literal["announce", "withdraw", "observe", "hold"]
Port = Annotated[int, Meta(ge=1, le=65535)]


Addresses = Annotated[tuple[Address, ...], Meta(min_length=1)]
Matches = Annotated[tuple[NeighborMatch, ...], Meta(min_length=1)]


class AOKey(Mapping, frozen=True):
    """A key of TCP-AO (RFC 5925)."""

    key_file: Path
    key_id: Annotated[int, Meta(ge=0, le=255)] = 1
    """SendID and RecvID."""
    algorithm: Literal["hmac-sha1", "aes-128-cmac", "hmac-sha256"] = "hmac-sha1"


class CacheServer(Mapping, frozen=True):
    """One cache: where an RTR server listens, and how it is reached."""

    host: HostName
    port: Port = 323
    """TCP port; 323 for tcp, 324 for tls (RFC 8210 section 12), 22 for ssh."""
    transport: Literal["tcp", "tls", "ssh"] = "tcp"
    source: Address | None = None
    device: DeviceName | None = None
    ca: Path | None = None
    certificate: Path | None = None
    server_name: HostName | None = None
    user: str | None = None
    key: Path | None = None
    """Ours: of `certificate`, or of `user`."""
    host_key: Path | None = None
    md5_password_file: Path | None = None
    tcp_ao: AOKey | None = None
    engine: Literal["librtr", "native"] | None = None
    """What speaks RTR with it; by default the client of our own, librtr over SSH."""
    max_version: Annotated[int, Meta(ge=0, le=2)] | None = None
    """None: that of all caches."""


class Group(Mapping, frozen=True):
    """Caches used together; the group with the lower preference is used first."""

    name: Name
    preference: Annotated[int, Meta(ge=0, le=255)]
    servers: Annotated[tuple[CacheServer, ...], Meta(min_length=1)]


class Caches(Mapping, frozen=True):
    """Where VRPs come from, and how long they count; intervals in seconds (RFC 8210 section 6)."""

    groups: Annotated[tuple[Group, ...], Meta(min_length=1)]
    refresh: Annotated[int, Meta(ge=1, le=86400)] = 3600
    retry: Annotated[int, Meta(ge=1, le=7200)] = 600
    expire: Annotated[int, Meta(ge=600, le=172800)] = 7200
    intervals: Literal["configured", "cache"] = "configured"
    on_expire: Literal["not-found", "keep", "exit"] = "not-found"
    keepalive: Annotated[int, Meta(ge=3, le=7200)] = 30
    max_version: Annotated[int, Meta(ge=0, le=2)] = 2
    """The newest version of RTR that is spoken with them; librtr knows 1 and 0."""
    memory_limit: Annotated[int, Meta(ge=64, le=65536)] = 1024
    """MiB that the VRPs of a cache may take; of a cache that librtr speaks with, the address space of its process."""


class Guard(Mapping, frozen=True):
    """Which changes of the VRPs and ASPAs are held, and for how long, in seconds."""

    max_newly_invalid: Share = Share(0.05)
    max_path_invalid: Share = Share(0.05)
    max_shrink: Share = Share(0.2)
    hold: Annotated[int, Meta(ge=1, le=86400)] = 300


class History(Mapping, frozen=True):
    """How much of what became of the routes is kept."""

    max_age: Annotated[int, Meta(ge=3600, le=315360000)] = 7776000
    """Seconds; 90 days."""
    max_size: Annotated[int, Meta(ge=1, le=65536)] = 256
    """MiB."""


class TLS(Mapping, frozen=True):
    """Where routers connect over TLS, and with what (RFC 8210 section 9.2)."""

    listen: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]
    certificate: Path
    key: Path
    client_ca: Path | None = None
    check_address: bool = True
    """A router's certificate must name the address that it connects from."""


MaxVersion: TypeAlias = Annotated[int, Meta(ge=0, le=2)]
"""The highest version of RTR that is spoken."""


class RouterClients(Mapping, frozen=True):
    """Some routers that connect to the relay, by their addresses: how they sign TCP, which RTR they get."""

    match: Annotated[tuple[Network, ...], Meta(min_length=1)]
    md5_password_file: Path | None = None
    tcp_ao: AOKey | None = None
    max_version: MaxVersion | None = None
    """None: that of the relay."""


class RTRServer(Mapping, frozen=True):
    """The relay: where rtrd itself serves RTR. Intervals in seconds; None: those of the caches."""

    listen: Annotated[tuple[Endpoint, ...], Meta(min_length=1)] | None = None
    tls: TLS | None = None
    clients: tuple[RouterClients, ...] = ()
    refresh: Annotated[int, Meta(ge=1, le=86400)] | None = None
    retry: Annotated[int, Meta(ge=1, le=7200)] | None = None
    expire: Annotated[int, Meta(ge=600, le=172800)] | None = None
    notify_interval: Annotated[int, Meta(ge=0, le=3600)] = 60
    max_version: MaxVersion = 2
    on_stop: Literal["silent", "restart", "shutdown"] = "silent"
    """What routers of version 2 are told when rtrd ends."""


class BMP(Mapping, frozen=True):
    """Where routers tell their routes by BMP (RFC 7854)."""

    listen: Annotated[tuple[Endpoint, ...], Meta(min_length=1)] | None = None
    tls: TLS | None = None
    allow: Annotated[tuple[Network, ...], Meta(min_length=1)] | None = None
    """The routers that may connect; None: any."""
    stale_time: Annotated[int, Meta(ge=0, le=86400)] = 0
    """Seconds for which the routes of a lost connection stay."""


class Bird(Mapping, frozen=True):
    """A BIRD on this host whose tables are audited now and then."""

    socket: Path = Path("/run/bird/bird.ctl")
    every: Annotated[int, Meta(ge=10, le=86400)] = 300
    """Seconds between two audits."""


class Events(Mapping, frozen=True):
    """Where events are published, for a view of many hosts."""

    nats: NATSServer
    name: Name | None = None
    """By which this rtrd is known there; None: see rtrd.events.messages.own_name."""
    subject: Subject = Subject(SUBJECT_OF_ALL)
    jetstream: bool = True
    """A stream should keep the events; else they are for who listens."""
    password_file: Path | None = None
    """Of the user in `nats`; where there is none it has a token."""
    ca: Path | None = None
    """Who signs the server's certificate; None: who the system trusts."""
    certificate: Path | None = None
    key: Path | None = None
    max_spool: Annotated[int, Meta(ge=1, le=65536)] = 64
    """MiB that wait in files at most."""


class Action(Mapping, frozen=True):
    """What is done with a route of one validity."""

    action: ActionName
    tags: tuple[TagSpec, ...] = ()
    local_preference: Annotated[int, Meta(ge=0, le=4294967295)] | None = None


class AsSetAction(Mapping, frozen=True):
    """What is done with a route whose path has an AS_SET."""

    action: Literal["withdraw", "observe", "hold"]


LocalRole: TypeAlias = Literal["provider", "customer", "peer", "rs", "rs-client"]


class NeighborConfig(Mapping, frozen=True):
    """What some neighbors are to us."""

    match: Matches
    name: Name | None = None
    local_role: LocalRole | None = None
    """Our role (RFC 9234 section 3)."""
    enforce_first_as: bool | None = None
    """None: if it has a role, and is no route server."""
    confederation: bool = False
    """The neighbor is of another AS in our confederation (RFC 5065)."""


class PolicyRule(Mapping, frozen=True):
    """What is done with the routes of some neighbors; None: the key was left out."""

    direction: Literal["in", "out"] = "in"
    """`out`: for what the router itself announces, to the neighbors of `to`."""
    from_: Matches | None = msgspec.field(name="from", default=None)
    when: When | None = None
    to: Addresses | None = None
    valid: Action | None = None
    not_found: Action | None = None
    invalid: Action | None = None
    unverified: Action | None = None
    as_set: Literal["by-validity"] | AsSetAction | None = None
    aspa_invalid: Action | None = None
    """Of a path that is invalid by ASPAs (draft-ietf-sidrops-aspa-verification)."""
    leak: Action | None = None
    """Of a route that has leaked, as its Only to Customer says (RFC 9234 section 5)."""
    otc: bool = False
    """What is announced has Only to Customer, or is kept back, as RFC 9234 section 5 says."""


class Config(Mapping, frozen=True):
    """A whole configuration file; all paths absolute."""

    caches: Caches
    slurm: tuple[Path, ...] = ()
    state: Path | None = None
    history: History | None = None
    start_hold: Annotated[int, Meta(ge=0, le=86400)] = 120
    guard: Guard | None = None
    control: Path = Path("/run/rtrd/rtrd.sock")
    control_group: str | None = None
    http: Endpoint | None = None
    http_names: tuple[HostName, ...] = ()
    """Names by which clients may ask at `http`, beside addresses and those of this host."""
    on_stop: Literal["keep", "withdraw"] = "keep"
    max_attributes: Annotated[int, Meta(ge=4096, le=1 << 40)] = MOST_ATTRIBUTES
    """Octets of the attribute sets of one neighbor."""
    routers: tuple[RouterName, ...] = ()
    """Which ExaBGPs should be attached; none: all that ever were."""
    rtr_server: RTRServer | None = None
    bmp: BMP | None = None
    bird: Bird | None = None
    events: Events | None = None
    neighbors: tuple[NeighborConfig, ...] = ()
    policy: tuple[PolicyRule, ...] = ()


class ConfigError(FaultyFileError):
    """A configuration that can't be used."""


class Examined(NamedTuple):
    """A configuration file that was looked at."""

    config: Config | None
    """None: it can't be used."""
    root: Node
    """What is where in the file."""
    findings: list[FileFault]
    """Faults and warnings, in order of their lines."""


def load(path: Path | str) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: the file can't be read, or something in it is at fault; all faults at once.

    """
    return _usable(examine(path))


def loads(text: str, path: Path) -> Config:
    """Read the text of a configuration; `path` names it in faults, and relative paths start at its folder.

    Raises:
        ConfigError: with all faults at once.

    """
    return _usable(_examine(text, path))


def _usable(examined: Examined) -> Config:
    if examined.config is None:
        raise ConfigError([finding for finding in examined.findings if finding.severity == "fault"])
    return examined.config


def examine(path: Path | str) -> Examined:
    """Look at a configuration file: what it says, its faults and its warnings."""
    path = Path(path)

    def refused(line: int, what: str) -> Examined:
        return Examined(None, Node(1, ""), [FileFault(str(path), line, what)])

    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        return refused(0, f"cannot be read: {error.strerror}")
    if len(data) > MAX_BYTES:
        return refused(0, f"longer than {MAX_BYTES} bytes: this is not a configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return refused(data.count(b"\n", 0, error.start) + 1, f"not UTF-8: byte 0x{data[error.start]:02x}")
    return _examine(text, path)


def _check_config(found: Node, report: Report) -> None:
    checks.check_config(found, report)
    check_spooled(found, report)


def _examine(text: str, path: Path) -> Examined:
    folder = absolute(path).parent
    schema = Schema(
        root=Config,
        leaves={
            **PARSERS,
            Path: lambda text: folder / text,
            Endpoint: parse_endpoint,
            TagSpec: parse_tag,
            Tag: parse_community,
            NATSServer: parse_nats_server,
            Subject: parse_subject,
        },
        numeric=frozenset({ASNumber, Share}),
        short={PrefixRange: alone},
        wanted={
            Caches: "name a cache under groups",
            Group: "name a cache: - {name: primary, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}",
            CacheServer: "name a cache: - {host: 192.0.2.10, port: 323}",
        },
        said_of={
            frozenset(get_args(LocalRole)): "it is what we are: customer of a transit, rs-client of a route server"
        },
        checks={
            CacheServer: checks.check_server,
            Caches: checks.check_caches,
            Action: rule_checks.check_action,
            PolicyRule: rule_checks.check_rule,
            PrefixLengths: check_lengths,
            PrefixRange: check_prefix_range,
            When: check_when,
            RTRServer: checks.check_server_of_routers,
            BMP: checks.check_server_of_routers,
            RouterClients: checks.check_clients,
            TLS: checks.check_tls,
            Events: check_events,
            Config: _check_config,
        },
    )
    root, findings = read(text, str(path), schema)
    return Examined(None if root.value is FAULTY else root.value, root, findings)
