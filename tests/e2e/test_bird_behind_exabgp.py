"""rtrd tags through ExaBGP into BIRD by iBGP, and BIRD's filter acts on the community: etc/bird.conf, filter 3."""

import re
from typing import Any

from rtrd.demo.caches import VRP
from rtrd.demo.chain import FEEDER, ROUTER, ROUTER_ASN
from rtrd.demo.lab import Lab
from rtrd.demo.ports import free_port
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain
from tests.lab.bird_routers import ADDRESS, BIRD_ASN, BirdRouter
from tests.lab.routers import route

VRPS = [VRP("198.18.0.0/16", 24, 64500), VRP("2001:db8::/32", 48, 64500)]
LARGE = {"valid": (65000, 1, 0), "not-found": (65000, 1, 1), "invalid": (65000, 1, 2)}


def policy() -> list[dict[str, Any]]:
    """Everything is passed on with its tags: what is done with it is BIRD's to decide."""
    rule: dict[str, Any] = {"from": [FEEDER], "to": [ADDRESS], "unverified": {"action": "hold"}}
    for validity, large in LARGE.items():
        rule[validity] = {"action": "announce", "tags": ["rfc8097", "large:" + ":".join(map(str, large))]}
    return [rule]


def preferences(bird: BirdRouter) -> dict[str, int]:
    """Prefix -> LOCAL_PREF in BIRD's tables."""
    found: dict[str, int] = {}
    prefix = ""
    for line in bird.ask("show route all").splitlines():
        if match := re.match(r"([0-9a-f.:]+/\d+) .*\[upstream ", line):
            prefix = match[1]
        elif match := re.match(r"\t(?:BGP\.|bgp_)local_pref: (\d+)", line):
            found[prefix] = int(match[1])
    return found


def test_birds_filter_acts_on_the_tag(lab: Lab, make_chain: MakeChain) -> None:
    bird = lab.start(BirdRouter(lab.folder, free_port("127.0.0.1"), filter_name="by_tag", peer=(ROUTER, ROUTER_ASN)))
    forged = frozenset({LARGE["valid"]})
    static = [
        route("198.18.1.0/24", 64500).exabgp(),
        route("198.18.2.0/24", 64501, large_communities=forged).exabgp(),
        route("203.0.113.0/24", 64500).exabgp(),
        route("2001:db8:1::/48", 64500).exabgp(),
        route("2001:db8:2::/48", 64501).exabgp() + " extended-community [ 0x4300000000000000 ]",
    ]
    to_bird = Neighbor(address=ADDRESS, asn=BIRD_ASN, port=bird.port)
    chain = make_chain(VRPS, policy=policy(), static=static, more_feeders=[to_bird])
    valid = {"198.18.1.0/24": (LARGE["valid"],), "2001:db8:1::/48": (LARGE["valid"],)}
    wanted = {**valid, "203.0.113.0/24": (LARGE["not-found"],)}
    bird.wait_routes(lambda routes: routes == wanted, f"{wanted}")
    assert preferences(bird) == {**dict.fromkeys(valid, 200), "203.0.113.0/24": 100}
    rejected = {"198.18.2.0/24": (LARGE["invalid"],), "2001:db8:2::/48": (LARGE["invalid"],)}
    assert bird.routes(rejected=True) == rejected, "the forged tags are gone"

    chain.groups[0][0].serve([VRP("198.18.0.0/16", 24, 64501), VRP("203.0.113.0/24", 24, 64501)])
    wanted = {
        "198.18.2.0/24": (LARGE["valid"],),
        "2001:db8:1::/48": (LARGE["not-found"],),
        "2001:db8:2::/48": (LARGE["not-found"],),
    }
    bird.wait_routes(lambda routes: routes == wanted, f"{wanted}, when the VRPs changed")
