"""Real lines of ExaBGP's packets mode (tests/samples/packets-*)."""

from __future__ import annotations

import json

from rtrd.rib.bgp_session import BGPSession, agreed, read_open
from tests.lab.samples import sample_lines

NAMES = (
    *("addpath-both", "addpath-send", "addpath-peer-sends-only", "addpath-v4-only", "addpath", "ibgp", "as2", "extoff"),
    *("ext", "negotiated-addpath-both", "negotiated-addpath", "negotiated", "all"),
)


def bodies(version: str, name: str, kind: str = "update") -> list[bytes]:
    """Give the octets of the messages of a file, without their headers."""
    lines = [line for line in sample_lines(name, f"packets-{version}") if line.startswith(b"{")]
    events = [event for event in map(json.loads, lines) if event["type"] == kind]
    return [bytes.fromhex(event["neighbor"]["message"]["body"][2:]) for event in events]


def session(version: str, name: str) -> BGPSession:
    """Give what a session agreed on."""
    ours, theirs = map(read_open, bodies(version, f"session-up-{name}", "open"))
    return agreed(ours, theirs)


def session_of(version: str, name: str) -> BGPSession:
    """Give what the session of a file agreed on."""
    found = next((one for one in NAMES if name.startswith(f"{one}-")), "v6" if name.startswith("v6session") else "main")
    return session(version, found)
