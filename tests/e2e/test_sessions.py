"""BGP sessions that come and go: the listening peer ends with the right routes."""

import signal

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import ROUTER
from tests.e2e.conftest import MakeChain
from tests.lab.chain import BOTH, ONE, STATIC, TWO, VALID, VRPS
from tests.lab.router_children import kill


def test_a_withdrawn_route_is_withdrawn(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feed(ONE, TWO)
    chain.settle(BOTH)
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    chain.settle(VALID)


def test_a_route_that_changes_its_origin_changes_its_validity(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feed(ONE)
    chain.settle(VALID)
    chain.feed(ONE.replace("64496 64500", "64496 64501"))
    chain.settle({})
    chain.feed(ONE)
    chain.settle(VALID)


def test_a_lost_feeder_takes_its_routes_along(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS, static=STATIC)
    chain.settle(BOTH)
    chain.feeder.stop()
    chain.settle({})
    chain.feeder.start()
    chain.settle(BOTH)


def test_a_listener_that_returns_receives_what_holds_now(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS)
    chain.feed(ONE, TWO)
    chain.settle(BOTH)
    chain.listener.stop()
    chain.groups[0][0].serve([VRP("203.0.113.0/24", 24, 64500), *VRPS])
    chain.wait_counts(valid=2)
    chain.listener.start()
    chain.listener.wait_established(ROUTER)
    chain.settle(dict.fromkeys(BOTH, "valid"))


def test_the_router_ends_and_rtrd_with_it(make_chain: MakeChain) -> None:
    """`lab` fails the test when anything that ExaBGP started outlives it."""
    chain = make_chain(VRPS)
    chain.feed(ONE)
    chain.settle(VALID)
    chain.router.process.kill()
    assert chain.router.leftovers == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_killed_rtrd_starts_up_and_corrects(make_chain: MakeChain, number: signal.Signals) -> None:
    """ExaBGP starts it again and tells it nothing; what changed is right in the end. An upgrade is the same."""
    chain = make_chain(VRPS, static=STATIC)
    chain.settle(BOTH)
    assert chain.ask("status")["routers"][0]["routes"]["valid"] == 1
    seen = chain.heard()
    kill(chain.helper(), number)
    chain.wait_learned(2)
    chain.settle(BOTH)
    assert chain.listener.withdrawn_prefixes(seen) == set()
    chain.groups[0][0].serve([VRP("198.18.0.0/16", 24, 64501)])
    chain.settle({"203.0.113.0/24": "not-found"})
