"""An engine without a router: told what neighbors announce, asked for its commands."""

import json
from pathlib import Path
from typing import Any

from rtrd import config
from rtrd.exabgp.attributes import read_attributes
from rtrd.exabgp.decode import attribute_key
from rtrd.policy import Policy
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrlib.vrp import VRP
from tests.lab.vrp_sets import packed, set_of

CACHES = "caches: {groups: [{name: a, preference: 1, servers: [{host: 192.0.2.1}]}]}\n"


def policy_of(text: str) -> Policy:
    """Give the policy of a configuration whose caches do not matter."""
    return Policy(config.loads(CACHES + text, Path("rtrd.yaml")).policy)


PEER, LISTENER = "127.0.0.2", "127.0.0.3"
TAGGED = f"policy: [{{from: [{PEER}], to: [{LISTENER}], not-found: {{action: announce, tags: [rfc8097]}}}}]\n"
"""What PEER announces goes to LISTENER with its tag, if it is not-found."""


def update(
    neighbor: str, *prefixes: str, origin: int = 64500, next_hop: str = "192.0.2.9", **attributes: Any
) -> Update:
    """What a neighbor announces."""
    found = {"origin": "igp", "as-path": [64496, origin], **attributes}
    return Update(
        neighbor, [], [(attribute_key(json.dumps(found).encode(), next_hop, 65000, "ipv4 unicast"), list(prefixes))], 0
    )


class EngineStory:
    """An engine, its VRP set, and what it said."""

    def __init__(self, policy: Policy, *vrps: VRP) -> None:
        self.vrp_set = set_of(*vrps)
        self.engine = Engine("exabgp", self.vrp_set, policy, read_attributes)

    def up(self, *neighbors: str) -> None:
        for neighbor in neighbors:
            self.engine.state(State(neighbor, up=True, reason=""))

    def down(self, neighbor: str) -> None:
        self.engine.state(State(neighbor, up=False, reason="peer closed"))

    def announce(self, neighbor: str, *prefixes: str, **attributes: Any) -> None:
        self.engine.update(update(neighbor, *prefixes, **attributes))

    def withdraw(self, neighbor: str, *prefixes: str) -> None:
        self.engine.update(Update(neighbor, list(prefixes), [], 0))

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
