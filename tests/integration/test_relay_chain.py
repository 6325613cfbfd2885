"""cache -> rtrd A -> rtrd B -> BIRD: whatever link is cut and whatever process dies, the ends are equal afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab
from rtrd.demo.ports import free_port
from tests.lab.daemons import At, Daemon
from tests.lab.links import Link
from tests.lab.rtr_routers import Bird

CHANGING = [VRP(f"198.51.100.{number}/32", 32, 64500) for number in range(100)]
FIRST = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 4200000000)]


class RelayChain:
    """The four, and a link before each of the last three."""

    def __init__(self, lab: Lab) -> None:
        self.served = FIRST
        self.cache = lab.start(RtrdCache(lab.folder, FIRST))
        self.daemons: list[Daemon] = []
        self.links: list[Link] = []
        port = self._through(self.cache.port, self.cache.address)
        for name in ("a", "b"):
            listen = free_port("127.0.0.1")
            settings: dict[str, Any] = {"rtr-server": {"listen": [f"127.0.0.1:{listen}"], "notify-interval": 0}}
            daemon = lab.start(Daemon(lab.folder, [At("127.0.0.1", port)], name, settings=settings))
            self.daemons.append(daemon)
            daemon.wait_serves()
            port = self._through(listen)
        self.bird = Bird(lab.folder, port)
        lab.start(self.bird.process)
        self.wait_equal()

    def _through(self, port: int, address: str = "127.0.0.1") -> int:
        self.links.append(Link(port, address))
        return self.links[-1].port

    def serve(self, *more: VRP) -> None:
        self.served = [*FIRST, *more]
        self.cache.serve(self.served)

    def wait_equal(self) -> None:
        self.bird.wait_table(set(self.served))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[RelayChain]:
    with Lab(tmp_path) as lab:
        chain = RelayChain(lab)
        yield chain
        for link in chain.links:
            link.cut()
    assert lab.leftovers == []


def test_a_change_goes_from_end_to_end(chain: RelayChain) -> None:
    seen = len(chain.bird.process.lines)
    chain.serve(*CHANGING[:3])
    chain.wait_equal()
    chain.serve(*CHANGING[1:4])
    chain.wait_equal()
    assert not chain.bird.reloads(seen), "deltas all the way"


@pytest.mark.parametrize("number", [0, 1, 2], ids=["cache-a", "a-b", "b-bird"])
def test_a_link_that_was_cut_while_vrps_changed_ends_equal(chain: RelayChain, number: int) -> None:
    for turn in range(3):
        chain.links[number].cut()
        chain.serve(*CHANGING[turn : turn + 5])
        if turn == 1:
            chain.serve(*CHANGING[50:])
        chain.links[number].restore()
        chain.wait_equal()


@pytest.mark.parametrize("number", [0, 1], ids=["a", "b"])
def test_a_relay_that_is_killed_and_started_again_ends_equal(chain: RelayChain, number: int) -> None:
    """What is behind it keeps what it had meanwhile; the new one's session is another one, so that all is loaded."""
    before = chain.bird.table()
    daemon = chain.daemons[number]
    daemon.process.kill()
    daemon.stop()
    chain.serve(*CHANGING[:5])
    assert chain.bird.table() == before
    daemon.start()
    chain.wait_equal()
