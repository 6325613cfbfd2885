"""What the user says about caches in; checked, immutable options out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rtrlib.exceptions import RTRInitError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_CACHES", "CacheGroup", "Intervals", "SSHServer", "Server", "TCPServer", "check_groups"]

MAX_CACHES: Final = 30
"""A cache is one bit of a 32-bit word in the VRP set."""
CONNECT_TIMEOUT: Final = 30
"""Seconds; librtr's default (RTRLIB_TRANSPORT_CONNECT_TIMEOUT_DEFAULT)."""

KEEPALIVE: Final = 30
"""Seconds."""
KEEPALIVE_RANGE: Final = (3, 7200)
"""Seconds; two hours is what Linux does by itself."""

REFRESH_RANGE: Final = (1, 86400)
EXPIRE_RANGE: Final = (600, 172800)
RETRY_RANGE: Final = (1, 7200)
"""Seconds, from RFC 8210 section 6."""


@dataclass(frozen=True)
class Server:
    """Where a cache is. `bind` is the local address to connect from; `connect_timeout` is in seconds.

    `keepalive`: seconds after which a host that acknowledges nothing any more is given up (TCP keepalives).

    TypeError for a port that is neither int nor str, RTRInitError for anything that librtr could not use.
    """

    host: str
    port: int | str
    bind: str | None = None
    connect_timeout: int = CONNECT_TIMEOUT
    keepalive: int = KEEPALIVE

    def __post_init__(self) -> None:
        if not isinstance(self.port, int | str) or isinstance(self.port, bool):
            raise TypeError(f"port must be int or str, not {type(self.port).__name__}")
        port = str(self.port)
        if not port or (port.lstrip("-").isdigit() and not 1 <= int(port) <= 65535):
            raise RTRInitError(f"port {self.port!r} is not in 1..65535")
        if not self.host:
            raise RTRInitError("a cache needs a host")
        if not 1 <= self.connect_timeout <= 3600:
            raise RTRInitError(f"connect_timeout {self.connect_timeout} is not in 1..3600 seconds")
        low, high = KEEPALIVE_RANGE
        if not low <= self.keepalive <= high:
            raise RTRInitError(f"keepalive {self.keepalive} is not in {low}..{high} seconds")
        for name, text in vars(self).items():
            if isinstance(text, str) and not text.isprintable():  # the text itself may be a secret
                raise RTRInitError(f"the {name} of cache {self.host!r} has a character that cannot be printed")

    @property
    def transport(self) -> str:
        """`tcp` or `ssh`."""
        raise NotImplementedError


@dataclass(frozen=True)
class TCPServer(Server):
    """A cache reached by plain TCP (RFC 8210 section 9.1)."""

    @property
    def transport(self) -> str:
        """`tcp`."""
        return "tcp"


@dataclass(frozen=True, kw_only=True)
class SSHServer(Server):
    """A cache reached by SSH (RFC 8210 section 9.2, subsystem `rpki-rtr`).

    `private_key` and `host_key` are paths: a private key without a passphrase; the cache's public key, or a
    known_hosts file. Without `host_key` any host is believed to be the cache. Exactly one of `private_key` and
    `password`, and no `host_key` with a password (librtr 0.8.0 cannot do both); RTRInitError otherwise.
    """

    username: str
    private_key: str | None = None
    host_key: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not str(self.port).isdigit():
            raise RTRInitError(f"an SSH cache needs a port number, not {self.port!r}")
        if not self.username:
            raise RTRInitError(f"the SSH cache {self.host} needs a username")
        if (self.private_key is None) == (self.password is None):
            raise RTRInitError(f"the SSH cache {self.host} needs either a private key or a password")
        if self.password is not None and self.host_key is not None:
            raise RTRInitError(
                f"the SSH cache {self.host}: librtr 0.8 checks no host key when it uses a password; use a private key"
            )

    @property
    def transport(self) -> str:
        """`ssh`."""
        return "ssh"

    def __repr__(self) -> str:
        return f"SSHServer(host={self.host!r}, port={self.port!r}, username={self.username!r})"


@dataclass(frozen=True)
class CacheGroup:
    """Caches that are used together. A group with a lower `preference` (0..255) is used first."""

    preference: int
    servers: Sequence[Server]
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.preference <= 255:
            raise RTRInitError(f"preference {self.preference} is not in 0..255")
        if not self.servers:
            raise RTRInitError(f"group {self.name or self.preference} has no server")


@dataclass(frozen=True)
class Intervals:
    """RFC 8210 section 6, in seconds. `follow_cache`: what End of Data says replaces them.

    RTRInitError for a number out of the RFC's range.
    """

    refresh: int = 3600
    retry: int = 600
    expire: int = 7200
    follow_cache: bool = False

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("refresh_interval", self.refresh, REFRESH_RANGE),
            ("retry_interval", self.retry, RETRY_RANGE),
            ("expire_interval", self.expire, EXPIRE_RANGE),
        ):
            if not low <= value <= high:
                raise RTRInitError(f"{name} {value} is not in {low}..{high} seconds (RFC 8210 section 6)")


def check_groups(groups: Sequence[CacheGroup]) -> None:
    """RTRInitError for none, for a preference given twice, for too many caches."""
    if not groups:
        raise RTRInitError("no group of caches is given")
    preferences = sorted(group.preference for group in groups)
    for one, other in pairwise(preferences):
        if one == other:
            raise RTRInitError(f"two groups have preference {one}")
    caches = sum(len(group.servers) for group in groups)
    if caches > MAX_CACHES:
        raise RTRInitError(f"{caches} caches are configured; at most {MAX_CACHES} can be used")
