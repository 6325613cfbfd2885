"""Memory ends: the kernel kills rtrd, or gives it none for a while. The peer ends with the right routes."""

import resource
from pathlib import Path

import pytest

from rtrd.demo.lab import Lab, LabError
from rtrd.demo.ports import free_port
from tests.e2e.conftest import MakeWorld
from tests.lab.memory_group import memory_group
from tests.lab.programs import RTRD, run
from tests.lab.world import World

MANY = 3000
LITTLE = 256 << 10


def settled(world: World) -> World:
    """Have routes announced, and VRPs served."""
    world.start()
    world.new_vrps()
    world.feeder.announce(world.routes(MANY))
    world.settle(what="the first routes")
    return world


def test_killed_by_the_kernel_for_its_memory(make_world: MakeWorld) -> None:
    """As by MemoryMax of the unit: the next one learns all anew, and corrects what differs."""
    world = settled(make_world())
    pid = world.helper()
    with memory_group() as group:
        group.bound(LITTLE)
        group.take(pid)
        world.feeder.withdraw(sorted(world.feeder.said)[: MANY // 2])
        world.feeder.announce(world.routes(4 * MANY, shift=MANY))
        world.new_vrps()
        world.helper(other_than=pid, seconds=60)
        assert group.kills == 1
    world.settle(120, "after the kernel's kill")


def test_no_memory_for_a_while(make_world: MakeWorld) -> None:
    """Withdrawals and routes that come meanwhile are not lost: they are learned again."""
    world = settled(make_world())
    pid = world.helper()
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken(pid), before[1]))
    world.feeder.withdraw(sorted(world.feeder.said)[: MANY // 2])
    for number in range(1, 6):
        world.feeder.announce(world.routes(MANY, shift=MANY * number))
    try:
        world.router.process.wait_for("memory ended, and some of what ExaBGP said is lost", 60)
    except LabError:
        pytest.skip("this C library had enough that is free: no memory was refused")
    if world.helper() == pid:
        resource.prlimit(pid, resource.RLIMIT_AS, before)
    world.settle(120, "after a while without memory")


def test_threads_that_find_no_memory_stop_nobody(make_world: MakeWorld, lab: Lab) -> None:
    """One that finds none before it has begun never says so: who waits for that waits forever, and ExaBGP for it."""
    world = make_world()
    folder = lab.folder / "state"
    folder.mkdir()
    others = {
        "state": str(folder),
        "rtr-server": {"listen": [f"{world.router_address}:{free_port(world.router_address)}"]},
    }
    world.settings = lambda: {**World.settings(world), **others}  # type: ignore[method-assign]
    settled(world)
    pid = world.helper()
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken(pid), before[1]))
    world.feeder.announce(world.routes(MANY, shift=MANY))
    world.new_vrps(2000)  # which are copied and sorted in threads
    for what in 5 * ("status", "reload"):  # of files
        run(RTRD, what, "--socket", world.socket)
    if world.helper() == pid:
        resource.prlimit(pid, resource.RLIMIT_AS, before)
    world.settle(120, "after a while without memory for threads")
    assert traces_of_ours(world) == []


@pytest.mark.parametrize("left", [256 << 10, 6 << 20])
def test_an_end_that_is_asked_for_without_memory(make_world: MakeWorld, lab: Lab, left: int) -> None:
    """It is an end all the same, and at once: ExaBGP 4.2 waits for it. `left`: too little for lists, or for threads."""
    world = settled(make_world())
    pid = world.helper()
    resource.prlimit(pid, resource.RLIMIT_AS, (taken(pid) + left, resource.RLIM_INFINITY))
    for number in range(1, 6):
        world.feeder.announce(world.routes(MANY, shift=MANY * number))
    world.stop()
    lab.stop()
    assert lab.leftovers == []
    assert traces_of_ours(world) == []


def traces_of_ours(world: World) -> list[str]:
    """Give what is in a trace of rtrd's; ExaBGP 5 under Python 3.13 has tracebacks of its own at its end."""
    said = world.router.process.log.read_text()
    return [trace for trace in ("rtrd/main.py", "rtrd/daemon.py", "rtrd/commands/run.py") if trace in said]


def taken(pid: int) -> int:
    """Give the octets of a process's address space."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
