"""The parts of one rtrd, joined in one event loop: caches -> effective VRPs -> the engines of the routers.

Each part registers what it offers (rtrd.base.registry); rtrd.main adds the API, and runs the whole. Everything that
takes long is done in slices, so that ExaBGP's pipe is never left unread for more than some milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Literal

from rtrd.base import log, shortages, signals, socket_paths
from rtrd.base.background import Background
from rtrd.base.clock import Clock, timestamp
from rtrd.base.ending import Part, end_each
from rtrd.base.loop import turns
from rtrd.base.registry import Problem, Registry
from rtrd.base.sockets import ListenError
from rtrd.base.state_folder import StateFolder
from rtrd.base.systemd_notify import Notifier
from rtrd.base.text import counted, printable
from rtrd.bird.watch import Watch
from rtrd.bmp.station import Station
from rtrd.caches import Caches
from rtrd.config import Config, Guard, NeighborConfig, PolicyRule
from rtrd.event_log import EventLog
from rtrd.events.messages import own_name
from rtrd.events.publisher import Publisher
from rtrd.exabgp.attachments import Attachments
from rtrd.exabgp.session import ExaBGP
from rtrd.health import Health
from rtrd.history import History
from rtrd.kept_sessions import KeptSessions
from rtrd.kept_versions import KeptVersions
from rtrd.known_routers import KnownRouters
from rtrd.policy import Policy
from rtrd.rib.path_whatif import path_impact
from rtrd.rib.whatif import vrp_impact
from rtrd.routers import Routers
from rtrd.rtr.intervals import Intervals
from rtrd.rtr.relay import Relay, RelayError, Sets
from rtrd.rtr.sessions import fresh as fresh_sessions
from rtrd.version import __version__
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.effective import EffectiveVRPs
from rtrd.vrps.exempts import Exempts
from rtrd.vrps.guard import GuardLimits
from rtrd.vrps.guarding import Guarding
from rtrd.vrps.router_keys import KeySet
from rtrd.vrps.slurm_files import SlurmFiles
from rtrd.vrps.snapshot_keeper import SnapshotKeeper
from rtrlib.vrp_set import VRPChanges, VRPSet

DONE, FAILED = 0, 1

MOST_STARVED: Final = 2
"""How often one process learns everything anew because memory ended."""
WITHDRAW: Final = 60.0
"""Seconds that routers have to withdraw everything at the end; the service's TimeoutStopSec is longer."""

logger = log.get("daemon")


class Daemon:
    """All parts of one rtrd but the API."""

    def __init__(self, settings: Config, clock: Clock | None = None) -> None:
        """Join the parts; nothing runs yet. `clock`: what time it is for caches, VRPs, the snapshot and events."""
        self.clock = clock or Clock()
        self.settings = settings
        """As they were at the start."""
        self.registry = Registry(self.clock.wall)
        self.vrp_set = VRPSet()
        self.event_log = EventLog(self.clock)
        self.history = History(settings.state, settings.history, self.event_log, self.clock)
        known = KnownRouters(settings.state, settings.routers, self.clock)
        kept = KeptSessions(settings.state)
        policy = Policy(settings.policy, settings.neighbors)
        self.routers = Routers(
            self.vrp_set, policy, self.clock, known=known, kept=kept, most_attributes=settings.max_attributes
        )
        self.keys = KeySet(self._keys_changed)
        self.aspas = ASPASet(self._aspas_changed)
        self.effective = EffectiveVRPs(
            self.vrp_set,
            settings.caches.on_expire,
            self._vrps_changed,
            self._became_usable,
            self._caches_ended,
            keys=self.keys,
            aspa_set=self.aspas,
        )
        self.guarding = self.effective.guard = Guarding(
            _limits(settings.guard), self.vrp_set, self.effective.task_queue,
            lambda pending: vrp_impact(self.vrp_set, self.routers.tables(), pending), self.effective.taken,
            path_impact=lambda change: path_impact(self.routers.tables(), self.aspas.due, change),
            aspa_set=self.aspas, clock=self.clock,
        )  # fmt: skip
        versions = KeptVersions(settings.state, self.clock)
        self.caches = Caches(settings.caches, self.effective, self.clock, versions)
        self.relay = self._make_relay()
        self.slurm = SlurmFiles(
            settings.slurm, self.vrp_set, self.effective.task_queue, self.effective.slurm_changed, self.keys,
            aspa_set=self.aspas,
        )  # fmt: skip
        self.exempts = Exempts(
            settings.state, self.vrp_set, self.effective.task_queue, self.effective.exempts_changed, self.clock
        )
        self.snapshot_keeper: SnapshotKeeper | None = None
        self.state_folder: StateFolder | None = None
        if settings.state is not None:
            self.state_folder = StateFolder(settings.state, self.registry, self.clock)
            self.snapshot_keeper = SnapshotKeeper(settings.state, self.effective, settings.caches.expire, self.clock)
        self.attachments = Attachments(
            socket_paths.attach_path(settings.control), self.routers, group=settings.control_group
        )
        self.health = Health(self.registry, self.why_unhealthy)
        self.notifier = Notifier(self._status_line)
        self.bmp = None if settings.bmp is None else Station(settings.bmp, self.routers, self.clock.wall)
        self.bird = None if settings.bird is None else Watch(settings.bird, self.vrp_set, lambda: self.ready)
        self.publisher = Publisher(
            settings.state, own_name(printable(socket.gethostname()), settings.control), self.clock,
            listen=self.event_log.listen, status=self.registry.status,
        )  # fmt: skip
        self._on_stop: Literal["keep", "withdraw"] = settings.on_stop
        self._start_hold: float = settings.start_hold
        self._following = Background("slurm")
        self._stop = asyncio.Event()
        self._code = DONE
        self.effective.task_queue.lost = self._lost_vrps
        self._not_started: list[Problem] = []
        self._learning_anew = False
        self._starved = 0
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._began_by_clock = self.clock.steady()
        self._hold: asyncio.TimerHandle | None = None
        self._register()

    def _register(self) -> None:
        """Have all parts register what they offer; the caches first, whose settings alone can be refused."""
        registry = self.registry
        registry.status_of(
            version=lambda: __version__, host=lambda: printable(socket.gethostname()),
            started=self._start_date, ready=lambda: self.ready,
        )  # fmt: skip
        registry.problems_of(self._problems)
        registry.problems_of(self.attachments.problems)
        self.health.register(registry)
        registry.metric(
            "rtrd_build_info", "Always 1.",
            lambda: [((__version__, platform.python_version()), 1)], ("version", "python"),
        )  # fmt: skip
        registry.metric("rtrd_ready", "1 while a VRP set is usable.", lambda: self.ready)
        registry.metric(
            "rtrd_loop_longest_turn_seconds", "Longest time for which the routers' pipes were not looked at.",
            lambda: turns().longest,
        )  # fmt: skip
        registry.metric("rtrd_loop_long_turns_total", "How often that was more than 50 ms.", lambda: turns().long)
        vrps = (self.caches, self.effective, self.guarding, self.slurm, self.exempts)
        for each in (*vrps, self.routers, self.event_log, self.history, self.publisher):
            each.register(registry)
        not_configured = dict.fromkeys(("rtr_server", "bmp", "bird", "snapshot"), lambda: None)
        registry.status_of(**not_configured)
        for part in (self.relay, self.bmp, self.bird, self.snapshot_keeper):
            if part is not None:
                part.register(registry)
        registry.status_of(loop=lambda: turns()._asdict())
        registry.on_reload(self._set_policy, "policy", "neighbors")
        registry.on_reload(lambda guard: self.guarding.change(_limits(guard)), "guard")
        registry.on_reload(self._hold_for, "start_hold")
        registry.on_reload(self._set_on_stop, "on_stop")

    def _start_date(self) -> str:
        """Say when that was, by the date as it is now: it may have been wrong then."""
        return timestamp(self.clock.date_of(self._began_by_clock))

    # -- life

    async def start(self, *, exabgp: bool) -> None:
        """Read what is on the disk and connect to the caches. `exabgp`: serve the one behind stdin and stdout."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._asked_to_end)
        signals.name_stray(self._loop, lambda name: logger.warning(signals.MEANS_NOTHING, signal=name))
        await self.routers.kept.load()
        if exabgp:
            self._serve_exabgp(mid_line=False)
        self.history.start()
        await self.publisher.start(self.settings.events)  # before what is an event
        await self.routers.known.load()
        await self.slurm.load()
        await self.exempts.start()
        self._following.start(self.slurm.follow)
        if self.snapshot_keeper is not None:
            await self.snapshot_keeper.load()
            self.snapshot_keeper.start()
        if self.state_folder is not None:
            await self.state_folder.start()
        await self.caches.kept.load(self.caches.manager)
        self.caches.open()
        self._hold_for(self.settings.start_hold)

    def _asked_to_end(self) -> None:
        signals.note_end()
        self._stop.set()

    async def run(self, start_api: Callable[[], Awaitable[None]], *, exabgp: bool) -> int:
        """Listen everywhere, and run until a signal or until ExaBGP is gone. Gives the exit code."""
        starts = [start_api, self.attachments.start]
        if self.relay is not None:
            starts.append(self.relay.start)
        if self.bmp is not None:
            starts.append(self.bmp.start)
        if not all([await self._started(start(), needed=not exabgp) for start in starts]):
            return FAILED
        self.notifier.ready()
        self.health.start()
        # What is here now stays: to walk it again for garbage would hold the loop for 10 ms and more now and then.
        gc.freeze()
        if self.bird is not None:
            self.bird.start()
        await self._stop.wait()
        self.notifier.stopping()
        if self._on_stop == "withdraw" and not exabgp:
            await self._withdraw()
        return self._code

    async def close(self) -> None:
        """End every part."""
        parts: tuple[Part | None, ...] = (
            self.health, self.state_folder, self.routers.known, self.routers.kept, self.caches.kept, self._following,
            self.exempts, self.bird, self.snapshot_keeper, self.caches, self.guarding, self.attachments, self.bmp,
            self.routers, self.relay, self.history, self.publisher, self.notifier,
        )  # fmt: skip
        await end_each(self._drop_hold, *(part.close for part in parts if part is not None))

    async def _started(self, listening: Awaitable[None], *, needed: bool) -> bool:
        """Tell whether it could listen; False: it could not, and a service is of no use without."""
        try:
            await listening
        except (ListenError, RelayError) as error:
            if needed:
                logger.error("rtrd can't start", why=str(error))  # noqa: TRY400 - a sentence, no traceback
                return False
            logger.error("rtrd continues to serve the router without this", why=str(error))  # noqa: TRY400
            self._not_started.append(Problem(str(error), self.clock.wall(), "warning"))
        return True

    def _make_relay(self) -> Relay | None:
        """Routers are told the intervals of our own caches, unless the operator chose others."""
        caches, server = self.settings.caches, self.settings.rtr_server
        if server is None:
            return None
        intervals = Intervals(
            caches.refresh if server.refresh is None else server.refresh,
            caches.retry if server.retry is None else server.retry,
            caches.expire if server.expire is None else server.expire,
        )
        sessions = fresh_sessions(self.settings.state)
        sets = Sets(self.vrp_set, self.keys, self.aspas)
        return Relay(server, sets, lambda: self.ready, intervals, sessions=sessions)

    def _status_line(self) -> str:
        """Say in a line how it is, for `systemctl status`."""
        source = "the last run" if self.effective.snapshot_used else self.caches.active_group or "no cache"
        routes = sum(map(len, self.routers.tables()))
        vrps = self.vrp_set.count(4) + self.vrp_set.count(6)
        summary = self.health.read().summary
        table = f"{counted(len(self.routers), 'router')}, {counted(routes, 'route')}"
        return f"{summary}; {counted(vrps, 'VRP')} of {source}; {table}"

    # -- what the parts ask of each other

    @property
    def ready(self) -> bool:
        """A VRP set is usable."""
        return self.vrp_set.usable and (self.caches.active_group is not None or self.effective.snapshot_used)

    def why_unhealthy(self) -> str | None:
        """Say why VRPs can't be relied on; None: they can."""
        if not self.ready:
            return f"no VRP set is usable yet: routes are {'not-found' if self.vrp_set.usable else 'unverified'}"
        if not self.effective.expired_at_all:
            return None
        added = self.vrp_set.count(4) + self.vrp_set.count(6)
        gone = "routes are not-found" + (", but for what SLURM files and exempts add" if added else "")
        return f"{self.effective.why_expired}: {'they are kept' if self.vrp_set.heard else gone}"

    def _problems(self) -> Iterator[Problem]:
        why = self.why_unhealthy()
        if why is not None:
            yield Problem(why, None, "critical")
        elif not self.vrp_set.count(4) + self.vrp_set.count(6):
            yield Problem("no VRP is in force, though a set is usable: every route is not-found", None, "warning")
        yield from self._not_started
        date_of = Clock().date_of
        yield from (Problem(why, date_of(since), "warning", why) for why, since in shortages.noted())

    def _vrps_changed(self, changes: VRPChanges) -> None:
        cause = self.effective.cause
        cache = cause if cause in map(str, self.caches.all()) else None
        self.routers.vrps_changed(changes, self.event_log.vrps(changes, cause, cache, self.vrp_set))
        if self.relay is not None:
            self.relay.changed(changes)

    def _aspas_changed(self, changes: bytes) -> None:
        cause = self.event_log.aspas(changes, len(self.aspas.index), self.effective.cause)
        self.routers.aspas_changed(self.aspas.index, changes, cause)
        if self.relay is not None:
            self.relay.others_changed()

    def _keys_changed(self) -> None:
        if self.relay is not None:
            self.relay.others_changed()

    def _became_usable(self) -> None:
        self.routers.revalidate(self.event_log.cause("a VRP set came into use"))
        if self.relay is not None:
            self.relay.became_usable()

    def _set_policy(self, rules: tuple[PolicyRule, ...], neighbors: tuple[NeighborConfig, ...]) -> None:
        self.routers.set_policy(Policy(rules, neighbors), self.event_log.cause("another policy"))

    def _set_on_stop(self, on_stop: Literal["keep", "withdraw"]) -> None:
        self._on_stop = on_stop

    def _hold_for(self, seconds: float) -> None:
        """Leave routes unverified until so many seconds after the start, while no VRP set is usable."""
        self._drop_hold()
        self._start_hold = seconds
        if not self.vrp_set.usable:
            self._hold = self._loop.call_at(self._began + seconds, self._start_hold_over)

    def _drop_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _start_hold_over(self) -> None:
        if not self.vrp_set.usable:
            logger.warning("no cache has answered: routes count as not-found", start_hold=self._start_hold)
            self.vrp_set.usable = True
            self._became_usable()

    async def _withdraw(self) -> None:
        """Take back what was announced, as `on-stop: withdraw` wants it, as far as the routers do it in time."""
        logger.info("withdrawing what was announced", routers=len(self.routers))
        if not await self.routers.withdraw(self.event_log.cause("rtrd ends"), WITHDRAW):
            logger.warning("not everything could be withdrawn in time", seconds=WITHDRAW)

    def _caches_ended(self) -> None:
        self._code = FAILED
        self._stop.set()

    def _serve_exabgp(self, *, mid_line: bool) -> None:
        """Serve the ExaBGP whose process this is; when memory ends, learn all of it anew, and at last end."""
        router = self.routers.add("exabgp", 0, 1, self._exabgp_gone, mid_line=mid_line, expected=False)
        router.on_starved = lambda: self._learn_anew(router)

    def _exabgp_gone(self) -> None:
        if not self._learning_anew:
            self._stop.set()

    def _learn_anew(self, router: ExaBGP) -> None:
        if self._starved == MOST_STARVED:
            self._end_for_another("memory ends again and again: rtrd ends, for ExaBGP to start another")
            return
        self._starved += 1
        self._learning_anew = True
        try:
            self.routers.remove(router)
            self._serve_exabgp(mid_line=router.mid_line)
        except MemoryError:  # nobody reads ExaBGP's pipe now, which ends what it does
            self._end_for_another("there is no memory to learn anew in: rtrd ends, for ExaBGP to start another")
        finally:
            self._learning_anew = False

    def _lost_vrps(self) -> None:
        self._end_for_another("memory ended while VRPs changed: rtrd ends, for another one to ask the caches for all")

    def _end_for_another(self, why: str) -> None:
        """End because memory did, so that another rtrd begins anew: what this one knows may have gaps."""
        if self._code != DONE:
            return
        self._code, self._on_stop = FAILED, "keep"
        self._stop.set()
        logger.critical(why)


def _limits(guard: Guard | None) -> GuardLimits | None:
    if guard is None:
        return None
    return GuardLimits(guard.max_newly_invalid, guard.max_shrink, guard.hold, guard.max_path_invalid)
