"""An engine without a router: told what neighbors announce, asked for its commands."""

import ipaddress
import json
import struct
from pathlib import Path
from typing import Any

from rtrd import config
from rtrd.exabgp.decode import DecodeError, decode
from rtrd.exabgp.parsed import Parsed, attributes_of
from rtrd.policy import Policy, normal
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrd.rib.update_octets import read_update
from rtrlib.vrp import VRP
from tests.lab.vrp_sets import packed, set_of

CACHES = "caches: {groups: [{name: a, preference: 1, servers: [{host: 192.0.2.1}]}]}\n"


def policy_of(text: str) -> Policy:
    """Give the policy of a configuration whose caches do not matter."""
    found = config.loads(CACHES + text, Path("rtrd.yaml"))
    return Policy(found.policy, found.neighbors)


PEER, LISTENER = "127.0.0.2", "127.0.0.3"
TAGGED = f"policy: [{{from: [{PEER}], to: [{LISTENER}], not-found: {{action: announce, tags: [rfc8097]}}}}]\n"
"""What PEER announces goes to LISTENER with its tag, if it is not-found."""


def key_of_json(attributes: bytes, next_hop: str = "192.0.2.1", own_as: int = 65000, family: int = 4) -> bytes:
    """The key of an attribute set that ExaBGP tells as JSON."""
    hop = ipaddress.ip_address(next_hop).packed
    return struct.pack("!BBIB", family, 0, own_as, len(hop)) + hop + attributes_of(attributes)


def update_of(event: Parsed) -> Update:
    """All that a line of parsed mode says of routes."""
    told = Update(event.neighbor, [], [], event.others)
    for session, body in event.updates:
        update, _ = read_update(event.neighbor, session, body)
        told.withdrawn.extend(update.withdrawn)
        told.announced.extend(update.announced)
    return told


def tell(engine: Engine, event: Update) -> None:
    """Have an engine take routes whose attribute sets are keys."""
    name = normal(event.neighbor)
    number, table = engine._session(name).number, engine.table
    engine._path_ids |= any(" " in prefix for _, prefixes in event.announced for prefix in prefixes)
    engine.previous_run.withdrawn(name, event.withdrawn)
    if event.withdrawn:
        table.withdraw(number, event.withdrawn)
    for key, prefixes in event.announced:
        if prefixes:
            table.announce(number, table.set_of_octets(key), prefixes)


def take(engine: Engine, *lines: bytes) -> None:
    """Have an engine take lines of ExaBGP that are UPDATEs of parsed mode; others, and what is none, are nothing."""
    for line in lines:
        try:
            event = decode(line)
        except DecodeError:
            continue
        if isinstance(event, Parsed):
            for session, body in event.updates:
                engine.receive(event.neighbor, session, body)


def update(
    neighbor: str, *prefixes: str, origin: int = 64500, next_hop: str = "192.0.2.9", **attributes: Any
) -> Update:
    """What a neighbor announces."""
    found = {"origin": "igp", "as-path": [64496, origin], **attributes}
    return Update(neighbor, [], [(key_of_json(json.dumps(found).encode(), next_hop), list(prefixes))], 0)


class EngineStory:
    """An engine, its VRP set, and what it said."""

    def __init__(self, policy: Policy, *vrps: VRP, secret: bytes = b"") -> None:
        self.vrp_set = set_of(*vrps)
        self.engine = Engine("exabgp", self.vrp_set, policy, secret)

    def up(self, *neighbors: str) -> None:
        for neighbor in neighbors:
            self.engine.state(State(neighbor, up=True, reason=""))

    def down(self, neighbor: str) -> None:
        self.engine.state(State(neighbor, up=False, reason="peer closed"))

    def announce(self, neighbor: str, *prefixes: str, **attributes: Any) -> None:
        tell(self.engine, update(neighbor, *prefixes, **attributes))

    def withdraw(self, neighbor: str, *prefixes: str) -> None:
        tell(self.engine, Update(neighbor, list(prefixes), [], 0))

    def vrps(self, *vrps: VRP) -> None:
        """Have these VRPs from now on."""
        self.engine.vrps_changed(self.vrp_set.replace(0, packed(vrps)))

    def work(self) -> None:
        """Revalidate all that is due."""
        while self.engine.work(10):
            pass

    def commands(self) -> list[Command]:
        """What it has to say."""
        self.work()
        return list(iter(lambda: self.engine.next_command(50), None))
