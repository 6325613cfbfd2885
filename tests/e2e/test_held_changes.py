"""A cache that goes wrong, and the guard: what the router hears, and what an operator can do."""

from typing import Any

from rtrd.demo.caches import VRP, Cache, RtrdCache
from rtrd.demo.lab import Lab
from tests.e2e.conftest import MakeChain
from tests.lab.chain import Chain
from tests.lab.programs import rtrd
from tests.lab.routers import route

ROUTES = [route(f"198.18.{i}.0/24", 64500) for i in range(1, 21)]
STATIC = [one.exabgp() for one in ROUTES]
NAMES = {one.prefix for one in ROUTES}
GOOD = [VRP(one.prefix, 24, 64500) for one in ROUTES]
WRONG = [VRP(one.prefix, 24, 64501) for one in ROUTES]
"""As many, and each makes a route invalid."""
GUARD = {"guard": {"max-newly-invalid": "10%", "max-shrink": "50%", "hold": 3600}}
"""So long that no test sees the end of it."""


def held(chain: Chain) -> dict[str, Any]:
    status = chain.wait_status(lambda status: status["guard"]["state"] == "held", "a held change")
    found: dict[str, Any] = status["guard"]["held"]
    return found


def begun(make_chain: MakeChain, caches: list[list[Cache]] | None = None) -> Chain:
    chain = make_chain(GOOD, caches=caches, static=STATIC, settings=GUARD)
    chain.settle_prefixes(*NAMES)
    return chain


def test_nothing_is_written_while_a_change_is_held_and_all_when_it_is_accepted(make_chain: MakeChain) -> None:
    chain = begun(make_chain)
    seen = chain.heard()
    chain.groups[0][0].serve(WRONG)
    found = held(chain)
    assert (found["newly_invalid"], found["routes"], found["vrps"], found["vrps_then"]) == (20, 20, 20, 20)
    assert 0 < found["seconds_left"] <= 3600
    assert chain.ask("validate", ROUTES[0].prefix, "64500")["validated_route"]["validity"]["state"] == "valid"
    # A new route that arrives at the peer shows that the silence about the others was no deafness.
    chain.feed("announce route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]")
    chain.settle_prefixes(*NAMES, "203.0.113.0/24")
    assert chain.listener.changed_prefixes(seen) == {"203.0.113.0/24"}
    assert chain.ask("accept") == {"state": "following", "held": None}
    chain.settle_prefixes("203.0.113.0/24")
    assert chain.listener.withdrawn_prefixes(seen) == NAMES


def test_a_rejected_change_stays_out_and_the_next_is_judged_anew(make_chain: MakeChain) -> None:
    chain = begun(make_chain)
    cache = chain.groups[0][0]
    seen = chain.heard()
    cache.serve(WRONG)
    held(chain)
    assert chain.ask("reject")["state"] == "rejected"
    cache.serve([*WRONG, VRP("203.0.113.0/24", 24, 64500)])
    held(chain)
    chain.ask("reject")
    cache.serve([*GOOD[1:], WRONG[0]])  # the cache is mended, and one route is invalid in earnest
    chain.settle_prefixes(*NAMES - {ROUTES[0].prefix})
    assert chain.listener.changed_prefixes(seen) == {ROUTES[0].prefix}
    assert chain.ask("status")["guard"] == {"state": "following", "held": None}
    refused = rtrd("reject", "--socket", chain.socket)
    assert (refused.returncode, refused.stderr) == (1, "rtrd: no change is held\n")


def test_a_backup_that_disagrees_is_held_and_the_return_of_the_first_ends_it(make_chain: MakeChain, lab: Lab) -> None:
    primary: Cache = RtrdCache(lab.folder, GOOD, name="primary")
    backup: Cache = RtrdCache(lab.folder, WRONG, name="backup")
    chain = begun(make_chain, [[primary], [backup]])
    seen = chain.heard()
    primary.kill()
    assert held(chain)["newly_invalid"] == 20
    assert chain.ask("status")["active_group"] == "group2"
    primary.start()
    chain.wait_status(lambda status: status["guard"]["state"] == "following", "the end of the hold")
    assert chain.ask("status")["active_group"] == "group1"
    # One change that is small enough is in force at once.
    primary.serve([*GOOD[1:], WRONG[0]])
    chain.settle_prefixes(*NAMES - {ROUTES[0].prefix})
    assert chain.listener.changed_prefixes(seen) == {ROUTES[0].prefix}
