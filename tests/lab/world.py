"""An ExaBGP with rtrd, a cache, and two fast peers, all chosen by a seed; and what the listener must have (RFC 6811).

For what the chain of real routers (rtrd/demo/chain.py) is too slow or too well-behaved: 20,000 routes, sessions that
end in the middle, a peer that sends nothing again.
"""

import ipaddress
import os
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from rtrd.commands import http_client
from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, LabError
from rtrd.demo.routers import ExaBGP, Neighbor
from tests.lab.daemons import caches_of
from tests.lab.programs import RTRD, asked
from tests.lab.router_children import children, kill
from tests.lab.speaker import Route, Speaker

ASN, FEEDER_ASN = 65000, 64496
RFC8097 = 0x4300 << 48
SLOTS = 80 << 8
"""Prefixes of a family that are used."""
TAGS = {"valid": RFC8097, "not-found": RFC8097 | 1}


class World:
    """The router and all around it; everything random comes from `random`."""

    def __init__(
        self,
        lab: Lab,
        exabgp: str,
        *,
        seed: int = 0,
        environment: Mapping[str, str] | None = None,
        static: Iterable[str] = (),
        refresh: bool = True,
        backup: bool = False,
    ) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        # Addresses of their own, so that worlds can run beside each other.
        net = f"127.{10 + os.getpid() % 200}.{self.random.randrange(250)}"
        self.router_address, feeder, listener = f"{net}.1", f"{net}.2", f"{net}.3"
        self.feeder = Speaker(feeder, FEEDER_ASN, refresh=refresh)
        self.listener = Speaker(listener, ASN)
        self.vrps = [VRP("192.0.2.0/24", 24, 64500)]  # without any, rtrd would wait for some
        self.cache = RtrdCache(lab.folder, self.vrps, address=f"{net}.4")
        self.backup = RtrdCache(lab.folder, self.vrps, name="backup", address=f"{net}.5") if backup else None
        self.others: dict[str, Route] = {}
        """What the listener has from ExaBGP and not from rtrd."""
        self.socket = lab.folder / "rtrd.sock"
        self.configuration = lab.folder / "rtrd.yaml"
        self.router = ExaBGP(
            lab.folder,
            name="router",
            address=self.router_address,
            asn=ASN,
            program=exabgp,
            process=f"{RTRD} run -c {self.configuration} --exabgp",
            environment=environment,
            static=tuple(static),
        )

    @property
    def caches(self) -> list[RtrdCache]:
        """Those of the first group and of the second."""
        return [self.cache] if self.backup is None else [self.cache, self.backup]

    # -- life

    def start(self, *, sessions: bool = True) -> None:
        """Start all, and return when the sessions are up."""
        for cache in self.caches:
            self.lab.start(cache)
        self.configuration.write_text(yaml.safe_dump(self.settings()))
        self.router.neighbors = self.neighbors()
        self.lab.start(self.router)
        if sessions:
            self.connect()

    def neighbors(self) -> list[Neighbor]:
        """Return whom the router has."""
        return [Neighbor(address=one.address, asn=one.asn) for one in (self.feeder, self.listener)]

    def connect(self) -> None:
        """Bring both sessions up."""
        for speaker in (self.listener, self.feeder):
            if not speaker.up:
                speaker.connect(self.router_address, self.router.port)

    def stop(self) -> None:
        """End the sessions; the lab ends the rest."""
        self.feeder.disconnect()
        self.listener.disconnect()

    def settings(self) -> dict[str, Any]:
        """Return what rtrd.yaml says."""
        tagged = {"action": "announce", "tags": ["rfc8097"]}
        return {
            "caches": caches_of({cache.name: [cache] for cache in self.caches}),
            "control": str(self.socket),
            "policy": [{
                "from": [self.feeder.address], "to": [self.listener.address],
                "valid": tagged, "not-found": tagged, "invalid": {"action": "withdraw"},
            }],
        }  # fmt: skip

    def helper(self, *, other_than: int = 0, seconds: float = 20) -> int:
        """Return the pid of the rtrd that ExaBGP started, once there is one."""

        def find() -> int | None:
            return next((pid for pid in children(self.router.process.pid) if pid != other_than), None)

        return self.router.process.wait_until(find, seconds, "an rtrd", tick=0.05)

    def kill(self) -> None:
        """Send SIGKILL to rtrd; return when ExaBGP has started another one."""
        pid = self.helper()
        kill(pid)
        self.helper(other_than=pid)

    # -- routes and VRPs

    def routes(self, count: int, *, shift: int = 0) -> dict[str, Route]:
        """Return routes of many origins, a tenth of them IPv6, five of them with the same attributes."""
        made: dict[str, Route] = {}
        origin = 64500
        for number in range(shift, shift + count):
            origin = 64500 + self.random.randrange(40) if number % 5 == 0 else origin
            path = (FEEDER_ASN, 65100 + number // 5 % 3000, origin)
            slot = number * 401 % SLOTS  # far from one another, so that no VRP covers most of them
            if number % 10:
                made[f"10.{slot >> 8}.{slot & 255}.0/24"] = Route(path, "192.0.2.1")
            else:
                made[f"2001:db8:{slot + 1:x}::/48"] = Route(path, "2001:db8::1")
        return made

    def new_vrps(self, count: int = 60) -> None:
        """Have the cache serve other VRPs."""
        vrps = {self._vrp() for _ in range(count)}
        keep = [self.vrps[0], *self.random.sample(self.vrps, len(self.vrps) // 2)]
        self.serve([*keep, *vrps])

    def serve(self, vrps: Iterable[VRP]) -> None:
        """Have the cache serve these VRPs."""
        self.vrps = sorted(set(vrps))
        for cache in self.caches:
            cache.serve(self.vrps)

    def _vrp(self) -> VRP:
        asn = 64500 + self.random.randrange(40)
        if self.random.random() < 0.8:
            length = self.random.choice((16, 18, 20, 22, 24))
            number = (10 << 24 | self.random.randrange(SLOTS << 8)) >> (32 - length) << (32 - length)
            return VRP(f"{ipaddress.IPv4Address(number)}/{length}", self.random.choice((length, 24)), asn)
        length = self.random.choice((36, 40, 44, 48))
        number = (0x20010DB8 << 96 | self.random.randrange(SLOTS) << 80) >> (128 - length) << (128 - length)
        return VRP(f"{ipaddress.IPv6Address(number)}/{length}", self.random.choice((length, 48)), asn)

    # -- the oracle

    def expected(self) -> dict[str, Route]:
        """Return what the listener must have: the rule, applied to what the feeder says and the cache serves."""
        rule = Oracle(self.vrps)
        want = dict(self.others)
        for prefix, route in self.feeder.said.items():
            validity = rule.validity(prefix, route.path[-1])
            if validity != "invalid":
                want[prefix] = route._replace(extended=(TAGS[validity],))
        return want

    def differences(self) -> list[str]:
        """Return what the listener has and shouldn't, lacks, or has otherwise."""
        want, have = self.expected(), self.listener.snapshot()
        return [
            f"{prefix}: has {have.get(prefix)}, should have {want.get(prefix)}"
            for prefix in sorted(want.keys() | have.keys())
            if want.get(prefix) != have.get(prefix)
        ]

    def settle(self, seconds: float = 60, what: str = "") -> None:
        """Return when the listener has exactly what it should; what differs after `seconds` is the error."""
        deadline = time.monotonic() + seconds
        quiet = -1
        while True:
            heard = len(self.listener.heard)
            # Comparing costs; so only when nothing more arrives.
            if heard == quiet and not (wrong := self.differences()):
                return
            quiet = heard
            if time.monotonic() > deadline:
                wrong = self.differences()
                raise LabError(
                    f"{what}: {len(wrong)} differences after {seconds:g} s, of {len(self.expected())} routes:\n"
                    + "\n".join(wrong[:10])
                    + f"\nThe router's log ends with:\n{self.router.process.tail(30)}"
                )
            time.sleep(0.3)  # no event says that a router has nothing more to say

    def status(self) -> dict[str, Any]:
        """Return rtrd's status."""
        return self.router.process.wait_until(lambda: http_client.status(self.socket), 20, "rtrd's status", tick=0.05)

    def ask(self, *words: str) -> Any:
        """Return what an `rtrd` command prints as JSON."""
        return asked(self.socket, *words)


class Oracle:
    """RFC 6811 section 2 for many routes: for each length that a covering VRP can have, the VRPs of that prefix."""

    def __init__(self, vrps: Iterable[VRP]) -> None:
        self._at: dict[tuple[int, int, int], list[VRP]] = {}
        for vrp in vrps:
            network = ipaddress.ip_network(vrp.prefix)
            key = (network.version, network.prefixlen, int(network.network_address))
            self._at.setdefault(key, []).append(vrp)

    def validity(self, prefix: str, asn: int) -> str:
        """Return the validity of a route."""
        network = ipaddress.ip_network(prefix)
        version, most = network.version, network.max_prefixlen
        number = int(network.network_address)
        found = False
        for length in range(network.prefixlen + 1):
            for vrp in self._at.get((version, length, number >> (most - length) << (most - length)), ()):
                if vrp.asn == asn != 0 and network.prefixlen <= vrp.max_length:
                    return "valid"
                found = True
        return "invalid" if found else "not-found"
