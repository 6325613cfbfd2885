"""Checks of values that are right by themselves, but not together."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from rtrd.base.endpoint import Endpoint
from rtrd.base.faults import Report
from rtrd.base.socket_paths import ATTACH_SUFFIX
from rtrd.config.rule_checks import check_policy, listed
from rtrd.config.types import Match, covering
from rtrd.config.yaml_reader import FAULTY, Node

MAX_CACHES: Final = 30
"""A cache is one bit of a 32-bit word in the VRP set."""

MAX_SOCKET_PATH: Final = 107 - len(ATTACH_SUFFIX)
"""Bytes of the control socket's path: that of `rtrd attach` is longer (unix(7), sun_path less its final NUL)."""

PORTS: Final = {"tls": 324, "ssh": 22}
"""Of transports but the usual one."""

TRANSPORTS_OF: Final = {
    "device": ("tcp", "tls"),
    "md5-password-file": ("tcp",),
    "tcp-ao": ("tcp",),
    "ca": ("tls",),
    "certificate": ("tls",),
    "server-name": ("tls",),
    "user": ("ssh",),
    "key": ("tls", "ssh"),
    "host-key": ("ssh",),
}
"""The keys of a cache that are not for each transport."""

NATIVE_KEYS: Final = ("device", "md5-password-file", "tcp-ao", "max-version")
"""The keys of a cache that librtr has no use for."""

LOCALHOST: Final = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}
"""Names of this host in the /etc/hosts of most."""


def check_server(found: Node, report: Report) -> None:
    """Want the keys that the transport needs, and none that it has no use for."""
    _check_transport(found, report)
    host = found.get("host")
    if host is not FAULTY and (why := _no_host(str(host))):
        report(found.line_of("host"), f"{found.path}.host: {host!r} {why}", "warning")


def _check_transport(found: Node, report: Report) -> None:
    transport = found.get("transport", "tcp")
    if transport is FAULTY:
        return
    for key, transports in TRANSPORTS_OF.items():
        if key in found.keys and transport not in transports:
            report(found.line_of(key), f"{found.path}.{key}: only for transport {' or '.join(transports)}")
    if transport == "ssh":
        _check_ssh(found, report)
    elif transport == "tls" and {"certificate", "key"} & found.keys.keys():
        _want(found, report, "certificate", "key")
    if {"md5-password-file", "tcp-ao"} <= found.keys.keys():
        report(found.line_of("tcp-ao"), f"{found.path}.tcp-ao: not beside md5-password-file: TCP has one of them")
    _check_engine(found, transport, report)
    if transport in PORTS:
        found.keys.setdefault("port", Node(found.line, f"{found.path}.port", value=PORTS[transport]))
    _check_source(found, report)


def _check_ssh(found: Node, report: Report) -> None:
    _want(found, report, "user", "key")
    if "host-key" not in found.keys:
        what = "without host-key any host is taken for the cache, and its VRPs for true"
        report(found.line, f"{found.path}: {what}", "warning")


def _want(found: Node, report: Report, *keys: str) -> None:
    for key in keys:
        if key not in found.keys:
            report(found.line, f"{found.path}: transport {found.get('transport')} needs {key!r}")


def _check_engine(found: Node, transport: str, report: Report) -> None:
    if found.get("engine", None) != "librtr":
        return
    beyond = ["TLS"] if transport == "tls" else [key for key in NATIVE_KEYS if key in found.keys]
    if beyond:
        report(found.line_of("engine"), f"{found.path}.engine: librtr has no {beyond[0]}")


def _check_source(found: Node, report: Report) -> None:
    """Want an address to connect from that can reach the one of the cache."""
    host, source = found.get("host"), found.get("source", FAULTY)
    if FAULTY in (host, source) or _plain_address(str(host)) is None:
        return
    if (":" in host) != (":" in source):
        report(found.line_of("source"), f"{found.path}.source: {source} can't reach {host}: one is IPv4, one IPv6")


def _no_host(host: str) -> str | None:
    """Say why nothing can be reached by what is an address or a name by its letters."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if "_" in host:
            return "can't be a host name: it has an underscore (RFC 1123 section 2.1), and few resolvers find it"
        if host.rstrip(".").rpartition(".")[2].isdigit():
            return "can't be a host name: its last label is a number"
        return None
    if address.is_multicast:
        return "is a multicast address, where no cache answers"
    if address.is_unspecified:
        return "stands for any address of a host, and names none"
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local and address.scope_id is None:
        return f"is link-local: name the interface, as {host}%eth0"
    return None


def check_caches(found: Node, report: Report) -> None:
    """Want no two groups alike, no more caches than the VRP set has bits for, and `expire` longer than `refresh`.

    `retry` may be as long: a cache that answered before is asked again much sooner.
    """
    _check_intervals(found, report)
    if "groups" not in found.keys:
        return
    groups = found.keys["groups"].items
    for key in ("preference", "name"):
        _check_groups_differ(groups, key, report)
    caches = [cache for group in groups if "servers" in group.keys for cache in group.keys["servers"].items]
    if len(caches) > MAX_CACHES:
        what = f"{len(caches)} caches, at most {MAX_CACHES} are possible"
        report(caches[MAX_CACHES].line, f"{found.path}: {what}")
    _check_caches_differ(groups, report)


def _check_intervals(found: Node, report: Report) -> None:
    expire = found.get("expire", 7200)
    for key, default in (("refresh", 3600), ("retry", 600)):
        interval = found.get(key, default)
        if FAULTY in (expire, interval):
            continue
        if interval > expire or (key == "refresh" and interval == expire):
            line = max(found.line_of(name) for name in (key, "expire"))
            how = "greater than" if key == "refresh" else "no less than"
            report(line, f"{found.path}: expire ({expire}) must be {how} {key} ({interval})")


def _check_groups_differ(groups: Iterable[Node], key: str, report: Report) -> None:
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


def _check_caches_differ(groups: Iterable[Node], report: Report) -> None:
    """Want no cache twice in a group, where it would count twice; in two groups it may be meant."""
    first: dict[Endpoint, tuple[int, int]] = {}
    for number, group in enumerate(groups):
        for cache in group.keys["servers"].items if "servers" in group.keys else ():
            endpoints = _endpoints(cache)
            for endpoint in endpoints:
                if endpoint in first:
                    where, line = first[endpoint]
                    what = f"{endpoint} is also the cache on line {line}"
                    if where == number:
                        report(cache.line, f"{cache.path}: {what}, of the same group")
                    else:
                        report(cache.line, f"{cache.path}: {what}; when one fails, so does the other", "warning")
                    break
            for endpoint in endpoints:
                first.setdefault(endpoint, (number, cache.line))


def _endpoints(cache: Node) -> list[Endpoint]:
    """Give where a cache is; two spellings of one name or address give the same."""
    host, port = cache.get("host"), cache.get("port", 323)
    if FAULTY in (host, port):
        return []
    name = str(host).lower().rstrip(".")
    if name in LOCALHOST:
        return [Endpoint(address, port) for address in ("127.0.0.1", "::1")]
    return [Endpoint(_plain_address(name) or name, port)]


def _plain_address(text: str) -> str | None:
    """Give an address in its normal spelling; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def check_server_of_routers(found: Node, report: Report) -> None:
    """Want an address to connect to."""
    if not {"listen", "tls"} & found.keys.keys():
        report(found.line, f"{found.path}: needs 'listen' or 'tls', or nobody can connect")


def check_clients(found: Node, report: Report) -> None:
    """Want something said of these routers, and no two ways to sign TCP."""
    keys = {"md5-password-file", "tcp-ao"} & found.keys.keys()
    if len(keys) > 1 or not (keys or "max-version" in found.keys):
        report(found.line, f"{found.path}: needs 'max-version', or either 'md5-password-file' or 'tcp-ao'")


def check_tls(found: Node, report: Report) -> None:
    """Want certificates of routers where something is asked of them."""
    if "check-address" in found.keys and "client-ca" not in found.keys:
        report(found.line_of("check-address"), f"{found.path}.check-address: only with client-ca")


def check_config(found: Node, report: Report) -> None:
    """Want sections to agree, and a path of the control socket that a socket can have."""
    _check_relay_intervals(found, report)
    _check_listening(found, report)
    _check_open_to_all(found, report)
    for section, list_of in ((found, "neighbors"), (found.keys.get("rtr-server", found), "clients")):
        _check_shadowed_matches(section.keys[list_of].items if list_of in section.keys else (), report)
    if "policy" in found.keys:
        check_policy(found.keys["policy"].items, found, report)
    if "neighbors" in found.keys:
        _check_neighbors(found.keys["neighbors"].items, report)
    control = found.get("control", None)
    if isinstance(control, Path) and not control.name:
        report(found.line_of("control"), f"control: {control}: expected the path of a file")
    elif isinstance(control, Path) and len(bytes(control)) > MAX_SOCKET_PATH:
        what = f"a unix socket's path has at most {MAX_SOCKET_PATH} bytes, this one {len(bytes(control))}"
        report(found.line_of("control"), f"control: {what}")


def _check_relay_intervals(found: Node, report: Report) -> None:
    """Look at both: what isn't said of the relay is said of the caches."""
    relay, caches = (found.keys.get(key, found) for key in ("rtr-server", "caches"))
    if relay is found:
        return
    values = {}
    for key, default in (("refresh", 3600), ("retry", 600), ("expire", 7200)):
        values[key] = relay.get(key, caches.get(key, default) if caches is not found else default)
    for key in ("refresh", "retry"):
        if FAULTY not in (values["expire"], values[key]) and values[key] >= values["expire"]:
            own_fault = key == "refresh" or values[key] > values["expire"]
            if own_fault and not {key, "expire"} & relay.keys.keys():
                continue  # the caches' own, told there
            line = max(relay.line_of(name) for name in (key, "expire"))
            what = f"expire ({values['expire']}) must be greater than {key} ({values[key]})"
            report(line, f"{relay.path}: {what}; keys that rtr-server leaves out are taken from caches")


def _check_listening(found: Node, report: Report) -> None:
    """Want each port listened at once, and no cache that is rtrd itself."""
    taken: list[tuple[Endpoint, Node]] = []
    for place in listening(found):
        endpoint = place.value
        if not isinstance(endpoint, Endpoint) or not endpoint.port:
            continue
        for other, first in taken:
            if _overlap(endpoint, other):
                what = f"{endpoint} can't be listened at beside {other} of {first.path} on line {first.line}"
                report(place.line, f"{place.path}: {what}")
                break
        taken.append((endpoint, place))
    _check_not_itself(_caches(found), taken, report)


def _check_not_itself(caches: Iterable[Node], taken: Iterable[tuple[Endpoint, Node]], report: Report) -> None:
    for cache in caches:
        here = [endpoint for endpoint in _endpoints(cache) if _is_here(endpoint.host)]
        for endpoint, (own, place) in itertools.product(here, taken):
            if place.path.startswith("rtr-server") and _overlap(endpoint, own):
                what = f"{endpoint} is where rtrd itself serves ({place.path}, line {place.line})"
                report(cache.line, f"{cache.path}: {what}: it would be its own cache")


def _caches(root: Node) -> Iterator[Node]:
    groups = root.keys["caches"].keys.get("groups") if "caches" in root.keys else None
    for group in groups.items if groups is not None else ():
        yield from group.keys["servers"].items if "servers" in group.keys else ()


def listening(found: Node) -> Iterator[Node]:
    """Give each place in the file that says where rtrd listens by TCP."""
    if "http" in found.keys:
        yield found.keys["http"]
    servers = [found.keys.get(name) for name in ("rtr-server", "bmp")]
    for section in [each for server in servers for each in (server, server and server.keys.get("tls"))]:
        if section is not None and "listen" in section.keys:
            yield from section.keys["listen"].items


def _check_open_to_all(found: Node, report: Report) -> None:
    http = found.keys.get("http")
    if http is not None and isinstance(http.value, Endpoint) and ipaddress.ip_address(http.value.host).is_unspecified:
        what = "is every address of this host: whoever reaches one may ask everything, since `http` has no passwords"
        report(http.line, f"{http.path}: {http.value} {what}", "warning")


def _check_shadowed_matches(entries: Iterable[Node], report: Report) -> None:
    """Warn of an entry, or of a `match` in it, that an earlier entry takes: the first that names somebody counts."""
    taken: dict[Match, tuple[Node, int]] = {}
    for entry in entries:
        matches = (
            [each for each in entry.keys["match"].items if each.value is not FAULTY] if "match" in entry.keys else []
        )
        before = [next((taken[name] for name in covering(str(each.value)) if name in taken), None) for each in matches]
        if matches and None not in before:
            lines = listed(sorted({line for _, line in filter(None, before)}))
            report(
                entry.line, f"{entry.path}: never counts: all that it names is taken before, on line {lines}", "warning"
            )
        else:
            for each, found in zip(matches, before, strict=True):
                if found is not None:
                    what = f"{each.value} has no effect here: {found[0].value} on line {found[1]} takes it"
                    report(each.line, f"{each.path}: {what}", "warning")
        for each in matches:
            taken.setdefault(covering(str(each.value))[0], (each, each.line))


def _overlap(one: Endpoint, other: Endpoint) -> bool:
    """Tell whether both can't be listened at: `0.0.0.0` and `[::]` take all addresses of their family."""
    if one.port != other.port or (":" in one.host) != (":" in other.host):
        return False
    return one.host == other.host or bool({"0.0.0.0", "::"} & {one.host, other.host})


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_neighbors(entries: Iterable[Node], report: Report) -> None:
    """Warn of a role that nothing is judged by."""
    for entry in entries:
        if "local-role" in entry.keys and entry.get("confederation", False) is True:
            what = "has no effect on paths: those of a confederation are judged where they enter it"
            report(entry.line_of("local-role"), f"{entry.path}.local-role: {what}", "warning")
