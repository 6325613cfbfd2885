"""The routers that come and go: each has an engine of its own, and is told what changes of the VRPs and the policy."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from prometheus_client import Histogram

from rtrd.base.clock import Clock
from rtrd.base.registry import MOST_NEIGHBORS, Problem, Registry, Samples
from rtrd.bmp.router import BMPRouter
from rtrd.config import MOST_ATTRIBUTES
from rtrd.door import Router
from rtrd.exabgp.problems import problems
from rtrd.exabgp.session import ExaBGP
from rtrd.kept_sessions import KeptSessions
from rtrd.known_routers import KnownRouters
from rtrd.policy import Policy
from rtrd.rib.engine import Engine
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import PATH_OUTCOMES
from rtrd.router_status import NOTHING, counted_by_address, counts_of, iso, path_counts_of, status_of, up_since
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp_set import VRPChanges, VRPSet

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of the histogram of work, in seconds."""
WITHDRAW_POLL: Final = 0.02
"""Seconds between two looks whether everything is withdrawn."""


def _secret() -> bytes:
    """Give what this host always is and others don't know, or nothing (machine-id(5))."""
    try:
        return Path("/etc/machine-id").read_bytes()
    except OSError:
        return b""


class Routers:
    """The routers of one daemon, each with an engine of its own on the common VRP set."""

    def __init__(
        self,
        vrp_set: VRPSet,
        policy: Policy,
        clock: Clock | None = None,
        *,
        known: KnownRouters | None = None,
        kept: KeptSessions | None = None,
        most_attributes: int = MOST_ATTRIBUTES,
    ) -> None:
        """`most_attributes`: octets of the attribute sets of one neighbor."""
        self._clock = clock or Clock()
        self.known = known or KnownRouters()
        """Who should be attached."""
        self.kept = kept or KeptSessions()
        """What their BGP sessions have agreed on."""
        self.policy = policy
        """What a router that is added is decided by."""
        self.on_add: Callable[[Router], None] = lambda _router: None
        """Told of each router before it says anything."""
        self._most_attributes = most_attributes
        self._vrp_set = vrp_set
        self._aspas = ASPAIndex(b"")
        self._routers: list[ExaBGP] = []
        self._monitored: list[BMPRouter] = []
        """Those that are only observed."""
        self._work = Histogram(
            "rtrd_work_seconds", "From a change of VRPs, policy or sessions to the last route it touches.",
            ("router",), registry=None, buckets=BOUNDS,
        )  # fmt: skip

    def __iter__(self) -> Iterator[ExaBGP]:
        """Give those that are told something, in the order in which they came, also while some go."""
        return iter(tuple(self._routers))

    def __len__(self) -> int:
        """How many there are, the ones that are only observed among them."""
        return len(self._routers) + len(self._monitored)

    def all(self) -> Iterator[Router]:
        """Give all, those that are only observed last, also while some go."""
        return iter((*self._routers, *self._monitored))

    def has(self, name: str) -> bool:
        """Tell whether a router of this name is there."""
        return any(router.engine.name == name for router in self.all())

    def add(
        self,
        name: str,
        read_fd: int,
        write_fd: int,
        closed: Callable[[], None],
        *,
        mid_line: bool = False,
        kept: int | None = None,
        expected: bool = True,
    ) -> ExaBGP:
        """Serve the ExaBGP behind two descriptors from now on; `closed` is called once, when it is gone.

        `mid_line`: what it says first is the rest of a line. `kept`: a file of what it has said before, which is
        closed, also where there is no room for another router: MemoryError. `expected`: it is missed from now on when
        it is gone.
        """
        try:
            engine = Engine(name, self._vrp_set, self.policy, _secret())
            engine.set_most_attributes(self._most_attributes)
            engine.aspas_changed(self._aspas, b"")
            router = ExaBGP(engine, read_fd, write_fd, closed, mid_line=mid_line, kept=kept, wall=self._clock.wall)
        except BaseException:
            if kept is not None:
                os.close(kept)
            raise
        self._routers.append(router)
        try:
            self.known.arrived(name, expected=expected)
            self.kept.arrived(name, router.bgp_sessions)
            router.on_work = self._work.labels(name).observe
            self.on_add(router)
            router.start()
        except BaseException:
            self.remove(router)
            raise
        return router

    def remove(self, router: ExaBGP) -> None:
        """Forget a router and its routes; what was announced there stays."""
        self._routers.remove(router)
        self.known.left(router.engine.name)
        self.kept.left(router.engine.name)
        router.close()
        with contextlib.suppress(KeyError):
            self._work.remove(router.engine.name)

    def monitor(self, name: str, work: Callable[[], None]) -> BMPRouter:
        """Add a router that tells its routes by BMP, until `unmonitor`; `work`: has its engine's work done soon.

        `name`: as the router calls itself; where another one has that name, a number follows.
        """
        numbered = (f"{name} {number}" for number in itertools.count(2))
        free = next(each for each in itertools.chain([name], numbered) if not self.has(each))
        engine = Engine(free, self._vrp_set, self.policy.observing())
        engine.aspas_changed(self._aspas, b"")
        engine.set_most_attributes(self._most_attributes)
        router = BMPRouter(engine, work)
        self._monitored.append(router)
        self.on_add(router)
        return router

    def unmonitor(self, router: BMPRouter) -> None:
        """Forget a router that is only observed, and its routes."""
        self._monitored.remove(router)

    def close(self) -> None:
        """Let go of every router."""
        for router in self:
            self.remove(router)

    # -- what changes

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on, also for routers that come; `cause`: a number of the event log."""
        self.policy = policy
        for router in self.all():
            router.set_policy(policy, cause)

    def set_most_attributes(self, octets: int) -> None:
        """Bound the octets of the attribute sets of each neighbor; routes that had no room are asked for again."""
        self._most_attributes = octets
        for router in self.all():
            router.set_most_attributes(octets)

    def look_again(self) -> None:
        """Ask every router what it announces by itself."""
        for router in self:
            router.look_again()

    async def withdraw(self, cause: int, seconds: float) -> bool:
        """Take back all that was announced, and wait until every ExaBGP has done so. False: that takes longer."""
        self.set_policy(Policy(), cause)
        try:
            async with asyncio.timeout(seconds):
                while not all(router.idle for router in self):  # noqa: ASYNC110 - each has its own pipe
                    await asyncio.sleep(WITHDRAW_POLL)
        except TimeoutError:
            return False
        return True

    def vrps_changed(self, changes: VRPChanges, cause: int) -> None:
        """Have the routes that these VRPs cover validated again; `cause`: a number of the event log."""
        self._tell(lambda engine: engine.vrps_changed(changes, cause), cause)

    def aspas_changed(self, index: ASPAIndex, changes: bytes, cause: int) -> None:
        """Have paths judged by these ASPAs; `changes`: since the last call, `cause`: a number of the event log."""
        self._aspas = index
        self._tell(lambda engine: engine.aspas_changed(index, changes, cause), cause)

    def revalidate(self, cause: int) -> None:
        """Have every route validated again: the VRP set became usable."""
        self._tell(lambda engine: engine.revalidate(cause), cause)

    def _tell(self, change: Callable[[Engine], None], cause: int) -> None:
        for router in self.all():
            try:
                change(router.engine)
            except MemoryError:
                router.engine.revalidate(cause)  # which takes none: of every route instead of those concerned
            router.work_soon()

    # -- what is known of them

    def tables(self) -> list[RouteTable]:
        """Give the tables of all routes learned from neighbors."""
        return [router.engine.table for router in self.all()]

    def status(self) -> Iterator[dict[str, Any] | None]:
        """Give the routers and their neighbors, as `rtrd status --json` has them; nothing of BGP's text.

        A None is no router: the loop may turn there. Routers that should be attached and are not come last.
        """
        for router in self:
            for found in status_of(router):
                since = self.known.since(router.engine.name)
                yield None if found is None else {**found, "since": iso(since)}
        for monitored in tuple(self._monitored):
            yield from status_of(monitored)
        for name, since in self.known.absent():
            yield {**NOTHING, "name": name, "since": iso(since)}

    def register(self, registry: Registry) -> None:
        """Offer what is known of routers, neighbors and routes."""
        registry.status_of(routers=self.status)
        self.known.register(registry)
        self.kept.register(registry)
        registry.on_reload(self.set_most_attributes, "max_attributes")
        registry.problems_of(self._problems)
        registry.metric("rtrd_memory_bytes", "Memory of the native tables.", self._memory, ("table",))
        neighbor = ("router", "neighbor")
        registry.metric(
            "rtrd_neighbor_up", "1 while the BGP session is up, as the router says; absent until it does.",
            self._neighbor_up, neighbor,
        )  # fmt: skip
        registry.metric(
            "rtrd_neighbor_up_since_timestamp_seconds", "Since when it is up, at the latest.",
            self._neighbor_up_since, neighbor,
        )  # fmt: skip
        registry.metric("rtrd_routes", "Routes that a neighbor announces.", self._routes, (*neighbor, "validity"))
        registry.metric(
            "rtrd_paths", "Routes that a neighbor announces, by what ASPAs make of their paths.",
            self._paths, (*neighbor, "local_role", "aspa"),
        )  # fmt: skip
        registry.metric(
            "rtrd_leaks", "Of these: routes that have leaked, as their Only to Customer says (RFC 9234).",
            self._leaks, (*neighbor, "local_role"),
        )  # fmt: skip
        registry.metric(
            "rtrd_routes_kept_back", "Of these: routes that some receiver of their rule does not get.",
            self._kept_back, (*neighbor, "reason"),
        )  # fmt: skip
        registry.metric(
            "rtrd_routes_left_out_total", "Routes that nobody should announce, and that are left out.",
            self._left_out, (*neighbor, "reason"),
        )  # fmt: skip
        registry.metric(
            "rtrd_local_routes", "Routes that the router originates, by the neighbor that gets them.",
            self._local_routes, (*neighbor, "validity"),
        )  # fmt: skip
        registry.metric(
            "rtrd_local_routes_withdrawn", "Of these: withdrawn there, as a rule of the policy says.",
            self._local_routes_withdrawn, neighbor,
        )  # fmt: skip
        registry.metric(
            "rtrd_routes_changed_total", "Changes of a route's validity.", self._changes, ("router", "from", "to")
        )
        registry.histogram(
            "rtrd_work_seconds", "From a change of VRPs, policy or sessions to the last route it touches.",
            ("router",), self._work,
        )  # fmt: skip
        command = ("router", "command")
        registry.metric(
            "rtrd_commands_total", "Commands written to the router.", partial(self._written, "commands"), command
        )
        registry.metric(
            "rtrd_command_prefixes_total",
            "Prefixes in the commands written.",
            partial(self._written, "prefixes"),
            command,
        )
        for name, text, read in _EACH:
            registry.metric(name, text, partial(self._each, read), ("router",))

    def _problems(self) -> Iterator[Problem]:
        for router in self._routers:
            yield from problems(router, self._clock.wall())

    def _each(self, read: Callable[[ExaBGP], float]) -> Samples:
        return [((router.engine.name,), read(router)) for router in self]

    def _memory(self) -> Samples:
        yield ("vrps",), self._vrp_set.memory
        yield ("routes",), sum(table.memory for table in self.tables())
        yield ("attributes",), sum(table.attributes_memory for table in self.tables())

    def _neighbors(self) -> Iterator[tuple[Router, str]]:
        for router in self.all():
            for address in sorted(router.neighbors.addresses())[:MOST_NEIGHBORS]:
                yield router, address

    def _neighbor_up(self) -> Samples:
        for router, address in self._neighbors():
            yield (router.engine.name, address), router.neighbors.up(address)

    def _neighbor_up_since(self) -> Samples:
        for router, address in self._neighbors():
            yield (router.engine.name, address), up_since(router, address)

    def _counted(self) -> Iterator[tuple[Router, str, list[str]]]:
        """Give the neighbors that have routes, and the names of their sessions."""
        for router in self.all():
            for address, names in sorted(counted_by_address(router).items())[:MOST_NEIGHBORS]:
                yield router, address, names

    def _routes(self) -> Samples:
        for router, address, names in self._counted():
            for validity, count in counts_of(router, names).items():
                yield (router.engine.name, address, validity), count

    def _path_counts(self) -> Iterator[tuple[tuple[str, str, str], dict[str, int]]]:
        """Give the routes of each neighbor by their paths, with its labels; no role: its paths are not judged."""
        for router, address, names in self._counted():
            role = next(filter(None, map(router.engine.sessions.role, names)), "")
            yield (router.engine.name, address, role), path_counts_of(router, names)

    def _paths(self) -> Samples:
        for labels, counts in self._path_counts():
            for outcome in PATH_OUTCOMES[1:]:
                yield (*labels, str(outcome)), counts[str(outcome)]

    def _leaks(self) -> Samples:
        for labels, counts in self._path_counts():
            yield labels, counts["leak"]

    def _kept_back(self) -> Samples:
        for (name, address, _), counts in self._path_counts():
            yield (name, address, "otc"), counts["kept_back"]

    def _left_out(self) -> Samples:
        for engine in (router.engine for router in self.all()):
            for address, counts in sorted(engine.left_out.items())[:MOST_NEIGHBORS]:
                for reason, count in tuple(counts.items()):
                    yield (engine.name, address, reason), count

    def _local_routes(self) -> Samples:
        for engine in (router.engine for router in self):
            for address, counts in sorted(engine.local_routes.counts().items())[:MOST_NEIGHBORS]:
                for validity, count in counts.items():
                    yield (engine.name, address, validity), count

    def _local_routes_withdrawn(self) -> Samples:
        for engine in (router.engine for router in self):
            counts = Counter(route.neighbor for route in engine.local_routes.withdrawn)
            for address in sorted(engine.local_routes.counts())[:MOST_NEIGHBORS]:
                yield (engine.name, address), counts[address]

    def _changes(self) -> Samples:
        for router in self.all():
            for (was, became), count in router.engine.table.changes().items():
                yield (router.engine.name, was, became), count

    def _written(self, what: Literal["commands", "prefixes"]) -> Samples:
        for router in self:
            for command in ("announce", "withdraw"):
                yield (router.engine.name, command), getattr(router, what)[command]


_EACH: Final[Sequence[tuple[str, str, Callable[[ExaBGP], float]]]] = (
    (
        "rtrd_outbox_routes", "Routes for which something is still to be written.",
        lambda router: router.engine.table.state.waiting,
    ),
    (
        "rtrd_commands_unanswered", "Commands that the router has not answered yet.",
        lambda router: len(router.gate.window.written),
    ),
    (
        "rtrd_commands_refused_total", "Commands that the router answered with an error.",
        lambda router: router.gate.window.errors,
    ),
    (
        "rtrd_commands_never_answered_total", "Commands whose answer never came.",
        lambda router: router.gate.window.unanswered,
    ),
    (
        "rtrd_router_unwritten_bytes", "Bytes for which the router's pipe has no room yet.",
        lambda router: router.unwritten,
    ),
    ("rtrd_router_lines_total", "Lines read from the router.", lambda router: router.lines),
    (
        "rtrd_router_lines_left_out_total", "Lines of the router that made no sense.",
        lambda router: router.undecodable,
    ),
    (
        "rtrd_router_prefixes_left_out_total",
        "Malformed prefixes, prefixes with host bits, and paths of one prefix beyond 1024, or 16 where it is crowded.",
        lambda router: router.engine.table.malformed + router.engine.table.crowded,
    ),
    (
        "rtrd_router_other_families_total", "Routes of families that are left alone.",
        lambda router: router.engine.others,
    ),
)  # fmt: skip
"""One number of each router."""
