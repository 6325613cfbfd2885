"""Changes of routes to or from invalid in the log: in the systemd journal each has PREFIX, ASN and NEIGHBOR.

A burst is cut short: the first lines of it, then how many more there were.
"""

from __future__ import annotations

from typing import Any, Final

from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.history import row
from rtrd.history_tables import Batch
from rtrd.rib.native_terms import CHANGE_SIZE, octets_of
from rtrlib.vrp_set import VALIDITIES

BURST: Final = 20
"""Lines in one go."""
REFILL: Final = 6.0
"""Seconds after which one more line may follow."""
SUMMARY: Final = 60.0
"""Seconds between two lines about how many were left out."""
_INVALID: Final = VALIDITIES.index("invalid")
_IS_INVALID: Final = bytes(validity == _INVALID for validity in range(256))

logger = log.get("routes")


def _crossed(records: bytes) -> bytes:
    """Give 1 for each change to or from invalid, and 0 for each other; not one by one: there may be many."""
    was, now = (octets_of(records, name).translate(_IS_INVALID) for name in ("was", "now"))
    return (int.from_bytes(was, "big") ^ int.from_bytes(now, "big")).to_bytes(len(was), "big")


class RouteLog:
    """Logs changes of the routes of one daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = float(BURST)
        self._at = clock.steady()
        self._left_out = 0
        self._said = clock.steady()

    def take(self, batch: Batch) -> None:
        """Take changes of a router; log those to or from invalid."""
        crossed = _crossed(batch.records)
        number = -1
        while self._lines >= 1 and (number := crossed.find(1, number + 1)) >= 0:
            self._lines -= 1
            record = batch.records[number * CHANGE_SIZE : (number + 1) * CHANGE_SIZE]
            self._log(row(0, batch._replace(records=record)))
        if self._lines < 1:
            self._left_out += crossed.count(1, number + 1)

    def look(self) -> None:
        """Say how many changes were left out, if it is time."""
        now = self._clock.steady()
        self._lines = min(float(BURST), self._lines + (now - self._at) / REFILL)
        self._at = now
        if self._left_out and now - self._said >= SUMMARY:
            logger.warning("more routes changed to or from invalid", left_out=self._left_out)
            self._left_out = 0
        if not self._left_out:
            self._said = now

    def _log(self, change: dict[str, Any]) -> None:
        invalid = change["validity"] == "invalid"
        logger.info(
            "a route is invalid" if invalid else "a route is no longer invalid",
            prefix=change["prefix"],
            asn="none" if change["origin_as"] is None else change["origin_as"],
            neighbor=change["neighbor"] or "unknown",
            router=change["router"],
            was=change["was"] or "new",
            validity=change["validity"] or "gone",
            decision=change["decision"] or "none",
            why=change["why"],
        )
