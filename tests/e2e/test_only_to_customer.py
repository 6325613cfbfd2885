"""Only to Customer (RFC 9234 section 5) through ExaBGP: what each kind of neighbor gets on the wire."""

import struct
from collections.abc import Callable, Iterator

import pytest

from rtrd.demo.chain import ROUTER, ROUTER_ASN
from rtrd.demo.routers import Neighbor
from tests.e2e.conftest import MakeChain
from tests.e2e.test_attributes_on_the_wire import (
    AS_PATH,
    ASNS,
    BASE,
    BOTH,
    EXTERNAL,
    INTERNAL,
    MED,
    OLD,
    OPTIONAL,
    OTC,
    OUTSIDE,
    TRANSITIVE,
    Attributes,
    Wire,
    path,
)
from tests.lab.chain import VRPS, Chain

WITHOUT, WITH = "10.1.0.0/16", "10.2.0.0/16"


def attributes(otc: int | None = None, *asns: int) -> Attributes:
    found: Attributes = BASE | {AS_PATH: (TRANSITIVE, path(ASNS[OUTSIDE], *asns)), MED: (OPTIONAL, bytes(4))}
    return found if otc is None else found | {OTC: (BOTH, struct.pack("!I", otc))}


@pytest.fixture
def started(make_chain: MakeChain) -> Iterator[Callable[[str, str, str], tuple[Chain, dict[str, Wire]]]]:
    """Start a router for which we are something to OUTSIDE, from which routes come, to EXTERNAL and to OLD."""
    speakers: list[Wire] = []

    def start(*roles: str) -> tuple[Chain, dict[str, Wire]]:
        announced = {"action": "announce"}
        rule = {"from": [OUTSIDE], "to": [INTERNAL, EXTERNAL, OLD], "not-found": announced, "otc": True}
        matches = zip((OUTSIDE, EXTERNAL, OLD), roles, strict=True)
        chain = make_chain(
            VRPS,
            policy=[rule],
            settings={"neighbors": [{"match": [address], "local-role": role} for address, role in matches]},
            more_feeders=[Neighbor(address=one, asn=ASNS[one]) for one in (OUTSIDE, INTERNAL, EXTERNAL, OLD)],
        )
        for address in (INTERNAL, EXTERNAL, OLD, OUTSIDE):
            speakers.append(Wire(address, speakers, four_octet_as=address != OLD))
            speakers[-1].connect(ROUTER, chain.router.port)
        return chain, {one.address: one for one in speakers}

    yield start
    for one in speakers:
        one.stop()


def otc_of(found: Attributes) -> int | None:
    if OTC not in found:
        return None
    flags, value = found[OTC]
    assert (flags, len(value)) == (BOTH, 4)
    return int.from_bytes(value)


def wait_for_path(peer: Wire, prefix: str, end: bytes) -> None:
    peer.wait(lambda: peer.told(prefix)[AS_PATH][1].endswith(end), 60, prefix)


def kept_back(chain: Chain) -> dict[str, list[str]]:
    return {row["prefix"]: [one["neighbor"] for one in row["kept_back"]] for row in chain.ask("routes")["routes"]}


def test_from_a_customer(started: Callable[..., tuple[Chain, dict[str, Wire]]]) -> None:
    """To a peer with ours; what has it already has leaked, and goes inside only. OLD is a provider."""
    chain, peers = started("provider", "peer", "customer")
    peers[OUTSIDE].say(WITH, attributes(64511))
    peers[OUTSIDE].say(WITHOUT, attributes())
    assert {one: otc_of(peers[one].told(WITHOUT)) for one in (INTERNAL, EXTERNAL, OLD)} == {
        INTERNAL: None,
        EXTERNAL: ROUTER_ASN,
        OLD: None,
    }
    assert otc_of(peers[INTERNAL].told(WITH)) == 64511
    assert kept_back(chain) == {WITHOUT: [], WITH: [EXTERNAL, OLD]}
    # One change, and each has it, in its words.
    peers[OUTSIDE].say(WITHOUT, attributes(None, 64500))
    for one, otc in ((INTERNAL, None), (EXTERNAL, ROUTER_ASN), (OLD, None)):
        wait_for_path(peers[one], WITHOUT, struct.pack("!H", 64500))
        assert otc_of(peers[one].told(WITHOUT)) == otc
    assert not {WITH} & (peers[EXTERNAL].attributes.keys() | peers[OLD].attributes.keys())


def test_from_a_provider(started: Callable[..., tuple[Chain, dict[str, Wire]]]) -> None:
    """It has that of the provider here, so it goes to customers alone. OLD is one."""
    chain, peers = started("customer", "peer", "provider")
    peers[OUTSIDE].say(WITHOUT, attributes())
    peers[OUTSIDE].say(WITH, attributes(64511))
    for one in (INTERNAL, OLD):
        assert otc_of(peers[one].told(WITHOUT)) == ASNS[OUTSIDE]
        assert otc_of(peers[one].told(WITH)) == 64511
    assert kept_back(chain) == {WITHOUT: [EXTERNAL], WITH: [EXTERNAL]}
    assert not peers[EXTERNAL].attributes
    (router,) = chain.ask("status")["routers"]
    (outside,) = [one for one in router["neighbors"] if one["address"] == OUTSIDE]
    assert outside["paths"]["kept_back"] == 2
