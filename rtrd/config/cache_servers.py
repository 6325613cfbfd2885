"""The caches of a configuration, as rtrlib takes them."""

from __future__ import annotations

from typing import Any, NamedTuple

from rtrd.config import AOKey, CacheServer, Group
from rtrlib import TCPAO, CacheGroup, SSHServer, TCPServer, TLSServer
from rtrlib.rtr_pdus import MAX_VERSION
from rtrlib.servers import KEEPALIVE, Server


class Common(NamedTuple):
    """What is the same for all caches that don't say otherwise: see rtrlib.servers.Server."""

    keepalive: int = KEEPALIVE
    max_version: int = MAX_VERSION


def cache_group(group: Group, common: Common) -> CacheGroup:
    """Give a group."""
    # The texts of a configuration have types of their own, which no JSON of a status takes.
    return CacheGroup(
        group.preference, [cache_server(server, common) for server in group.servers], name=str(group.name)
    )


def cache_server(server: CacheServer, common: Common) -> Server:
    """Give one cache."""
    if server.transport == "tls":
        return _tls_server(server, common)
    host, options = str(server.host), _options(server, common)
    if server.transport == "ssh":
        user, key, host_key = server.user or "", _text(server.key), _text(server.host_key)
        engine = server.engine
        return SSHServer(host, server.port, username=user, private_key=key, host_key=host_key, engine=engine, **options)
    return TCPServer(
        host,
        server.port,
        device=_text(server.device),
        md5_password_file=_text(server.md5_password_file),
        tcp_ao=_ao(server.tcp_ao),
        engine=server.engine,
        **options,
    )


def _tls_server(server: CacheServer, common: Common) -> TLSServer:
    """Give a cache that is reached by TLS."""
    return TLSServer(
        str(server.host),
        server.port,
        device=_text(server.device),
        ca=_text(server.ca),
        certificate=_text(server.certificate),
        key=_text(server.key),
        server_name=_text(server.server_name),
        **_options(server, common),
    )


def _options(server: CacheServer, common: Common) -> dict[str, Any]:
    max_version = common.max_version if server.max_version is None else server.max_version
    return {
        "bind": _text(server.source),
        "keepalive": common.keepalive,
        "max_version": None if server.engine == "librtr" else max_version,
    }


def _ao(key: AOKey | None) -> TCPAO | None:
    return None if key is None else TCPAO(str(key.key_file), key.key_id, key.algorithm)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
