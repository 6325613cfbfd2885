"""The caches of all groups and their failover, driven by the caller's loop.

Nothing here has a thread: whoever owns the loop calls `dispatch`, from one thread at a time.
"""

from __future__ import annotations

import logging
import select
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count
from typing import Final

from rtrlib.cache import Cache
from rtrlib.children import reap
from rtrlib.exceptions import RTRInitError
from rtrlib.failover import Action, Activate, Drop, Failover, Release, Start, Stop
from rtrlib.link import Link, Resume
from rtrlib.listener import NOBODY, VRPListener
from rtrlib.manager_group import ManagerGroup
from rtrlib.rtr_socket import RTRSocket, RTRSocketState
from rtrlib.servers import MAX_CACHES, CacheGroup, Intervals, Server

__all__ = ["Dispatcher", "VRPListener"]

log = logging.getLogger("rtrlib")

READ_LIMIT: Final = 64 << 10
"""Bytes that one cache may deliver in one turn: 2,700 VRPs."""
TURN_LIMIT: Final = 128 << 10
"""Bytes that one `dispatch` handles, a few milliseconds of work."""
REAP_EVERY: Final = 1.0
STEP: Final = 2
"""Seconds by which the wall clock is off what it should be before that counts as set: it is slewed, too."""
CLOSE_WAIT: Final = 2.0


class Dispatcher:
    """Caches, their failover, and one listener; owns each cache (rtrlib.cache.CacheOwner)."""

    def __init__(
        self,
        groups: Sequence[CacheGroup],
        intervals: Intervals,
        connect: Callable[[Server, Intervals, Resume], Link],
        start_timeout: float,
        clock: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Give each server its number, in the order of `groups`.

        `clock`: seconds that never go back; `wall`: seconds since 1970.
        """
        self._clock = clock
        self._start_timeout = start_timeout
        self._intervals = intervals
        self._connect = connect
        self._wall = wall
        self._wall_ahead = wall() - clock()
        self._given = groups
        self._caches: dict[int, Cache] = {}
        """By number; also those that left, as long as their VRPs count."""
        self._groups: list[ManagerGroup] = self._make_groups(groups, {})
        self._active: ManagerGroup | None = None
        self._failover = self._new_failover()
        self.listener: VRPListener = NOBODY
        """What caches tell of their VRPs."""
        self._epoll: select.epoll | None = None
        self._watched: dict[int, Cache] = {}
        self._turn = 0

    def configured(self) -> Sequence[CacheGroup]:
        """Return the groups as they were given last."""
        return self._given

    def groups(self) -> list[ManagerGroup]:
        """Return the groups as they are now, most preferred first."""
        return list(self._groups)

    @property
    def active_group(self) -> ManagerGroup | None:
        """The group whose VRPs are in force; also one that is no longer configured, until another is usable."""
        return self._active

    def regroup(self, groups: Sequence[CacheGroup], intervals: Intervals) -> None:
        """Use other groups from now on. Caches with equal options keep their number, connection and VRPs.

        RTRInitError, and nothing has changed, when there are more caches at once than numbers.
        """
        kept: dict[Server, list[int]] = {}
        for group in self._groups:
            for socket in group.sockets:
                kept.setdefault(socket.server, []).append(socket.index)
        wanted = Counter(server for group in groups for server in group.servers)
        staying = {index for server, indices in kept.items() for index in indices[: wanted[server]]}
        counting = self._failover.counting
        if wanted.total() + len(counting - staying) > MAX_CACHES:
            raise RTRInitError(
                f"{wanted.total()} caches and {len(counting - staying)} that still count until one of these is in sync"
                f" are more than {MAX_CACHES}: remove the old ones in a second change"
            )
        if intervals != self._intervals:
            self._intervals = intervals
            self._failover.steady = intervals.retry
            for index in staying:
                self._caches[index].change_intervals(intervals, self._clock())
        # Their numbers are free for the new ones.
        self._carry_out(self._failover.drop(frozenset(self._caches.keys() - staying - counting)))
        active = self._active
        self._given = groups
        self._groups = self._make_groups(groups, kept)
        numbers = [frozenset(socket.index for socket in group.sockets) for group in self._groups]
        self._carry_out(self._failover.regroup(numbers, self._clock()))
        number = self._failover.active
        self._active = active if number is None else self._groups[number]
        for group in self._groups:
            group.write(active=group is self._active)

    def reconnect(self, indices: Collection[int]) -> None:
        """Ask these caches now, whatever they wait for; those of groups that are not started stay as they are."""
        for index in indices:
            cache = self._caches[index]
            if cache.started:
                self._failover.forgive(index)
                cache.reconnect(self._clock())
        self._carry_out(self._failover.tick(self._clock()))

    def speak_lower(self, index: int, seconds: float) -> None:
        """Speak version 1 with a cache for so long, from its next connection on."""
        self._caches[index].speak_lower(seconds, self._clock())

    def _make_groups(self, groups: Sequence[CacheGroup], kept: dict[Server, list[int]]) -> list[ManagerGroup]:
        """Give the groups, most preferred first; of `kept`, the numbers of a server's caches, what fits is used."""
        left = {server: list(indices) for server, indices in kept.items()}
        made = []
        for group in groups:
            sockets = []
            for server in group.servers:
                index = left[server].pop(0) if left.get(server) else self._new_cache(server)
                sockets.append(self._caches[index].socket)
            made.append(ManagerGroup(group.name, group.preference, sockets))
        return sorted(made, key=lambda group: group.preference)

    def _new_cache(self, server: Server) -> int:
        index = next(number for number in count() if number not in self._caches)
        self._caches[index] = Cache(index, server, self._intervals, self, self._connect, wall=self._wall)
        return index

    def open(self, listener: VRPListener) -> None:
        """Start the most preferred group. RTRInitError when it is open already."""
        if self._epoll is not None:
            raise RTRInitError("the manager is open already")
        self.listener = listener
        self._epoll = select.epoll()
        self._failover = self._new_failover()
        self._carry_out(self._failover.start(self._clock()))

    def fileno(self) -> int:
        """Return what is readable when `dispatch` has something to do. RTRInitError when it is not open."""
        if self._epoll is None:
            raise RTRInitError("the manager is not open")
        return self._epoll.fileno()

    def dispatch(self) -> float | None:
        """Handle what is pending: bounded work, no waiting.

        Returns the seconds after which to call again even if `fileno` is not readable; None: no need to.
        """
        if self._epoll is None:
            return None
        now = self._clock()
        self._see_whether_the_clock_was_set(now)
        unread = self._read(now)
        for cache in tuple(self._caches.values()):
            # A cache whose bytes still wait cannot be called silent.
            if cache.socket.index not in unread:
                cache.tick(now)
        self._carry_out(self._failover.tick(now))
        if self._epoll is None:  # the listener has closed us
            return None
        times = [cache.deadline() for cache in self._caches.values()] + [self._failover.deadline()]
        if reap():
            times.append(now + REAP_EVERY)
        waiting = [at for at in times if at is not None]
        return max(0.0, min(waiting) - self._clock()) if waiting else None

    def close(self) -> None:
        """Disconnect, end every child process, tell the listener nothing; `open` may follow."""
        if self._epoll is None:
            return
        self.listener = NOBODY
        started = [cache.socket for cache in self._caches.values() if cache.started]
        self._carry_out(self._failover.stop())
        for socket in started:
            socket.write(state=RTRSocketState.SHUTDOWN)
        self._active = None
        self._epoll.close()
        self._epoll = None
        if reap(CLOSE_WAIT):
            log.warning("a cache process that was killed has not ended yet")

    def forked(self) -> Dispatcher:
        """Give another one for a forked child, not open; of this one close the child's descriptors."""
        for cache in self._caches.values():
            if cache.link is not None:
                cache.link.forked()
        if self._epoll is not None:
            self._epoll.close()
        return Dispatcher(
            self._given, self._intervals, self._connect, self._start_timeout, self._clock, wall=self._wall
        )

    def in_sync(self, cache: RTRSocket) -> None:
        """Ask the failover what follows, and do it."""
        now = self._clock()
        self._carry_out(self._failover.in_sync(cache.index, now))
        wait = self._failover.probation_ends(cache.index) - now
        if wait > 0 and self._active is not None and cache not in self._active.sockets:
            log.info("cache %s is in sync again; its last session was short, so its group waits %.0f s", cache, wait)

    def failed(self, cache: RTRSocket) -> None:
        """Ask the failover what follows, and do it."""
        self._carry_out(self._failover.failed(cache.index, self._clock()))

    def opened(self, cache: Cache) -> None:
        """Watch the descriptors of its link."""
        if self._epoll is not None and cache.link is not None:
            for fd in cache.link.filenos():
                self._epoll.register(fd, select.EPOLLIN)
                self._watched[fd] = cache

    def closing(self, cache: Cache) -> None:
        """Stop watching them."""
        if self._epoll is not None and cache.link is not None:
            for fd in cache.link.filenos():
                self._epoll.unregister(fd)
                del self._watched[fd]

    def _new_failover(self) -> Failover:
        caches = [frozenset(socket.index for socket in group.sockets) for group in self._groups]
        return Failover(caches, self._start_timeout, self._intervals.retry)

    def _see_whether_the_clock_was_set(self, now: float) -> None:
        """Keep the moments that caches show right: one from before the wall clock was set would be of no use."""
        step = round(self._wall() - now - self._wall_ahead)
        if abs(step) >= STEP:
            self._wall_ahead += step
            for cache in self._caches.values():
                cache.clock_was_set(step)

    def _read(self, now: float) -> set[int]:
        """One turn for each cache that has something; returns those for which there was no time."""
        assert self._epoll is not None
        ready = {self._watched[fd].socket.index for fd, _ in self._epoll.poll(0) if fd in self._watched}
        self._turn += 1  # who had to wait goes first another time
        budget = TURN_LIMIT
        caches = list(self._caches.values())
        first = self._turn % len(caches)
        for cache in caches[first:] + caches[:first]:
            if budget <= 0:
                break
            if cache.socket.index in ready:
                ready.discard(cache.socket.index)
                budget -= cache.readable(now, min(budget, READ_LIMIT))
        return ready

    def _carry_out(self, actions: list[Action]) -> None:
        now = self._clock()
        for action in actions:
            self._act(action, now)
        for i, one in enumerate(self._groups):
            status = self._failover.status(i)
            if status is not one.status:
                one.write(status=status)
                self.listener.changed(one)

    def _act(self, action: Action, now: float) -> None:
        if isinstance(action, Activate):
            self._activate(self._groups[action.group])
            return
        for index in self._indices(action):
            match action:
                case Release():
                    self._caches[index].release()
                case Drop():
                    self._caches.pop(index).stop()
                case Stop():
                    self._caches[index].stop()
                case Start() if not self._caches[index].started:
                    self._caches[index].start(now)

    def _indices(self, action: Release | Drop | Start | Stop) -> Iterable[int]:
        """Give the caches that an action is about."""
        if isinstance(action, Release | Drop):
            return action.caches
        return [socket.index for socket in self._groups[action.group].sockets]

    def _activate(self, group: ManagerGroup) -> None:
        log.info("%s is in use", group.name)
        self._active = group
        for one in self._groups:
            one.write(active=one is group)
        self.listener.active(frozenset(group.sockets))
