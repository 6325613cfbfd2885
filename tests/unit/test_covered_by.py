"""Rules for routes by what would be left without them: against brute force, whatever changes, in slices of any size."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable

import pytest

from _rov import lib
from rtrd.rib.bgp_events import State
from rtrd.rib.terms import Route
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, policy_of

A, B, LISTENER, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.8", "192.0.2.9"
WHEN = f"""policy:
  - from: [{A}, {B}]
    to: [{LISTENER}]
    when: {{covered-by: valid}}
    valid: {{action: announce, tags: ['large:65000:1:0']}}
    not-found: {{action: announce, tags: ['large:65000:1:1']}}
    invalid: {{action: withdraw}}
    unverified: {{action: announce}}
  - from: [{A}, {B}]
    to: [{LISTENER}, {OTHER}]
    when: {{covered-by: not-found}}
    valid: {{action: announce, tags: ['large:65000:2:0']}}
    not-found: {{action: announce}}
    invalid: {{action: observe}}
    unverified: {{action: announce}}
  - from: [{A}, {B}]
    to: [{LISTENER}]
    valid: {{action: announce}}
    not-found: {{action: announce}}
    invalid: {{action: announce, tags: ['large:65000:3:0'], local-preference: 50}}
    unverified: {{action: announce}}
"""
ONE = WHEN.replace(f"[{A}, {B}]", f"[{A}]") + f"  - {{to: [{LISTENER}], not-found: {{action: announce}}}}\n"
PLAIN = f"policy:\n  - {{to: [{LISTENER}], valid: {{action: announce}}, not-found: {{action: announce}}}}\n"


def cover_of(route: tuple[str, Route], routes: list[tuple[str, Route]]) -> str | None:
    """What would be left: the oracle."""
    network = ipaddress.ip_network(route[1].prefix)
    left = {
        other.validity
        for neighbor, other in routes
        if (neighbor, other) != route
        and (wider := ipaddress.ip_network(other.prefix)).version == network.version
        and network.subnet_of(wider)  # type: ignore[arg-type]
    }
    return next((validity for validity in ("valid", "not-found") if validity in left), None)


class Story(EngineStory):
    """So many routes of a prefix have an index, as in `rib/throngs.c`: here two, so that it is always in use."""

    def __init__(self, text: str, *vrps: VRP, throng_from: int = 2) -> None:
        super().__init__(policy_of(text), *vrps)
        lib.rib_set_throng_from(self.engine.table.native, throng_from)
        self.text = text
        self.stands: dict[tuple[str, str], tuple[str, ...]] = {}
        for neighbor in (A, B, LISTENER, OTHER):
            self.engine.add_receiver(neighbor)

    def tell(self) -> None:
        """Have the receivers hear what there is to say."""
        while (command := self.engine.next_command(3)) is not None:
            treatment = self.engine.treatment(command)
            words = (str(treatment.local_preference), *sorted(map(str, treatment.all_tags)), str(command.attributes))
            for receiver in self.engine.receivers.names(command.receivers):
                for prefix in command.prefixes.split():
                    self.stands.pop((receiver, prefix), None)
                    if command.announce:
                        self.stands[receiver, prefix] = words

    def check(self) -> None:
        """Nothing waits any more: each decision is the one of its rule, and is what stands at the receivers."""
        routes = list(self.engine.routes())
        best: dict[tuple[str, str], tuple[tuple[bool, int, str], tuple[str, ...]]] = {}
        for neighbor, route in routes:
            cover = cover_of((neighbor, route), routes)
            rule = next(rule for rule in self.engine._policy.rules_for(neighbor) if rule.covered_by in (None, cover))
            treatment = rule.treatments[route.validity]  # type: ignore[index]
            assert route.decision == treatment.action, (neighbor, route, cover)
            if treatment.action != "announce":
                continue
            preference = treatment.local_preference
            rank = (route.validity == "invalid", -(100 if preference is None else preference), neighbor)
            words = (str(preference), *sorted(map(str, treatment.tags)), str(route.attributes))
            for receiver in rule.to or ():
                key = receiver, route.prefix
                best[key] = min(best.get(key, (rank, words)), (rank, words))
        assert self.stands == {key: words for key, (_, words) in best.items()}


def test_what_would_be_left_decides() -> None:
    story = Story(WHEN, VRP("10.0.0.0/8", 16, 64500))
    decisions: Callable[[], dict[str, str]] = lambda: {  # noqa: E731
        f"{neighbor} {route.prefix}": route.decision for neighbor, route in story.engine.routes()
    }
    story.announce(A, "10.1.1.0/24", origin=64500)
    story.work()
    assert decisions() == {f"{A} 10.1.1.0/24": "announce"}, "nothing would be left"
    story.announce(B, "10.1.0.0/16", origin=64500)
    story.work()
    assert decisions()[f"{A} 10.1.1.0/24"] == "withdraw", "a valid one would"
    story.announce(B, "10.1.0.0/16", origin=64501)
    story.work()
    assert decisions()[f"{A} 10.1.1.0/24"] == "announce", "it is invalid, too"
    story.announce(B, "0.0.0.0/0", origin=64501)
    story.work()
    assert decisions()[f"{A} 10.1.1.0/24"] == "observe", "a not-found one"
    story.vrps(VRP("10.0.0.0/8", 16, 64500), VRP("0.0.0.0/0", 0, 64501))
    story.work()
    assert decisions()[f"{A} 10.1.1.0/24"] == "withdraw", "it is valid now"
    story.engine.state(State(B, up=False, reason=""))
    story.work()
    assert decisions() == {f"{A} 10.1.1.0/24": "announce"}
    story.announce(B, "10.1.1.0/24", origin=64501)
    story.vrps(VRP("10.1.1.0/24", 24, 64501))
    story.work()
    assert decisions()[f"{A} 10.1.1.0/24"] == "withdraw", "by the same prefix of another neighbor"
    story.tell()
    story.check()


@pytest.mark.parametrize("seed", [*range(20), 1018])
def test_as_brute_force_finds_it(seed: int) -> None:
    """Routes, VRPs, sessions and the policy change at random, between slices; now and then all is compared."""
    chance = random.Random(seed)
    prefixes = [
        str(ipaddress.ip_network((f"10.0.0.{chance.randrange(32)}", length), strict=False))
        for length in (0, 8, 24, 27, 28, 29, 30, 31, 32)
        for _ in range(3)
    ]
    prefixes += [f"2001:db8::/{length}" for length in (0, 32, 33, 64, 128)]
    prefixes = [one if one != "2001:db8::/0" else "::/0" for one in prefixes]
    story = Story(WHEN)
    vrps: set[VRP] = set()
    for step in range(400):
        neighbor, prefix = chance.choice((A, B)), chance.choice(prefixes)
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                story.announce(neighbor, prefix, origin=chance.choice((64500, 64501)))
            case 4 | 5:
                story.withdraw(neighbor, prefix)
            case 6 | 7:
                network = ipaddress.ip_network(prefix)
                length = chance.randint(network.prefixlen, network.max_prefixlen)
                vrps ^= {VRP(prefix, length, chance.choice((64500, 64501)))}
                story.vrps(*vrps)
            case 8 if chance.random() < 0.2:
                story.engine.state(State(neighbor, up=False, reason=""))
            case 9 if chance.random() < 0.2:
                story.engine.set_policy(policy_of(chance.choice((WHEN, WHEN, ONE, PLAIN))))
            case _:
                pass
        if chance.random() < 0.5:
            story.engine.work(chance.choice((1, 2, 5, 1000)))
        if chance.random() < 0.3:
            story.tell()
        if step % 10 == 9:
            story.engine.set_policy(policy_of(WHEN)) if step % 40 == 39 else None
            story.work()
            story.tell()
            if all(rule.to is not None for rule in story.engine._policy.rules):
                story.check()
