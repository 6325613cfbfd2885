"""Checks of values that are right by themselves, but not together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rtrd.base.socket_paths import ATTACH_SUFFIX
from rtrd.config.yaml_reader import FAULTY, Found, Report

MAX_CACHES: Final = 30
"""A cache is one bit of a 32-bit word in the VRP set."""

MAX_SOCKET_PATH: Final = 107 - len(ATTACH_SUFFIX)
"""Bytes of the control socket's path: that of `rtrd attach` is longer (unix(7), sun_path less its final NUL)."""

SSH_PORT: Final = 22


def check_server(found: Found, report: Report) -> None:
    """Want the keys that the transport needs, and none that it has no use for."""
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


def check_caches(found: Found, report: Report) -> None:
    """Want no two groups alike, no more caches than the VRP set has bits for, and `expire` longer than `refresh`.

    `retry` may be as long: a cache that answered before is asked again much sooner.
    """
    expire = found.get("expire", 7200)
    for key, default in (("refresh", 3600), ("retry", 600)):
        interval = found.get(key, default)
        if FAULTY in (expire, interval):
            continue
        if interval > expire or (key == "refresh" and interval == expire):
            line = max(found.line_of(name) for name in (key, "expire"))
            how = "greater than" if key == "refresh" else "no less than"
            report(line, f"{found.path}: expire ({expire}) must be {how} {key} ({interval})")
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


def check_action(found: Found, report: Report) -> None:
    """Want tags and a local preference only where there is an announcement."""
    action = found.get("action")
    if action in (FAULTY, "announce"):
        return
    for key in ("tags", "local-preference"):
        if key in found.keys:
            report(found.line_of(key), f"{found.path}.{key}: only for action announce, not {action}")


def check_rule(found: Found, report: Report) -> None:
    """Want only what can be done with local routes."""
    if found.get("direction", "in") != "out":
        return
    if "from" in found.keys:
        report(found.line_of("from"), f"{found.path}.from: not for direction out, whose routes no neighbor sent")
    for validity in ("valid", "not-found", "invalid", "unverified"):
        if validity not in found.keys:
            continue
        action = found.keys[validity].get("action")
        able = ("observe", "withdraw") if validity == "invalid" else ("observe",)
        if action not in (FAULTY, *able):
            what = f"not possible for local routes: {action}; possible: {' or '.join(able)}"
            report(found.line_of(validity), f"{found.path}.{validity}: {what}")


def check_rtr_server(found: Found, report: Report) -> None:
    """Want an address to connect to."""
    if not {"listen", "tls"} & found.keys.keys():
        report(found.line, f"{found.path}: needs 'listen' or 'tls', or nobody can connect")


def check_config(found: Found, report: Report) -> None:
    """Want sections to agree, and a path of the control socket that a socket can have."""
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
            own_fault = key == "refresh" or values[key] > values["expire"]
            if own_fault and not {key, "expire"} & relay.keys.keys():
                continue  # the caches' own, told there
            line = max(relay.line_of(name) for name in (key, "expire"))
            what = f"expire ({values['expire']}) must be greater than {key} ({values[key]})"
            report(line, f"{relay.path}: {what}; keys that rtr-server leaves out are taken from caches")
