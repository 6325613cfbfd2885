"""What the listening peer decodes from the wire, for each validity and each kind of route."""

from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import FEEDER, LISTENER
from rtrd.demo.routers import Received
from rtrd.demo.routes import Internet, Route, internet, validity
from tests.e2e.conftest import MakeChain
from tests.lab.routers import route

VRPS = [VRP("198.18.0.0/16", 24, 64500), VRP("2001:db8::/32", 48, 64500)]


def policy(valid: Any, not_found: Any, invalid: Any) -> list[dict[str, Any]]:
    rule = {"from": [FEEDER], "to": [LISTENER], "valid": valid, "not-found": not_found, "invalid": invalid}
    rule["as-set"] = "by-validity"
    return [{**rule, "unverified": {"action": "hold"}}]


def tag(*tags: str, **more: Any) -> dict[str, Any]:
    return {"action": "announce", "tags": list(tags), **more}


TAG_ALL = policy(*[tag("rfc8097")] * 3)


def test_all_three_validities_are_tagged_in_both_families(make_chain: MakeChain) -> None:
    wanted = {
        route("198.18.1.0/24", 64500): "valid",
        route("198.18.2.0/24", 64501): "invalid",
        route("198.18.3.0/25", 64500): "invalid",
        route("203.0.113.0/24", 64500): "not-found",
        route("2001:db8:1::/48", 64500): "valid",
        route("2001:db8:2::/48", 64501): "invalid",
        route("2001:db8:3::/49", 64500): "invalid",
        route("3fff:1::/36", 64500): "not-found",
    }
    chain = make_chain(VRPS, policy=TAG_ALL, static=[one.exabgp() for one in wanted])
    chain.settle({one.prefix: tag for one, tag in wanted.items()})


def test_invalid_routes_do_not_reach_the_peer(make_chain: MakeChain) -> None:
    routes = [
        route("198.18.2.0/24", 64501),
        route("2001:db8:2::/48", 64501),
        route("198.18.1.0/24", 64500),
        route("2001:db8:1::/48", 64500),
    ]
    chain = make_chain(VRPS, static=[one.exabgp() for one in routes])
    chain.settle({"198.18.1.0/24": "valid", "2001:db8:1::/48": "valid"})


def test_attributes_arrive_as_learned(make_chain: MakeChain) -> None:
    """Next hop, path (prepends, AS_SET at its end), med and communities; only the tag is new."""
    routes = [
        route("203.0.113.0/25", 64500, med=0),
        route(
            "203.0.113.128/25",
            64500,
            med=4294967295,
            communities=frozenset({(64496, 100), (65535, 65281)}),
            large_communities=frozenset({(64496, 1, 2), (4294967295, 0, 4294967295)}),
        ),
        route("198.51.100.0/24", 64500, path_set=(64501, 64502)),
        Route(prefix="198.51.100.0/25", next_hop="192.0.2.1", path=(64496, 64500, 64500, 4200000001)),
        route("3fff:1::/36", 64500, path_set=(4200000002, 64502), communities=frozenset({(64496, 7)})),
        route("3fff:2::/36", 64500, large_communities=frozenset({(64496, 9, 9)})),
    ]
    chain = make_chain(VRPS, static=[one.exabgp() for one in routes])
    received = chain.wait_routes(lambda got: len(got) == len(routes), f"{len(routes)} routes")
    got = {one.prefix: one for one in received}
    for one in routes:
        arrived = got[one.prefix]
        assert arrived.validity == "not-found"
        assert arrived.next_hop == one.next_hop
        # The members of an AS_SET have no order (RFC 4271, section 4.3).
        assert [(kind, sorted(asns) if kind == "set" else list(asns)) for kind, asns in arrived.as_path] == [
            (kind, sorted(asns) if kind == "set" else list(asns)) for kind, asns in one.segments
        ]
        assert arrived.med == one.med
        assert arrived.communities == one.communities
        assert arrived.large_communities == one.large_communities
        assert arrived.origin == 0


def test_an_as_set_at_the_end_is_never_valid(make_chain: MakeChain) -> None:
    """RFC 6811, section 2: its origin AS is NONE, also when the set holds the right AS alone."""
    routes = [
        route("198.18.1.0/24", 64500, path_set=(64500,)),
        route("198.18.2.0/24", 64500, path_set=(64500, 64501)),
        route("203.0.113.0/24", 64500, path_set=(64500,)),
    ]
    chain = make_chain(VRPS, policy=TAG_ALL, static=[one.exabgp() for one in routes])
    chain.settle({"198.18.1.0/24": "invalid", "198.18.2.0/24": "invalid", "203.0.113.0/24": "not-found"})


def test_a_forged_tag_is_replaced_by_ours(make_chain: MakeChain) -> None:
    ours = policy(*(tag("rfc8097", f"large:65000:1:{number}") for number in range(3)))
    forged = route("198.18.2.0/24", 64501, large_communities=frozenset({(65000, 1, 0), (64496, 1, 0)}))
    static = [forged.exabgp() + " extended-community [ 0x4300000000000000 0x4300000000000009 ]"]
    received = make_chain(VRPS, policy=ours, static=static).wait_routes(lambda got: len(got) == 1, "one route")
    assert received[0].validity == "invalid"
    assert received[0].large_communities == {(65000, 1, 2), (64496, 1, 0)}


def test_local_preference_and_standard_tags(make_chain: MakeChain) -> None:
    ours = policy(
        tag("community:65000:1", **{"local-preference": 200}), tag("community:65000:2"), {"action": "observe"}
    )
    static = [
        route("198.18.1.0/24", 64500, communities=frozenset({(64496, 1), (65000, 2)})).exabgp(),
        route("203.0.113.0/24", 64500).exabgp(),
        route("198.18.2.0/24", 64501).exabgp(),
    ]
    received = make_chain(VRPS, policy=ours, static=static).wait_routes(lambda got: len(got) == 2, "two routes")
    got = {one.prefix: (one.local_preference, set(one.communities)) for one in received}
    assert got == {"198.18.1.0/24": (200, {(64496, 1), (65000, 1)}), "203.0.113.0/24": (100, {(65000, 2)})}


def test_without_a_policy_nothing_is_announced(make_chain: MakeChain) -> None:
    """RFC 8481: by default the validity is known to the operator and to nobody else."""
    chain = make_chain(VRPS, policy=[], static=[route("198.18.1.0/24", 64500).exabgp()])
    chain.wait_status(lambda status: status["routers"][0]["routes"]["valid"] == 1, "one valid route")
    assert chain.received() == []


@pytest.mark.parametrize("ack", ["true", "false"])
def test_a_small_internet_with_and_without_acks(make_chain: MakeChain, ack: str) -> None:
    world: Internet = internet()
    chain = make_chain(world.vrps, static=[one.exabgp() for one in world.routes], environment={"exabgp.api.ack": ack})
    states = {one.prefix: validity(one, world.vrps) for one in world.routes}
    chain.settle({prefix: state for prefix, state in states.items() if state != "invalid"})


def test_paths_of_one_prefix_are_told_apart(make_chain: MakeChain) -> None:
    """ADD-PATH (RFC 7911): of two paths to one prefix the invalid one goes, the valid one stays."""
    static = [
        route(prefix, origin).exabgp() + f" path-information {number}"
        for prefix in ("198.18.1.0/24", "203.0.113.0/24")
        for number, origin in ((1, 64500), (2, 64501))
    ]
    chain = make_chain(VRPS, static=static, add_path=True)

    def arrived(got: list[Received]) -> list[tuple[str, int, str | None]]:
        return sorted((one.prefix, one.as_path[-1][1][-1], one.validity) for one in got)

    wanted = [
        ("198.18.1.0/24", 64500, "valid"),
        ("203.0.113.0/24", 64500, "not-found"),
        ("203.0.113.0/24", 64501, "not-found"),
    ]
    chain.wait_routes(lambda got: arrived(got) == wanted, f"{wanted}")
    chain.groups[0][0].serve([VRP("198.18.0.0/16", 24, 64501)])
    wanted[0] = ("198.18.1.0/24", 64501, "valid")
    chain.wait_routes(lambda got: arrived(got) == wanted, f"{wanted}")
