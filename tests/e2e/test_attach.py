"""rtrd as a service, ExaBGP handed over by `rtrd attach`: either may die, the listening peer keeps its routes."""

import signal
from pathlib import Path
from typing import Any

from rtrd.demo.caches import VRP
from rtrd.demo.chain import FEEDER
from tests.e2e.conftest import MakeChain
from tests.lab.chain import BOTH, ONE, TWO, VALID, VRPS, Chain
from tests.lab.router_children import kill

THREE = "announce route 203.0.113.128/25 next-hop 192.0.2.1 as-path [ 64496 64500 ]"


def attached(status: dict[str, Any], routes: int) -> bool:
    return [sum(router["routes"].values()) for router in status["routers"]] == [routes]


def octets_read(pid: int) -> int:
    """Proc(5): rchar."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def begun(make_chain: MakeChain) -> Chain:
    """Of a service, with one route."""
    chain = make_chain(VRPS, service=True)
    chain.feed(ONE)
    chain.settle(VALID)
    return chain


def test_the_service_dies_and_comes_back(make_chain: MakeChain) -> None:
    """ExaBGP never waits for it, no session ends, nothing is withdrawn, and what came meanwhile is learned."""
    chain = make_chain(VRPS, service=True)
    chain.feed(ONE, TWO)
    chain.settle(BOTH)
    heard = chain.heard()
    attach = chain.helper()

    chain.service.kill()
    chain.router.process.wait_for("rtrd attach: no service answers")
    chain.feed(THREE)
    # More than a pipe holds: ExaBGP would stand still if nobody read.
    before = octets_read(attach)
    flood = [f"route 100.64.0.{number}/32 next-hop 192.0.2.1 as-path [ 64496 {number + 1} ]" for number in range(250)]
    for word in ("announce", "withdraw"):
        for route in flood:  # a path of its own each, so that each is a line
            chain.feed(f"{word} {route}")
    chain.router.process.wait_until(
        lambda: octets_read(attach) > before + 100_000, 30, "an attach process that reads on", tick=0.05
    )
    chain.restart_service()
    chain.wait_status(lambda status: attached(status, 3), "a router with the three routes")
    chain.settle({**BOTH, "203.0.113.128/25": "not-found"})

    assert chain.helper() == attach
    assert chain.listener.withdrawn_prefixes(heard).isdisjoint(BOTH)
    assert "Peer Down" not in "\n".join(line.text for line in chain.listener.process.lines)


def test_a_service_that_is_stopped_gives_exabgp_back(make_chain: MakeChain) -> None:
    chain = begun(make_chain)
    chain.service.stop()
    assert chain.service.returncode == 0
    chain.router.process.wait_for("rtrd attach: no service answers")
    chain.settle(VALID)
    chain.restart_service()
    chain.wait_status(lambda status: attached(status, 1), "the router again")


def test_of_a_session_that_ended_without_a_service_nothing_stands(make_chain: MakeChain) -> None:
    """It came again, with another route; nobody waits for what no list has."""
    chain = begun(make_chain)
    chain.service.kill()
    chain.router.process.wait_for("rtrd attach: no service answers")
    seen = len(chain.router.process.lines)
    chain.feeder.stop()
    chain.feeder.start()
    chain.router.process.wait_for(rf"[Cc]onnected to .*{FEEDER}", 60, seen)
    chain.feed(TWO)
    chain.restart_service()
    chain.service.wait_for("phase=done", 60)
    chain.settle({"203.0.113.0/24": "not-found"})


def test_an_attach_process_dies(make_chain: MakeChain) -> None:
    """ExaBGP starts another one; the service has one router, never two or half of one."""
    chain = begun(make_chain)
    kill(chain.helper())
    chain.service.wait_for("router detached")
    chain.service.wait_for("router attached", since=len(chain.service.lines))
    chain.wait_status(lambda status: attached(status, 1), "the router again, with its route")
    chain.feed(TWO)
    chain.settle(BOTH)


def test_exabgp_ends_and_its_attach_process_with_it(make_chain: MakeChain) -> None:
    """`lab` fails the test when anything that ExaBGP started outlives it."""
    chain = begun(make_chain)
    chain.router.process.kill()
    assert chain.router.leftovers == []
    chain.service.wait_for("router detached")
    [gone] = chain.ask("status")["routers"]
    assert (gone["name"], gone["attached"], gone["exabgp"]) == ("exabgp", False, None)
    [problem] = (one for one in chain.ask("status")["problems"] if one["severity"] == "critical")
    what = "ExaBGP exabgp is gone (`rtrd forget exabgp` if it is not coming back)"
    assert (problem["what"], problem["since"]) == (what, gone["since"])


def test_exabgp_dies_again_and_again_and_is_attached_each_time(make_chain: MakeChain) -> None:
    """Killed, then ended, then killed: what changed meanwhile counts, and the service has one router, never two."""
    chain = make_chain(VRPS, service=True)
    chain.feed(ONE, TWO)
    chain.settle(BOTH)
    [[cache]] = chain.groups
    for end, vrps, command, tags in (
        (signal.SIGKILL, [*VRPS, VRP("203.0.113.0/24", 24, 64501)], THREE, VALID),
        (signal.SIGTERM, VRPS, TWO.replace("announce", "withdraw"), {
            "198.18.1.0/24": "valid", "203.0.113.128/25": "not-found",
        }),
        # Not an empty set: StayRTR 0.6 then says that it has no data.
        (signal.SIGKILL, [VRP("192.0.2.0/24", 24, 64500)], TWO, {
            "198.18.1.0/24": "not-found", "203.0.113.0/24": "not-found", "203.0.113.128/25": "not-found",
        }),
    ):  # fmt: skip
        seen = len(chain.service.lines)
        chain.router.process.stop(end)
        chain.service.wait_for("router detached", since=seen)
        cache.serve(vrps)
        chain.feed(command)
        chain.router.start()
        chain.service.wait_for("router attached", since=seen)
        chain.settle(tags)
        chain.wait_status(lambda status: len(status["routers"]) == 1, "one router")
    assert chain.service.running
    assert chain.router.leftovers == []
