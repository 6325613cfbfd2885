"""VRPs, router keys and ASPAs in force, of all that caches, SLURM files and the snapshot say (RFC 6811, 8210, 8416).

Which caches count is the failover's decision (rtrlib.failover); what happens when the last of them is too old is the
operator's (`on-expire`). There is no clock here: the manager says when something has expired. What caches say is
handled in its order, as tasks (rtrd.vrps.task_queue): a change of the whole set holds the loop for some milliseconds
at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import reduce
from typing import Final, Literal

from rtrd.base import log
from rtrd.base.clock import timestamp
from rtrd.base.registry import Problem, Registry
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.guarding import Guarding
from rtrd.vrps.router_keys import KeySet
from rtrd.vrps.task_queue import TaskQueue
from rtrlib import aspas
from rtrlib.aspas import MOST_PROVIDERS
from rtrlib.manager_group import ManagerGroup
from rtrlib.router_keys import KeyChanges, RouterKeys
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp import PACKED
from rtrlib.vrp_set import SNAPSHOT, VRPChanges, VRPSet

PROGRESS: Final = 100_000
"""VRPs of one sync between two lines of the log about it."""

MOST_NAMED: Final = 5
"""Customers that are named, of those whose ASPA is left out."""

_PAST: Final = "all VRPs are past the expire interval"

logger = log.get("vrps")


class EffectiveVRPs:
    """The manager's listener (rtrlib.VRPListener)."""

    def __init__(
        self,
        vrp_set: VRPSet,
        on_expire: Literal["not-found", "keep", "exit"],
        changed: Callable[[VRPChanges], None],
        became_usable: Callable[[], None],
        ended: Callable[[], None],
        *,
        keys: KeySet | None = None,
        aspa_set: ASPASet | None = None,
    ) -> None:
        """Join a VRP set to those who use it.

        `changed`: VRPs became effective or ceased to be. `became_usable`: routes can be validated from now on.

        `ended`: all VRPs are too old and the operator wants rtrd to end then. `keys`, `aspa_set`: where router keys and
        ASPAs go; ASPAs are in force before `changed` is called.
        """
        self.vrp_set = vrp_set
        self.task_queue = TaskQueue()
        """Everything that changes the set, in its order."""
        self.keys = keys or KeySet()
        """Router keys: as the VRPs, they count from End of Data until their cache is too old."""
        self.aspa_set = aspa_set or ASPASet()
        """ASPAs: the same, and a guard holds them up with the VRPs."""
        self.expired_at_all = False
        """Every VRP in force is past the expire interval, or was dropped for that or because its cache wants it."""
        self.why_expired = _PAST
        """Why, once that is so: the beginning of a sentence."""
        self.snapshot_used = False
        """The VRPs that count are those of the previous run: no cache has answered yet, or what they say is held."""
        self.snapshot_expires: float | None = None
        """When they are too old (Unix time)."""
        self.cause = ""
        """Why the VRPs in force changed last: a cache, or a few words."""
        self.guard: Guarding | None = None
        """Without one every change is in force at once."""
        self._on_expire = on_expire
        self._changed = changed
        self._became_usable = became_usable
        self._ended = ended
        self._caches_keys = RouterKeys()
        self._begun: set[int] = set()
        self._live: set[int] = set()
        """Caches whose VRPs are not too old."""
        self._kept: dict[int, RTRSocket] = {}
        """Caches whose VRPs are too old, and count because the operator wants to keep the last ones."""
        self._doomed: set[int] = set()
        """Those of them that are no longer wanted, but are just sending new VRPs."""
        self._active: dict[int, RTRSocket] = {}
        self._worth_keeping = False  # VRPs of caches or of the snapshot are in force
        self._left_out = vrp_set.faults
        self._states: dict[object, object] = {}
        self._coming: dict[int, int] = {}

    def register(self, registry: Registry) -> None:
        """Offer how many VRPs are in force, and where they are from."""
        vrps = self.vrp_set
        registry.on_reload(self.change_on_expire, "caches.on_expire")
        registry.problems_of(self.problems)
        registry.status_of(
            vrps=lambda: {"ipv4": vrps.count(4), "ipv6": vrps.count(6)},
            vrps_left_out=lambda: vrps.faults,
            router_keys=lambda: len(self.keys.effective),
            aspas=lambda: aspas.count(self.aspa_set.effective),
        )
        registry.metric("rtrd_aspas", "Customers whose ASPAs are in force.", lambda: len(self.aspa_set.index))
        registry.metric(
            "rtrd_aspas_left_out", "Customers whose ASPAs are left out, by the reason.",
            lambda: [
                (("too-many-providers",), len(self.aspa_set.too_long)), (("filtered",), self.aspa_set.filtered),
            ],
            ("reason",),
        )  # fmt: skip
        registry.metric(
            "rtrd_vrps", "VRPs in force.",
            lambda: [(("ipv4",), vrps.count(4)), (("ipv6",), vrps.count(6))], ("family",),
        )  # fmt: skip
        registry.metric(
            "rtrd_vrps_left_out_total", "VRPs of caches left out: malformed, or too many of one prefix.",
            lambda: [((reason,), count) for reason, count in vrps.faults.items()], ("reason",),
        )  # fmt: skip
        registry.metric(
            "rtrd_vrps_expired", "1 while all VRPs are past the expire interval.", lambda: self.expired_at_all
        )
        registry.metric(
            "rtrd_snapshot_used", "1 while the VRPs in force are those of the last run.", lambda: self.snapshot_used
        )

    def problems(self) -> Iterator[Problem]:
        """Tell of caches that are in sync and have no VRPs: that is an answer, but hardly what anybody wants."""
        for customer in self.aspa_set.too_long[:MOST_NAMED]:
            what = f"the ASPA of AS{customer} is left out: it has more than {MOST_PROVIDERS} providers"
            yield Problem(what, None, "warning", f"long {customer}")
        for index, cache in self._active.items():
            if cache.in_sync and index in self._live and not self.vrp_set.count_source(index):
                yield Problem(f"cache {cache} is in sync, but has no VRPs", None, "warning", f"empty {index}")

    def coming(self, cache: RTRSocket) -> int:
        """How many changes of VRPs have come from a cache since its last End of Data: how far its sync is."""
        return self._coming.get(cache.index, 0)

    # -- VRPListener

    def staged(self, cache: RTRSocket, records: bytes) -> None:
        """Stage changes of a cache."""
        if cache.index in self._begun and not self.task_queue.tasks:
            self._stage(cache, records)
        else:
            self.task_queue.do(self._begin(cache, records))

    def committed(self, cache: RTRSocket, full: bool) -> None:
        """Put what a cache staged into force."""
        self.task_queue.do(self._commit(cache, full=full))

    def discarded(self, cache: RTRSocket) -> None:
        """Forget what a cache staged; what follows is a full set."""
        self.task_queue.do(self._discard(cache))

    def expired(self, cache: RTRSocket) -> None:
        """Drop all that a cache had, unless it is the last, and too old, and the operator wants that kept."""
        self.task_queue.do(self._expire(cache, flush=cache.flushed))

    def active(self, caches: frozenset[RTRSocket]) -> None:
        """Let these caches count."""
        self.task_queue.do(self._activate(caches))

    def changed(self, what: RTRSocket | ManagerGroup) -> None:
        """Log a change of state once."""
        if isinstance(what, ManagerGroup):
            if self._states.get(what.name) != what.status:
                self._states[what.name] = what.status
                logger.info("group", group=what.name, status=what.status.name)
            return
        state = (what.in_sync, what.error)
        if self._states.get(what.index, (False, None)) != state:
            self._states[what.index] = state
            if what.error is not None:
                logger.warning("cache failed", cache=str(what), state=what.state.name, why=what.error, **_times(what))
            elif what.in_sync:
                self.task_queue.call(lambda: self._log_sync(what))

    def router_key(self, cache: RTRSocket, asn: int, ski: bytes, spki: bytes, announce: bool) -> None:
        """Stage a router key of a cache."""
        self.task_queue.call(lambda: self._caches_keys.stage(cache.index, (asn, ski, spki), announce=announce))

    def aspas(self, cache: RTRSocket, held: bytes) -> None:
        """Stage all ASPAs that a cache has."""
        self.task_queue.call(lambda: self.aspa_set.sources.stage(cache.index, held))

    def aspas_expired(self, cache: RTRSocket) -> None:
        """Drop the ASPAs of a cache that speaks an older version now."""
        self.task_queue.do(self._expire_aspas(cache.index, cache.name))

    def slurm_changed(self, changes: VRPChanges) -> Generator[None]:
        """Publish what SLURM files changed in the sets, as a part of a task."""
        yield from self._publish(changes, "SLURM files", [], aspas=(yield from self.aspa_set.settle()))

    def exempts_changed(self, changes: VRPChanges, cause: str) -> Generator[None]:
        """Publish what an operator exempted, as a part of a task; what a guard holds is judged again with it."""
        self._put_in_force(changes, cause)
        if self.guard is not None:
            self._put_in_force((yield from self.guard.dropped()), self.guard.cause)

    def taken(self, changes: VRPChanges) -> None:
        """Tell what is in force now though it was held, or took long to judge."""
        self._put_in_force(changes, "" if self.guard is None else self.guard.cause)

    def change_on_expire(self, on_expire: Literal["not-found", "keep", "exit"]) -> None:
        """Do something else with VRPs that get too old from now on."""
        self._on_expire = on_expire

    # -- the snapshot

    @property
    def has_begun(self) -> bool:
        """Caches or the snapshot count, or the last of them did."""
        return bool(self._active) or self.snapshot_used or self.vrp_set.usable

    def use_snapshot(self) -> None:
        """Put what is staged for SNAPSHOT into force, if no cache counts yet; it counts until caches do."""
        self.task_queue.do(self._use_snapshot())

    def snapshot_expired(self) -> None:
        """Do with the snapshot's VRPs what the operator wants with those that are too old."""
        self.task_queue.do(self._expire_snapshot())

    def snapshot_aspas_expired(self) -> None:
        """Drop the snapshot's ASPAs, which may be older than its VRPs."""
        self.task_queue.do(self._expire_aspas(SNAPSHOT, "snapshot"))

    def forget_snapshot(self) -> None:
        """Give back the memory of the snapshot's VRPs, which no longer count."""
        self.task_queue.call(lambda: self.aspa_set.sources.drop(SNAPSHOT))
        self.task_queue.do(self.vrp_set.apply_drop(SNAPSHOT))

    def to_keep(self) -> tuple[list[int], int] | None:
        """Give the sources of which a snapshot is to be made, and its date (Unix time); None: there is nothing.

        These are the caches that are in sync; when none is, those that still count. The oldest sync among them dates
        the snapshot, so that nothing in it lives longer than it would have here. While the guard holds what they say,
        there is nothing: a restart must not be a way around it. Nor is there while the set changes. Of caches that have
        no VRPs an empty one is made: what they had before is not in force, and must not come back by a restart.
        """
        if self.task_queue.tasks or (self.guard is not None and self.guard.pending):
            return None
        counting = [cache for index, cache in self._active.items() if index in self._live]
        caches = [cache for cache in counting if cache.in_sync] or counting
        dates = [cache.last_update for cache in caches if cache.last_update]
        if not dates:
            return None
        return [cache.index for cache in caches], min(dates)

    def aspas_to_keep(self, sources: list[int], date: int) -> tuple[bytes, int]:
        """Give the ASPAs of these sources for a snapshot of that date, and their own date.

        They are together as old as the oldest of them that its cache says no more, if there is one.
        """
        dates = [date]
        for index in sources:
            cache = self._active.get(index)
            if cache is not None and cache.aspas_expire is not None:
                dates.append(cache.aspas_expire - cache.expire_interval)
        return reduce(aspas.union, map(self.aspa_set.sources.said, sources), b""), min(dates)

    # -- tasks

    def _begin(self, cache: RTRSocket, records: bytes = b"") -> Generator[None]:
        """Begin a full set if the link is new: it sends all that the cache has, and the rest goes at the commit."""
        if cache.index not in self._begun:
            self._begun.add(cache.index)
            yield from self.vrp_set.apply_begin(cache.index)
        if records:
            self._stage(cache, records)

    def _stage(self, cache: RTRSocket, records: bytes) -> None:
        self.vrp_set.stage(cache.index, records)
        before = self._coming.get(cache.index, 0)
        now = self._coming[cache.index] = before + len(records) // PACKED.size
        if now // PROGRESS > before // PROGRESS:
            logger.info("sync in progress", cache=cache.name, vrps=now)

    def _commit(self, cache: RTRSocket, *, full: bool) -> Generator[None]:
        index = cache.index
        if full:
            yield from self._begin(cache)  # a full set may be empty
        self._coming.pop(index, None)
        self._live.add(index)
        self._kept.pop(index, None)
        self._doomed.discard(index)
        aspas_changed = self.aspa_set.sources.commit(index) and (yield from self.aspa_set.settle())
        changes = yield from self.vrp_set.apply_commit(index)
        faults = self.vrp_set.faults
        if faults != self._left_out:
            self._log_left_out(cache, faults)
        yield from self._publish(changes, cache.name, [index], aspas=aspas_changed)
        if self.guard is not None:
            self.guard.confirmed(index, cache.expire_interval)
        if full or index in self._caches_keys.staged:
            self._apply_keys(self._caches_keys.commit(index, full=full))
        if self._kept and index in self._active:
            yield from self._forget_kept()

    def _discard(self, cache: RTRSocket) -> Generator[None]:
        index = cache.index
        yield from self.vrp_set.apply_discard(index)
        self._caches_keys.discard(index)
        self.aspa_set.sources.discard(index)
        self._begun.discard(index)
        self._coming.pop(index, None)
        if index in self._doomed:
            self._doomed.discard(index)
            yield from self._forget(cache)

    def _expire(self, cache: RTRSocket, *, flush: bool) -> Generator[None]:
        index = cache.index
        self._live.discard(index)
        last = index in self._active and not any(other in self._live for other in self._active)
        if last:
            self.expired_at_all = True
            if flush:
                self.why_expired = f"cache {cache}, the last one in use, wants all dropped that it said"
                logger.error("all VRPs in force are dropped: their cache wants that", cache=cache.name)
            else:
                self.why_expired = _PAST
                logger.error("all VRPs in force are past the expire interval", then=self._on_expire, cache=cache.name)
            if self._on_expire == "exit":
                self._ended()
            if self._on_expire != "not-found" and not flush:
                self._kept[index] = cache
                return
        self._begun.discard(index)
        yield from self.aspa_set.expire(index)
        changes = yield from self.vrp_set.apply_drop(index)
        if self.guard is not None:
            # What is held is better than nothing, which is all that assertions alone would leave in force.
            left = self.vrp_set.heard and not last
            changes.add((yield from self.guard.dropped() if left else self.guard.expired()))
            self.guard.forget(index)
        self._put_in_force(changes, cache.name)
        self._apply_keys(self._caches_keys.drop(index))

    def _activate(self, caches: frozenset[RTRSocket]) -> Generator[None]:
        before = self._sources()
        self._active = {cache.index: cache for cache in caches}
        self.aspa_set.sources.activate(self._active)
        aspas_changed = yield from self.aspa_set.settle()
        changes = yield from self.vrp_set.apply_activation(self._active)
        in_sync = [cache for cache in caches if cache.in_sync]  # none, if that was over before its turn came
        names = " ".join(sorted(map(str, in_sync or caches)))
        logger.info("VRPs now come from", caches=names, changed=len(changes))
        yield from self._publish(changes, f"switch to {names}", before, aspas=aspas_changed)
        self._apply_keys(self._caches_keys.activate(self._active))
        yield from self._forget_kept()

    def _expire_aspas(self, index: int, name: str) -> Generator[None]:
        yield from self.aspa_set.expire(index)
        changes = VRPChanges()
        if self.guard is not None:
            changes = yield from self.guard.dropped()
        self._put_in_force(changes, name)

    def _use_snapshot(self) -> Generator[None]:
        if self._active:  # it came late, since the clock was wrong
            self.aspa_set.sources.discard(SNAPSHOT)
            yield from self.vrp_set.apply_discard(SNAPSHOT)
            return
        self.snapshot_used = True
        yield from self.vrp_set.apply_commit(SNAPSHOT)
        self.aspa_set.sources.commit(SNAPSHOT)
        self.aspa_set.sources.activate([SNAPSHOT])
        aspas_changed = yield from self.aspa_set.settle()
        changes = yield from self.vrp_set.apply_activation([SNAPSHOT])
        yield from self._publish(changes, "snapshot", [], aspas=aspas_changed)
        self._use()

    def _expire_snapshot(self) -> Generator[None]:
        if self.guard is not None and self.guard.pending:
            self._put_in_force((yield from self.guard.expired()), "snapshot")
            return
        if self.expired_at_all:
            return
        self.expired_at_all, self.why_expired = True, _PAST
        logger.error("the VRPs of the snapshot are past the expire interval", then=self._on_expire)
        if self._on_expire == "exit":
            self._ended()
        elif self._on_expire == "not-found":
            self.snapshot_used = False
            yield from self.aspa_set.expire(SNAPSHOT)
            self._put_in_force((yield from self.vrp_set.apply_drop(SNAPSHOT)), "snapshot")

    # -- inside

    def _use(self) -> None:
        if not self.vrp_set.usable:
            self.vrp_set.usable = True
            self._became_usable()

    def _answered(self) -> bool:
        """Whether a cache that counts has said what it has, not too long ago."""
        return not self._live.isdisjoint(self._active)

    def _sources(self) -> list[int]:
        """Give the sources that count, by what the caches and the failover say."""
        return list(self._active) or ([SNAPSHOT] if self.snapshot_used else [])

    def _forget_kept(self) -> Generator[None]:
        """Drop what was kept for want of better: there is better now. What is being staged is not lost for that."""
        kept, self._kept = self._kept, {}
        for index, cache in sorted(kept.items()):
            if index in self._begun:
                self._doomed.add(index)
            else:
                yield from self._forget(cache)

    def _forget(self, cache: RTRSocket) -> Generator[None]:
        changed = self.aspa_set.sources.drop(cache.index) and (yield from self.aspa_set.settle())
        changes = yield from self.vrp_set.apply_replacement(cache.index, b"")
        yield from self._publish(changes, f"what was kept of {cache}", [cache.index], aspas=changed)
        if self.guard is not None:
            self.guard.forget(cache.index)
        self._apply_keys(self._caches_keys.drop(cache.index))

    def _publish(self, changes: VRPChanges, cause: str, sources: list[int], *, aspas: bool) -> Generator[None]:
        """Put changes into force, if the guard lets them.

        `sources`: whose VRPs they may take away; `aspas`: other ASPAs are due, too.
        """
        if self.guard is not None:
            changes = yield from self.guard.submit(changes, cause, sources, keep=self._worth_keeping, aspas=aspas)
        self._put_in_force(changes, cause)

    def _put_in_force(self, changes: VRPChanges, cause: str) -> None:
        if self.guard is None or not self.guard.pending:
            self.snapshot_used = self.snapshot_used and not self._active
            self._worth_keeping = any(map(self.vrp_set.count_source, self._sources()))
            # A cache in sync without a single VRP says something, too: no route is covered.
            if self._worth_keeping or self._answered():
                self._use()
        if self._answered():
            self.expired_at_all = False
        self._put_aspas_in_force(cause)
        if changed := len(changes):
            ipv4, ipv6 = self.vrp_set.count(4), self.vrp_set.count(6)
            self.cause = cause
            logger.info("VRPs changed", changed=changed, ipv4=ipv4, ipv6=ipv6, cause=self.cause)
            self._changed(changes)

    def _put_aspas_in_force(self, cause: str) -> None:
        """Before those who judge by them are told of the VRPs."""
        before, cause_before = self.aspa_set.generation, self.cause
        self.cause = cause  # of what its users are told now
        self.aspa_set.put_in_force(everything=self.guard is None or not self.guard.pending)
        if self.aspa_set.generation == before:
            self.cause = cause_before
        else:
            logger.info("ASPAs changed", aspas=aspas.count(self.aspa_set.effective), cause=cause)

    def _apply_keys(self, changes: KeyChanges) -> None:
        if changes:
            self.keys.apply(changes)

    def _log_sync(self, cache: RTRSocket) -> None:
        logger.info("cache in sync", cache=cache.name, vrps=self.vrp_set.count_source(cache.index))

    def _log_left_out(self, cache: RTRSocket, faults: dict[str, int]) -> None:
        before, self._left_out = self._left_out, faults
        new = {name: count - before[name] for name, count in faults.items() if count > before[name]}
        logger.warning("VRPs of a cache were left out", cache=cache.name, **new)


def _times(cache: RTRSocket) -> dict[str, str]:
    """Say when a cache is tried again, and when its VRPs expire, as far as that is known."""
    times = {"next_attempt": cache.next_attempt, "expires": cache.expires}
    return {name: timestamp(time) for name, time in times.items() if time is not None}
