"""Rules for routes by what would be left without them; tests/fuzz/test_decisions.py has them in any order of events."""

from __future__ import annotations

import time
from collections.abc import Callable

from _rov import lib
from rtrd.rib.bgp_events import State
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


class Story(EngineStory):
    def __init__(self, text: str, *vrps: VRP) -> None:
        super().__init__(policy_of(text), *vrps)
        lib.rib_set_throng_from(self.engine.table.native, 2)  # routes of one prefix have an index, as in throngs.c
        for neighbor in (A, B, LISTENER, OTHER):
            self.engine.add_receiver(neighbor)


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


def test_what_covers_a_crowded_prefix_is_counted_not_walked_over_for_each_of_its_routes() -> None:
    """Of 4096 routes of a prefix each change was a look at all others: 0.1 s in one turn of the loop."""
    story = Story(WHEN)
    for neighbor in (A, B, LISTENER, OTHER):
        story.announce(neighbor, *(f"10.0.0.0/8 0.0.{number >> 8}.{number & 255}" for number in range(1024)))
    story.announce(A, "10.1.0.0/16", origin=64501)
    story.work()
    longest = 0.0
    for vrps in ([VRP("10.0.0.0/8", 8, 64500)], [VRP("10.0.0.0/8", 8, 64502)], []):
        story.vrps(*vrps)
        more = True
        while more:
            began = time.thread_time()
            more = story.engine.work(1000)
            longest = max(longest, time.thread_time() - began)
        covered = {route.decision for _, route in story.engine.routes("10.1.0.0/16")}
        assert covered == ({"withdraw"} if vrps and vrps[0].asn == 64500 else {"announce"})
    assert longest < 0.03


def test_a_vrp_that_changes_while_all_is_looked_at_again_counts_at_once() -> None:
    """Wherever that walk is: the routes that it has passed don't wait for it."""
    text = f"""policy:
  - from: [{A}]
    to: [{LISTENER}]
    when: {{covered-by: valid}}
    valid: {{action: announce}}
    invalid: {{action: observe}}
  - from: [{A}]
    to: [{LISTENER}]
    not-found: {{action: announce}}
    invalid: {{action: withdraw}}
"""
    for slices in range(40):
        story = Story(text)
        prefixes = [f"10.{number}.0.0/16" for number in range(8)]
        story.announce(A, *prefixes, origin=64500)
        story.work()
        assert sum(command.size for command in story.commands()) == len(prefixes)
        story.engine.set_policy(policy_of(text))
        for _ in range(slices):
            story.engine.work(1)
        story.vrps(*(VRP(prefix, 16, 64501) for prefix in prefixes))
        story.work()
        withdrawn = {prefix for command in story.commands() if not command.announce for prefix in command.nlri()}
        assert withdrawn == set(prefixes), slices
