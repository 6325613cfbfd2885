"""Path ids from the feeder, none towards the listener: all paths of a prefix are one route there."""

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.chain import Chain
from tests.lab.stayrtr import StayRTR


def path(number: int, origin: int) -> str:
    """The words of one path of the feeder's."""
    return f"route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 {origin} ] path-information {number}"


def test_the_peer_keeps_the_prefix_while_a_path_is_left(lab: Lab, exabgp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(lab, [[StayRTR(lab.folder, [VRP("198.18.0.0/16", 24, 64500)])]], exabgp=exabgp, add_path=True)
    with_send = chain.router.configuration
    monkeypatch.setattr(chain.router, "configuration", lambda: with_send().replace("add-path send;", ""))
    chain.start()

    def settle(*origins: int) -> None:
        chain.wait_routes(lambda got: [one.as_path[-1][1][-1] for one in got] == list(origins), f"paths of {origins}")

    def learned(count: int) -> None:
        chain.wait_status(lambda status: status["routers"][0]["routes"]["not-found"] == count, f"{count} paths")

    for number in (1, 2):
        chain.feeder.command(f"announce {path(number, number)}")
    learned(2)
    settle(1)
    chain.feeder.command(f"withdraw {path(1, 1)}")
    learned(1)
    settle(2)
    chain.feeder.command(f"announce {path(1, 1)}")
    learned(2)
    chain.feeder.command(f"withdraw {path(2, 2)}")
    learned(1)
    settle(1)
    chain.feeder.command(f"withdraw {path(1, 1)}")
    settle()
