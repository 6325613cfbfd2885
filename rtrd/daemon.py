"""A checked configuration in; the running daemon, its parts joined in one event loop, out.

caches -> EffectiveVRPs -> VRP set -> Engine (one a router) -> router; the API asks what they know. What takes long is
done in slices, so that ExaBGP's pipe is never left unread for more than some milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtrd import config
from rtrd.api.answers import Answers
from rtrd.api.change_monitor import ChangeMonitor
from rtrd.api.history import History
from rtrd.api.server import Control
from rtrd.base import log, socket_paths
from rtrd.base.clock import Clock
from rtrd.base.loop import WatchedLoop
from rtrd.base.sockets import ListenError
from rtrd.base.systemd_notify import Notifier
from rtrd.bird.watch import Watch
from rtrd.caches import Caches
from rtrd.event_log import EventLog
from rtrd.exabgp.attachments import Attachments
from rtrd.policy import Policy
from rtrd.reload import Reloading
from rtrd.rib.whatif import Impact
from rtrd.routers import Routers
from rtrd.rtr.intervals import Intervals
from rtrd.rtr.relay import Relay, RelayError
from rtrd.rtr.sessions import fresh as fresh_sessions
from rtrd.vrps.effective import EffectiveVRPs
from rtrd.vrps.guard import Limits
from rtrd.vrps.guarding import Guarding
from rtrd.vrps.router_keys import KeySet
from rtrd.vrps.slurm_files import SlurmFiles
from rtrd.vrps.snapshot_keeper import SnapshotKeeper
from rtrlib.vrp_set import VRPSet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtrd.config import Config
    from rtrlib import RTRManager
    from rtrlib.vrp_set import VRPChanges

DONE, FAILED = 0, 1
DEFAULT_PATH: Final = Path("/etc/rtrd/rtrd.yaml")

WITHDRAW: Final = 60.0
"""Seconds that routers have to withdraw everything at the end; the service's TimeoutStopSec is longer."""

logger = log.get("daemon")


class Daemon:
    """All parts of one rtrd."""

    def __init__(self, settings: Config, clock: Clock | None = None, path: Path = DEFAULT_PATH) -> None:
        """Join the parts; nothing runs yet. `clock`: what time it is for caches, VRPs and the snapshot.

        `path`: the file that the settings were read from, and are again at a reload.
        """
        clock = clock or Clock()
        self.settings = settings
        self.vrp_set = VRPSet()
        self.routers = Routers(self.vrp_set, Policy(settings.policy))
        self.keys = KeySet(self._keys_changed)
        self.effective = EffectiveVRPs(
            self.vrp_set,
            settings.caches.on_expire,
            self._vrps_changed,
            self._became_usable,
            self._caches_ended,
            keys=self.keys,
        )
        self.guarding = self._make_guarding(clock)
        self.caches = Caches(settings, clock)
        self.event_log = EventLog(clock)
        self.change_monitor = ChangeMonitor(self)
        self.history = History(self, clock)
        self.relay = self._make_relay()
        self.slurm = SlurmFiles(
            settings.slurm, self.vrp_set, self.effective.task_queue, self.effective.slurm_changed, self.keys
        )
        self.snapshot_keeper = None
        if settings.state is not None:
            self.snapshot_keeper = SnapshotKeeper(settings.state, self.effective, settings.caches.expire, clock)
        self.attachments = Attachments(
            socket_paths.attach_path(settings.control), self.routers, group=settings.control_group
        )
        self.notifier = Notifier(self._status_line)
        self.reloading = Reloading(path, self)
        self.bird = None if settings.bird is None else Watch(settings.bird, self.vrp_set, lambda: self.ready)
        self._stop = asyncio.Event()
        self._code = DONE
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._hold: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life

    async def run(self, *, exabgp: bool) -> int:
        """Run until a signal, or until ExaBGP is gone. Gives the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload_on_signal)
        control = Control(Answers(self), self.settings.control, self.settings.http, group=self.settings.control_group)
        if exabgp:
            self.routers.add("exabgp", 0, 1, self._stop.set)
        await self.slurm.load()
        following = asyncio.create_task(self.slurm.follow(), name="slurm")
        if self.snapshot_keeper is not None:
            await self.snapshot_keeper.load()
            self.snapshot_keeper.start()
        self.caches.open(self.effective)
        self.change_monitor.start()
        self.history.start()
        self.hold_for(self.settings.start_hold)
        try:
            if not await self._listening(control, needed=not exabgp):
                return FAILED
            self.notifier.ready()
            # What is here now stays: to walk it again for garbage would hold the loop for 10 ms and more now and then.
            gc.freeze()
            if self.bird is not None:
                self.bird.start()
            await self._stop.wait()
            self.notifier.stopping()
            if self.settings.on_stop == "withdraw" and not exabgp:
                await self._withdraw()
        finally:
            self._drop_hold()
            following.cancel()
            self.change_monitor.close()
            self.history.close()
            if self.bird is not None:
                await self.bird.close()
            if self.snapshot_keeper is not None:
                await self.snapshot_keeper.close()
            self.caches.close()
            if self.guarding is not None:
                self.guarding.close()
            self.attachments.close()
            self.routers.close()
            await control.close()
            if self.relay is not None:
                await self.relay.close()
            self.notifier.close()
        return self._code

    async def _listening(self, control: Control, *, needed: bool) -> bool:
        """Listen everywhere. False: it can't, and is of no use without."""
        listeners: list[Callable[[], Awaitable[None]]] = [control.start, self.attachments.start]
        if self.relay is not None:
            listeners.append(self.relay.start)
        return all([await self._started(start(), needed=needed) for start in listeners])

    async def _started(self, listening: Awaitable[None], *, needed: bool) -> bool:
        """Without a listener of its own a service is of no use; for a router that has no other helper it still is."""
        try:
            await listening
        except (ListenError, RelayError) as error:
            if needed:
                logger.error("rtrd can't start", why=str(error))  # noqa: TRY400 - a sentence, no traceback
                return False
            logger.error("rtrd goes on serving the router without this", why=str(error))  # noqa: TRY400
        return True

    def _make_guarding(self, clock: Clock) -> Guarding | None:
        """Let changes of the VRPs be judged before they count, if the operator wants it."""
        guard = self.settings.guard
        if guard is None:
            return None
        limits = Limits(guard.max_newly_invalid, guard.max_shrink, guard.hold)
        effective = self.effective
        effective.guard = Guarding(
            limits, self.vrp_set, effective.task_queue, self._impact, effective.taken, clock=clock
        )
        return effective.guard

    def _impact(self, pending: VRPChanges | None) -> Impact:
        return Impact(self.vrp_set, (router.engine.table for router in self.routers), pending)

    def _status_line(self) -> str:
        """Say in a line how it is, for `systemctl status`."""
        active = self.manager.active_group
        source = "the last run" if self.effective.snapshot_used else "no cache" if active is None else active.name
        routes = sum(len(router.engine.table) for router in self.routers)
        vrps = self.vrp_set.count(4) + self.vrp_set.count(6)
        return f"{vrps} VRPs of {source}; {len(self.routers)} routers, {routes} routes"

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
        return Relay(server, self.vrp_set, self.keys, lambda: self.ready, intervals, sessions=sessions)

    # -- what the parts ask of each other

    @property
    def manager(self) -> RTRManager:
        """The manager of all caches."""
        return self.caches.manager

    @property
    def ready(self) -> bool:
        """A VRP set is usable."""
        return self.vrp_set.usable and (self.manager.active_group is not None or self.effective.snapshot_used)

    def _vrps_changed(self, changes: VRPChanges) -> None:
        self.routers.vrps_changed(changes, self.change_monitor.vrps_changed(changes, self.effective.cause))
        if self.relay is not None:
            self.relay.changed(changes)

    def _keys_changed(self) -> None:
        if self.relay is not None:
            self.relay.keys_changed()

    def _became_usable(self) -> None:
        self.routers.revalidate(self.event_log.cause("a VRP set came into use"))
        if self.relay is not None:
            self.relay.became_usable()

    def hold_for(self, seconds: float) -> None:
        """Leave routes unverified until so many seconds after the start, while no VRP set is usable."""
        self._drop_hold()
        if not self.vrp_set.usable:
            self._hold = self._loop.call_at(self._began + seconds, self._start_hold_over)

    def _drop_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    async def _withdraw(self) -> None:
        """Take back what was announced, as `on-stop: withdraw` wants it, as far as the routers do it in time."""
        logger.info("withdrawing what was announced", routers=len(self.routers))
        if not await self.routers.withdraw(self.event_log.cause("rtrd ends"), WITHDRAW):
            logger.warning("not everything could be withdrawn in time", seconds=WITHDRAW)

    def _reload_on_signal(self) -> None:
        task = asyncio.create_task(self.reloading.on_signal(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_hold_over(self) -> None:
        if not self.vrp_set.usable:
            logger.warning("no cache has answered: routes count as not-found", start_hold=self.settings.start_hold)
            self.vrp_set.usable = True
            self._became_usable()

    def _caches_ended(self) -> None:
        self._code = FAILED
        self._stop.set()


def run(path: Path, *, exabgp: bool) -> int:
    """Run the daemon of a configuration file in the foreground. Gives the exit code."""
    settings = config.load(path)

    async def main() -> int:
        return await Daemon(settings, path=path).run(exabgp=exabgp)

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=WatchedLoop) as runner:
        return runner.run(main())
    return DONE
