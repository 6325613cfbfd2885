"""BGP sessions that come and go: the listening peer ends with the right routes."""

import os
import select
import signal
from pathlib import Path

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import ROUTER
from rtrd.demo.lab import session_members
from tests.e2e.conftest import MakeChain
from tests.lab.chain import Chain

VRPS = [VRP("198.18.0.0/16", 24, 64500)]
ONE = "announce route 198.18.1.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]"
TWO = "announce route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]"
BOTH = {"198.18.1.0/24": "valid", "203.0.113.0/24": "not-found"}


def settle(chain: Chain, tags: dict[str, str]) -> None:
    chain.wait_routes(lambda got: {route.prefix: route.validity for route in got} == tags, f"routes tagged {tags}")


def test_a_withdrawn_route_is_withdrawn(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feeder.command(ONE)
    chain.feeder.command(TWO)
    settle(chain, BOTH)
    chain.feeder.command("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    settle(chain, {"198.18.1.0/24": "valid"})


def test_a_route_that_changes_its_origin_changes_its_validity(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feeder.command(ONE)
    settle(chain, {"198.18.1.0/24": "valid"})
    chain.feeder.command(ONE.replace("64496 64500", "64496 64501"))
    settle(chain, {})
    chain.feeder.command(ONE)
    settle(chain, {"198.18.1.0/24": "valid"})


def test_a_lost_feeder_takes_its_routes_along(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS, static=[ONE.removeprefix("announce "), TWO.removeprefix("announce ")])
    settle(chain, BOTH)
    chain.feeder.stop()
    settle(chain, {})
    chain.feeder.start()
    settle(chain, BOTH)


def test_a_listener_that_returns_receives_what_holds_now(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feeder.command(ONE)
    chain.feeder.command(TWO)
    settle(chain, BOTH)
    chain.listener.stop()
    chain.groups[0][0].serve([VRP("203.0.113.0/24", 24, 64500), *VRPS])
    chain.wait_status(lambda status: status["routers"][0]["routes"]["valid"] == 2, "two valid routes")
    chain.listener.start()
    chain.listener.wait_established(ROUTER)
    settle(chain, dict.fromkeys(BOTH, "valid"))


def test_the_router_ends_and_rtrd_with_it(make_chain: MakeChain) -> None:
    """`lab` fails the test when anything that ExaBGP started outlives it."""
    chain = make_chain(VRPS)
    chain.feeder.command(ONE)
    settle(chain, {"198.18.1.0/24": "valid"})
    chain.router.process.kill()
    assert chain.router.leftovers == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_killed_rtrd_starts_up_and_corrects(make_chain: MakeChain, number: signal.Signals) -> None:
    """ExaBGP starts it again and tells it nothing; what changed is right in the end. An upgrade is the same."""
    chain = make_chain(VRPS, static=[ONE.removeprefix("announce "), TWO.removeprefix("announce ")])
    settle(chain, BOTH)
    assert chain.ask("status")["routers"][0]["routes"]["valid"] == 1
    seen = len(chain.listener.monitor.lines)
    kill_rtrd(chain, number)
    chain.wait_status(
        lambda status: status["ready"] and sum(sum(r["routes"].values()) for r in status["routers"]) == 2,
        "both routes learned again",
    )
    settle(chain, BOTH)
    assert chain.listener.withdrawn_prefixes(seen) == set()
    chain.groups[0][0].serve([VRP("198.18.0.0/16", 24, 64501)])
    settle(chain, {"203.0.113.0/24": "not-found"})


def kill_rtrd(chain: Chain, number: signal.Signals) -> None:
    """Send a signal to the process that ExaBGP started, and return when it ended."""
    router = chain.router.process.pid
    (pid,) = [
        pid
        for pid in session_members(router)
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(router)
    ]
    handle = os.pidfd_open(pid)
    os.kill(pid, number)
    # A pidfd is readable once its process ended.
    assert select.select([handle], [], [], 10)[0]
    os.close(handle)
