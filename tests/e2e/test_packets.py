"""ExaBGP's packets mode: rtrd reads the UPDATEs themselves."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeChain, exabgp_program
from tests.lab.chain import BOTH, STATIC, TWO, VALID, VRPS, Chain
from tests.lab.router_children import kill

PARSED = "neighbor-changes; receive { parsed; update; }"
V6 = "announce route 2001:db8::/32 next-hop 2001:db8:1::1 as-path [ 64496 64500 ]"


@pytest.fixture
def chain(make_chain: MakeChain) -> Chain:
    return make_chain(VRPS, static=STATIC)


def test_routes_come_change_and_go(chain: Chain) -> None:
    come_change_and_go(chain)


def test_parsed_lines_are_read_too(make_chain: MakeChain) -> None:
    chain = make_chain(VRPS, start=False, static=STATIC)
    chain.router.api = PARSED
    chain.start()
    come_change_and_go(chain)


def come_change_and_go(chain: Chain) -> None:
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
    kill(chain.helper())
    chain.wait_learned(2)
    chain.settle(BOTH)
    assert chain.listener.withdrawn_prefixes(seen) == set()
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    chain.settle(VALID)


def with_path_ids(make_chain: MakeChain, **options: Any) -> Chain:
    """Path ids come from the feeder, and none go there: of that 4.2 lists nothing for certain."""
    chain = make_chain(VRPS, add_path=True, static=STATIC[:1], **options)
    chain.settle(VALID)
    return chain


def goes_on(chain: Chain) -> None:
    """What the feeder says is read with its path ids."""
    chain.feed(TWO)
    chain.settle(BOTH)
    chain.feed("withdraw route 203.0.113.0/24 next-hop 192.0.2.1")
    chain.settle(VALID)


def test_path_ids_are_read_where_the_opens_agreed_on_them(make_chain: MakeChain) -> None:
    goes_on(with_path_ids(make_chain))


def test_and_after_a_restart_by_the_opens_that_were_kept(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = with_path_ids(make_chain, settings={"state": str(tmp_path)})
    seen = chain.heard()
    kill(chain.helper())
    chain.wait_learned(1)
    goes_on(chain)
    assert "198.18.1.0/24" not in chain.listener.withdrawn_prefixes(seen)


def test_and_after_an_attach_by_those_of_the_daemon(make_chain: MakeChain) -> None:
    chain = with_path_ids(make_chain, service=True)
    chain.feeder.stop()  # its first session may have come up before there was a service
    chain.settle({})
    chain.feeder.start()
    chain.settle(VALID)
    kill(chain.helper())
    chain.service.wait_for("router detached")
    chain.service.wait_for("router attached", since=len(chain.service.lines))
    chain.wait_learned(1)
    goes_on(chain)


def test_where_nothing_says_it_the_routes_wait_for_the_next_session(make_chain: MakeChain, exabgp: str) -> None:
    """5.0 lists which way path ids go."""
    chain = with_path_ids(make_chain)
    kill(chain.helper())
    if exabgp == exabgp_program("5.0.15"):
        chain.wait_learned(1)
        goes_on(chain)
        return
    chain.feed(TWO)
    chain.wait_status(
        lambda status: any("its OPENs were not heard" in problem["what"] for problem in status["problems"]),
        "a problem that says why the routes wait",
    )
    chain.wait_learned(0)
    chain.feeder.stop()
    chain.feeder.start()
    chain.settle(VALID)
    goes_on(chain)
