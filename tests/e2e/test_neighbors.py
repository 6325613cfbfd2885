"""What rtrd says of sessions is what ExaBGP last said: with and without routes, after every restart and reload."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain, MakeWorld, exabgp_program
from tests.lab.daemons import once
from tests.lab.routers import reread
from tests.lab.speaker import Route, Speaker
from tests.lab.world import FEEDER_ASN, World

Rows = dict[str, dict[str, Any]]


def neighbors(status: dict[str, Any]) -> Rows:
    return {row["address"]: row for router in status["routers"] for row in router["neighbors"]}


def session_problems(status: dict[str, Any]) -> list[str]:
    return [one["what"] for one in status["problems"] if "session" in one["what"] and one["severity"] == "warning"]


def all_up(found: Rows) -> bool:
    return len(found) == 2 and all(row["up"] is True and row["up_since"] is not None for row in found.values())


def shows(world: World, wanted: Callable[[Rows], bool], what: str) -> dict[str, Any]:
    """Return the status once its neighbors are as `wanted`."""
    return once(world.router.process, world.socket, lambda status: wanted(neighbors(status)), what, 30)


def reload(world: World) -> None:
    """Have ExaBGP read its configuration again, and rtrd look at once."""
    reread(world.router)
    world.ask("reload")


def test_sessions_without_routes_are_up_after_rtrd_is_killed(make_world: MakeWorld) -> None:
    world = make_world()
    world.start()
    before = neighbors(shows(world, all_up, "both up"))
    world.kill()
    after = neighbors(shows(world, all_up, "both up again"))
    for address, row in before.items():
        later = dt.datetime.fromisoformat(after[address]["up_since"]) - dt.datetime.fromisoformat(row["up_since"])
        assert dt.timedelta() <= later < dt.timedelta(seconds=20), "ExaBGP says for how many seconds it is up"
    world.listener.disconnect()
    address = world.listener.address
    status = shows(world, lambda found: found[address]["up"] is False, "the listener down")
    assert neighbors(status)[address]["up_since"] is None
    assert [address in what for what in session_problems(status)] == [True]
    world.connect()
    assert session_problems(shows(world, all_up, "both up")) == []


def test_sessions_are_up_after_a_restart_of_the_service_and_of_exabgp(make_chain: MakeChain) -> None:
    chain = make_chain([VRP("192.0.2.0/24", 24, 64500)], service=True)

    def ready() -> None:
        chain.wait_status(lambda status: all_up(neighbors(status)), "both sessions up", 40)

    ready()
    chain.service.kill()
    chain.restart_service()
    ready()
    chain.router.process.kill()
    chain.wait_status(lambda status: not neighbors(status), "no router")
    chain.router.start()
    ready()


def test_a_reload_takes_neighbors_away_and_brings_others(make_world: MakeWorld, exabgp: str) -> None:
    """One that never connected, which cuts 4.2's lists short from then on, and one that has our routes."""
    world = make_world()
    world.start()
    world.feeder.announce({"10.0.1.0/24": Route((FEEDER_ASN, 64500), "192.0.2.1")})
    world.settle()
    net = world.router_address.rpartition(".")[0]
    first, never, new = f"{net}.11", f"{net}.12", f"{net}.13"
    feeder, listener = world.router.neighbors
    world.router.neighbors = [feeder, Neighbor(address=never, asn=64497), listener, Neighbor(address=first, asn=64498)]
    reload(world)
    shows(world, lambda found: found.keys() == {feeder.address, never, listener.address, first}, "two more neighbors")
    world.router.neighbors = [feeder, Neighbor(address=new, asn=64499)]
    reload(world)
    status = shows(world, lambda found: found.keys() == {feeder.address, new}, "two neighbors less, and a new one")
    assert neighbors(status)[new]["up"] is False
    assert neighbors(status)[feeder.address]["up"] is True
    (route,) = world.ask("routes")["routes"]
    assert route["decision"] == "announce"
    if exabgp == exabgp_program("4.2.2"):
        return  # it doesn't take a passive neighbor again that it had removed
    world.router.neighbors = [feeder, listener]
    reload(world)
    world.listener.connect(world.router_address, world.router.port)
    world.settle(what="the listener is a neighbor again")
    shows(world, lambda found: found[listener.address]["up"] is True, "the listener up")


def test_peers_of_a_range_come_and_go(make_world: MakeWorld) -> None:
    """ExaBGP lists each of them forever; one that left is no neighbor, and no problem."""
    world = make_world()
    world.start(sessions=False)
    world.status()
    net = world.router_address.rpartition(".")[0]
    world.router.neighbors.append(Neighbor(address=f"{net}.64/27", asn=64500))
    reload(world)
    world.connect()
    own = {world.feeder.address, world.listener.address}
    visitor = Speaker(f"{net}.70", 64500)
    try:
        for _ in range(2):
            visitor.connect(world.router_address, world.router.port)
            shows(world, lambda found: found.get(visitor.address, {}).get("up") is True, "a visitor")
            visitor.disconnect()
            status = shows(world, lambda found: found.keys() == own, "no visitor")
            assert session_problems(status) == []
    finally:
        visitor.disconnect()


def test_after_a_restart_no_visitor_has_what_another_one_sent(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ExaBGP has one list of what all that came by a range have sent, also those that left, and asks none of them."""
    world = make_world()
    net = world.router_address.rpartition(".")[0]
    all_of_them = [*world.neighbors(), Neighbor(address=f"{net}.64/27", asn=64500)]
    monkeypatch.setattr(world, "neighbors", lambda: all_of_them)
    world.start()
    stays, leaves = visitors = [Speaker(f"{net}.{number}", 64500) for number in (70, 71)]
    try:
        for number, visitor in enumerate(visitors):
            visitor.connect(world.router_address, world.router.port)
            visitor.announce({f"10.{number}.0.0/24": Route((64500, 64501), "192.0.2.1")})
        world.feeder.announce({"10.9.0.0/24": Route((FEEDER_ASN, 64501), "192.0.2.1")})
        world.settle()
        once(world.router.process, world.socket, lambda status: routes(status) == 3, "three routes", 30)
        leaves.disconnect()
        shows(world, lambda found: leaves.address not in found, "one visitor left")
        seen = len(world.router.process.lines)
        world.kill()
        world.router.process.wait_for("phase=done", 60, seen)
        status = once(world.router.process, world.socket, lambda status: routes(status) == 1, "the feeder's route", 30)
        assert [stays.address in one["what"] for one in status["problems"] if "one list" in one["what"]] == [True]
        stays.disconnect()
        stays.connect(world.router_address, world.router.port)
        once(world.router.process, world.socket, lambda status: routes(status) == 2, "the visitor's route", 30)
    finally:
        for visitor in visitors:
            visitor.disconnect()


def test_after_a_restart_a_session_that_ended_has_no_routes(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ExaBGP has them still, and lists them of a neighbor, too, whose address is the beginning of this one's."""
    world = make_world(refresh=False)
    ended = Speaker(f"{world.feeder.address}0", 64500)
    both = [*world.neighbors(), Neighbor(address=ended.address, asn=64500)]
    monkeypatch.setattr(world, "neighbors", lambda: both)
    world.start()
    try:
        world.feeder.announce({"10.9.0.0/24": Route((FEEDER_ASN, 64501), "192.0.2.1")})
        ended.connect(world.router_address, world.router.port)
        ended.announce({"10.8.0.0/24": Route((64500, 64501), "192.0.2.1")})
        once(world.router.process, world.socket, lambda status: routes(status) == 2, "two routes", 30)
        ended.disconnect()
        shows(world, lambda found: found[ended.address]["up"] is False, "a session that ended")
        seen = len(world.router.process.lines)
        world.kill()
        world.router.process.wait_for("phase=done", 60, seen)
        assert routes(world.status()) == 1
        world.settle()
    finally:
        ended.disconnect()


@pytest.mark.parametrize(
    "told", ["receive { packets; update; open; } send { packets; open; }", "receive { parsed; update; }"]
)
def test_a_session_that_came_again_without_an_event_has_no_route_of_the_last_one(
    make_world: MakeWorld, told: str
) -> None:
    """There is no `neighbor-changes`. Its OPEN says so at once, or the seconds in ExaBGP's list for which it is up."""
    world = make_world()
    world.router.api = told
    world.start()
    world.feeder.announce({f"10.{number}.0.0/24": Route((FEEDER_ASN, 64501), "192.0.2.1") for number in range(9)})
    world.settle()
    shows(world, lambda found: found[world.feeder.address]["up"] is True, "the feeder up")
    world.feeder.disconnect()
    world.feeder.said.clear()
    time.sleep(3)  # the list tells whole seconds
    world.connect()
    world.feeder.announce({"10.99.0.0/24": Route((FEEDER_ASN, 64501), "192.0.2.1")})
    if "open" not in told:
        world.ask("reload")  # else it is asked every minute
    world.settle(30)
    shows(world, lambda found: found[world.feeder.address]["up"] is True, "the feeder up again")


def routes(status: dict[str, Any]) -> int:
    return sum(sum(router["routes"].values()) for router in status["routers"])
