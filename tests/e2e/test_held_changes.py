"""A cache that goes wrong, and the guard: what the router hears, and what an operator can do."""

import subprocess
from typing import Any

from rtrd.demo.caches import VRP, Cache, RtrdCache
from rtrd.demo.lab import Lab
from rtrd.demo.routes import Route
from tests.e2e.conftest import MakeChain
from tests.lab.chain import Chain

ROUTES = [Route(prefix=f"198.18.{i}.0/24", next_hop="192.0.2.1", path=(64496, 64497, 64500)) for i in range(1, 21)]
STATIC = [route.exabgp() for route in ROUTES]
NAMES = {route.prefix for route in ROUTES}
GOOD = [VRP(route.prefix, 24, 64500) for route in ROUTES]
WRONG = [VRP(route.prefix, 24, 64501) for route in ROUTES]
"""As many, and each makes a route invalid."""
GUARD = {"guard": {"max-newly-invalid": "10%", "max-shrink": "50%", "hold": 3600}}
"""So long that no test sees the end of it."""


def settle(chain: Chain, prefixes: set[str], what: str) -> None:
    chain.wait_routes(lambda routes: {route.prefix for route in routes} == prefixes, what)


def held(chain: Chain) -> dict[str, Any]:
    status = chain.wait_status(lambda status: status["guard"]["state"] == "held", "a held change")
    found: dict[str, Any] = status["guard"]["held"]
    return found


def begun(make_chain: MakeChain, caches: list[list[Cache]] | None = None) -> Chain:
    chain = make_chain(GOOD, caches=caches, static=STATIC, settings=GUARD)
    settle(chain, NAMES, "all routes")
    return chain


def test_nothing_is_written_while_a_change_is_held_and_all_when_it_is_accepted(make_chain: MakeChain) -> None:
    chain = begun(make_chain)
    seen = len(chain.listener.monitor.lines)
    chain.groups[0][0].serve(WRONG)
    found = held(chain)
    assert (found["newly_invalid"], found["routes"], found["vrps"], found["vrps_then"]) == (20, 20, 20, 20)
    assert 0 < found["seconds_left"] <= 3600
    assert chain.ask("validate", ROUTES[0].prefix, "64500")["validated_route"]["validity"]["state"] == "valid"
    # A new route that arrives at the peer shows that the silence about the others was no deafness.
    chain.feeder.command("announce route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]")
    settle(chain, {*NAMES, "203.0.113.0/24"}, "the new route beside all others")
    assert chain.listener.changed_prefixes(seen) == {"203.0.113.0/24"}
    assert chain.ask("accept") == {"state": "following", "held": None}
    settle(chain, {"203.0.113.0/24"}, "the withdraws")
    assert chain.listener.withdrawn_prefixes(seen) == NAMES


def test_a_rejected_change_stays_out_and_the_next_is_judged_anew(make_chain: MakeChain) -> None:
    chain = begun(make_chain)
    cache = chain.groups[0][0]
    seen = len(chain.listener.monitor.lines)
    cache.serve(WRONG)
    held(chain)
    assert chain.ask("reject")["state"] == "rejected"
    cache.serve([*WRONG, VRP("203.0.113.0/24", 24, 64500)])
    held(chain)
    chain.ask("reject")
    cache.serve([*GOOD[1:], WRONG[0]])  # the cache is mended, and one route is invalid in earnest
    settle(chain, NAMES - {ROUTES[0].prefix}, "the one withdraw")
    assert chain.listener.changed_prefixes(seen) == {ROUTES[0].prefix}
    assert chain.ask("status")["guard"] == {"state": "following", "held": None}
    refused = subprocess.run(
        [chain.rtrd, "reject", "--socket", str(chain.socket)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (refused.returncode, refused.stderr) == (1, "rtrd: no VRP change is held\n")


def test_a_backup_that_disagrees_is_held_and_the_return_of_the_first_ends_it(make_chain: MakeChain, lab: Lab) -> None:
    primary: Cache = RtrdCache(lab.folder, GOOD, name="primary")
    backup: Cache = RtrdCache(lab.folder, WRONG, name="backup")
    chain = begun(make_chain, [[primary], [backup]])
    seen = len(chain.listener.monitor.lines)
    primary.kill()
    assert held(chain)["newly_invalid"] == 20
    assert chain.ask("status")["active_group"] == "group2"
    primary.start()
    chain.wait_status(lambda status: status["guard"]["state"] == "following", "the end of the hold")
    assert chain.ask("status")["active_group"] == "group1"
    # One change that is small enough is in force at once.
    primary.serve([*GOOD[1:], WRONG[0]])
    settle(chain, NAMES - {ROUTES[0].prefix}, "the one withdraw")
    assert chain.listener.changed_prefixes(seen) == {ROUTES[0].prefix}
