"""Two groups of two caches, all real processes: what the router hears while they die, hang, vanish and return."""

import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab
from tests.lab.faulty_cache import FaultyCache, never_ends
from tests.lab.programs import RTRD, run
from tests.lab.scripted_exabgp import LISTENER, PEER, ScriptedExaBGP

BOTH = [VRP("198.18.1.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64500)]
PRIMARY = [*BOTH, VRP("203.0.113.0/24", 24, 64500)]
BACKUP = [*BOTH, VRP("203.0.113.0/24", 24, 64999)]
ROUTES = ["198.18.1.0/24", "203.0.113.0/24", "2001:db8:1::/48", "192.0.2.0/24"]
CHANGES, ALIKE = "203.0.113.0/24", [route for route in ROUTES if route != "203.0.113.0/24"]
ROUNDS = 10


def learn(daemon: ScriptedExaBGP) -> None:
    """Let the router learn ROUTES, and hear of each."""
    for neighbor in (PEER, LISTENER):
        daemon.comes_up(neighbor)
    for route in ROUTES:
        daemon.announces(route, 64500)
    daemon.wait_changes(0, ("announce", ROUTES))


class Story:
    """The caches, the daemon, and a router that has learned ROUTES."""

    def __init__(
        self, lab: Lab, primary: Sequence[VRP], backup: Sequence[VRP], engine: str | None = None, **timers: Any
    ) -> None:
        self.primary, self.backup = (
            [lab.start(RtrdCache(lab.folder, vrps, name=f"{name}{number}")) for number in (1, 2)]
            for name, vrps in (("primary", primary), ("backup", backup))
        )
        self.daemon = lab.start(ScriptedExaBGP(lab.folder, [self.primary, self.backup], timers=timers, engine=engine))
        self.is_active("group1")
        learn(self.daemon)

    def is_active(self, name: str) -> dict[str, Any]:
        """Wait until a group is in use, and all that is above it is not."""

        def so(status: dict[str, Any]) -> bool:
            servers = [server for group in status["groups"] if group["name"] == name for server in group["servers"]]
            well = all(server["state"] == "ESTABLISHED" for server in servers)
            return status["active_group"] == name and status["ready"] and well

        return self.daemon.wait_status(so, f"{name} in use")

    def primary_dies(self) -> dict[str, Any]:
        for cache in self.primary:
            cache.kill()
        return self.is_active("group2")

    def primary_returns(self) -> dict[str, Any]:
        for cache in self.primary:
            cache.start()
        return self.is_active("group1")

    def nothing_was_said_since(self, position: int) -> None:
        """Not one line to the router. What is said now is heard, so it was silence and no deafness."""
        for cache in self.primary:
            cache.serve([VRP("192.0.2.0/24", 24, 64999), *PRIMARY])
        self.daemon.wait_changes(position, ("withdraw", ["192.0.2.0/24"]))
        # Each of them has it now. One that told it late would undo what the others take back below.
        self.daemon.wait_status(lambda status: self.vrps_of_primary(status) == {len(PRIMARY) + 1}, "it of each cache")
        after = self.daemon.position()
        for cache in self.primary:
            cache.serve(PRIMARY)
        self.daemon.wait_changes(after, ("announce", ["192.0.2.0/24"]))

    def vrps_of_primary(self, status: dict[str, Any]) -> set[int]:
        ports = {cache.port for cache in self.primary}
        servers = [server for group in status["groups"] for server in group["servers"]]
        return {server["vrps"] for server in servers if server["port"] in ports}


def test_ten_deaths_of_a_group_with_the_same_vrps_are_not_one_line_to_the_router(lab: Lab) -> None:
    story = Story(lab, PRIMARY, list(reversed(PRIMARY)))
    position = story.daemon.position()
    for _ in range(ROUNDS):
        status = story.primary_dies()
        assert sum(status["vrps"].values()) == len(PRIMARY)
        story.primary_returns()
    story.nothing_was_said_since(position)
    status = story.is_active("group1")
    assert status["loop"]["long"] == 0, status["loop"]


def test_one_cache_of_two_dies_and_nothing_happens_at_all(lab: Lab) -> None:
    story = Story(lab, PRIMARY, BACKUP)
    position = story.daemon.position()
    for cache in story.primary * 2:
        cache.kill()
        status = story.daemon.wait_status(
            lambda status: [server["state"] for server in status["groups"][0]["servers"]].count("ESTABLISHED") == 1,
            "its death to be noticed",
        )
        assert (status["active_group"], status["groups"][1]["status"]) == ("group1", "CLOSED")
        cache.start()
        story.is_active("group1")
    story.nothing_was_said_since(position)


def test_a_group_with_other_vrps_is_exactly_the_difference_each_time(lab: Lab) -> None:
    story = Story(lab, PRIMARY, BACKUP)
    for _ in range(3):
        position = story.daemon.position()
        story.primary_dies()
        story.daemon.wait_changes(position, ("withdraw", [CHANGES]))
        story.primary_returns()
        story.daemon.wait_changes(position, ("withdraw", [CHANGES]), ("announce", [CHANGES]))


def processes(daemon: ScriptedExaBGP) -> dict[int, int]:
    """The pid of the process of each cache that runs, by the cache's port."""
    servers = [server for group in daemon.now()["groups"] for server in group["servers"]]
    return {server["port"]: server["pid"] for server in servers if server["pid"] is not None}


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL, signal.SIGSTOP])
def test_processes_that_end_or_hang_are_replaced_and_the_router_hears_nothing(lab: Lab, number: signal.Signals) -> None:
    story = Story(lab, PRIMARY, BACKUP, engine="librtr")
    position = story.daemon.position()
    said = "did not answer for 15 seconds" if number is signal.SIGSTOP else f"died of {number.name}"
    before = processes(story.daemon)
    assert sorted(before) == sorted(cache.port for cache in story.primary)
    victim = story.primary[0].port
    os.kill(before[victim], number)
    status = story.daemon.wait_status(lambda status: said in str(status["groups"]), said)
    assert status["active_group"] == "group1"
    assert status["groups"][0]["servers"][0]["faults"] == {"process": 1}
    assert status["groups"][0]["servers"][0]["vrps"] == len(PRIMARY)
    story.is_active("group1")
    assert processes(story.daemon)[victim] != before[victim]
    assert not Path(f"/proc/{before[victim]}").exists(), "it is gone, and was waited for"
    story.nothing_was_said_since(position)


def test_a_process_that_eats_memory_is_replaced_later_and_later(lab: Lab) -> None:
    """The greedy cache costs its own process, again and again and less and less often; the others go on."""
    greedy, good = lab.start(FaultyCache(PRIMARY)), lab.start(FaultyCache(PRIMARY))
    timers = {"memory-limit": 64, "retry": 60}
    daemon = lab.start(ScriptedExaBGP(lab.folder, [[greedy, good]], timers=timers, engine="librtr"))
    daemon.wait_status(lambda status: sum(status["vrps"].values()) == len(PRIMARY), "VRPs")
    greedy.break_with(never_ends)
    os.kill(processes(daemon)[greedy.port], signal.SIGKILL)  # nobody waits for the retry interval

    waits: dict[int, timedelta] = {}

    def starved(status: dict[str, Any]) -> bool:
        server = status["groups"][0]["servers"][0]
        times = int(server["faults"].get("no-end-of-data", 0))
        if times and server["next_attempt"] is not None:
            waits.setdefault(times, datetime.fromisoformat(server["next_attempt"]) - datetime.now(UTC))
        return len(waits) >= 3

    status = daemon.wait_status(starved, "three processes that starve", seconds=180)
    assert waits[1] < waits[2] < waits[3]
    assert status["groups"][0]["status"] == "ESTABLISHED"
    assert sum(status["vrps"].values()) == len(PRIMARY)
    assert status["loop"]["long"] == 0, status["loop"]


# -- the network goes

KEEPALIVE = 6


class Network:
    """Three network namespaces in a row; the one in the middle forwards, or swallows."""

    def __init__(self, name: str) -> None:
        self.near, self.middle, self.far = (f"{name}-{which}" for which in ("near", "middle", "far"))
        self.address = "10.99.2.2"

    def __enter__(self) -> Self:
        for space in (self.near, self.middle, self.far):
            self._ip("netns", "add", space)
            self._ip("-n", space, "link", "set", "lo", "up")
        for net, space, end in (("10.99.1", self.near, "to-near"), ("10.99.2", self.far, "to-far")):
            self._ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", end, "netns", self.middle)
            self._ip("-n", space, "addr", "add", f"{net}.2/24", "dev", "eth0")
            self._ip("-n", self.middle, "addr", "add", f"{net}.1/24", "dev", end)
            self._ip("-n", space, "link", "set", "eth0", "up")
            self._ip("-n", self.middle, "link", "set", end, "up")
            self._ip("-n", space, "route", "add", "default", "via", f"{net}.1")
        self.forward(on=True)
        return self

    def __exit__(self, *_: object) -> None:
        for space in (self.near, self.middle, self.far):
            self._ip("netns", "del", space)

    def forward(self, *, on: bool) -> None:
        """Let packets through, or swallow them: nobody is told."""
        self._ip("netns", "exec", self.middle, "sh", "-c", f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward")

    def _ip(self, *words: str) -> None:
        done = run("ip", *words)
        assert done.returncode == 0, (words, done.stderr)


class FarCache(RtrdCache):
    """A cache in another network namespace."""

    def __init__(self, folder: Path, vrps: Sequence[VRP], name: str, space: str, address: str) -> None:
        super().__init__(folder, vrps, name, address)
        self.port = 3323  # all of that namespace's ports are ours
        self._space = space

    def _argv(self, port: int) -> list[str]:
        return ["ip", "netns", "exec", self._space, *super()._argv(port)]


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_network_that_swallows_everything_is_noticed_and_the_other_group_takes_over(lab: Lab) -> None:
    """No close, no reset, no refusal; the refresh interval is an hour."""
    with Network(f"rtrd{os.getpid()}") as network:
        far = lab.start(FarCache(lab.folder, PRIMARY, "far", network.far, network.address))
        near = FarCache(lab.folder, BACKUP, "near", network.near, "127.0.0.1")
        lab.start(near)
        program = ["ip", "netns", "exec", network.near, RTRD, "run"]
        timers = {"refresh": 3600, "expire": 7200, "keepalive": KEEPALIVE}
        daemon = lab.start(ScriptedExaBGP(lab.folder, [far, near], timers=timers, program=program))
        daemon.wait_status(lambda status: status["active_group"] == "group1", "the far cache")
        learn(daemon)
        position = daemon.position()
        network.forward(on=False)
        began = time.monotonic()
        said = "the cache's host does not answer any more"
        status = daemon.wait_status(lambda status: said in str(status["groups"]), "the silence to be noticed")
        assert time.monotonic() - began > KEEPALIVE / 2, "a network may hiccup"
        assert status["groups"][0]["servers"][0]["fault"] == "silent"
        daemon.wait_status(lambda status: status["active_group"] == "group2", "the near cache")
        daemon.wait_changes(position, ("withdraw", [CHANGES]))
        network.forward(on=True)
        # An attempt to connect is on its way, and TCP repeats it less and less often.
        daemon.wait_status(lambda status: status["active_group"] == "group1", "the far cache again", seconds=90)
        daemon.wait_changes(position, ("withdraw", [CHANGES]), ("announce", [CHANGES]))
        lab.stop()
