"""What is wrong with the caches of a configuration: which of them, each group, and all (RFC 8210, section 10). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rtrd.base.clock import timestamp
from rtrd.base.registry import Problem
from rtrlib import ManagerGroup, RTRSocket, RTRSocketState

GRACE: Final = 30
"""Seconds that a cache which has not failed may take until it is in sync."""


def problems(groups: Sequence[ManagerGroup], now: float, previous: float | None = None) -> Iterator[Problem]:
    """Give them. `groups`: the most preferred first. `previous`: when the VRPs of the previous run in force expire."""
    started = [cache for group in groups for cache in group.sockets if cache.state is not RTRSocketState.CLOSED]
    out = [cache for cache in started if not cache.in_sync and (cache.error or now - cache.since > GRACE)]
    if started and len(out) == len(started):
        since = max(cache.since for cache in out)
        yield Problem(f"no cache is in sync{_left(groups, previous)}", since, "critical", "no cache")
    else:
        yield from _preferred(groups)
    for cache in out:
        never = "has never been" if not cache.last_sync else "is not"
        what = f"cache {cache} {never} in sync: {cache.error or _missing(cache)}"
        yield Problem(what, cache.since, "warning", f"cache {cache.index}", bool(cache.error))
    for cache in started:
        if cache.lower_version_until is not None:
            what = (
                f"cache {cache} speaks version 2 of RTR as an old draft has it: version 1 is spoken with it until"
                f" {timestamp(cache.lower_version_until)}, so it gives"
                " no ASPAs; replace it, or write `max-version: 1` for it"
            )
            yield Problem(what, None, "warning", f"version {cache.index}")
        if cache.aspas_expire is not None:
            what = (
                f"cache {cache} no longer speaks version 2 of RTR: its ASPAs are kept until they expire,"
                f" at {timestamp(cache.aspas_expire)}"
            )
            yield Problem(what, None, "warning", f"aspas {cache.index}")


def _missing(cache: RTRSocket) -> str:
    """Say what has not come of a cache that has not failed, or not yet: it has a minute to say something."""
    if cache.state is RTRSocketState.CONNECTING:
        return "no connection has been made yet"
    return "it is connected, but has sent no complete set of VRPs yet"


def _left(groups: Sequence[ManagerGroup], previous: float | None) -> str:
    """Say whose VRPs are in force meanwhile, and for how long."""
    if previous is not None:
        return f"; the VRPs of the previous run are in force until they expire, at {timestamp(previous)}"
    for group in groups:
        expires = [cache.expires for cache in group.sockets if cache.expires is not None]
        if group.active and expires:
            return f"; the VRPs of group {group.name} are in force until they expire, at {timestamp(max(expires))}"
    return ""


def _preferred(groups: Sequence[ManagerGroup]) -> Iterator[Problem]:
    """Tell of a group that is used only because those before it are dead."""
    better: list[RTRSocket] = []
    for group in groups:
        if group.active and better:
            what = f"group {group.name} is in use: no cache of group {groups[0].name}, which is preferred, is in sync"
            yield Problem(what, max(cache.since for cache in better), "warning", "preferred group")
        better += group.sockets
