"""Caches, failover, feed and VRP set together, whatever happens: no empty moment while anything usable is there.

Everything is real but the links, which say what the machine wants, and the time.
"""

import os
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.dispatcher import Dispatcher
from rtrlib.failover import START_TIMEOUT
from rtrlib.frames import FrameType
from rtrlib.link import LinkEnded, Resume
from rtrlib.rtr_socket import RTRSocketState as State
from rtrlib.servers import CacheGroup, Intervals, Server, TCPServer
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SNAPSHOT, VRPChanges, VRPSet
from tests.lab.vrp_sets import packed
from tests.unit.test_cache_life import Script, frame, state

VRPS = [VRP(f"10.{number}.0.0/16", 16, number) for number in range(4)]
EXPIRE, RETRY = 600, 60
CACHES = range(4)
"""Two groups of two."""
SOME = st.sets(st.sampled_from(VRPS), min_size=1)


class Link(Script):
    """A link that the dispatcher's epoll sees, and what librtr's table holds at its other end."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = None  # pings have their own stories
        self.held: set[VRP] = set()
        self.synced = False
        self.event = os.eventfd(1, os.EFD_NONBLOCK)  # always readable: nobody waits here

    def filenos(self) -> tuple[int, ...]:
        return (self.event,)

    def close(self) -> None:
        super().close()
        os.close(self.event)


class World(RuleBasedStateMachine):
    """What was said and when is the model; the effective set must be what follows from it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.links: dict[int, Link] = {}
        self.down: set[int] = set()
        self.said: dict[int, set[VRP]] = {}
        """What each cache committed, as long as it counts for anything."""
        self.until: dict[int, float] = {}
        self.kept: int | None = None
        self.doomed: dict[int, Link] = {}
        self.snapshot: set[VRP] = set()
        self.empty_moments = 0
        self.exits = 0

    @initialize(on_expire=st.sampled_from(["not-found", "keep", "exit"]), snapshot=st.none() | SOME)
    def begin(self, on_expire: Literal["not-found", "keep", "exit"], snapshot: set[VRP] | None) -> None:
        self.on_expire = on_expire
        self.vrp_set = VRPSet()
        self.listener = EffectiveVRPs(self.vrp_set, on_expire, self.changed, lambda: None, self.exit)
        if snapshot is not None:
            self.snapshot = snapshot
            self.vrp_set.stage(SNAPSHOT, packed(snapshot))
            self.listener.use_snapshot()
        groups = [CacheGroup(1, [server(0), server(1)]), CacheGroup(2, [server(2), server(3)])]
        intervals = Intervals(3600, RETRY, EXPIRE)
        self.dispatcher = Dispatcher(groups, intervals, self.connect, START_TIMEOUT, lambda: self.now)
        self.dispatcher.open(self.listener)

    def teardown(self) -> None:
        if hasattr(self, "dispatcher"):
            self.dispatcher.close()

    def connect(self, where: Server, _: Intervals, _resume: Resume) -> Link:
        cache = int(where.port) - 1
        if cache in self.down:
            raise LinkEnded("no process can be started")
        self.links[cache] = Link()
        return self.links[cache]

    def changed(self, _: VRPChanges) -> None:
        self.empty_moments += not self.effective

    def exit(self) -> None:
        self.exits += 1

    @property
    def effective(self) -> set[VRP]:
        return {entry.vrp for entry in self.vrp_set.vrps()}

    @property
    def active(self) -> set[int]:
        group = self.dispatcher.active_group
        return set() if group is None else {socket.index for socket in group.sockets}

    def link(self, cache: int) -> Link | None:
        link = self.links.get(cache)
        return None if link is None or link.closed else link

    def expected(self) -> set[VRP]:
        """The union of what the active caches said and what is not too old; by the words of the documentation."""
        if not self.active:
            return self.snapshot
        return set().union(*(self.said.get(cache, set()) for cache in self.active))

    def step(self) -> None:
        """Let everything settle; a set that was and is there was there all the time."""
        before, self.empty_moments = self.effective, 0
        for _ in range(3):
            self.dispatcher.dispatch()
        for cache in [cache for cache, link in self.doomed.items() if link.closed]:
            del self.doomed[cache]
            self.said.pop(cache, None)
        stopped = [
            one.index for group in self.dispatcher.groups() for one in group.sockets if one.state is State.CLOSED
        ]
        for cache in stopped:
            self.said.pop(cache, None)
            self.until.pop(cache, None)
            self.doomed.pop(cache, None)
        if before and self.expected():
            assert not self.empty_moments

    def commit(self, cache: int, vrps: set[VRP]) -> None:
        self.doomed.pop(cache, None)
        if self.kept is not None and self.kept != cache:  # for want of better: now there is better
            link = self.link(self.kept)
            if link is not None and link.held:  # it sends anew: what it had goes with the end of that
                self.doomed[self.kept] = link
            else:
                self.said.pop(self.kept, None)
        self.kept = None
        self.said[cache] = vrps
        self.until[cache] = self.now + EXPIRE

    def send(self, link: Link, vrps: set[VRP]) -> None:
        """What librtr says while its table becomes this."""
        news = [pack(vrp) for vrp in vrps - link.held] + [pack(vrp, announce=False) for vrp in link.held - vrps]
        link.waiting += state(State.SYNC, has_data=link.synced)
        if news:
            link.waiting += frame(FrameType.VRPS, b"".join(news))
        link.held = vrps

    @rule(cache=st.sampled_from(CACHES), vrps=SOME)
    def begins_to_sync(self, cache: int, vrps: set[VRP]) -> None:
        link = self.link(cache)
        if link is not None:
            self.send(link, vrps)
            self.step()

    @rule(cache=st.sampled_from(CACHES), vrps=SOME)
    def syncs(self, cache: int, vrps: set[VRP]) -> None:
        link = self.link(cache)
        if link is not None:
            self.send(link, vrps)
            link.waiting += state(State.ESTABLISHED)
            link.synced = True
            self.commit(cache, vrps)
            self.step()

    @rule(cache=st.sampled_from(CACHES))
    def session_ends(self, cache: int) -> None:
        link = self.link(cache)
        if link is not None:
            for number in (State.ERROR_FATAL, State.CONNECTING):
                link.waiting += state(number, has_data=link.synced)
            self.step()

    @rule(cache=st.sampled_from(CACHES))
    def cannot_be_reached(self, cache: int) -> None:
        self.down ^= {cache}
        link = self.link(cache)
        if link is not None and cache in self.down:
            link.ended = "the cache process died of SIGKILL"
            self.step()

    @rule(seconds=st.sampled_from([1, 29, 31, 61, 200, 541, 601]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for cache in sorted(cache for cache, until in self.until.items() if self.now >= until):
            del self.until[cache]
            last = cache in self.active and not any(other in self.until for other in self.active)
            if last and self.on_expire != "not-found":
                self.kept = cache
            else:
                self.said.pop(cache, None)
        if self.listener.snapshot_used and self.now >= EXPIRE:
            self.listener.snapshot_expired()  # as the snapshot_keeper does
            if self.on_expire == "not-found":
                self.snapshot = set()
        self.step()

    @precondition(lambda self: hasattr(self, "listener"))
    @invariant()
    def the_effective_set_is_what_was_said_and_is_not_too_old(self) -> None:
        assert self.effective == self.expected()

    @precondition(lambda self: hasattr(self, "listener"))
    @invariant()
    def a_cache_that_is_in_sync_is_heard(self) -> None:
        sockets = [one for group in self.dispatcher.groups() for one in group.sockets]
        if any(one.in_sync for one in sockets):
            assert self.effective
            assert self.active & {one.index for one in sockets if one.in_sync}
        if self.exits:
            assert self.on_expire == "exit"


def server(cache: int) -> Server:
    return TCPServer("192.0.2.1", cache + 1)


def test_anything_may_happen() -> None:
    run_state_machine_as_test(World, settings=settings(max_examples=100, stateful_step_count=40, deadline=None))
