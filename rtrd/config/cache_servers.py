"""The caches of a configuration, as rtrlib takes them."""

from __future__ import annotations

from typing import Any

from rtrd.config import AOKey, CacheServer, Group
from rtrlib import TCPAO, CacheGroup, SSHServer, TCPServer, TLSServer
from rtrlib.servers import Server


def cache_group(group: Group, keepalive: int) -> CacheGroup:
    """Give a group; `keepalive`: see rtrlib.servers.Server."""
    # The texts of a configuration have types of their own, which no JSON of a status takes.
    return CacheGroup(
        group.preference, [cache_server(server, keepalive) for server in group.servers], name=str(group.name)
    )


def cache_server(server: CacheServer, keepalive: int) -> Server:
    """Give one cache."""
    if server.transport == "tls":
        return _tls_server(server, keepalive)
    host, common = str(server.host), _common(server, keepalive)
    if server.transport == "ssh":
        user, key, host_key = server.user or "", _text(server.key), _text(server.host_key)
        engine = server.engine
        return SSHServer(host, server.port, username=user, private_key=key, host_key=host_key, engine=engine, **common)
    return TCPServer(
        host,
        server.port,
        device=_text(server.device),
        md5_password_file=_text(server.md5_password_file),
        tcp_ao=_ao(server.tcp_ao),
        engine=server.engine,
        **common,
    )


def _tls_server(server: CacheServer, keepalive: int) -> TLSServer:
    """Give a cache that is reached by TLS."""
    return TLSServer(
        str(server.host),
        server.port,
        device=_text(server.device),
        ca=_text(server.ca),
        certificate=_text(server.certificate),
        key=_text(server.key),
        server_name=_text(server.server_name),
        **_common(server, keepalive),
    )


def _common(server: CacheServer, keepalive: int) -> dict[str, Any]:
    return {"bind": _text(server.source), "keepalive": keepalive}


def _ao(key: AOKey | None) -> TCPAO | None:
    return None if key is None else TCPAO(str(key.key_file), key.key_id, key.algorithm)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
