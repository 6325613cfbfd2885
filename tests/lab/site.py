"""A service with two ExaBGPs (three feeders and a listener each), two groups of caches, SLURM, guard and an RTR server.

Everything random comes from a seed. `differences` compares all that can be seen from outside with the oracle.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

import yaml

from rtrd.commands import http_client
from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, LabError, Process
from rtrd.demo.ports import free_port
from rtrd.demo.routers import ExaBGP, Neighbor
from tests.lab.daemons import caches_of
from tests.lab.programs import RTRD
from tests.lab.router_children import children
from tests.lab.rtr_routers import exported
from tests.lab.slurm_text import slurm_text
from tests.lab.speaker import Route, Speaker
from tests.lab.world import Oracle

ASN: Final = 65000
SLOTS: Final = 80 << 8
RFC8097: Final = 0x4300 << 48
KEPT = VRP("192.0.2.0/24", 24, 64500)
"""One that is always there: without any, rtrd would wait for some."""


class Router:
    """An ExaBGP that is attached, with its peers."""

    def __init__(self, site: "Site", name: str, program: str, number: int) -> None:
        net = f"{site.net}.{number}"
        self.feeders = [
            Speaker(f"{net}1", 64496),
            Speaker(f"{net}2", 64497, path_ids=True),
            Speaker(f"{net}3", 64498, refresh=False),
        ]
        self.listener = Speaker(f"{net}4", ASN)
        self.name = name
        self.exabgp = ExaBGP(
            site.lab.folder, name=name, address=f"{net}0", asn=ASN, program=program,
            process=f"{RTRD} attach --socket {site.socket} --name {name}",
            environment={"exabgp.api.chunk": "1000"},
        )  # fmt: skip
        self.exabgp.neighbors = [Neighbor(address=one.address, asn=one.asn) for one in (*self.feeders, self.listener)]
        self.exabgp.neighbors[1] = Neighbor(address=f"{net}2", asn=64497, add_path="receive")

    @property
    def speakers(self) -> list[Speaker]:
        """All peers."""
        return [*self.feeders, self.listener]

    def connect(self) -> None:
        """Bring all sessions up that are not."""
        for speaker in self.speakers:
            if not speaker.up:
                speaker.connect(self.exabgp.address, self.exabgp.port)

    def attach_pid(self) -> int | None:
        """Give the pid of the attach process, if ExaBGP has one."""
        return next(iter(children(self.exabgp.process.pid)), None)


class Site:
    """All of it."""

    def __init__(self, lab: Lab, programs: dict[str, str], seed: int) -> None:
        """`programs`: of the ExaBGPs, by the router's name."""
        self.lab = lab
        self.random = random.Random(seed)
        self.net = f"127.{10 + os.getpid() % 200}.{self.random.randrange(250)}"
        self.socket = lab.folder / "rtrd.sock"
        self.configuration = lab.folder / "rtrd.yaml"
        self.slurm = lab.folder / "slurm.json"
        self.state = lab.folder / "state"
        self.state.mkdir()
        self.vrps = [KEPT]
        self.caches = [
            RtrdCache(lab.folder, self.vrps, name=f"cache{number}", address=f"{self.net}.{number}") for number in (1, 2)
        ]
        self.filters: list[str] = []
        self.assertions: list[VRP] = []
        self.tags = 0
        self.rtr_port = free_port("127.0.0.1")
        self.routers = [Router(self, *each, number) for number, each in enumerate(programs.items(), 1)]
        self.service = Process("service", [RTRD, "run", "-c", str(self.configuration)], lab.folder)

    def start(self) -> None:
        """Start all of it."""
        for cache in self.caches:
            self.lab.start(cache)
        self.new_slurm(0)
        self.write()
        self.lab.start(self.service)
        for router in self.routers:
            self.lab.start(router.exabgp)
            router.connect()

    def stop(self) -> None:
        """End the sessions; the lab ends the rest."""
        for router in self.routers:
            for speaker in router.speakers:
                speaker.disconnect()

    def write(self) -> None:
        """Write rtrd.yaml as it is to be."""
        validities: dict[str, Any] = {
            validity: {"action": "announce", "tags": [self._tag(validity)]} for validity in ("valid", "not-found")
        }
        settings = {
            "caches": caches_of({one.name: [one] for one in self.caches}),
            "control": str(self.socket),
            "state": str(self.state),
            "slurm": [str(self.slurm)],
            "guard": {"max-newly-invalid": "10%", "max-shrink": "50%", "hold": 3},
            "rtr-server": {"listen": [f"127.0.0.1:{self.rtr_port}"], "notify-interval": 0},
            "policy": [{
                "from": [one.address for router in self.routers for one in router.feeders],
                "to": [router.listener.address for router in self.routers],
                **validities, "invalid": {"action": "withdraw"},
            }],
        }  # fmt: skip
        self.configuration.write_text(yaml.safe_dump(settings))

    def _tag(self, validity: str) -> str:
        return "rfc8097" if not self.tags else f"community:{ASN}:{10 * self.tags + (validity == 'valid')}"

    # -- what changes

    def new_vrps(self, count: int) -> None:
        """Have the caches serve other VRPs."""
        kept = self.random.sample(self.vrps, len(self.vrps) * 2 // 3)
        self.vrps = sorted({KEPT, *kept, *(self._vrp() for _ in range(count))})
        for cache in self.caches:
            cache.serve(self.vrps)

    def _vrp(self) -> VRP:
        length = self.random.choice((16, 18, 20, 22, 24))
        number = self.random.randrange(SLOTS) >> (24 - length) << (24 - length)
        prefix = f"10.{number >> 8}.{number & 255}.0/{length}"
        return VRP(prefix, self.random.choice((length, 24)), 64500 + self.random.randrange(8))

    def new_slurm(self, count: int) -> None:
        """Filter some VRPs, and assert others."""
        self.filters = [self._vrp().prefix for _ in range(count)]
        self.assertions = [self._vrp() for _ in range(count)]
        new = self.slurm.with_suffix(".new")
        new.write_text(slurm_text([{"prefix": prefix} for prefix in set(self.filters)], self.assertions))
        new.replace(self.slurm)

    def routes(self, feeder: Speaker, number: int, count: int) -> dict[str, Route]:
        """Routes of the feeder of this number: no other has the same prefix."""
        made: dict[str, Route] = {}
        for _ in range(count):
            slot = self.random.randrange(SLOTS // 4) * 3 + number
            path = (feeder.asn, 65100 + slot % 50, 64500 + self.random.randrange(8))
            communities = ((64496, slot % 5),) if slot % 2 else ()
            extended = (0x0002FDE800000000 | slot % 7,) if slot % 3 == 0 else ()
            if slot % 8:
                made[f"10.{slot >> 8}.{slot & 255}.0/24"] = Route(path, "192.0.2.1", communities, (), extended)
            else:
                prefix = IPv6Network(f"2001:db8:{slot:x}::/48")  # slot 0 is 2001:db8::/48 in all answers
                made[str(prefix)] = Route(path, "2001:db8::1", communities, (), extended)
        return made

    # -- the oracle

    def effective(self) -> set[VRP]:
        """The VRPs in force: RFC 8416 section 3.3 and 3.4."""
        filters = [IPv4Network(prefix) for prefix in self.filters]
        kept = {vrp for vrp in self.vrps if not any(IPv4Network(vrp.prefix).subnet_of(one) for one in filters)}
        return kept | set(self.assertions)

    def differences(self) -> list[str]:
        """Return what is not as it should be, in all that can be seen."""
        effective = self.effective()
        rule = Oracle(effective)
        vrps = {tuple(one) for one in effective}
        want: dict[str, set[Any]] = {"json": vrps, "rtr": vrps}
        have: dict[str, set[Any]] = {"json": self._json(), "rtr": {*exported(self.rtr_port)}}
        want["routes"], have["routes"] = set(), self._routes()
        for router in self.routers:
            name = f"listener of {router.name}"
            have[name] = {(prefix, _in_order(route)) for prefix, route in router.listener.snapshot().items()}
            want[name] = set()
            for feeder in router.feeders:
                for prefix, route in feeder.said.items():
                    validity = rule.validity(prefix, route.path[-1])
                    want["routes"].add((router.name, feeder.address, prefix, validity))
                    if validity != "invalid":
                        want[name].add((prefix, self._tagged(route, validity)))
        return [
            f"{name}: {len(want[name] - have[name])} are missing, {len(have[name] - want[name])} should not be:"
            f" {sorted(map(str, want[name] - have[name]))[:3]}, {sorted(map(str, have[name] - want[name]))[:3]}"
            for name in want
            if want[name] != have[name]
        ]

    def _tagged(self, route: Route, validity: str) -> Route:
        if not self.tags:
            tag = RFC8097 | (validity == "not-found")
            return _in_order(route._replace(extended=(*route.extended, tag)))
        tags = (ASN, 10 * self.tags + (validity == "valid"))
        return _in_order(route._replace(communities=(*route.communities, tags)))

    def _json(self) -> set[tuple[str, int, int]]:
        roas = self._get("/json")["roas"]
        return {(one["prefix"], one["maxLength"], int(str(one["asn"]).removeprefix("AS"))) for one in roas}

    def _routes(self) -> set[tuple[str, str, str, str]]:
        return {
            (one["router"], one["neighbor"], one["prefix"], one["validity"]) for one in self._get("/routes")["routes"]
        }

    def _get(self, path: str) -> Any:
        with http_client.ask(self.socket, path) as answer:
            return json.loads(b"".join(answer.chunks()))

    def settle(self, seconds: float, what: str) -> None:
        """Return when all is as it should be; what is not after `seconds` is the error."""
        wrong: list[str] = []

        def right() -> bool:
            try:
                for router in self.routers:
                    router.connect()
                wrong[:] = self.differences()
            except (
                LabError,
                http_client.NoDaemonError,
                http_client.RefusedError,
                OSError,
                subprocess.SubprocessError,
            ) as error:
                wrong[:] = [str(error)]
            return not wrong

        try:
            self.service.wait_until(right, seconds, "no difference", tick=2)
        except LabError as error:
            routers = "\n".join(router.exabgp.process.tail(15) for router in self.routers)
            raise AssertionError(f"{what}:\n" + "\n".join(wrong) + f"\n{error}\n{routers}") from error


def _in_order(route: Route) -> Route:
    """A route whose communities are in order: no router has to keep theirs."""
    return route._replace(communities=tuple(sorted(route.communities)), extended=tuple(sorted(route.extended)))


def parts(routes: Iterable[str], random_: random.Random, most: int) -> list[str]:
    """Some of these prefixes."""
    prefixes = sorted(routes)
    return random_.sample(prefixes, min(len(prefixes) // 2, random_.randrange(most)))
