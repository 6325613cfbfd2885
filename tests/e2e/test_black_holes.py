"""Black holes (RFC 7999) exempted as docs/policy.md says: what the listening peer gets of a customer's routes."""

from collections.abc import Mapping
from typing import Any

from rtrd.demo.caches import VRP
from rtrd.demo.chain import FEEDER, LISTENER
from tests.e2e.conftest import MakeChain
from tests.lab.routers import route

VRPS = [VRP("198.18.0.0/16", 24, 64500)]
ANNOUNCE = {"action": "announce"}
GENERAL = {
    "from": [FEEDER],
    "to": [LISTENER],
    "valid": ANNOUNCE,
    "not-found": ANNOUNCE,
    "invalid": {"action": "withdraw"},
}


def exempting(*prefixes: Any) -> list[Mapping[str, Any]]:
    when = {
        "communities": ["65535:666", "64496:666:0"],
        "prefix-length": {"ipv4": [32, 32], "ipv6": [128, 128]},
        "prefixes": list(prefixes),
        "origin": [64500],
        "as-set": False,
    }
    return [{**GENERAL, "when": when, "invalid": ANNOUNCE}, GENERAL]


def hole(prefix: str, *, origin: int = 64500, large: bool = False, plain: bool = False) -> str:
    communities = frozenset() if large or plain else frozenset({(65535, 666)})
    return route(
        prefix,
        origin,
        communities=communities,
        large_communities=frozenset({(64496, 666, 0)} if large else ()),
    ).exabgp()


def test_an_attacked_customer_is_helped_and_nobody_else_gets_through(make_chain: MakeChain) -> None:
    static = [
        hole("198.18.0.0/24", plain=True),
        hole("198.18.0.1/32"),
        hole("198.18.0.2/32", large=True),
        hole("198.18.0.3/32", plain=True),
        hole("198.18.0.4/32", origin=64501),
        hole("198.18.0.4/31"),
        hole("198.18.1.1/32"),
    ]
    policy = exempting({"prefix": "198.18.0.0/24", "ge": 25})
    chain = make_chain(VRPS, static=static, policy=policy, service=True)
    chain.settle_prefixes("198.18.0.0/24", "198.18.0.1/32", "198.18.0.2/32")
    chain.wait_counts(valid=1, invalid=6)

    chain.policy = exempting("198.18.1.1/32")
    chain.write_settings()
    chain.ask("reload")
    chain.settle_prefixes("198.18.0.0/24", "198.18.1.1/32")

    chain.feed(f"announce {hole('198.18.1.1/32', plain=True)}")
    chain.settle_prefixes("198.18.0.0/24")
    chain.feed(f"announce {hole('198.18.1.1/32', large=True)}")
    chain.settle_prefixes("198.18.0.0/24", "198.18.1.1/32")
