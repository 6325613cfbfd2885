"""Path ids from the feeder, none toward the listener: all paths of a prefix are one route there."""

import pytest

from tests.e2e.conftest import MakeChain
from tests.lab.chain import VRPS


def path(number: int, origin: int) -> str:
    """The words of one path of the feeder's."""
    return f"route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 {origin} ] path-information {number}"


def test_the_peer_keeps_the_prefix_while_a_path_is_left(make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = make_chain(VRPS, add_path=True, start=False)
    with_send = chain.router.configuration
    monkeypatch.setattr(chain.router, "configuration", lambda: with_send().replace("add-path send;", ""))
    chain.start()

    def settle(*origins: int) -> None:
        chain.wait_routes(lambda got: [one.as_path[-1][1][-1] for one in got] == list(origins), f"paths of {origins}")

    for number in (1, 2):
        chain.feed(f"announce {path(number, number)}")
    chain.wait_counts(not_found=2)
    settle(1)
    chain.feed(f"withdraw {path(1, 1)}")
    chain.wait_counts(not_found=1)
    settle(2)
    chain.feed(f"announce {path(1, 1)}")
    chain.wait_counts(not_found=2)
    chain.feed(f"withdraw {path(2, 2)}")
    chain.wait_counts(not_found=1)
    settle(1)
    chain.feed(f"withdraw {path(1, 1)}")
    settle()
