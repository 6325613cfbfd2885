"""`rtrd whatif` and `rtrd diff` of a running chain: what they foretell is what then happens."""

import json
from typing import Any

from rtrd.demo.caches import VRP, Cache, RtrdCache, write_vrps
from rtrd.demo.lab import Lab
from tests.e2e.conftest import MakeChain
from tests.lab.chain import Chain
from tests.lab.routers import route
from tests.lab.stayrtr import StayRTR

PREFIXES = ("198.18.0.0/16", "198.18.1.0/24", "203.0.113.0/24", "2001:db8:1::/48")
STATIC = [route(prefix, 64500).exabgp() for prefix in PREFIXES]
WIDE = VRP("198.18.0.0/16", 16, 64500)
EXACT = VRP("198.18.1.0/24", 24, 64500)
V6 = VRP("2001:db8::/32", 48, 64500)


def validities(chain: Chain) -> dict[str, str]:
    return {one["prefix"]: one["validity"] for one in chain.ask("routes")["routes"]}


def settled(chain: Chain, expected: dict[str, str]) -> None:
    chain.wait_status(lambda _: validities(chain) == expected, f"routes that are {expected}")


def foretold(chain: Chain, answer: dict[str, Any]) -> dict[str, str]:
    """The validities, as they would be after what was foretold."""
    assert answer["left_out"] == 0
    return {**validities(chain), **{one["prefix"]: one["then"] for one in answer["changed"]}}


def test_what_is_foretold_happens(make_chain: MakeChain, lab: Lab) -> None:
    chain = make_chain([WIDE, EXACT, V6], static=STATIC)
    now = {"198.18.0.0/16": "valid", "198.18.1.0/24": "valid", "203.0.113.0/24": "not-found"}
    settled(chain, {**now, "2001:db8:1::/48": "valid"})

    answer = chain.ask("whatif", "-198.18.1.0/24-24@AS64500", "+203.0.113.0/24 => AS64501")
    assert answer["newly_invalid"] == {"unreachable": 1, "covered-by-valid": 1, "covered-by-not-found": 0}
    assert {one["prefix"]: (one["neighbor"], one["cover"]) for one in answer["changed"]} == {
        "198.18.1.0/24": ("127.0.0.2", "covered-by-valid"),
        "203.0.113.0/24": ("127.0.0.2", "unreachable"),
    }
    after = foretold(chain, answer)
    file = lab.folder / "then.json"
    then = [WIDE, V6, VRP("203.0.113.0/24", 24, 64501)]
    write_vrps(file, then)
    assert chain.ask("whatif", str(file)) == {**answer, "routes": len(STATIC)}
    chain.groups[0][0].serve(then)
    settled(chain, after)
    assert chain.ask("whatif", str(file))["changes"] == []


def test_two_caches_of_a_group_that_disagree(make_chain: MakeChain, lab: Lab) -> None:
    one: Cache = StayRTR(lab.folder, [WIDE, V6])
    two: Cache = RtrdCache(lab.folder, [V6, EXACT], name="two")
    chain = make_chain(caches=[[one, two]], static=STATIC)
    chain.wait_status(lambda status: status["vrps"] == {"ipv4": 2, "ipv6": 1}, "the VRPs of both")
    names = [f"{cache.address}:{cache.port}" for cache in (one, two)]
    expected = [
        {"asn": 64500, "prefix": WIDE.prefix, "maxLength": 16, "in": names[:1], "not_in": names[1:]},
        {"asn": 64500, "prefix": EXACT.prefix, "maxLength": 24, "in": names[1:], "not_in": names[:1]},
    ]
    for words in ([], names):
        assert sorted(chain.ask("diff", *words)["vrps"], key=json.dumps) == sorted(expected, key=json.dumps)
    two.serve([WIDE, V6])
    chain.wait_status(lambda _: chain.ask("diff")["vrps"] == [], "caches that agree")
