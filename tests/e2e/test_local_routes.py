"""RFC 8893: what ExaBGP announces by itself is validated, and what rtrd had it announce is not mistaken for that."""

from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import LISTENER, POLICY, ROUTER_ASN
from rtrd.demo.lab import Lab
from rtrd.demo.routes import Route
from tests.lab.chain import Chain
from tests.lab.routers import reread
from tests.lab.stayrtr import StayRTR

OWN = ["198.51.100.0/24", "198.51.100.0/25", "203.0.113.0/24"]
WORDS = {"198.51.100.0/25": "next-hop 192.0.2.8 med 5"}
VRPS = [VRP("198.51.100.0/24", 24, ROUTER_ASN), VRP("198.18.0.0/16", 24, 64500)]
LEARNED = Route(prefix="198.18.1.0/24", next_hop="192.0.2.1", path=(64496, 64500))


class OwnChain(Chain):
    """Its router has routes of its own for the listener, and may be made to tell what it sends."""

    def __init__(self, lab: Lab, cache: StayRTR, exabgp: str, *, tells: bool, more: Route = LEARNED, **options: Any):
        super().__init__(lab, [[cache]], exabgp=exabgp, static=sorted({LEARNED.exabgp(), more.exabgp()}), **options)
        self.own = list(OWN)
        self._tells = tells
        self._whole = self.router.configuration
        self.router.configuration = self._configuration  # type: ignore[method-assign]

    def _configuration(self) -> str:
        text, neighbor, rest = self._whole().partition(f"neighbor {LISTENER} {{")
        static = "".join(f"route {prefix} {WORDS.get(prefix, 'next-hop 192.0.2.9')}; " for prefix in self.own)
        if self._tells:
            rest = rest.replace("send { packets; open; }", "send { packets; open; update; }")
        return text + neighbor + rest.replace("static {", f"static {{ {static}")

    def shown(self) -> dict[str, tuple[str, str]]:
        """Give validity and decision of each local route."""
        found = self.ask("routes", "--direction", "out")["routes"]
        return {one["prefix"]: (one["validity"], one["decision"]) for one in found}


TELLS = pytest.mark.parametrize("tells", [True, False], ids=["told", "listed"])
"""Whether ExaBGP tells what it sends (`send` in its `api`), or is only asked for its list."""


@TELLS
def test_local_routes_are_shown_with_their_validity_and_left_alone(exabgp: str, lab: Lab, *, tells: bool) -> None:
    cache = StayRTR(lab.folder, VRPS)
    chain = OwnChain(lab, cache, exabgp, tells=tells)
    chain.start()
    wanted = {*OWN, "198.18.1.0/24"}
    chain.settle_prefixes(*wanted)
    counts = {"valid": 1, "invalid": 1, "not-found": 1, "unverified": 0}

    def own(status: dict[str, Any]) -> Any:
        return status["routers"][0]["local_routes"]

    chain.wait_status(lambda status: own(status) == counts, f"local routes {counts}")
    found = chain.ask("routes", "--direction", "out")["routes"]
    assert {one["prefix"]: (one["validity"], one["origin_as"], one["neighbor"]) for one in found} == {
        "198.51.100.0/24": ("valid", ROUTER_ASN, LISTENER),
        "198.51.100.0/25": ("invalid", ROUTER_ASN, LISTENER),
        "203.0.113.0/24": ("not-found", ROUTER_ASN, LISTENER),
    }
    assert [one["prefix"] for one in chain.ask("routes")["routes"]] == ["198.18.1.0/24"]

    cache.serve([VRP("203.0.113.0/24", 24, 64500), VRP("198.18.0.0/16", 24, 64500)])
    chain.wait_status(lambda status: own(status)["invalid"] == 1 and own(status)["not-found"] == 2, "the new validity")
    assert {route.prefix for route in chain.received()} == wanted, "nothing was done about the invalid one"


@TELLS
def test_a_local_route_is_not_taken_away_with_a_learned_one(exabgp: str, lab: Lab, *, tells: bool) -> None:
    """At a neighbor there is one route for a prefix: the withdraw of an invalid learned one would take ExaBGP's."""
    learned = Route(prefix="198.51.100.0/25", next_hop="192.0.2.1", path=(64496, 64666))
    chain = OwnChain(lab, StayRTR(lab.folder, VRPS), exabgp, tells=tells, more=learned)
    chain.start()
    chain.settle_prefixes(*OWN, LEARNED.prefix)
    chain.wait_counts(invalid=1)
    chain.wait_status(lambda status: status["routers"][0]["outbox"] == 0, "all said")
    assert {route.prefix for route in chain.received()} == {*OWN, LEARNED.prefix}
    assert chain.shown()["198.51.100.0/25"] == ("invalid", "observe")
    assert chain.listener.withdrawn_prefixes(0) == set()


@TELLS
def test_a_rule_withdraws_invalid_local_routes_also_after_a_reload(exabgp: str, lab: Lab, *, tells: bool) -> None:
    cache = StayRTR(lab.folder, VRPS)
    rule = {"direction": "out", "to": [LISTENER], "invalid": {"action": "withdraw"}}
    chain = OwnChain(lab, cache, exabgp, tells=tells, policy=[*POLICY, rule])
    chain.start()
    rest = ["198.51.100.0/24", "203.0.113.0/24", LEARNED.prefix]
    chain.settle_prefixes(*rest)
    assert chain.shown()["198.51.100.0/25"] == ("invalid", "withdraw")
    assert chain.wait_status(lambda _: True, "status")["routers"][0]["local_routes_withdrawn"] == 1

    since = chain.heard()
    reread(chain.router)
    chain.listener.wait_changes(["198.51.100.0/25"], withdrawn=False, since=since)
    chain.ask("reload")  # has ExaBGP asked for its list, which without `send` is all that is known
    chain.settle_prefixes(*rest)

    cache.serve([*VRPS, VRP("198.51.100.0/24", 25, ROUTER_ASN)])
    chain.wait_status(lambda status: status["routers"][0]["local_routes"]["invalid"] == 0, "it is valid")
    chain.ask("reload")
    chain.router.process.wait_for("ExaBGP announces it when it reloads", 20)
    assert {route.prefix for route in chain.received()} == set(rest), "it may be gone from ExaBGP's configuration"
    reread(chain.router)
    chain.settle_prefixes(*rest, "198.51.100.0/25")
