"""The process of an audit: packed VRPs on stdin, what an audit and a check of BIRD found as JSON on stdout.

A process of its own beside the daemon: a full table of BIRD takes seconds of Python and some 200 MB, which are given
back when it ends, and a BIRD that hangs holds up nothing but it. A fault is a sentence on stderr and exit code 2.
"""

from __future__ import annotations

import sys

import msgspec

from rtrd.base import apart
from rtrd.bird.audit import audit, check, protocols
from rtrd.bird.client import Bird
from rtrd.bird.limits import limited
from rtrd.bird.replies import BirdError
from rtrlib.vrp_set import VRPSet


class AuditResult(msgspec.Struct, frozen=True):
    """What the daemon keeps of an audit and a check: numbers only."""

    tables: list[str]
    roa_tables: list[str]
    routes: dict[str, int]
    """By validity."""
    covers: dict[str, int]
    """Invalid ones."""
    vrps: int
    """In BIRD's ROA tables."""
    missing: int
    extra: int


def look(path: str, vrps: bytes) -> AuditResult:
    """Audit and check the BIRD at a socket against packed VRPs. Raises BirdError."""
    vrp_set = VRPSet()
    vrp_set.replace(0, vrps)
    vrp_set.activate([0])
    vrp_set.usable = True
    with Bird(path) as bird:
        found = protocols(bird)
        routes = audit(bird, found, vrp_set, most=0)
        roas = check(bird, found, vrps)
    return AuditResult(
        tables=routes.tables,
        roa_tables=roas.tables,
        routes=routes.routes,
        covers=routes.covers,
        vrps=roas.vrps,
        missing=len(roas.missing),
        extra=len(roas.extra),
    )


def _look() -> bytes:
    with limited():
        return msgspec.json.encode(look(sys.argv[1], sys.stdin.buffer.read()))


if __name__ == "__main__":
    sys.exit(apart.answer(_look, BirdError))
