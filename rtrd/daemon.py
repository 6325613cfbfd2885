"""A checked configuration in; the running daemon, its parts joined in one event loop, out.

caches -> Feed -> VRP set -> Engine (one a router) -> router; the API asks what they know. Everything that takes long is
done in slices, so that ExaBGP's pipe is never left unread for more than some milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from rtrd import config
from rtrd.engine import Engine
from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.router import ExaBGP
from rtrd.ops import log
from rtrd.ops.control import Control, ControlError, NotReadyError
from rtrd.policy import Policy
from rtrd.routes.validity import explain
from rtrd.rtr.intervals import Intervals
from rtrd.rtr.relay import Relay, RelayError
from rtrd.status import status_of
from rtrd.vrps.feed import Feed
from rtrd.vrps.keeper import Keeper
from rtrd.vrps.slurm_files import SlurmFiles
from rtrlib import CacheGroup, RTRManager, SSHServer, TCPServer
from rtrlib.vrp_set import VRPSet, parse_prefix, related

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping
    from pathlib import Path

    from rtrd.config import Config, Group, Server
    from rtrd.routes.validity import Prefix
    from rtrd.tags import Validity
    from rtrlib.vrp_set import Changes

DONE, FAILED = 0, 1

logger = log.get("daemon")


class Daemon:
    """All parts of one rtrd. Answers the API (rtrd.ops.control.Daemon)."""

    def __init__(self, settings: Config) -> None:
        self.settings = settings
        self.vrp_set = VRPSet()
        self.policy = Policy(settings.policy)
        self.routers: list[ExaBGP] = []
        self.feed = Feed(
            self.vrp_set, settings.caches.on_expire, self._vrps_changed, self._became_usable, self._caches_ended
        )
        self.manager = make_manager(settings)
        self.relay = self._make_relay()
        self.slurm = SlurmFiles(settings.slurm, self.vrp_set, self._vrps_changed)
        self.keeper = None if settings.state is None else Keeper(settings.state, self.feed, settings.caches.expire)
        self._stop = asyncio.Event()
        self._code = DONE
        self._loop = asyncio.get_running_loop()
        self._dispatch_timer: asyncio.TimerHandle | None = None

    # -- life

    async def run(self, *, exabgp: bool) -> int:
        """Run until a signal, or until ExaBGP is gone. Gives the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, _no_reload)
        control = Control(self, self.settings.control, self.settings.http)
        if exabgp:
            self._add_exabgp("exabgp", 0, 1)
        await self.slurm.load()
        following = asyncio.create_task(self.slurm.follow(), name="slurm")
        if self.keeper is not None:
            await self.keeper.load()
            self.keeper.start()
        self.manager.open(self.feed)
        self._loop.add_reader(self.manager.fileno(), self._dispatch)
        self._dispatch()
        hold = self._loop.call_later(self.settings.start_hold, self._start_hold_over)
        try:
            if not await self._started(control.start(), needed=not exabgp):
                return FAILED
            if self.relay is not None and not await self._started(self.relay.start(), needed=not exabgp):
                return FAILED
            await self._stop.wait()
        finally:
            hold.cancel()
            following.cancel()
            if self.keeper is not None:
                await self.keeper.close()
            if self._dispatch_timer is not None:
                self._dispatch_timer.cancel()
            self._loop.remove_reader(self.manager.fileno())
            self.manager.close()
            for router in self.routers:
                router.close()
            await control.close()
            if self.relay is not None:
                await self.relay.close()
        return self._code

    async def _started(self, listening: Awaitable[None], *, needed: bool) -> bool:
        """Without a listener of its own a service is of no use; for a router that has no other helper it still is."""
        try:
            await listening
        except (ControlError, RelayError) as error:
            if needed:
                logger.error("rtrd can't start", why=str(error))  # noqa: TRY400 - a sentence, no traceback
                return False
            logger.error("rtrd goes on serving the router without this", why=str(error))  # noqa: TRY400
        return True

    def _add_exabgp(self, name: str, read_fd: int, write_fd: int) -> None:
        engine = Engine(name, self.vrp_set, self.policy, read_attributes)
        router = ExaBGP(engine, read_fd, write_fd, self._stop.set)
        self.routers.append(router)
        router.start()

    def _make_relay(self) -> Relay | None:
        """Routers are told the intervals that the operator chose for our own caches: their data is as old as ours."""
        caches = self.settings.caches
        if self.settings.rtr_server is None:
            return None
        intervals = Intervals(caches.refresh, caches.retry, caches.expire)
        return Relay(self.settings.rtr_server.listen, self.vrp_set, lambda: self.ready, intervals)

    # -- the caches' side

    def _dispatch(self) -> None:
        if self._dispatch_timer is not None:
            self._dispatch_timer.cancel()
            self._dispatch_timer = None
        seconds = self.manager.dispatch()
        if seconds is not None:
            self._dispatch_timer = self._loop.call_later(seconds, self._dispatch)

    def _vrps_changed(self, changes: Changes) -> None:
        for router in self.routers:
            router.engine.vrps_changed(changes)
            router.pump()
        if self.relay is not None:
            self.relay.changed(changes)

    def _became_usable(self) -> None:
        for router in self.routers:
            router.engine.revalidate()
            router.pump()
        if self.relay is not None:
            self.relay.became_usable()

    def _start_hold_over(self) -> None:
        if not self.vrp_set.usable:
            logger.warning("no cache has answered: routes count as not-found", start_hold=self.settings.start_hold)
            self.vrp_set.usable = True
            self._became_usable()

    def _caches_ended(self) -> None:
        self._code = FAILED
        self._stop.set()

    # -- the API's side

    def status(self) -> dict[str, Any]:
        """As DESIGN's contract of `rtrd status --json`."""
        return status_of(self)

    @property
    def ready(self) -> bool:
        """A VRP set is usable."""
        return self.vrp_set.usable and (self.manager.active_group is not None or self.feed.snapshot_used)

    def health(self) -> str | None:
        """Why the daemon is not healthy."""
        if not self.ready:
            return "no VRP set is usable yet"
        return "all VRPs are past the expire interval" if self.feed.expired_at_all else None

    @property
    def snapshot_used(self) -> bool:
        """The VRPs that count are those of the last run."""
        return self.feed.snapshot_used

    def validity(self, prefix: Prefix, asn: int) -> dict[str, Any]:
        """Routinator's validity JSON."""
        if not self.vrp_set.usable:
            raise NotReadyError("no VRP set is usable yet: no cache has answered")
        return explain(prefix, asn, (entry.vrp for entry in self.vrp_set.covering(str(prefix))))

    def vrps(self, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Effective VRPs as of a VRP file; with a prefix: those that cover it or lie within it."""
        outer = None if prefix is None else parse_prefix(str(prefix))
        for entry in self.vrp_set.vrps():
            if outer is None or related(outer, entry.vrp.prefix):
                yield {"asn": entry.vrp.asn, "prefix": entry.vrp.prefix, "maxLength": entry.vrp.max_length}

    def routes(self, validity: Validity | None, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Routes; with a prefix: it and more specific ones."""
        for router in self.routers:
            for neighbor, route in router.engine.routes(None if prefix is None else str(prefix)):
                if validity is None or route.validity == validity:
                    yield {
                        "router": router.engine.name,
                        "neighbor": neighbor,
                        "prefix": route.prefix,
                        "path_id": route.path_id,
                        "origin_as": route.origin,
                        "validity": route.validity,
                        "decision": route.decision,
                    }


def make_manager(settings: Config) -> RTRManager:
    """Give the manager of all groups, each cache in a process of its own."""
    caches = settings.caches
    return RTRManager(
        groups=[_group(group) for group in caches.groups],
        refresh_interval=caches.refresh,
        retry_interval=caches.retry,
        expire_interval=caches.expire,
        intervals=caches.intervals,
        isolated=True,
    )


def _group(group: Group) -> CacheGroup:
    # The texts of a configuration have types of their own, which no JSON of a status takes.
    return CacheGroup(group.preference, [_server(server) for server in group.servers], name=str(group.name))


def _server(server: Server) -> TCPServer | SSHServer:
    if server.transport == "tcp":
        return TCPServer(str(server.host), server.port)
    return SSHServer(
        str(server.host),
        server.port,
        username=server.user or "",
        private_key=None if server.key is None else str(server.key),
        host_key=None if server.host_key is None else str(server.host_key),
    )


def _no_reload() -> None:
    logger.warning("SIGHUP: this version reads its configuration at the start only; restart it to change something")


def run(path: Path, *, exabgp: bool) -> int:
    """Run the daemon of a configuration file in the foreground. Gives the exit code."""
    settings = config.load(path)

    async def main() -> int:
        return await Daemon(settings).run(exabgp=exabgp)

    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(main())
    return DONE
