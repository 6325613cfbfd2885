"""An ASPA appears at the cache, and the route that it denies goes at the peer; with another one it is back."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path

from rtrd.demo.caches import RtrdCache
from rtrd.demo.chain import FEEDER, FEEDER_ASN, LISTENER
from rtrd.demo.lab import Lab
from tests.e2e.conftest import MakeChain

ANNOUNCE, WITHDRAW = {"action": "announce"}, {"action": "withdraw"}
POLICY = [
    {
        "from": [FEEDER],
        "to": [LISTENER],
        "valid": ANNOUNCE,
        "not-found": ANNOUNCE,
        "invalid": WITHDRAW,
        "unverified": {"action": "hold"},
        "aspa-invalid": WITHDRAW,
        "leak": WITHDRAW,
    }
]
NEIGHBORS = {"neighbors": [{"match": [FEEDER], "local-role": "peer", "name": "a peer"}]}


def path(*asns: int) -> str:
    return f"next-hop 192.0.2.1 as-path [ {FEEDER_ASN} {' '.join(map(str, asns))} ]"


class ASPACache(RtrdCache):
    """`rtrd cache` with ASPAs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._write({})

    def have(self, providers: Mapping[int, list[int]]) -> None:
        """Serve these ASPAs from now on."""
        self._write(providers)
        self.process.send_signal(signal.SIGHUP)

    def _write(self, providers: Mapping[int, list[int]]) -> None:
        listed = [{"customer_asid": customer, "providers": those} for customer, those in providers.items()]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"roas": [], "aspas": listed}))
        new.replace(self.file)


def test_a_route_goes_and_comes_back_with_the_aspa_that_decides(make_chain: MakeChain, lab: Lab) -> None:
    cache = ASPACache(lab.folder)
    chain = make_chain(
        caches=[[cache]],
        policy=POLICY,
        settings=NEIGHBORS,
        static=[
            f"route 198.18.1.0/24 {path(64510)}",
            f"route 198.18.2.0/24 {path(64511)}",
            f"route 198.18.3.0/24 {path(64511)} attribute [ 0x23 0xc0 0x{64999:08x} ]",
            f"route 2001:db8:1::/48 {path(64512, 64510).replace('192.0.2.1', '2001:db8::1')}",
        ],
    )
    both = ("198.18.1.0/24", "2001:db8:1::/48")
    chain.settle_prefixes("198.18.2.0/24", *both)
    cache.have({64510: [64999], 64511: [FEEDER_ASN]})
    chain.settle_prefixes("198.18.2.0/24")
    rows = {row["prefix"]: row for row in chain.ask("routes")["routes"]}
    assert {prefix: (row["aspa"], row["leak"]) for prefix, row in rows.items()} == {
        "198.18.1.0/24": ("invalid", False),
        "198.18.2.0/24": ("valid", False),
        "198.18.3.0/24": ("valid", True),
        "2001:db8:1::/48": ("invalid", False),
    }
    assert rows["198.18.1.0/24"]["path_reason"] == f"AS64510 does not name AS{FEEDER_ASN} as its provider"
    assert (
        rows["198.18.3.0/24"]["path_reason"]
        == "it has Only to Customer of AS64999, and comes from a peer of another AS"
    )
    neighbors = {one["address"]: one for one in chain.ask("status")["routers"][0]["neighbors"]}
    assert (neighbors[FEEDER]["name"], neighbors[FEEDER]["local_role"]) == ("a peer", "peer")
    told = chain.ask("whatif", "--aspa", "64510:64512")["changed"]
    assert [(row["prefix"], row["then"]) for row in told] == [("2001:db8:1::/48", "unknown")]
    file = lab.folder / "then.json"
    file.write_text(json.dumps({"roas": [], "aspas": [{"customer": "AS64511", "providers": ["AS64999"]}]}))
    whole = chain.ask("whatif", str(file))["paths"]
    assert {(row["prefix"], row["now"], row["then"], row["cover"]) for row in whole["changed"]} == {
        ("198.18.1.0/24", "invalid", "unknown", None),
        ("198.18.2.0/24", "valid", "invalid", "unreachable"),
        ("198.18.3.0/24", "valid", "invalid", "unreachable"),
        ("2001:db8:1::/48", "invalid", "unknown", None),
    }
    mixed = chain.ask("whatif", "+198.18.2.0/24@64999", "-64510", "+64511:64999")
    assert (mixed["changes"], mixed["paths"]["changes"]) == (
        [{"now": "not-found", "then": "invalid", "routes": 1}],
        whole["changes"],
    )
    cache.have({64510: [64999, FEEDER_ASN, 64512]})
    chain.settle_prefixes("198.18.2.0/24", *both)
    last = chain.ask("history", "198.18.1.0/24")["history"][0]
    assert (last["aspa_was"], last["aspa"], last["decision"]) == ("invalid", "valid", "announce")
    assert last["path_reason"] is None
    first = next(one for one in chain.ask("history", "198.18.1.0/24")["history"] if one["aspa"] == "invalid")
    assert first["path_reason"] == f"AS64510 does not name AS{FEEDER_ASN} as its provider"
    assert first["why"].endswith(f"; {first['path_reason']}")
    assert "a route's path is invalid" in chain.router.process.log.read_text()
