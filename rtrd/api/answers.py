"""Questions of the API in; what the daemon's parts know, out. Only `decide` and `reload` change anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtrd.api import dump
from rtrd.api.metrics import collect
from rtrd.api.responses import ConflictError, NotReadyError
from rtrd.api.status import status_of
from rtrd.api.whatif import WhatIf
from rtrd.rib.validity import explain
from rtrd.vrps.disagreement import NothingToCompareError, chosen, disagreement
from rtrd.vrps.files import key_entries
from rtrd.vrps.guard import NothingHeldError
from rtrlib.vrp_set import SLURM, SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from rtrd.api.queries import Wanted
    from rtrd.base.notation import Prefix
    from rtrd.config.diff import Change
    from rtrd.daemon import Daemon
    from rtrd.event_log import EventLog
    from rtrlib.vrp_set import CoveringVRP


class Answers:
    """Answers for one daemon (the protocol rtrd.api.queries.Daemon)."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.whatif = WhatIf(daemon)
        """Tells what VRPs would change."""

    def status(self) -> dict[str, Any]:
        """As DESIGN's contract of `rtrd status --json`."""
        return status_of(self._daemon)

    def health(self) -> str | None:
        """Why the daemon is not healthy."""
        if not self._daemon.ready:
            return "no VRP set is usable yet"
        return "all VRPs are past the expire interval" if self._daemon.effective.expired_at_all else None

    async def reload(self) -> list[Change]:
        """Read the configuration again."""
        return await self._daemon.reloading.reload()

    @property
    def event_log(self) -> EventLog:
        """The events."""
        return self._daemon.event_log

    def history(self) -> dict[str, Any]:
        """How many routes had which validity."""
        return self._daemon.history.answer()

    def dump(self) -> dict[str, Any]:
        """Give all that a report of a fault should have."""
        return dump.of(self._daemon)

    @property
    def snapshot_used(self) -> bool:
        """The VRPs that count are those of the last run."""
        return self._daemon.effective.snapshot_used

    def metrics(self) -> Iterator[Metric]:
        """All metrics, read one by one."""
        return collect(self._daemon)

    def disagreement(self, names: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
        """VRPs that some caches have and others have not."""
        sockets = [socket for group in self._daemon.manager.groups() for socket in group.sockets]
        try:
            caches = chosen(sockets, self._daemon.vrp_set, names)
        except NothingToCompareError as error:
            raise ConflictError(str(error)) from error
        return disagreement(caches, self._daemon.vrp_set)

    def decide(self, *, accept: bool) -> dict[str, Any]:
        """Accept or reject what the guard holds."""
        guarding = self._daemon.guarding
        if guarding is None:
            raise ConflictError("no guard is configured: every change of the VRPs counts at once")
        try:
            (guarding.accept if accept else guarding.reject)()
        except NothingHeldError as error:
            raise ConflictError(str(error)) from error
        return guarding.status()

    def validity(self, prefix: Prefix, asn: int) -> dict[str, Any]:
        """Routinator's validity JSON."""
        vrp_set = self._daemon.vrp_set
        if not vrp_set.usable:
            raise NotReadyError("no VRP set is usable yet: no cache has answered")
        return explain(prefix, asn, (entry.vrp for entry in vrp_set.covering(str(prefix))))

    def router_keys(self) -> list[dict[str, int | str]]:
        """Effective router keys as of a VRP file."""
        return key_entries(sorted(self._daemon.keys.effective))

    def vrps(self, prefix: Prefix | None, *, covering: bool, sources: bool) -> Iterator[Mapping[str, Any] | None]:
        """Effective VRPs as of a VRP file; with a prefix: those that cover it or, but for `covering`, lie within it."""
        names = self._sources() if sources else {}
        for entry in self._vrps(None if prefix is None else str(prefix), covering=covering):
            if entry is None:
                yield None
                continue
            vrp = {"asn": entry.vrp.asn, "prefix": entry.vrp.prefix, "maxLength": entry.vrp.max_length}
            if sources:
                vrp["sources"] = [name for source, name in names.items() if entry.sources >> source & 1]
            yield vrp

    def _vrps(self, prefix: str | None, *, covering: bool) -> Iterator[CoveringVRP | None]:
        vrp_set = self._daemon.vrp_set
        if prefix is not None:
            yield from vrp_set.covering(prefix)
        if not covering:
            for part in vrp_set.within(prefix):
                yield from part
                yield None  # the loop may turn: most parts have none

    def _sources(self) -> dict[int, str]:
        """Name each source of the VRP set."""
        sockets = [socket for group in self._daemon.manager.groups() for socket in group.sockets]
        return {**{socket.index: str(socket) for socket in sockets}, SNAPSHOT: "snapshot", SLURM: "slurm"}

    def routes(self, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
        """Routes, in order of prefix."""
        within = None if wanted.prefix is None else str(wanted.prefix)
        for router in self._daemon.routers:
            source = router.engine if wanted.direction == "in" else router.engine.local_routes
            for neighbor, route in source.routes(within):
                if wanted.matches(route.validity, neighbor, route.origin):
                    yield {
                        "router": router.engine.name,
                        "neighbor": neighbor,
                        "prefix": route.prefix,
                        "path_id": route.path_id,
                        "origin_as": route.origin,
                        "validity": route.validity,
                        "decision": route.decision,
                    }
