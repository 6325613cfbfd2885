"""ExaBGP's packets mode: rtrd reads the UPDATEs themselves."""

import signal

import pytest

from tests.e2e.conftest import MakeChain
from tests.e2e.test_sessions import kill_rtrd
from tests.lab.chain import BOTH, ONE, TWO, VALID, VRPS, Chain

PACKETS = "neighbor-changes; receive { packets; update; open; } send { packets; open; }"
V6 = "announce route 2001:db8::/32 next-hop 2001:db8:1::1 as-path [ 64496 64500 ]"


@pytest.fixture
def chain(make_chain: MakeChain) -> Chain:
    chain = make_chain(VRPS, start=False, static=[ONE.removeprefix("announce "), TWO.removeprefix("announce ")])
    chain.router.api = PACKETS
    chain.start()
    return chain


def test_routes_come_change_and_go(chain: Chain) -> None:
    chain.settle(BOTH)
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1", V6)
    chain.settle({**VALID, "2001:db8::/32": "not-found"})
    chain.feeder.stop()
    chain.settle({})
    chain.feeder.start()
    chain.settle(BOTH)


def test_a_killed_rtrd_reads_the_sessions_whose_opens_it_did_not_hear(chain: Chain) -> None:
    chain.settle(BOTH)
    seen = chain.heard()
    kill_rtrd(chain, signal.SIGKILL)
    chain.wait_status(
        lambda status: status["ready"] and sum(sum(r["routes"].values()) for r in status["routers"]) == 2,
        "both routes learned again",
    )
    chain.settle(BOTH)
    assert chain.listener.withdrawn_prefixes(seen) == set()
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    chain.settle(VALID)


def test_path_ids_are_read_where_the_opens_agreed_on_them(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS, start=False, add_path=True, static=[ONE.removeprefix("announce ")])
    chain.router.api = PACKETS
    chain.start()
    chain.settle(VALID)
    chain.feed(TWO)
    chain.settle(BOTH)
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    chain.settle(VALID)
