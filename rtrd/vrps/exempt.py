"""What an operator exempted: a prefix with an AS that is to be valid, as an assertion of a SLURM file (RFC 8416).

One assertion is enough: a route that one VRP matches is valid, whatever other VRPs say (RFC 6811 section 2). Its max
length is that of the prefix, so exactly this prefix is exempted. The file is one that any reader of RFC 8416 takes;
since when and until when an exempt counts is at the end of its comment. Pure: no file, no clock.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from rtrd.base.clock import timestamp
from rtrd.base.faults import FileFault
from rtrd.base.notation import said
from rtrd.vrps.slurm import SlurmError, parse
from rtrlib.vrp import VRP

MOST: Final = 10_000
"""Exempts at once: each change writes all of them."""
MOST_OF_PREFIX: Final = 256
"""Of one prefix: a look-up goes over all of them."""
MOST_COMMENT: Final = 200
"""Octets."""

Key = tuple[str, int]
"""Prefix and AS number."""

_ENDS: Final = re.compile(r"(.*?) ?\[rtrd exempt(?: since ([0-9TZ:-]+))?(?: until ([0-9TZ:-]+))?\]", re.DOTALL)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Exempt(NamedTuple):
    """One of them; times are Unix times."""

    prefix: str
    asn: int
    comment: str = ""
    since: int | None = None
    """None: somebody else wrote it."""
    until: int | None = None
    """None: until it is removed."""

    def __str__(self) -> str:
        return f"exempt {self.prefix} AS{self.asn}" + (f" ({self.comment})" if self.comment else "")

    @property
    def key(self) -> Key:
        """What tells it from the others."""
        return self.prefix, self.asn

    @property
    def vrp(self) -> VRP:
        """The VRP that makes it valid."""
        return VRP(self.prefix, int(self.prefix.partition("/")[2]), self.asn)

    def is_over(self, now: float) -> bool:
        """Tell whether its time is over."""
        return self.until is not None and now >= self.until

    def answer(self) -> dict[str, Any]:
        """Give it as the API has it."""
        since, until = (None if time is None else timestamp(time) for time in (self.since, self.until))
        return {"prefix": self.prefix, "asn": f"AS{self.asn}", "comment": self.comment, "since": since, "until": until}


def encode(exempts: Iterable[Exempt]) -> bytes:
    """Give the file."""
    assertions = [{"prefix": one.prefix, "asn": one.asn, "comment": _comment(one)} for one in exempts]
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "slurmVersion": 1,
                "validationOutputFilters": {"prefixFilters": [], "bgpsecFilters": []},
                "locallyAddedAssertions": {"prefixAssertions": assertions, "bgpsecAssertions": []},
            }
        )
    )


def decode(name: str, data: bytes) -> dict[Key, Exempt]:
    """Read the file. Raises SlurmError."""
    slurm = parse(name, data).slurm
    if slurm.count_filters() or slurm.count_assertions() > len(slurm.assertions):
        raise SlurmError([FileFault(name, 0, "it has more than prefixAssertions: rtrd did not write it")])
    found: dict[Key, Exempt] = {}
    for vrp, comment in zip(slurm.assertions, slurm.assertion_comments, strict=True):
        one = _exempt(vrp, comment)
        if vrp.max_length != one.vrp.max_length:
            raise SlurmError([FileFault(name, 0, f"{vrp}: an exempt is for exactly its prefix, without more lengths")])
        found[one.key] = one
    if len(found) > MOST:
        raise SlurmError([FileFault(name, 0, f"{len(found)} exempts, at most {MOST} are possible")])
    for prefix, count in Counter(prefix for prefix, _ in found).most_common(1):
        if count > MOST_OF_PREFIX:
            what = f"{count} exempts of {prefix}, at most {MOST_OF_PREFIX} are possible"
            raise SlurmError([FileFault(name, 0, what)])
    return found


def parse_until(text: str, now: float) -> int:
    """Read `2026-11-27T06:00Z`, with any zone, or `+2h` (s, m, h, d, w). ValueError with a sentence."""
    if match := re.fullmatch(r"\+?([0-9]{1,9})([smhdw])", text):
        until = now + int(match[1]) * _UNITS[match[2]]
    else:
        try:
            time = dt.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{said(text)} is not a time: expected one as 2026-11-27T06:00Z, or +2h") from None
        if time.tzinfo is None:
            raise ValueError(f"{said(text)} has no time zone: expected one as 2026-11-27T06:00Z or +01:00 at its end")
        until = time.timestamp()
    if until <= now:
        raise ValueError(f"{said(text)} is over already")
    try:
        timestamp(int(until))
    except (OverflowError, ValueError):
        raise ValueError(f"{said(text)} is too far away") from None
    return int(until)


def parse_comment(text: str) -> str:
    """Want one line that a terminal can show. ValueError with a sentence."""
    if not text.isprintable():
        raise ValueError("the comment has characters that can't be printed: expected one line of text")
    if (octets := len(text.encode())) > MOST_COMMENT:
        raise ValueError(f"the comment has {octets} octets, at most {MOST_COMMENT} are possible")
    return text.strip()


def _comment(one: Exempt) -> str:
    parts = [one.comment] if one.comment else []
    since = "" if one.since is None else f" since {timestamp(one.since)}"
    until = "" if one.until is None else f" until {timestamp(one.until)}"
    return " ".join([*parts, f"[rtrd exempt{since}{until}]"])


def _exempt(vrp: VRP, comment: str) -> Exempt:
    prefix = str(ipaddress.ip_network(vrp.prefix))
    if (match := _ENDS.fullmatch(comment)) is None:
        return Exempt(prefix, vrp.asn, comment)
    try:
        since, until = (None if text is None else _time(text) for text in match.groups()[1:])
    except ValueError:
        return Exempt(prefix, vrp.asn, comment)
    return Exempt(prefix, vrp.asn, match[1], since, until)


def _time(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())
