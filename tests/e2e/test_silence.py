"""ExaBGP does not tell of a neighbor, says nothing for a while, or others give it commands; both versions."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain
from tests.lab.chain import BOTH, ONE, TWO
from tests.lab.routers import reread
from tests.lab.speaker import Route, Speaker
from tests.lab.world import FEEDER_ASN, World

OTHER_ASN = 64497
OF_OTHER = {"10.1.0.0/24": Route((OTHER_ASN, 64500), "192.0.2.1")}
OF_FEEDER = {
    "10.0.0.0/24": Route((FEEDER_ASN, 64500), "192.0.2.1"),
    "2001:db8:1::/48": Route((FEEDER_ASN, 64500), "2001:db8::1"),
}
LATER = {"10.0.1.0/24": Route((FEEDER_ASN, 64500), "192.0.2.1")}


class Site(World):
    """With a second feeder, and a first one that has another `api` section, or none."""

    def __init__(self, lab: Lab, exabgp: str) -> None:
        super().__init__(lab, exabgp, seed=os.getpid())
        self.other = Speaker(self.feeder.address.rpartition(".")[0] + ".7", OTHER_ASN)
        self.api: str | None = None

    def neighbors(self) -> list[Neighbor]:
        feeder, listener = super().neighbors()
        return [
            Neighbor(address=feeder.address, asn=feeder.asn, api=self.api),
            Neighbor(address=self.other.address, asn=OTHER_ASN),
            listener,
        ]

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        settings["policy"][0]["from"].append(self.other.address)
        return settings

    def connect(self) -> None:
        super().connect()
        self.other.connect(self.router_address, self.router.port)

    def reload(self, api: str | None) -> None:
        """Have ExaBGP and rtrd read their configurations again."""
        self.api = api
        self.router.neighbors = self.neighbors()
        reread(self.router)
        self.ask("reload")

    def has(self, *prefixes: str) -> None:
        """Wait until the listener has exactly these."""
        self.listener.wait(lambda: self.listener.table.keys() == {*prefixes}, 90, f"exactly {prefixes}")

    def named(self, line: str) -> None:
        """Wait until the status names the feeder, and this line to write."""

        def found() -> bool:
            problems = [problem["what"] for problem in self.status()["problems"]]
            return any(self.feeder.address in what and line in what for what in problems)

        self.router.process.wait_until(found, 90, f"a problem with {line}", tick=0.5)


@pytest.fixture
def site(lab: Lab, exabgp: str) -> Iterator[Site]:
    site = Site(lab, exabgp)
    yield site
    site.stop()
    site.other.disconnect()


def test_a_neighbor_without_api_beside_one_that_has_it(site: Site) -> None:
    site.api = ""
    site.start()
    site.feeder.announce(OF_FEEDER)
    site.other.announce(OF_OTHER)
    site.named("write `api { processes [ helper ]; neighbor-changes; receive { packets; update; open; }")
    site.has(*OF_OTHER)
    site.reload(None)
    site.feeder.disconnect()  # 4.2 tells nothing by the new section before
    site.feeder.start()
    site.feeder.announce(LATER)
    site.has(*OF_OTHER, *OF_FEEDER, *LATER)


def test_a_reload_takes_the_api_section_and_brings_it_back(site: Site) -> None:
    site.api = ""
    site.start()
    site.feeder.announce(OF_FEEDER)
    site.other.announce(OF_OTHER)
    for _ in range(2):
        site.named("write `api {")
        site.has(*OF_OTHER)
        site.reload(None)
        site.feeder.disconnect()
        site.feeder.start()
        site.has(*OF_OTHER, *OF_FEEDER)
        site.reload("")


def test_a_section_that_tells_no_updates_is_named_when_routes_come(site: Site) -> None:
    site.api = "neighbor-changes;"
    site.start()
    site.feeder.announce({**OF_FEEDER, **LATER})
    site.feeder.announce(OF_FEEDER)  # more than two UPDATEs, which may be End-of-RIB
    site.named("write `receive { packets; update; open; }")
    assert not site.listener.snapshot()


def beside(site: Site, monkeypatch: pytest.MonkeyPatch, command: str) -> Path:
    """Start the site with another process, which writes a command for the listener; once there is the file."""
    go, script = site.lab.folder / "go", site.lab.folder / "other.sh"
    line = f"neighbor {site.listener.address} {command}"
    script.write_text(f"while [ ! -e {go} ]; do sleep 0.2; done\necho '{line}'\ncat > /dev/null\n")
    text = site.router.configuration
    process = f"process other {{ run /bin/sh {script}; encoder text; }}\n"
    monkeypatch.setattr(
        site.router, "configuration", lambda: process + text().replace("[ helper ]", "[ helper other ]")
    )
    site.start()
    site.feeder.announce(OF_FEEDER)
    site.other.announce(OF_OTHER)
    site.has(*OF_OTHER, *OF_FEEDER)
    return go


def test_what_somebody_else_removed_is_announced_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go = beside(site, monkeypatch, "withdraw route 10.1.0.0/24 next-hop 192.0.2.1")
    go.touch()
    site.has(*OF_FEEDER)
    site.ask("reload")
    site.has(*OF_OTHER, *OF_FEEDER)
    site.router.process.wait_for("somebody else removed", 10)


def test_what_somebody_else_announces_over_ours_stands_and_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go = beside(site, monkeypatch, "announce route 10.1.0.0/24 next-hop 192.0.2.66")
    go.touch()
    table = site.listener.table
    site.listener.wait(lambda: table["10.1.0.0/24"].next_hop == "192.0.2.66", 90, "the other one's route")

    def said() -> bool:
        return any("another route for 10.1.0.0/24" in problem["what"] for problem in site.status()["problems"])

    site.ask("reload")
    site.router.process.wait_until(said, 90, "a problem that names it", tick=0.5)
    assert table["10.1.0.0/24"].next_hop == "192.0.2.66"
    site.other.announce({"10.1.0.0/24": Route((OTHER_ASN, 64501), "192.0.2.1")})
    site.listener.wait(lambda: table["10.1.0.0/24"].next_hop == "192.0.2.1", 90, "ours, which is newer now")
    site.ask("reload")
    site.router.process.wait_until(lambda: not said(), 90, "no problem", tick=0.5)


def test_exabgp_stands_still_while_rtrd_is_replaced(make_chain: MakeChain) -> None:
    chain = make_chain([VRP("192.0.2.0/24", 24, 64500)], service=True)
    chain.feed(ONE, TWO)
    chain.settle(dict.fromkeys(BOTH, "not-found"))
    router = chain.router.process.pid
    os.kill(router, signal.SIGSTOP)
    chain.service.stop(signal.SIGKILL)
    chain.restart_service()
    chain.wait_status(
        lambda status: bool(status["routers"]) and (status["routers"][0]["waits_seconds"] or 0) > 3, "a silent ExaBGP"
    )
    chain.feed(TWO.replace("announce", "withdraw"))
    os.kill(router, signal.SIGCONT)
    chain.settle({"198.18.1.0/24": "not-found"})
