"""A configuration file in; a `Config`, or every fault of the file at once with its line, out.

The Structs here are the whole contract: the reader (`config_lines`), docs/configuration.md and its test
follow them. Names are those of the YAML with `-` written as `_` (and `from_` for `from`).
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from rtrd.config_lines import FAULTY, Fault, Found, Report, Schema, read
from rtrd.ops.places import ATTACH_SUFFIX
from rtrd.shares import Share, parse_share
from rtrd.tags import TagSpec, parse_tag

__all__ = [
    "MAX_CACHES",
    "TLS",
    "Action",
    "ActionName",
    "Address",
    "Bird",
    "Caches",
    "Config",
    "ConfigError",
    "Endpoint",
    "Fault",
    "Group",
    "Guard",
    "HostName",
    "Name",
    "PolicyRule",
    "RTRServer",
    "Server",
    "load",
    "loads",
    "parse_endpoint",
]

MAX_BYTES: Final = 1 << 18
"""A file of this size already takes seconds to parse; thousands of neighbours fit."""
MAX_CACHES: Final = 30
"""A cache is one bit of a 32-bit word in the VRP set."""

MAX_SOCKET_PATH: Final = 107 - len(ATTACH_SUFFIX)
"""Bytes of the control socket's path: that of `rtrd attach` is longer (unix(7), sun_path less its final NUL)."""

SSH_PORT: Final = 22

ActionName = Literal["announce", "withdraw", "observe", "hold"]
Port = Annotated[int, Meta(ge=1, le=65535)]


class _Mapping(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What all mappings of the file have in common."""


class Endpoint(msgspec.Struct, frozen=True):
    """An address to listen on; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Name(str):
    """A name for people, logs and metrics: at most 64 characters."""

    __slots__ = ()


class HostName(str):
    """An IP address in its normal text, or a DNS name."""

    __slots__ = ()


class Address(str):
    """An IP address in its normal text: two spellings of one address are equal."""

    __slots__ = ()


Addresses = Annotated[tuple[Address, ...], Meta(min_length=1)]


class Server(_Mapping, frozen=True):
    """One cache: where an RTR server listens, and how it is reached."""

    host: HostName
    port: Port = 323
    """TCP port; 323 for tcp (RFC 8210 section 12), 22 for ssh."""
    transport: Literal["tcp", "ssh"] = "tcp"
    user: str | None = None
    key: Path | None = None
    host_key: Path | None = None


class Group(_Mapping, frozen=True):
    """Caches used together; the group with the lower preference is used first."""

    name: Name
    preference: Annotated[int, Meta(ge=0, le=255)]
    servers: Annotated[tuple[Server, ...], Meta(min_length=1)]


class Caches(_Mapping, frozen=True):
    """Where VRPs come from, and how long they count; intervals in seconds (RFC 8210 section 6)."""

    groups: Annotated[tuple[Group, ...], Meta(min_length=1)]
    refresh: Annotated[int, Meta(ge=1, le=86400)] = 3600
    retry: Annotated[int, Meta(ge=1, le=7200)] = 600
    expire: Annotated[int, Meta(ge=600, le=172800)] = 7200
    intervals: Literal["configured", "cache"] = "configured"
    on_expire: Literal["not-found", "keep", "exit"] = "not-found"
    keepalive: Annotated[int, Meta(ge=3, le=7200)] = 30
    memory_limit: Annotated[int, Meta(ge=64, le=65536)] = 1024
    """MiB of address space of each cache's process."""


class Guard(_Mapping, frozen=True):
    """Which changes of the VRPs are held, and for how long, in seconds."""

    max_newly_invalid: Share = Share(0.05)
    max_shrink: Share = Share(0.2)
    hold: Annotated[int, Meta(ge=1, le=86400)] = 300


class TLS(_Mapping, frozen=True):
    """Where the relay serves RTR over TLS, and with what (RFC 8210 section 9.2)."""

    listen: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]
    certificate: Path
    key: Path
    client_ca: Path | None = None


class RTRServer(_Mapping, frozen=True):
    """The relay: where rtrd itself serves RTR. Intervals in seconds; None: those of the caches."""

    listen: Annotated[tuple[Endpoint, ...], Meta(min_length=1)] | None = None
    tls: TLS | None = None
    refresh: Annotated[int, Meta(ge=1, le=86400)] | None = None
    retry: Annotated[int, Meta(ge=1, le=7200)] | None = None
    expire: Annotated[int, Meta(ge=600, le=172800)] | None = None
    notify_interval: Annotated[int, Meta(ge=0, le=3600)] = 60


class Bird(_Mapping, frozen=True):
    """A BIRD on this host whose tables are audited now and then."""

    socket: Path = Path("/run/bird/bird.ctl")
    every: Annotated[int, Meta(ge=10, le=86400)] = 300
    """Seconds between two audits."""


class Action(_Mapping, frozen=True):
    """What is done with a route of one validity."""

    action: ActionName
    tags: tuple[TagSpec, ...] = ()
    local_preference: Annotated[int, Meta(ge=0, le=4294967295)] | None = None


class PolicyRule(_Mapping, frozen=True):
    """What is done with the routes of some neighbours; None: the key was left out."""

    direction: Literal["in", "out"] = "in"
    """`out`: for what the router itself announces, to the neighbours of `to`."""
    from_: Addresses | None = msgspec.field(name="from", default=None)
    to: Addresses | None = None
    valid: Action | None = None
    not_found: Action | None = None
    invalid: Action | None = None
    unverified: Action | None = None


class Config(_Mapping, frozen=True):
    """A whole configuration file; all paths absolute."""

    caches: Caches
    slurm: tuple[Path, ...] = ()
    state: Path | None = None
    start_hold: Annotated[int, Meta(ge=0, le=86400)] = 120
    guard: Guard | None = None
    control: Path = Path("/run/rtrd/rtrd.sock")
    control_group: str | None = None
    http: Endpoint | None = None
    on_stop: Literal["keep", "withdraw"] = "keep"
    rtr_server: RTRServer | None = None
    bird: Bird | None = None
    policy: tuple[PolicyRule, ...] = ()


class ConfigError(Exception):
    """A configuration that can't be used; `faults` holds every reason, in order of lines."""

    def __init__(self, path: Path, faults: list[Fault]) -> None:
        self.path = path
        self.faults = faults
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return `FILE:LINE: what` for each fault (`FILE: what` for one of the file as a whole)."""
        return [
            f"{self.path}:{fault.line}: {fault.what}" if fault.line else f"{self.path}: {fault.what}"
            for fault in self.faults
        ]


def load(path: Path | str) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: the file can't be read, or something in it is at fault; all faults at once.

    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(path, [Fault(0, f"cannot be read: {error.strerror}")]) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(path, [Fault(0, f"longer than {MAX_BYTES} bytes: this is no configuration")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [Fault(line, f"no UTF-8: byte 0x{data[error.start]:02x}")]) from error
    return loads(text, path)


def loads(text: str, path: Path) -> Config:
    """Read the text of a configuration; `path` names it in faults, and relative paths start at its folder.

    Raises:
        ConfigError: with all faults at once.

    """
    folder = path.absolute().parent
    schema = Schema(
        root=Config,
        leaves={
            Path: lambda text: folder / text,
            Address: _address,
            HostName: _host_name,
            Name: _name,
            Endpoint: parse_endpoint,
            TagSpec: parse_tag,
            Share: parse_share,
        },
        numeric=frozenset({Share}),
        checks={
            Server: _check_server,
            Caches: _check_caches,
            Action: _check_action,
            PolicyRule: _check_rule,
            RTRServer: _check_rtr_server,
            Config: _check_config,
        },
    )
    value, faults = read(text, schema)
    if faults:
        raise ConfigError(path, faults)
    assert isinstance(value, Config)
    return value


def parse_endpoint(text: str) -> Endpoint:
    """Parse `ADDRESS:PORT` (IPv6 as `[ADDRESS]:PORT`); port 0..65535.

    Raises:
        ValueError: with a sentence that says what was expected.

    """
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*)):([0-9]{1,5})", text)
    if match is None:
        raise ValueError("expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")
    host, port = match[1] or match[2] or "", int(match[3])
    if port > 65535:
        raise ValueError(f"port {port} is out of range, expected 0 to 65535")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("the part before the port is no IP address") from None
    if (address.version == 6) != (match[1] is not None):
        raise ValueError("expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT")
    return Endpoint(str(address), port)


def _address(text: str) -> Address:
    try:
        return Address(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("no IP address") from None


def _name(text: str) -> Name:
    if len(text) > 64:
        raise ValueError("longer than 64 characters")
    return Name(text)


def _host_name(text: str) -> HostName:
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        try:
            return HostName(ipaddress.ip_address(text))
        except ValueError:
            raise ValueError("no IP address (without brackets or port)") from None
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"({label}\.)*{label}\.?", text):
        raise ValueError("neither an IP address (without brackets or port) nor a host name")
    return HostName(text)


def _check_server(found: Found, report: Report) -> None:
    transport = found.get("transport", "tcp")
    if transport == "ssh":
        for key in ("user", "key"):
            if key not in found.keys:
                report(found.line, f"{found.path}: transport ssh needs {key!r}")
        if "port" not in found.keys:
            found.keys["port"] = Found(found.line, f"{found.path}.port", value=SSH_PORT)
    elif transport == "tcp":
        for key in ("user", "key", "host-key"):
            if key in found.keys:
                report(found.line_of(key), f"{found.path}.{key}: only for transport ssh")


def _check_caches(found: Found, report: Report) -> None:
    expire = found.get("expire", 7200)
    for key, default in (("refresh", 3600), ("retry", 600)):
        interval = found.get(key, default)
        if FAULTY not in (expire, interval) and interval >= expire:
            line = max(found.line_of(name) for name in (key, "expire"))
            report(line, f"{found.path}: expire ({expire}) must be greater than {key} ({interval})")
    if "groups" not in found.keys:
        return
    groups = found.keys["groups"].items
    for key in ("preference", "name"):
        first: dict[object, int] = {}
        for group in groups:
            value = group.get(key)
            if value is FAULTY:
                continue
            if value in first:
                what = f"{group.path}.{key}: {value} is also that of the group on line {first[value]}"
                report(group.line_of(key), what)
            else:
                first[value] = group.line_of(key)
    caches = [cache for group in groups if "servers" in group.keys for cache in group.keys["servers"].items]
    if len(caches) > MAX_CACHES:
        what = f"{len(caches)} caches, at most {MAX_CACHES} are possible"
        report(caches[MAX_CACHES].line, f"{found.path}: {what}")


def _check_action(found: Found, report: Report) -> None:
    action = found.get("action")
    if action in (FAULTY, "announce"):
        return
    for key in ("tags", "local-preference"):
        if key in found.keys:
            report(found.line_of(key), f"{found.path}.{key}: only for action announce, not {action}")


def _check_rule(found: Found, report: Report) -> None:
    if found.get("direction", "in") != "out":
        return
    if "from" in found.keys:
        report(found.line_of("from"), f"{found.path}.from: not for direction out, whose routes no neighbour sent")
    for validity in ("valid", "not-found", "invalid", "unverified"):
        if validity not in found.keys:
            continue
        action = found.keys[validity].get("action")
        able = ("observe", "withdraw") if validity == "invalid" else ("observe",)
        if action not in (FAULTY, *able):
            what = f"own routes can't be dealt with so: {action}; possible: {' or '.join(able)}"
            report(found.line_of(validity), f"{found.path}.{validity}: {what}")


def _check_rtr_server(found: Found, report: Report) -> None:
    if not {"listen", "tls"} & found.keys.keys():
        report(found.line, f"{found.path}: needs 'listen' or 'tls', or nobody can connect")


def _check_config(found: Found, report: Report) -> None:
    _check_relay_intervals(found, report)
    control = found.get("control", None)
    if isinstance(control, Path) and len(bytes(control)) > MAX_SOCKET_PATH:
        what = f"a unix socket's path has at most {MAX_SOCKET_PATH} bytes, this one {len(bytes(control))}"
        report(found.line_of("control"), f"control: {what}")


def _check_relay_intervals(found: Found, report: Report) -> None:
    """Look at both: what isn't said of the relay is said of the caches."""
    relay, caches = (found.keys.get(key, found) for key in ("rtr-server", "caches"))
    if relay is found:
        return
    values = {}
    for key, default in (("refresh", 3600), ("retry", 600), ("expire", 7200)):
        values[key] = relay.get(key, caches.get(key, default) if caches is not found else default)
    for key in ("refresh", "retry"):
        if FAULTY not in (values["expire"], values[key]) and values[key] >= values["expire"]:
            if not {key, "expire"} & relay.keys.keys():
                continue  # the caches' own fault, told there
            line = max(relay.line_of(name) for name in (key, "expire"))
            what = f"expire ({values['expire']}) must be greater than {key} ({values[key]})"
            report(line, f"{relay.path}: {what}; what rtr-server does not say is taken from caches")
