"""RFC 8893: what ExaBGP announces by itself is validated, and what rtrd had it announce is not mistaken for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtrd.demo.caches import VRP, StayRTR
from rtrd.demo.chain import LISTENER, ROUTER_ASN, Chain
from rtrd.demo.routes import Route

if TYPE_CHECKING:
    import pytest

    from rtrd.demo.lab import Lab

OWN = ["198.51.100.0/24", "198.51.100.0/25", "203.0.113.0/24"]


def test_own_routes_are_shown_with_their_validity_and_left_alone(
    exabgp: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StayRTR(lab.folder, [VRP("198.51.100.0/24", 24, ROUTER_ASN), VRP("198.18.0.0/16", 24, 64500)])
    learned = Route(prefix="198.18.1.0/24", next_hop="192.0.2.1", path=(64496, 64500))
    chain = Chain(lab, [[cache]], exabgp=exabgp, static=[learned.exabgp()])
    whole = chain.router.configuration

    def configuration() -> str:
        """As Chain's, the listener getting routes of ExaBGP's own, and rtrd being told what is sent."""
        text, neighbor, rest = whole().partition(f"neighbor {LISTENER} {{")
        static = "".join(f"route {prefix} next-hop 192.0.2.9; " for prefix in OWN)
        rest = rest.replace("receive { parsed; update; }", "receive { parsed; update; } send { parsed; update; }")
        return text + neighbor + rest.replace("static {", f"static {{ {static}")

    monkeypatch.setattr(chain.router, "configuration", configuration)
    chain.start()
    wanted = {*OWN, "198.18.1.0/24"}
    chain.wait_routes(lambda routes: {route.prefix for route in routes} == wanted, f"{wanted}")
    counts = {"valid": 1, "invalid": 1, "not-found": 1, "unverified": 0}

    def own(status: dict[str, Any]) -> Any:
        return status["routers"][0]["own_routes"]

    chain.wait_status(lambda status: own(status) == counts, f"own routes {counts}")
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
