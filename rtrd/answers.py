"""Questions of the API in; what the daemon's parts know, out. Nothing here changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtrd.ops.control import NotReadyError
from rtrd.ops.metrics import collect
from rtrd.routes.validity import explain
from rtrd.status import status_of
from rtrlib.vrp_set import parse_prefix, related

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from rtrd.daemon import Daemon
    from rtrd.routes.validity import Prefix
    from rtrd.tags import Validity


class Answers:
    """Answers for one daemon (the protocol rtrd.ops.control.Daemon)."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def status(self) -> dict[str, Any]:
        """As DESIGN's contract of `rtrd status --json`."""
        return status_of(self._daemon)

    def health(self) -> str | None:
        """Why the daemon is not healthy."""
        if not self._daemon.ready:
            return "no VRP set is usable yet"
        return "all VRPs are past the expire interval" if self._daemon.feed.expired_at_all else None

    @property
    def snapshot_used(self) -> bool:
        """The VRPs that count are those of the last run."""
        return self._daemon.feed.snapshot_used

    def metrics(self) -> Iterator[Metric]:
        """All metrics, read one by one."""
        return collect(self._daemon)

    def validity(self, prefix: Prefix, asn: int) -> dict[str, Any]:
        """Routinator's validity JSON."""
        vrp_set = self._daemon.vrp_set
        if not vrp_set.usable:
            raise NotReadyError("no VRP set is usable yet: no cache has answered")
        return explain(prefix, asn, (entry.vrp for entry in vrp_set.covering(str(prefix))))

    def vrps(self, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Effective VRPs as of a VRP file; with a prefix: those that cover it or lie within it."""
        outer = None if prefix is None else parse_prefix(str(prefix))
        for entry in self._daemon.vrp_set.vrps():
            if outer is None or related(outer, entry.vrp.prefix):
                yield {"asn": entry.vrp.asn, "prefix": entry.vrp.prefix, "maxLength": entry.vrp.max_length}

    def routes(self, validity: Validity | None, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Routes; with a prefix: it and more specific ones."""
        for router in self._daemon.routers:
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
