"""A receiver whose session is down: what happened meanwhile does not reach it, what holds does."""

from tests.e2e.conftest import MakeWorld
from tests.lab.speaker import Route
from tests.lab.world import World

PATH = (64496, 65100, 64500)


def down(make_world: MakeWorld) -> World:
    """A world with 20 routes whose listener has just gone."""
    world = make_world()
    world.start()
    world.feeder.announce({f"10.0.{number}.0/24": Route(PATH, "192.0.2.1") for number in range(20)})
    world.settle()
    seen = len(world.router.process.lines)
    world.listener.disconnect()
    world.router.process.wait_for(rf"neighbor down.*{world.listener.address}", since=seen)
    return world


def learned(world: World) -> None:
    """Return when rtrd has all that the feeder has said, its last word behind the others, and ExaBGP all of ours."""
    last = f"192.0.2.{len(world.feeder.said) % 250}/32"
    world.feeder.announce({last: Route(PATH, "192.0.2.1")})
    world.router.process.wait_until(lambda: world.ask("routes", last)["routes"], 20, f"{last} at rtrd", tick=0.05)

    def told() -> bool:
        router = world.status()["routers"][0]
        return not router["outbox"] and not router["unanswered"]

    world.router.process.wait_until(told, 20, "an empty outbox", tick=0.05)


def heard_after_the_return(world: World) -> set[str]:
    """What the listener hears from the first message of its new session on, when all is right."""
    before = len(world.listener.heard)
    world.listener.start()
    world.settle()
    return {each.prefix for each in world.listener.heard[before:]}


def test_announced_and_withdrawn_while_the_receiver_is_down(make_world: MakeWorld) -> None:
    """ExaBGP 5.0 would send it when the session is up."""
    world = down(make_world)
    new = {f"198.51.100.{number}/32": Route(PATH, "192.0.2.1") for number in range(50)}
    world.feeder.announce(new)
    learned(world)
    world.feeder.withdraw(new)
    learned(world)
    assert not heard_after_the_return(world) & new.keys()


def test_changed_while_the_receiver_is_down(make_world: MakeWorld) -> None:
    """Of what changed only the last state is heard, of what was withdrawn nothing."""
    world = down(make_world)
    for origin in (64501, 64502):
        world.feeder.announce({"10.0.1.0/24": Route((*PATH[:2], origin), "192.0.2.1")})
    world.feeder.announce({"198.51.100.0/24": Route(PATH, "192.0.2.1")})
    world.feeder.withdraw(["10.0.2.0/24"])
    learned(world)
    before = len(world.listener.heard)
    assert "10.0.2.0/24" not in heard_after_the_return(world)
    said = [each.route for each in world.listener.heard[before:] if each.prefix == "10.0.1.0/24"]
    assert [route and route.path[-1] for route in said] == [64502]


def test_it_goes_while_routes_are_on_their_way_to_it(make_world: MakeWorld) -> None:
    """Commands that ExaBGP executes after the session's end would wait for the next one."""
    world = make_world()
    world.start()
    routes = world.routes(1500)
    for _ in range(3):
        world.feeder.announce(routes)
        world.listener.wait(lambda: len(world.listener.table) > 100, 20, "the first routes")
        world.listener.disconnect()
        gone = world.random.sample(sorted(routes), 700)
        world.feeder.withdraw(gone)
        learned(world)
        assert not heard_after_the_return(world) & set(gone)
