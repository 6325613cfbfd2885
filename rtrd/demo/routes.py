"""Routes and VRPs of a small made-up internet, and what RFC 6811 says of each route.

Prefixes and ASNs are those that RFC 2544, 3849, 5398 and 6890 set aside, so that nothing here can be mistaken
for anyone's. The validity is computed by the definition, route by route, with none of rtrd's code: the demo
compares what rtrd did with it.
"""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rtrlib.vrp import VRP

AS_SET, AS_SEQUENCE = 1, 2
FEEDER_ASN = 64496
TRANSIT = (64497, 64498, 64499)
ORIGINS = (*range(64500, 64511), *range(65536, 65551))
HIJACKER = 65551

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route as the feeding peer announces it."""

    prefix: str
    next_hop: str
    path: tuple[int, ...]
    """The AS_SEQUENCE."""
    path_set: tuple[int, ...] = ()
    """A final AS_SET; empty: none."""
    communities: frozenset[tuple[int, int]] = frozenset()
    large_communities: frozenset[tuple[int, int, int]] = frozenset()
    med: int | None = None

    @property
    def origin_as(self) -> int | None:
        """RFC 6811, section 2; None is its NONE."""
        return None if self.path_set else self.path[-1]

    @property
    def segments(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The AS path as a peer decodes it."""
        final = (("set", self.path_set),) if self.path_set else ()
        return (("sequence", self.path), *final)

    def exabgp(self) -> str:
        """Return `route ...` in the grammar that ExaBGP 4.2 and 5.0 share."""
        words = [f"route {self.prefix} next-hop {self.next_hop}"]
        if self.path_set:
            # The two have no common word for an AS_SET; as octets (RFC 4271, 4.3) both take it.
            octets = b"".join(
                struct.pack(f"!BB{len(asns)}I", kind, len(asns), *asns)
                for kind, asns in ((AS_SEQUENCE, self.path), (AS_SET, self.path_set))
            )
            words.append(f"attribute [ 0x02 0x40 0x{octets.hex()} ]")
        else:
            words.append(f"as-path [ {_joined(self.path)} ]")
        if self.med is not None:
            words.append(f"med {self.med}")
        for name, values in (("community", self.communities), ("large-community", self.large_communities)):
            if values:
                words.append(f"{name} [ {' '.join(':'.join(map(str, value)) for value in sorted(values))} ]")
        return " ".join(words)


def _joined(asns: Iterable[int]) -> str:
    return " ".join(map(str, asns))


def validity(route: Route, vrps: Iterable[VRP]) -> str:
    """Return `valid`, `invalid` or `not-found`, as RFC 6811, section 2 defines them."""
    network = ipaddress.ip_network(route.prefix)
    covered = False
    for vrp in vrps:
        if not _covers(ipaddress.ip_network(vrp.prefix), network):
            continue
        covered = True
        if vrp.asn != 0 and vrp.asn == route.origin_as and network.prefixlen <= vrp.max_length:
            return "valid"
    return "invalid" if covered else "not-found"


def _covers(outer: Network, inner: Network) -> bool:
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


@dataclass(frozen=True)
class Internet:
    """Routes and the VRPs that are published about them."""

    routes: list[Route]
    vrps: list[VRP]

    def with_changed(self, old: VRP, new: VRP) -> Internet:
        """Return the same with one VRP replaced by another."""
        return Internet(self.routes, [new if vrp == old else vrp for vrp in self.vrps])

    def stolen(self, least: int = 1) -> Stolen:
        """Give one VRP to another AS, so that at least so many valid routes become invalid."""
        for old in self.vrps:
            new = old._replace(asn=HIJACKER)
            after = self.with_changed(old, new)
            if len(prefixes := self._lost(after)) >= least:
                return Stolen(old, new, after, prefixes)
        raise ValueError(f"no VRP makes {least} routes invalid")

    def _lost(self, after: Internet) -> set[str]:
        return {
            route.prefix
            for route in self.routes
            if (validity(route, self.vrps), validity(route, after.vrps)) == ("valid", "invalid")
        }


class Stolen(NamedTuple):
    """A VRP that became another AS's."""

    old: VRP
    new: VRP
    after: Internet
    """What there is then."""
    prefixes: set[str]
    """Of the valid routes that are invalid then."""


def internet(seed: int = 6811) -> Internet:
    """Return 324 routes of 26 networks: most with a ROA, some without, some that a ROA forbids."""
    rnd = random.Random(seed)  # noqa: S311 - the same internet each time, nobody's secret
    routes: list[Route] = []
    vrps: list[VRP] = []
    for number, (block, asn, length, next_hop) in enumerate(_blocks()):
        signs = number % 4 != 3
        if signs:
            vrps.append(VRP(str(block), rnd.choice((length, length, length - 1)), asn))
        routes += [
            _route(rnd, str(prefix), asn, next_hop) for prefix in _announced(rnd, block, length, rnd.randint(4, 7))
        ]
        if signs and number % 3 == 0:
            # Someone else announces a part of it, as leaks and hijacks do.
            stolen = list(block.subnets(new_prefix=length))[-1]
            routes.append(_route(rnd, str(stolen), HIJACKER, next_hop))
        if number % 13 == 3:
            # Proxy aggregation, which RFC 6472 advises against and the table still holds.
            aggregate = next(iter(block.subnets(new_prefix=length - 2)))
            routes.append(replace(_route(rnd, str(aggregate), asn, next_hop), path_set=(asn, HIJACKER)))
    unique = {route.prefix: route for route in routes}
    return Internet(list(unique.values()), vrps)


def _blocks() -> Iterator[tuple[Network, int, int, str]]:
    """Yield what each network holds: its block, its ASN, its longest prefixes, its next hop."""
    v4 = ipaddress.IPv4Network("198.18.0.0/15").subnets(new_prefix=20)
    v6 = ipaddress.IPv6Network("2001:db8::/32").subnets(new_prefix=37)
    yield from ((block, asn, 24, "192.0.2.1") for block, asn in zip(v4, ORIGINS, strict=False))
    yield from ((block, asn, 48, "2001:db8:ffff::1") for block, asn in zip(v6, ORIGINS, strict=False))


def _announced(rnd: random.Random, block: Network, length: int, count: int) -> Iterator[Network]:
    """Yield the block itself and some of its parts, down to `length`."""
    yield block
    for _ in range(count):
        new = rnd.randint(block.prefixlen + 1, length)
        bits = block.max_prefixlen - new
        offset = rnd.randrange(2 ** (new - block.prefixlen))
        start = int(block.network_address) + (offset << bits)
        yield ipaddress.ip_network((start, new))


def _route(rnd: random.Random, prefix: str, origin: int, next_hop: str) -> Route:
    path = [FEEDER_ASN, rnd.choice(TRANSIT)]
    path += [origin] * rnd.choice((1, 1, 1, 1, 2, 4))
    communities = {(FEEDER_ASN, rnd.choice((100, 200, 300))) for _ in range(rnd.randint(0, 2))}
    large = {(FEEDER_ASN, 1, rnd.randint(1, 9))} if rnd.random() < 0.2 else set()
    return Route(
        prefix=prefix,
        next_hop=next_hop,
        path=tuple(path),
        communities=frozenset(communities),
        large_communities=frozenset(large),
        med=rnd.choice((None, None, 0, 50)),
    )
