"""Every fault that a cache can have, at the real daemon: named in words, borne, and over when it is over."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtrd.commands import status as printed
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrlib import Fault
from tests.lab import turned_rtrd
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import FAULTS, LENIENT, SILENT, TROUBLES, FaultyCache, Script

GOOD = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64500)]
OTHER, NEWS = VRP("198.51.100.0/24", 24, 64501), VRP("203.0.113.0/24", 24, 64502)
MEMORY = 64
"""MiB: the least that can be configured."""


class World:
    """A daemon with two caches in one group, of which the first one will have faults."""

    def __init__(self, lab: Lab, engine: str) -> None:
        self.engine = engine
        self.faulty = lab.start(FaultyCache(GOOD))
        self.other = lab.start(FaultyCache([OTHER]))
        caches, timers = [[self.faulty, self.other]], {"memory-limit": MEMORY, "max-version": 1}
        self.daemon = lab.start(Daemon(lab.folder, caches, timers=timers, engine=engine))
        self.well()

    def server(self, status: dict[str, Any]) -> dict[str, Any]:
        """What the daemon knows of the faulty cache."""
        server: dict[str, Any] = status["groups"][0]["servers"][0]
        return server

    def wait(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The status, once it is so of the faulty cache."""
        return self.daemon.wait_status(lambda status: wanted(self.server(status)), what)

    def well(self) -> dict[str, Any]:
        status = self.wait(lambda server: server["state"] == "ESTABLISHED", "the cache to be in sync")
        assert (self.server(status)["error"], self.server(status)["fault"]) == (None, None)
        return self.daemon.wait_vrps(3)

    def restore(self) -> None:
        """Be as at the beginning, whatever a test left that failed."""
        if not self.daemon.process.running:
            self.daemon.start()
        for cache, vrps in ((self.faulty, GOOD), (self.other, [OTHER])):
            if not cache.healthy:
                cache.heal()
            if cache.vrps != vrps:
                cache.serve(vrps)

    def the_others_serve(self) -> None:
        """A change of the other cache is taken, there and back; what the faulty one said stays."""
        for vrps, count in (([OTHER, NEWS], 4), ([OTHER], 3)):
            self.other.serve(vrps)
            status = self.daemon.wait_vrps(count)
            assert self.server(status)["vrps"] == len(GOOD)
            assert status["groups"][0]["status"] == "ESTABLISHED"


@pytest.fixture(scope="module", params=["native", "librtr"])
def one_for_all(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """One daemon for all faults, one after the other."""
    with Lab(tmp_path_factory.mktemp("faults")) as lab:
        yield World(lab, str(request.param))
    assert lab.leftovers == []


@pytest.fixture
def world(one_for_all: World) -> Iterator[World]:
    """It, well again after the test: one that fails costs no other."""
    yield one_for_all
    one_for_all.restore()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_borne_and_over_when_it_is_over(world: World, name: str) -> None:
    if world.engine == "native" and name in LENIENT:
        bears(world, FAULTS[name].script)
        return
    fault, before = FAULTS[name], world.well()
    world.faulty.told.clear()
    world.faulty.break_with(fault.script, listens=fault.listens)
    status = world.wait(lambda server: re.search(fault.says, server["error"] or "") is not None, fault.says)
    server, was = world.server(status), world.server(before)
    assert server["fault"] == fault.kind
    assert server["faults"][fault.kind] > was["faults"].get(fault.kind, 0)
    assert f"    {server['error']}" in list(printed.lines(status))
    world.the_others_serve()
    if fault.kind == "protocol":
        told = list(world.faulty.told)
        assert told
        assert all(report.pdu and report.pdu in world.faulty.sent for report in told), "the PDU goes back as it came"
    world.faulty.heal()
    after = world.well()
    assert any("recovered; at " in line for line in printed.lines(after)), "over, and not forgotten"
    assert after["loop"]["long"] == before["loop"]["long"], after["loop"]


def bears(world: World, script: Script) -> None:
    """What the faulty cache does is odd, and costs nobody anything."""
    before = world.well()
    connections = world.faulty.connections
    world.faulty.break_with(script)
    world.wait(lambda _: world.faulty.connections > connections, "a connection")
    after = world.well()
    world.the_others_serve()
    assert after["loop"]["long"] == before["loop"]["long"], after["loop"]
    world.faulty.heal()


@pytest.mark.parametrize("name", TROUBLES)
def test_what_is_odd_is_borne(world: World, name: str) -> None:
    bears(world, TROUBLES[name])


def test_a_serial_that_goes_back_is_taken_and_said(world: World) -> None:
    world.well()
    world.faulty.break_with(TROUBLES["lets_the_serial_go_back"])
    said = r"the serial went back from \d+ to \d+ in one session"
    status = world.wait(lambda server: re.search(said, str(server["last_fault"])) is not None, "a word on it")
    assert world.server(status)["last_fault"]["fault"] == "protocol"
    world.well()
    world.faulty.heal()


def test_every_kind_of_fault_is_tried() -> None:
    # Of our own making: test_failover_stories, test_cache_life. OLD_DRAFT is of version 2: test_aspas_fetched.
    others = {Fault.STALE, Fault.PROCESS, Fault.OLD_DRAFT}
    assert {fault.kind for fault in (*FAULTS.values(), *SILENT.values())} == {*Fault} - others


def test_malformed_vrps_are_left_out_and_counted_and_the_others_count(world: World) -> None:
    odd = [
        VRP("10.0.0.0/99", 200, 1),
        VRP("10.0.0.1/24", 24, 1),
        VRP("10.0.0.0/24", 23, 1),
        VRP("10.0.0.0/24", 33, 1),
        VRP("2001:db8::/129", 129, 1),
        VRP("2001:db8::/200", 255, 1),
        VRP("2001:db8:8000::/255", 255, 1),
    ]
    default = [VRP("0.0.0.0/0", 0, 1), VRP("::/0", 0, 1)]
    before = sum(world.well()["vrps_left_out"].values())
    world.faulty.serve([*GOOD, *odd, *default])
    assert sum(world.daemon.wait_vrps(5)["vrps_left_out"].values()) == before + len(odd)
    assert world.daemon.validity("10.0.0.0/8", 1) == "invalid"
    world.faulty.serve(GOOD)
    world.well()


def test_silence_is_noticed_by_the_clock_and_good_data_is_kept_until_it_expires(lab: Lab) -> None:
    """The one test here that waits: a minute, which is librtr's own; all silent caches at once."""
    vrps = {name: VRP(f"10.{number}.0.0/16", 16, 64500) for number, name in enumerate(SILENT)}
    caches = {name: lab.start(FaultyCache([vrps[name]])) for name in SILENT}
    other, clock = lab.start(FaultyCache([OTHER])), lab.folder / "clock"
    group, timers = [*caches.values(), other], {"expire": 3600}
    daemon = lab.start(Daemon(lab.folder, [group], timers=timers, program=turned_rtrd.program(clock)))
    everything = len(group)
    daemon.wait_vrps(everything)
    for name, cache in caches.items():
        cache.break_with(SILENT[name].script)

    def said(status: dict[str, Any], name: str) -> str:
        servers = status["groups"][0]["servers"]
        return str(next(server["error"] for server in servers if server["port"] == caches[name].port))

    def wait(name: str) -> dict[str, Any]:
        return daemon.wait_status(lambda status: SILENT[name].says in said(status, name), name, seconds=90)

    wait("says_nothing")
    status = wait("stops_in_the_middle_of_a_pdu")
    assert sum(status["vrps"].values()) == everything
    turned_rtrd.turn(clock, 600)
    status = wait("trickles")
    assert sum(status["vrps"].values()) == everything
    other.serve([OTHER, NEWS])
    status = daemon.wait_vrps(everything + 1)
    assert status["loop"]["long"] == 0
    # The other one had news ten minutes later than they: it outlives them.
    turned_rtrd.turn(clock, 3660)
    status = daemon.wait_vrps(2)
    assert (status["ready"], status["groups"][0]["status"]) == (True, "ESTABLISHED")
