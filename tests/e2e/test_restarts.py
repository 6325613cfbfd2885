"""rtrd and ExaBGP killed and reloaded, at any moment: the peer ends with the right routes, and sees no other change.

RTRD_KILLS and RTRD_ROUTES make the flood longer (`make restarts`); RTRD_SEED repeats one.
"""

import os
import signal
import time

from tests.e2e.conftest import MakeWorld
from tests.lab.router_children import kill
from tests.lab.speaker import Route
from tests.lab.world import World

KILLS = int(os.environ.get("RTRD_KILLS", "2"))
ROUTES = int(os.environ.get("RTRD_ROUTES", "3000"))
SEED = int(os.environ.get("RTRD_SEED", "1"))
"""The same each time in `make test`; the long forms take another each time, and print it."""
SPACING = 16.0
"""Seconds between two deaths: five in 64 s end ExaBGP."""


def settled(world: World, count: int = 200) -> World:
    """Have routes announced, and VRPs served."""
    world.start()
    world.new_vrps()
    world.feeder.announce(world.routes(count))
    world.settle(what="the first routes")
    assert count / 2 < len(world.expected()) < count, "some are invalid, most are not"
    return world


class Watch:
    """What the listener hears from now on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since = len(world.listener.heard)
        self._before = world.listener.snapshot()

    def touched(self) -> set[str]:
        """Prefixes that were announced, or withdrawn while the listener had them."""
        return {
            each.prefix
            for each in self._world.listener.heard[self._since :]
            if each.route is not None or each.prefix in self._before
        }


def two(world: World) -> tuple[str, str]:
    """Two routes that the listener has."""
    first, second = sorted(world.expected().keys() & world.feeder.said.keys())[:2]
    return first, second


def test_killed_at_random_moments_of_a_flood(make_world: MakeWorld) -> None:
    world = make_world(seed=SEED)
    print(f"seed {SEED}: {ROUTES} routes, {KILLS} kills")
    world.start()
    world.new_vrps()
    killed = 0.0
    for number in range(KILLS):
        world.feeder.announce(world.routes(ROUTES // KILLS, shift=ROUTES // KILLS * number))
        time.sleep(max(0.0, killed + SPACING - time.monotonic()) if KILLS > 4 else 0)
        moment = world.random.random() * 4
        print(f"kill {number + 1} after {moment:.3f} s")
        world.new_vrps(20)
        time.sleep(moment)  # the moment is what is random here
        killed = time.monotonic()
        world.kill()
        world.feeder.withdraw(world.random.sample(sorted(world.feeder.said), 30))
        world.new_vrps(5)
        world.settle(120, f"seed {SEED}, kill {number + 1}")


def test_what_went_away_while_rtrd_was_dead(make_world: MakeWorld) -> None:
    """It is withdrawn, what is invalid now too; and of no other route anything is sent."""
    world = settled(make_world())
    watch = Watch(world)
    before = world.expected()
    world.kill()
    gone = world.random.sample(sorted(world.feeder.said), 20)
    world.feeder.withdraw(gone)
    world.new_vrps(30)
    world.settle(what="after the kill")
    after = world.expected()
    changed = {prefix for prefix in before.keys() | after.keys() if before.get(prefix) != after.get(prefix)}
    assert watch.touched() <= changed | set(gone)


def test_a_good_route_that_is_sent_again_late_is_not_withdrawn(make_world: MakeWorld) -> None:
    world = settled(make_world())
    watch = Watch(world)
    first, second = two(world)
    world.feeder.answers_refresh = False
    world.kill()
    world.feeder.withdraw([first])
    world.settle(what="a slow neighbor")
    # It was learned from ExaBGP's own list; the late answer says nothing new.
    world.feeder.announce(world.feeder.said)
    world.feeder.withdraw([second])
    world.settle(what="the late answer")
    assert watch.touched() <= {first, second}


def test_a_neighbor_that_sends_nothing_again(make_world: MakeWorld) -> None:
    """It knows no route refresh (RFC 2918): its routes are in ExaBGP's Adj-RIB-In."""
    world = settled(make_world(refresh=False))
    watch = Watch(world)
    first, _ = two(world)
    world.kill()
    world.feeder.withdraw([first])
    world.settle(what="without route refresh")
    assert watch.touched() <= {first}
    world.new_vrps(30)
    world.settle(what="new VRPs count for what was learned so")


def test_what_a_session_had_brought_that_ended_unheard_goes(make_world: MakeWorld) -> None:
    """Nobody else has routes, so ExaBGP's list is empty: it keeps one, and that is all there is."""
    world = settled(make_world())
    helper = world.helper()
    os.kill(helper, signal.SIGSTOP)
    seen = len(world.router.process.lines)
    world.feeder.disconnect()
    world.feeder.said.clear()
    kill(helper)
    world.router.process.wait_for("phase=done", 60, seen)
    world.settle(what="after the session's end")


def test_what_others_announced_is_left_alone(make_world: MakeWorld) -> None:
    world = make_world(
        static=["route 203.0.113.0/24 next-hop 192.0.2.9 as-path [ 65009 ] extended-community 0x4300000000000000"]
    )
    world.others = {"203.0.113.0/24": Route((65009,), "192.0.2.9", extended=(0x4300 << 48,))}
    settled(world)
    watch = Watch(world)
    first, _ = two(world)
    world.kill()
    world.feeder.withdraw([first])
    world.settle(what="with a static route")
    assert watch.touched() <= {first}


def test_exabgp_killed_and_started_again(make_world: MakeWorld) -> None:
    world = settled(make_world())
    world.router.process.kill()
    assert world.router.leftovers == []
    world.feeder.disconnect()
    world.listener.disconnect()
    world.router.start()
    world.new_vrps(10)
    world.connect()
    world.settle(what="after ExaBGP's restart")


def test_exabgp_reloads(make_world: MakeWorld) -> None:
    """SIGUSR1 keeps rtrd, SIGUSR2 replaces it: no route goes away in either case."""
    world = settled(make_world())
    helper = world.helper()
    heard = len(world.listener.heard)
    seen = len(world.router.process.lines)
    world.router.process.send_signal(signal.SIGUSR1)
    world.router.process.wait_for("reload", since=seen)
    world.new_vrps(30)
    world.settle(what="after SIGUSR1")
    assert world.helper() == helper
    world.router.process.send_signal(signal.SIGUSR2)
    world.helper(other_than=helper)
    world.settle(what="after SIGUSR2")
    withdrawn = {each.prefix for each in world.listener.heard[heard:] if each.route is None}
    assert not withdrawn & world.expected().keys() or world.listener.sessions > 1
