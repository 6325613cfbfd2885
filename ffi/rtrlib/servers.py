"""The options of caches and their groups, checked (RFC 8210 sections 6 and 9)."""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Final, Literal, SupportsIndex, TypeAlias, TypeVar

from rtrlib.arguments import option_number
from rtrlib.exceptions import RTRInitError
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.tcp_auth import AO_ALGORITHMS, AOAlgorithm

__all__ = [
    "MAX_CACHES",
    "TCPAO",
    "CacheGroup",
    "Engine",
    "Intervals",
    "SSHServer",
    "Server",
    "TCPServer",
    "TLSServer",
    "check_groups",
]

Engine: TypeAlias = Literal["librtr", "native"]
"""What speaks RTR with a cache: librtr, or a client of our own."""
T = TypeVar("T")
PORT: Final = re.compile(r"[0-9]{1,5}")
SERVICE: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
"""The name of a service (RFC 6335 section 5.1)."""
ENGINES: Final = ("librtr", "native")
MAX_CACHES: Final = 30
"""A cache is one bit of a 32-bit word in the VRP set."""
CONNECT_TIMEOUT: Final = 30
"""Seconds; librtr's default (RTRLIB_TRANSPORT_CONNECT_TIMEOUT_DEFAULT)."""

KEEPALIVE: Final = 30
"""Seconds."""
MAX_DEVICE: Final = 15
"""Octets of a network device's name (IFNAMSIZ, less its NUL)."""
KEY_ID_RANGE: Final = (0, 255)
CONNECT_TIMEOUT_RANGE: Final = (1, 3600)
KEEPALIVE_RANGE: Final = (3, 7200)
"""Seconds; two hours is what Linux does by itself."""
PREFERENCE_RANGE: Final = (0, 255)
"""What fits into librtr's byte."""
REFRESH_RANGE: Final = (1, 86400)
EXPIRE_RANGE: Final = (600, 172800)
RETRY_RANGE: Final = (1, 7200)
"""Seconds, from RFC 8210 section 6."""
VERSION_RANGE: Final = (0, MAX_VERSION)


def check_engine(engine: Engine | None) -> None:
    """RTRInitError: there is no such engine."""
    if engine is not None and engine not in ENGINES:
        raise RTRInitError(f"engine {engine!r:.60} is not one of {', '.join(ENGINES)}")


@dataclass(frozen=True)
class Server:
    """Where a cache is. `bind` is the local address to connect from; `connect_timeout` is in seconds, 1..3600.

    `keepalive`: seconds after which a host that acknowledges nothing is given up (TCP keepalives), 3..7200. `engine`:
    what speaks with it; None: what the manager says, or the native one where librtr can't. `max_version`: the newest
    version of RTR to speak with it, 0..2; None: what the manager says. librtr has no such limit.

    TypeError for a port that is neither int nor str and for a text that is not str, RTRInitError for anything else
    that could not be used.
    """

    transport: ClassVar[str]
    """`tcp`, `tls` or `ssh`."""
    host: str
    port: int | str
    bind: str | None = None
    connect_timeout: int = CONNECT_TIMEOUT
    keepalive: int = KEEPALIVE
    engine: Engine | None = None
    max_version: int | None = None

    def __post_init__(self) -> None:
        self._set("port", _port(self.port))
        if self.max_version is not None:
            self._set("max_version", option_number("max_version", self.max_version, VERSION_RANGE))
        self._check_texts()
        if not self.host or self.host.isspace():
            raise RTRInitError("a cache needs a host")
        for name, allowed in (("connect_timeout", CONNECT_TIMEOUT_RANGE), ("keepalive", KEEPALIVE_RANGE)):
            self._set(name, option_number(name, getattr(self, name), allowed, "seconds"))
        self._check_engine()
        for name, text in vars(self).items():
            if isinstance(text, str) and not text.isprintable():  # the text itself may be a secret
                raise RTRInitError(f"the {name} of cache {self.host!r} has a character that cannot be printed")

    def _check_texts(self) -> None:
        for name in self._texts():
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
            if value == "" and name not in {"host", "username"}:  # which have sentences of their own
                raise RTRInitError(f"the {name} of cache {self.host!r} is empty: leave it out")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # as dataclasses do it in one that is frozen

    def _texts(self) -> tuple[str, ...]:
        """Give the names of the options that are texts."""
        return ("host", "bind")

    def beyond_librtr(self) -> str | None:
        """Give what of its options librtr does not have; None: all can be had from it."""
        return None if self.max_version is None else "limit of the version"

    @property
    def authentication(self) -> str | None:
        """How TCP itself is authenticated: `md5`, `ao`, or None."""
        return None

    def key_files(self) -> tuple[str, ...]:
        """Give the files with keys and certificates that it is connected to with."""
        return ()

    def _check_engine(self) -> None:
        check_engine(self.engine)
        if self.engine == "librtr" and (what := self.beyond_librtr()) is not None:
            raise RTRInitError(f"the cache {self.host}: librtr has no {what}; leave the engine out")

    def _check_device(self, device: str | None) -> None:
        if device is not None and not (0 < len(device.encode()) <= MAX_DEVICE and not set(device) & set("/ \t")):
            raise RTRInitError(f"{device!r} is not the name of a network device")


@dataclass(frozen=True)
class TCPAO:
    """A key of TCP-AO (RFC 5925): the file that has it, its ID in both directions, and its algorithm.

    RTRInitError for an ID out of 0..255 and an algorithm that Linux has not.
    """

    key_file: str
    key_id: int = 1
    algorithm: AOAlgorithm = "hmac-sha1"

    def __post_init__(self) -> None:
        if not isinstance(self.key_file, str):
            raise TypeError(f"key_file must be str, not {type(self.key_file).__name__}")
        if not self.key_file or not self.key_file.isprintable():
            raise RTRInitError(f"key_file {self.key_file!r:.60} is not the name of a file")
        object.__setattr__(self, "key_id", option_number("key_id", self.key_id, KEY_ID_RANGE))
        if self.algorithm not in AO_ALGORITHMS:
            raise RTRInitError(f"algorithm {self.algorithm!r} is not one of {', '.join(AO_ALGORITHMS)}")


@dataclass(frozen=True)
class TCPServer(Server):
    """A cache reached by TCP (RFC 8210 sections 9.3 and 9.4): signed, or for a trusted network.

    `device`: the network device, or VRF, to connect by. At most one of `md5_password_file` (RFC 2385) and `tcp_ao`
    (RFC 5925). librtr has none of them.
    """

    transport = "tcp"
    device: str | None = None
    md5_password_file: str | None = None
    tcp_ao: TCPAO | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_device(self.device)
        if not isinstance(self.tcp_ao, TCPAO | None):
            raise TypeError(f"tcp_ao must be a TCPAO, not {type(self.tcp_ao).__name__}")
        if self.md5_password_file is not None and self.tcp_ao is not None:
            raise RTRInitError(f"the cache {self.host}: TCP has either an MD5 password or TCP-AO")

    def _texts(self) -> tuple[str, ...]:
        return (*super()._texts(), "device", "md5_password_file")

    def beyond_librtr(self) -> str | None:
        """See Server."""
        if self.authentication is not None:
            return f"TCP-{self.authentication.upper()}"
        return super().beyond_librtr() if self.device is None else "device to connect by"

    def key_files(self) -> tuple[str, ...]:
        """See Server."""
        ao = None if self.tcp_ao is None else self.tcp_ao.key_file
        return tuple(path for path in (self.md5_password_file, ao) if path is not None)

    @property
    def authentication(self) -> str | None:
        """See Server."""
        return "md5" if self.md5_password_file is not None else "ao" if self.tcp_ao is not None else None


@dataclass(frozen=True, kw_only=True)
class TLSServer(Server):
    """A cache reached by TLS (RFC 8210 section 9.2), version 1.2 or later; by the native engine only.

    All files are PEM, read again for each connection. `ca`: whom to trust; None: whom this host trusts. `certificate`,
    with the CAs between, and `key`: what the cache is shown, both or none; a key has no passphrase, and nobody else may
    read it. `server_name`: the name that the cache's certificate must have in its subjectAltName; None: `host`.
    `device`: see TCPServer.
    """

    transport = "tls"
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_device(self.device)
        if (self.certificate is None) != (self.key is None):
            raise RTRInitError(f"the TLS cache {self.host} needs both a certificate and its key, or neither")
        name = self.server_name
        if name is not None and not name.strip("."):
            raise RTRInitError(f"{name!r} is not a server name")

    def _texts(self) -> tuple[str, ...]:
        return (*super()._texts(), "ca", "certificate", "key", "server_name", "device")

    def beyond_librtr(self) -> str | None:
        """See Server."""
        return "TLS"

    def key_files(self) -> tuple[str, ...]:
        """See Server."""
        return tuple(path for path in (self.ca, self.certificate, self.key) if path is not None)


@dataclass(frozen=True, kw_only=True)
class SSHServer(Server):
    """A cache reached by SSH (RFC 8210 section 9.1, subsystem `rpki-rtr`).

    `private_key` and `host_key` are paths: a private key without a passphrase; the cache's public key, or a
    known_hosts file. Without `host_key` any host is believed to be the cache. Exactly one of `private_key` and
    `password`, and no `host_key` with a password (librtr 0.8.0 cannot do both); RTRInitError otherwise. The native
    engine runs OpenSSH's ssh; a password is always librtr's.
    """

    transport = "ssh"
    username: str
    private_key: str | None = None
    host_key: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not str(self.port).isdecimal():
            raise RTRInitError(f"an SSH cache needs a port number, not {self.port!r}")
        if not self.username:
            raise RTRInitError(f"the SSH cache {self.host} needs a username")
        if (self.private_key is None) == (self.password is None):
            raise RTRInitError(f"the SSH cache {self.host} needs either a private key or a password")
        if self.engine == "native" and self.password is not None:
            raise RTRInitError(f"the SSH cache {self.host}: the native engine takes a private key, and no password")
        if self.password is not None and self.host_key is not None:
            raise RTRInitError(
                f"the SSH cache {self.host}: librtr 0.8 checks no host key when it uses a password; use a private key"
            )

    def _texts(self) -> tuple[str, ...]:
        return (*super()._texts(), "username", "private_key", "host_key", "password")

    def key_files(self) -> tuple[str, ...]:
        """See Server."""
        return tuple(path for path in (self.private_key, self.host_key) if path is not None)

    def __repr__(self) -> str:
        return f"SSHServer(host={self.host!r}, port={self.port!r}, username={self.username!r})"


@dataclass(frozen=True)
class CacheGroup:
    """Caches that are used together. A group with a lower `preference` (0..255) is used first.

    RTRInitError for a preference out of range or no server, TypeError for what is not a server.
    """

    preference: int
    servers: Sequence[Server]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "preference", option_number("preference", self.preference, PREFERENCE_RANGE))
        if not isinstance(self.name, str):
            raise TypeError(f"the name of a group must be str, not {type(self.name).__name__}")
        object.__setattr__(
            self, "servers", _listed(self.servers, "servers", Server, "TCPServers, TLSServers and SSHServers")
        )
        if not self.servers:
            raise RTRInitError(f"group {self.name or self.preference} has no server")


@dataclass(frozen=True)
class Intervals:
    """RFC 8210 section 6, in seconds. `follow_cache`: what End of Data says replaces them.

    `soon`: the first attempts after a failure follow one another in 1, 2, 4, .. seconds, up to `retry`. So they do
    in any case once a session was established.

    RTRInitError for a number out of the RFC's range.
    """

    refresh: int = 3600
    retry: int = 600
    expire: int = 7200
    follow_cache: bool = False
    soon: bool = False

    def __post_init__(self) -> None:
        of_rfc = "seconds (RFC 8210 section 6)"
        for name, allowed in (("refresh", REFRESH_RANGE), ("retry", RETRY_RANGE), ("expire", EXPIRE_RANGE)):
            number = option_number(f"{name}_interval", getattr(self, name), allowed, of_rfc)
            object.__setattr__(self, name, number)


def check_groups(given: Iterable[CacheGroup]) -> list[CacheGroup]:
    """Give the groups.

    RTRInitError for none, for a preference given twice, for too many caches; TypeError for what is not a group.
    """
    groups = list(_listed(given, "groups", CacheGroup, "CacheGroups"))
    if not groups:
        raise RTRInitError("no group of caches is given")
    preferences = sorted(group.preference for group in groups)
    for one, other in pairwise(preferences):
        if one == other:
            raise RTRInitError(f"two groups have preference {one}")
    caches = sum(len(group.servers) for group in groups)
    if caches > MAX_CACHES:
        raise RTRInitError(f"{caches} caches are configured; at most {MAX_CACHES} can be used")
    return groups


def _listed(given: Iterable[T], name: str, kind: type[T], kinds: str) -> tuple[T, ...]:
    """Read what is given once, and keep it. TypeError: it is no list, or not of these."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of {kinds}, not {type(given).__name__}")
    items = tuple(given)
    for item in items:
        if not isinstance(item, kind):
            raise TypeError(f"{name} are {kinds}, not {type(item).__name__}")
    return items


def _port(port: Any) -> int | str:
    """Give the port: a number, or the name of a service. TypeError, RTRInitError: it is neither."""
    if isinstance(port, bool) or not isinstance(port, str | SupportsIndex):
        raise TypeError(f"port must be int or str, not {type(port).__name__}")
    value = port if isinstance(port, str) else operator.index(port)
    text = str(value)
    if SERVICE.fullmatch(text) or (PORT.fullmatch(text) and 1 <= int(text) <= 65535):
        return value
    raise RTRInitError(f"port {value!r:.60} is not in 1..65535, nor the name of a service")


def is_address(host: str) -> bool:
    """Tell whether a host is given by its IP address, and needs no resolver."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
