"""What differs between two configurations, the one in force and the one that was read, in sentences. Pure.

What a running daemon can't change stays as it was, and is said to need a restart; so does every key that no part
registered, since a change that silently does not happen is worse than one that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from rtrd.base.endpoint import Endpoint
from rtrd.config import Caches, CacheServer, Config, Group, PolicyRule, RouterClients, RTRServer


class Difference(NamedTuple):
    """One difference."""

    what: str
    """A sentence."""
    restart: bool = False
    """It counts only after a restart."""

    def __str__(self) -> str:
        return f"{self.what} (only after a restart)" if self.restart else self.what


def compare(old: Config, new: Config, reloadable: AbstractSet[str]) -> list[Difference]:
    """Say what differs, in the order of the file. `reloadable`: keys (`policy`, `caches.refresh`) that can change."""
    changes = [*_caches(old.caches, new.caches, reloadable)]
    for field in new.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field == "caches" or before == after:
            continue
        if field == "policy":
            changes += _policy(old.policy, new.policy)
        elif isinstance(before, RTRServer) and isinstance(after, RTRServer):
            changes += _relay(before, after)
        elif field == "slurm":
            changes += [Difference(f"slurm: {path} is no longer used") for path in before if path not in after]
            changes += [Difference(f"slurm: {path} is used") for path in after if path not in before]
            changes += [] if set(before) != set(after) else [Difference("slurm: the order of the files changed")]
        else:
            changes.append(_value(field, before, after, restart=field not in reloadable))
    return changes


def merged(old: Config, new: Config, reloadable: AbstractSet[str]) -> Config:
    """Give what is in force after a reload: the new values of what can be changed, the old ones of the rest."""
    kept = {field: getattr(old, field) for field in new.__struct_fields__ if field not in reloadable}
    caches = {
        field: getattr(new.caches, field) for field in new.caches.__struct_fields__ if f"caches.{field}" in reloadable
    }
    kept["caches"] = msgspec.structs.replace(old.caches, **caches)
    if old.rtr_server is not None and new.rtr_server is not None:
        kept["rtr_server"] = _changed_at_once(old.rtr_server, new.rtr_server)
    return msgspec.structs.replace(new, **kept)


def _relay(old: RTRServer, new: RTRServer) -> Iterator[Difference]:
    """Say what differs: which versions are spoken, and what is said at the end, can change at once."""
    between = _changed_at_once(old, new)
    for field in new.__struct_fields__:
        before, there, after = (getattr(each, field) for each in (old, between, new))
        if before != after:
            yield _value(field, before, after, prefix="rtr-server.", restart=there != after)


def _changed_at_once(old: RTRServer, new: RTRServer) -> RTRServer:
    """Give a relay with what can change at once of the new one, and all else of the old one."""
    clients = new.clients if _signing(old) == _signing(new) else old.clients
    return msgspec.structs.replace(old, max_version=new.max_version, on_stop=new.on_stop, clients=clients)


def _signing(relay: RTRServer) -> list[RouterClients]:
    keyed = [each for each in relay.clients if each.md5_password_file or each.tcp_ao]
    return [msgspec.structs.replace(each, max_version=None) for each in keyed]


def _caches(old: Caches, new: Caches, reloadable: AbstractSet[str]) -> Iterator[Difference]:
    for field in new.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field == "groups":
            yield from _groups(before, after)
        elif before != after:
            yield _value(field, before, after, prefix="caches.", restart=f"caches.{field}" not in reloadable)


def _groups(old: tuple[Group, ...], new: tuple[Group, ...]) -> Iterator[Difference]:
    """Say which caches come, go and move; a cache is the same when all of its options are."""
    yield from _groups_gone(old, new)
    before = {group.name: group for group in old}
    where = {server: group.name for group in old for server in group.servers}
    for group in new:
        name, was = group.name, before.get(group.name)
        if was is None:
            yield Difference(f"group {name} is added, with preference {group.preference}")
        elif was.preference != group.preference:
            yield Difference(f"group {name}: preference {was.preference} becomes {group.preference}")
        for server in group.servers:
            if server not in where:
                yield Difference(f"cache {_server(server)} is added to group {name}")
            elif where[server] != name and (was is None or server not in was.servers):
                yield Difference(f"cache {_server(server)} moves from group {where[server]} to {name}")


def _groups_gone(old: tuple[Group, ...], new: tuple[Group, ...]) -> Iterator[Difference]:
    names = {group.name for group in new}
    servers = {server for group in new for server in group.servers}
    for group in old:
        if group.name not in names:
            yield Difference(f"group {group.name} is removed")
        for server in group.servers:
            if server not in servers:
                yield Difference(f"cache {_server(server)} of group {group.name} is removed")


def _policy(old: tuple[PolicyRule, ...], new: tuple[PolicyRule, ...]) -> Iterator[Difference]:
    if not new:
        yield Difference("policy: no rule is left, rtrd only observes")
        return
    for number in range(max(len(old), len(new))):
        if number >= len(new):
            yield Difference(f"policy: rule {number + 1} is removed")
        elif number >= len(old):
            yield Difference(f"policy: rule {number + 1} is added, for {_sources(new[number])}")
        elif old[number] != new[number]:
            yield Difference(f"policy: rule {number + 1} is changed, for {_sources(new[number])}")


def _sources(rule: PolicyRule) -> str:
    if rule.direction == "out":
        return "local routes to " + ("any neighbor" if rule.to is None else ", ".join(rule.to))
    return "any neighbor" if rule.from_ is None else ", ".join(rule.from_)


def _server(server: CacheServer) -> str:
    return f"{Endpoint(server.host, server.port)}" + ("" if server.transport == "tcp" else f" ({server.transport})")


def _value(field: str, before: object, after: object, *, restart: bool, prefix: str = "") -> Difference:
    name = prefix + field.replace("_", "-")
    return Difference(f"{name}: {_text(before)} becomes {_text(after)}", restart)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, msgspec.Struct) and type(value).__str__ is object.__str__:
        named = ((name, getattr(value, name)) for name in value.__struct_fields__)
        fields = (f"{name.replace('_', '-')}: {_text(each)}" for name, each in named if each not in (None, ()))
        return "{" + ", ".join(fields) + "}"
    return "[" + ", ".join(map(_text, value)) + "]" if isinstance(value, tuple) else str(value)
