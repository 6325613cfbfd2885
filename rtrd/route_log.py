"""Changes of routes to or from invalid in the log: in the systemd journal each has PREFIX, ASN and NEIGHBOR.

A burst is cut short: the first lines of it, then how many more there were.
"""

from __future__ import annotations

from typing import Any, Final

from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.history import row
from rtrd.history_tables import Batch
from rtrd.rib.native_terms import BAD_PATH, BAD_PATH_WAS, CHANGE_SIZE, octets_of
from rtrlib.vrp_set import VALIDITIES

LINES: Final = 20
"""Lines in one go."""
REFILL: Final = 6.0
"""Seconds after which one more line may follow."""
SUMMARY: Final = 60.0
"""Seconds between two lines about how many were left out."""
_INVALID: Final = VALIDITIES.index("invalid")
_IS_INVALID: Final = bytes(validity == _INVALID for validity in range(256))

logger = log.get("routes")


def _crossed(records: bytes) -> bytes:
    """Give 1 for each change to or from invalid, by its origin or path, or a leak, and 0 for each other.

    Not one by one: there may be many.
    """
    was, now = (octets_of(records, name).translate(_IS_INVALID) for name in ("was", "now"))
    paths = octets_of(records, "paths")
    return _or(_xor(was, now), _xor(paths.translate(BAD_PATH_WAS), paths.translate(BAD_PATH)))


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _or(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") | int.from_bytes(other, "big")).to_bytes(len(one), "big")


class RouteLog:
    """Logs changes of the routes of one daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = float(LINES)
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
            reasons = {0: batch.path_reasons[number]} if number in batch.path_reasons else {}
            self._log(row(0, batch._replace(records=record, path_reasons=reasons)))
        if self._lines < 1:
            self._left_out += crossed.count(1, number + 1)

    def look(self) -> None:
        """Say how many changes were left out, if it is time."""
        now = self._clock.steady()
        self._lines = min(float(LINES), self._lines + (now - self._at) / REFILL)
        self._at = now
        if self._left_out and now - self._said >= SUMMARY:
            logger.warning("more routes changed to or from invalid", left_out=self._left_out)
            self._left_out = 0
        if not self._left_out:
            self._said = now

    def _log(self, change: dict[str, Any]) -> None:
        logger.info(
            _event(change),
            prefix=change["prefix"],
            asn="none" if change["origin_as"] is None else change["origin_as"],
            neighbor=change["neighbor"] or "unknown",
            router=change["router"],
            was=change["was"] or "new",
            validity=change["validity"] or "gone",
            **({"aspa": change["aspa"], "leak": change["leak"]} if change["aspa"] is not None else {}),
            decision=change["decision"] or "none",
            why=change["why"],
        )


def _event(change: dict[str, Any]) -> str:
    if change["validity"] == "invalid" and change["was"] != "invalid":
        return "a route is invalid"
    if change["aspa"] == "invalid" and change["aspa_was"] != "invalid":
        return "a route's path is invalid"
    if change["leak"] and not change["leak_was"]:
        return "a route has leaked"
    return "a route is no longer invalid"
