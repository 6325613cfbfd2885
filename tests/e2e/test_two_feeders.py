"""Two neighbors that announce the same prefix: ExaBGP keeps one announcement of it, which must be the right one."""

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import POLICY, ROUTER, ROUTER_ASN
from rtrd.demo.lab import Lab
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain
from tests.lab.chain import VRPS, Chain
from tests.lab.routers import Feeder

SECOND, SECOND_ASN = "127.0.0.6", 64499
FIRST_VALID = "announce route 198.18.1.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]"
SECOND_VALID = "announce route 198.18.1.0/24 next-hop 192.0.2.9 as-path [ 64499 64500 ]"
SECOND_INVALID = SECOND_VALID.replace("64500", "64501")
FIRST_GONE = "withdraw route 198.18.1.0/24 next-hop 192.0.2.1"


@pytest.fixture
def second(lab: Lab) -> Feeder:
    """The other feeder, not started yet."""
    return Feeder(lab.folder, name="second", address=SECOND, asn=SECOND_ASN)


@pytest.fixture
def chain(lab: Lab, make_chain: MakeChain, second: Feeder) -> Chain:
    """The chain with a second feeder."""
    rule = {key: value for key, value in POLICY[0].items() if key != "from"}
    neighbor = Neighbor(address=SECOND, asn=SECOND_ASN)
    chain = make_chain(VRPS, policy=[rule], more_feeders=[neighbor])
    second.neighbors = [Neighbor(address=ROUTER, asn=ROUTER_ASN, port=chain.router.port)]
    lab.start(second)
    return chain


def settle(chain: Chain, *path: int) -> None:
    """Wait until the listener has just the route with this path, tagged valid; nothing for no path."""
    wanted = [((("sequence", path),), "valid")] if path else []
    chain.wait_routes(lambda got: [(it.as_path, it.validity) for it in got] == wanted, f"a route by {path or 'nobody'}")


def test_the_valid_one_is_announced_whoever_came_last(chain: Chain, second: Feeder) -> None:
    chain.feed(FIRST_VALID)
    settle(chain, 64496, 64500)
    second.command(SECOND_INVALID)
    chain.wait_counts(invalid=1)
    settle(chain, 64496, 64500)
    chain.feed(FIRST_GONE)
    settle(chain)


def test_what_remains_is_announced_when_the_other_goes(chain: Chain, second: Feeder) -> None:
    chain.feed(FIRST_VALID)
    second.command(SECOND_VALID)
    chain.wait_counts(valid=2)
    chain.feed(FIRST_GONE)
    settle(chain, 64499, 64500)
    chain.feed(FIRST_VALID)
    chain.wait_counts(valid=2)
    second.stop()
    settle(chain, 64496, 64500)


def test_a_vrp_change_moves_the_announcement(chain: Chain, second: Feeder) -> None:
    chain.feed(FIRST_VALID)
    second.command(SECOND_INVALID)
    settle(chain, 64496, 64500)
    chain.groups[0][0].serve([VRP("198.18.0.0/16", 24, 64501)])
    settle(chain, 64499, 64501)
    chain.groups[0][0].serve(VRPS)
    settle(chain, 64496, 64500)
