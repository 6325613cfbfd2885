"""What is wrong with one ExaBGP and its BGP sessions, in words for the status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rtrd.base.registry import Problem
from rtrd.base.text import counted
from rtrd.exabgp.session import ExaBGP
from rtrd.exabgp.startup import BLIND_BUSY, BLIND_QUIET, BUSY, QUIET

MOST_REFUSED: Final = 10
"""Commands refused in a row after which it is no longer a matter of single routes."""
STUCK: Final = 120.0
"""Seconds for which a router may take no command."""
LONG: Final = 10.0
"""Seconds after which it is said that an earlier run's routes stand still."""
SILENT: Final = 60.0
"""Seconds for which an ExaBGP that was asked something may say nothing. It is asked for its neighbors as often."""


def problems(router: ExaBGP, now: float) -> Iterator[Problem]:
    """Give what is wrong with an ExaBGP and its BGP sessions; `now`: Unix time."""
    name, refused = router.engine.name, router.refused_in_a_row
    yield from _of_api_version(router)
    if router.api.text_since is not None:
        what = f"ExaBGP {name} writes its events as text, which rtrd does not read, so no route is known"
        yield Problem(f"{what}: write `encoder json;` in the process section", router.api.text_since, "critical")
    yield from _of_memory(router)
    yield from _of_silence(router, now)
    if refused >= MOST_REFUSED or (refused and not router.accepted):
        yield Problem(
            f"ExaBGP {name} refuses all commands: {_why_refused(router)}", None, "critical", f"refuses {name}"
        )
    elif refused:
        what = f"ExaBGP {name} refused the last {counted(refused, 'command')}: {_why_refused(router)}"
        yield Problem(what, None, "warning", f"refused {name}")
    waits_for, seconds = router.gate.waits_for, router.clock() - router.gate.since
    if waits_for is not None and seconds >= STUCK:
        what = f"nothing can be announced or withdrawn at ExaBGP {name}, which waits for: {waits_for.value}"
        yield Problem(what, now - seconds, "warning", f"waits {name}")
    yield from _of_sessions(router)
    yield from _of_previous_run(router, now)
    for address in sorted(router.startup.without_as):
        what = f"routes of {address} that router {name} had before rtrd started wait: the neighbor's AS is not known"
        yield Problem(what, None, "warning", f"no AS {name} {address}")
    yield from _of_list(router)
    for address in sorted(router.engine.full):
        what = f"routes of {address} at router {name} are left out: its attribute sets would have more octets than"
        yield Problem(f"{what} `max-attributes`", None, "warning", f"full {name} {address}")


def _of_list(router: ExaBGP) -> Iterator[Problem]:
    """Give what the list of what ExaBGP would send shows."""
    name = router.engine.name
    for address, prefix in sorted(router.local_list.deaf.items()):
        what = f"ExaBGP {name} takes commands for {address}, and does not act on them: what is sent for {prefix} is not"
        what += " what rtrd told it; a new session with the neighbor ends that (ExaBGP 4.2 after `clear adj-rib out`)"
        yield Problem(what, None, "critical", f"deaf {name} {address}")
    replaced = router.local_list.replaced
    for address in sorted({route.neighbor for route in replaced}):
        prefixes = sorted(route.prefix for route in replaced if route.neighbor == address)
        more = f", and so for {counted(len(prefixes) - 1, 'other')}" if prefixes[1:] else ""
        what = f"router {name} sends {address} another route for {prefixes[0]} than rtrd announced{more}: its"
        what += " configuration or another process announced the prefix later, and the last one stands"
        yield Problem(what, None, "warning", f"replaced {name} {address}")


def _why_refused(router: ExaBGP) -> str:
    """Say what is known of it: ExaBGP takes nothing for a neighbor that does not name the process."""
    unnamed = [address for address in sorted(router.engine.receivers) if not router.api.names(address)]
    if not unnamed:
        return "its log says why"
    more = f" and {counted(len(unnamed) - 1, 'more neighbor')} have" if unnamed[1:] else " has"
    return f"{unnamed[0]}{more} no api section that names rtrd: write `processes [ {router.api.process} ];` into it"


def _of_api_version(router: ExaBGP) -> Iterator[Problem]:
    name = router.engine.name
    if router.gate.window.foreign:
        what = f"ExaBGP {name} answers `error` to `version`: rtrd speaks the API of ExaBGP 4 and 5"
        yield Problem(
            f"{what}; write exabgp.api.version=4 into its environment", None, "critical", f"api version {name}"
        )


def _of_memory(router: ExaBGP) -> Iterator[Problem]:
    if router.starving:
        name = router.engine.name
        what = f"memory ended, and some of what ExaBGP {name} said is lost: all is learned anew soon"
        yield Problem(what, None, "critical", f"memory {name}")


def _of_silence(router: ExaBGP, now: float) -> Iterator[Problem]:
    written = router.gate.window.written
    if not written:
        return
    seconds = router.clock() - max(written[0].time, router.heard)
    if seconds >= SILENT:
        what = f"ExaBGP {router.engine.name} answers no command, and says nothing at all: it hangs or is stopped, so"
        what += " its BGP sessions end, and its neighbors are told of no change"
        yield Problem(what, now - seconds, "critical", f"silent {router.engine.name}")


def _of_sessions(router: ExaBGP) -> Iterator[Problem]:
    name, neighbors = router.engine.name, router.neighbors
    for address in sorted(neighbors.addresses()):
        since = neighbors.since(address)
        if neighbors.up(address) is False and since is not None and not neighbors.visits(address):
            yield Problem(f"the BGP session of router {name} with {address} is down", since, "warning")
    for address in sorted(router.engine.receivers):
        if neighbors.up(address) and neighbors.visits(address) and router.engine.receives(address):
            what = f"nothing is announced to {address} at router {name}: ExaBGP takes no announcements for a"
            yield Problem(f"{what} neighbor from a range of addresses", None, "warning", f"range {name} {address}")
    lacks = router.api.lacks()
    unnamed = {address for address, lack in lacks.items() if not lack.section}  # of which this is said
    for address, since in sorted((one, since) for one, since in neighbors.untold.items() if one not in unnamed):
        what = f"router {name} does not report when its session with {address} comes up or goes down"
        yield Problem(f"{what}: neighbor-changes is missing in the neighbor's api section", since, "warning")
    yield from _of_lists(router)
    yield from _of_api(router)
    for address, since in sorted(router.bgp_sessions.waiting.items()):
        what = f"router {name} has routes of {address} that can't be read: its OPENs were not heard"
        yield Problem(
            f"{what}, and its lists are unclear on ADD-PATH; they come with the next session", since, "warning"
        )


def _of_lists(router: ExaBGP) -> Iterator[Problem]:
    name, sent_before = router.engine.name, router.conversation.sent_before
    for address in sorted(sent_before.unlearnable(router.startup.older)):
        what = f"what {address} announced to router {name} before rtrd started can't be known: "
        if sent_before.knows_no_refresh(address):
            what += (
                "it has no route refresh, and ExaBGP keeps no list: write `adj-rib-in enable;` into the neighbor, or"
            )
            what += " `route-refresh enable;` into its capability section"
        else:
            what += "ExaBGP does not ask who came by a range of addresses for routes, and keeps no list: write"
            what += " `adj-rib-in enable;` into the range"
        yield Problem(what, None, "warning", f"unlearnable {name} {address}")
    for address in sorted(sent_before.unattributed(router.startup.older)):
        what = f"what {address} announced to router {name} before rtrd started can't be known: ExaBGP has one list for"
        what += " all that came by a range of addresses, and does not ask them for their routes"
        yield Problem(f"{what}; they come with the next session", None, "warning", f"unattributed {name} {address}")


def _of_previous_run(router: ExaBGP, now: float) -> Iterator[Problem]:
    """Say what stands of an earlier run, where that takes long."""
    name, startup, left = router.engine.name, router.startup, router.engine.previous_run.left
    seconds = router.clock() - startup.learning_since
    if startup.over or not left or seconds < LONG:
        return
    what = f"{counted(left, 'route')} that rtrd had announced at router {name} before it started"
    what += f" {'stands' if left == 1 else 'stand'} though no neighbor has sent {'it' if left == 1 else 'them'} since"
    awaited = startup.awaited
    if awaited:
        more = f" and {counted(len(awaited) - 1, 'more neighbor')}" if awaited[1:] else ""
        what += (
            f": ExaBGP keeps no list of what {awaited[0]}{more} announced, so rtrd waits until none of these has come"
        )
        what += f" from there for {BLIND_QUIET:.0f} seconds, at most {BLIND_BUSY / 60:.0f} minutes"
    else:
        what += (
            f": rtrd waits until its neighbors are quiet for {QUIET:.0f} seconds, at most {BUSY:.0f}, to ask for a list"
        )
    yield Problem(what, now - seconds, "warning", f"stands {name}")


def _of_api(router: ExaBGP) -> Iterator[Problem]:
    if router.api.text_since is not None:
        return
    for address, lack in sorted(router.api.lacks().items()):
        what = f"router {router.engine.name} does not report the UPDATEs of {address}, so its routes are left out"
        if lack.later:
            yield Problem(f"{what}: the api section of a reload counts from the next session on", lack.since, "warning")
            continue
        line, where = _RECEIVE, "the api section of the neighbor"
        if not lack.section:
            line, where = f"api {{ processes [ {router.api.process} ]; neighbor-changes; {line} }}", "the neighbor"
        yield Problem(f"{what}: write `{line}` into {where}", lack.since, "warning")


_RECEIVE: Final = "receive { packets; update; open; } send { packets; open; }"
