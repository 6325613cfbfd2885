"""Path attributes from a neighbor through ExaBGP and rtrd to real receivers, octet for octet: docs/exabgp.md, the table
of what each kind of receiver gets.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bench.speaker import UPDATE, attribute
from rtrd.demo.chain import LISTENER, ROUTER, ROUTER_ASN
from rtrd.demo.lab import Lab, LabError
from rtrd.demo.ports import free_port
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain
from tests.lab.bird_routers import ADDRESS as BIRD
from tests.lab.bird_routers import BirdRouter
from tests.lab.chain import VRPS, Chain
from tests.lab.speaker import Route, Speaker

OUTSIDE, INSIDE, INTERNAL, EXTERNAL, OLD = (f"127.0.0.{n}" for n in (21, 22, 23, 24, 25))
ASNS = {OUTSIDE: 64496, INSIDE: ROUTER_ASN, INTERNAL: ROUTER_ASN, EXTERNAL: 64498, OLD: 64499}
FROM_OUTSIDE, FROM_INSIDE, EMPTY, CONFEDERATED = "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"
OPTIONAL, TRANSITIVE, PARTIAL = 0x80, 0x40, 0x20
BOTH = OPTIONAL | TRANSITIVE
ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF, ATOMIC_AGGREGATE, AGGREGATOR, COMMUNITIES = 1, 2, 3, 4, 5, 6, 7, 8
ORIGINATOR_ID, CLUSTER_LIST, EXTENDED, AS4_PATH, AS4_AGGREGATOR, AIGP, OTC = 9, 10, 16, 17, 18, 26, 35
UNKNOWN, UNKNOWN_HERE_ONLY = 99, 98

Attributes = dict[int, tuple[int, bytes]]
"""Flags and value, by code."""


def path(*asns: int, kind: int = 2) -> bytes:
    return struct.pack(f"!BB{len(asns)}I", kind, len(asns), *asns)


BASE: Attributes = {ORIGIN: (TRANSITIVE, b"\0"), NEXT_HOP: (TRANSITIVE, bytes([192, 0, 2, 1]))}
LOCAL: Attributes = {LOCAL_PREF: (TRANSITIVE, struct.pack("!I", 100))}
LEAVES: Attributes = BASE | {
    AS_PATH: (TRANSITIVE, path(64496, 70000)),
    ATOMIC_AGGREGATE: (TRANSITIVE, b""),
    AGGREGATOR: (BOTH, struct.pack("!I", 70000) + b"\1\2\3\4"),
    COMMUNITIES: (BOTH, struct.pack("!HH", 64496, 7)),
    EXTENDED: (BOTH, struct.pack("!Q", 0x0002_FDE8_0000_0001)),
    OTC: (BOTH, struct.pack("!I", 64496)),
}
STAYS: Attributes = {
    MED: (OPTIONAL, struct.pack("!I", 7)),
    EXTENDED: (BOTH, struct.pack("!2Q", 0x0002_FDE8_0000_0001, 0x4004_0000_0000_0001)),
}
UNDERSTOOD_BY_NOBODY = b"\7\x08"
INWARD: Attributes = {
    AIGP: (OPTIONAL, struct.pack("!BHQ", 1, 11, 9)),
    ORIGINATOR_ID: (OPTIONAL, b"\1\2\3\4"),
    CLUSTER_LIST: (OPTIONAL, b"\1\2\3\5\1\2\3\6"),
    LOCAL_PREF: (TRANSITIVE, struct.pack("!I", 150)),
}


class Wire(Speaker):
    """A speaker that says path attributes as octets, and keeps those that it is told."""

    def __init__(self, address: str, speakers: list["Wire"], **options: Any) -> None:
        super().__init__(address, ASNS[address], **options)
        self.speakers = speakers
        """The speakers of this test; itself, too."""
        self.attributes: dict[str, Attributes] = {}
        self._updates: list[bytes] = []

    def say(self, prefix: str, attributes: Attributes) -> None:
        octets = b"".join(attribute(flags, code, value) for code, (flags, value) in sorted(attributes.items()))
        address, _, length = prefix.partition("/")
        nlri = bytes([int(length)]) + socket.inet_aton(address)[: int(length) // 8]
        self._updates.append(struct.pack("!HH", 0, len(octets)) + octets + nlri)
        self._send(UPDATE, self._updates[-1])

    def _announce(self, routes: Mapping[str, Route]) -> None:
        """Say all again: in the next session, or when asked."""
        super()._announce(routes)
        for update in self._updates:
            self._send(UPDATE, update)

    def _update(self, body: bytes) -> None:
        start = 4 + int.from_bytes(body[:2])
        rest, nlri = body[start : (end := start + int.from_bytes(body[start - 2 : start]))], body[end:]
        found: Attributes = {}
        while rest:
            head = 4 if rest[0] & 0x10 else 3
            size = head + int.from_bytes(rest[2:head])
            found[rest[1]] = rest[0] & ~0x10, rest[head:size]
            rest = rest[size:]
        if nlri:  # the speaker itself keeps nothing: not all of this is what it can read
            address = socket.inet_ntoa(nlri[1 : 1 + nlri[0] // 8].ljust(4, b"\0"))
            self.attributes[f"{address}/{nlri[0]}"] = found

    def told(self, prefix: str) -> Attributes:
        """Return what it was told of a prefix. A session that a busy ExaBGP ended comes up again."""
        for _ in range(5):
            for each in self.speakers:
                if not each.up:
                    each.start()
            self.wait(lambda: prefix in self.attributes or not all(each.up for each in self.speakers), 60, prefix)
            if prefix in self.attributes:
                return self.attributes[prefix]
        raise LabError(f"{self.address}: sessions end again and again; no {prefix}")


class Bird(BirdRouter):
    """A BIRD that takes what it is told."""

    def text(self, port: int) -> str:
        return (
            f"log stderr all; router id {BIRD}; protocol device {{}}\n"
            f"protocol bgp upstream {{ local {BIRD} port {port} as {ROUTER_ASN}; multihop; passive; strict bind;\n"
            f"neighbor {ROUTER} as {ROUTER_ASN}; ipv4 {{ import all; export none; }};"
            " ipv6 { import all; export none; }; }\n"
        )


@pytest.fixture
def chain(lab: Lab, make_chain: MakeChain) -> Chain:
    """A router with all of them, who have no session yet."""
    bird = lab.start(Bird(lab.folder, free_port("127.0.0.1")))
    receivers = [LISTENER, BIRD, INTERNAL, EXTERNAL, OLD]
    announced = {"action": "announce"}
    rule = {"from": [OUTSIDE, INSIDE], "to": receivers, "valid": announced, "not-found": announced}
    peers = [Neighbor(address=address, asn=asn) for address, asn in ASNS.items()]
    peers.append(Neighbor(address=BIRD, asn=ROUTER_ASN, port=bird.port))
    chain: Chain = make_chain(VRPS, policy=[rule], more_feeders=peers)
    chain.bird = bird  # type: ignore[attr-defined]
    return chain


@pytest.fixture
def peer(chain: Chain) -> Iterator[Callable[..., Wire]]:
    """Bring up the session of one of the speakers."""
    peers: list[Wire] = []

    def connect(address: str, **options: Any) -> Wire:
        peers.append(Wire(address, peers, **options))
        peers[-1].connect(ROUTER, chain.router.port)
        return peers[-1]

    yield connect
    for one in peers:
        one.stop()


def test_each_attribute_arrives_as_its_rfc_says(chain: Chain, peer: Callable[..., Wire]) -> None:
    internal, external, old = peer(INTERNAL), peer(EXTERNAL), peer(OLD, four_octet_as=False)
    outside, inside = peer(OUTSIDE), peer(INSIDE)
    said = LEAVES | STAYS | INWARD
    said |= {UNKNOWN: (BOTH, UNDERSTOOD_BY_NOBODY), UNKNOWN_HERE_ONLY: (OPTIONAL, b"\1")}
    outside.say(FROM_OUTSIDE, said)
    passed_on = {UNKNOWN: (BOTH | PARTIAL, UNDERSTOOD_BY_NOBODY)}
    inside.say(FROM_INSIDE, BASE | INWARD | passed_on | {AS_PATH: (TRANSITIVE, path(64500))})
    inside.say(EMPTY, BASE | LOCAL | {AS_PATH: (TRANSITIVE, b"")})
    confederated = path(65100, kind=3) + path(64500)
    inside.say(CONFEDERATED, BASE | LOCAL | {AS_PATH: (TRANSITIVE, confederated)})

    assert internal.told(FROM_OUTSIDE) == LEAVES | STAYS | LOCAL | passed_on
    assert external.told(FROM_OUTSIDE) == LEAVES | passed_on
    reflected = {CLUSTER_LIST: (OPTIONAL, socket.inet_aton(ROUTER) + INWARD[CLUSTER_LIST][1])}
    assert internal.told(FROM_INSIDE) == BASE | INWARD | reflected | passed_on | {AS_PATH: (TRANSITIVE, path(64500))}
    assert external.told(FROM_INSIDE) == BASE | passed_on | {AS_PATH: (TRANSITIVE, path(64500))}
    assert internal.told(EMPTY)[AS_PATH][1] == b""
    assert internal.told(EMPTY)[ORIGINATOR_ID] == (OPTIONAL, socket.inet_aton(INSIDE))
    assert internal.told(EMPTY)[CLUSTER_LIST] == (OPTIONAL, socket.inet_aton(ROUTER))
    assert external.told(EMPTY)[AS_PATH][1] == path(ROUTER_ASN)
    assert internal.told(CONFEDERATED)[AS_PATH][1] == confederated
    assert external.told(CONFEDERATED)[AS_PATH][1] == path(64500)
    assert old.told(FROM_OUTSIDE) == LEAVES | passed_on | {
        AS_PATH: (TRANSITIVE, struct.pack("!BBHH", 2, 2, 64496, 23456)),
        AS4_PATH: (BOTH, path(64496, 70000)),
        AGGREGATOR: (BOTH, struct.pack("!H", 23456) + b"\1\2\3\4"),
        AS4_AGGREGATOR: LEAVES[AGGREGATOR],
    }

    told = {
        each["nlri"]["prefix"]: {one["type"]: one for one in each["attrs"]}
        for paths in in_gobgp(chain).values()
        for each in paths
    }
    assert told[FROM_OUTSIDE].keys() == (LEAVES | STAYS | LOCAL | passed_on).keys()
    assert told[FROM_OUTSIDE][AGGREGATOR]["as"] == 70000
    assert told[FROM_INSIDE].keys() >= {AIGP, ORIGINATOR_ID, CLUSTER_LIST, UNKNOWN}

    # It is in no confederation, so it does not take the fourth.
    chain.bird.wait_routes(lambda routes: len(routes) == 3, "three routes")  # type: ignore[attr-defined]
    bird = chain.bird.ask("show route all")  # type: ignore[attr-defined]
    for line in (r"aggregator: 1\.2\.3\.4 AS70000", "otc: 64496", r"63 \[t\]: 07 ?08", "aigp: 9", "atomic_aggr"):
        assert re.search(rf"(?:BGP\.|bgp_){line}", bird), (line, bird)


def in_gobgp(chain: Chain) -> dict[str, Any]:
    """What the listener has, once it is all."""

    def look() -> dict[str, Any]:
        found: dict[str, Any] = chain.listener._ask("neighbor", ROUTER, "adj-in", "-a", "ipv4")
        return found if len(found) == 4 else {}

    return chain.listener.monitor.wait_until(look, 30, "four routes")
