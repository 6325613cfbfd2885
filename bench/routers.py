"""Measures a chain of ExaBGP and rtrd beside routers that validate by themselves: BIRD, FRR and GoBGP.

All take the same routes from one peer and the same VRPs from one cache, leave out what is invalid, mark the rest with a
community, and announce it to another peer.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from bench import chain, lines
from bench.pipe import Usage
from bench.report import Comparison
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting, set_of
from bench.speaker import Speaker, update
from rtrd.demo.lab import LabError, Process, find_program
from rtrd.demo.ports import free_port
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VALIDITIES

ROUTER, PEER, RECEIVER = chain.ROUTER, chain.PEER, chain.RECEIVER
COUNT: Final = 100_000
TOGETHER: Final = 7
"""Routes of one attribute set, at most: about as many as in a real table (6.8)."""
NEXT_HOP: Final = "192.0.2.2"
"""GoBGP takes no loopback address."""
OWN_AS, PEER_AS, RECEIVER_AS = 65001, 65002, 65003
BIRD: Final = """
router id 10.0.0.1;
log stderr all;
roa4 table four;
protocol device {{ }}
protocol rpki cache {{ roa4 {{ table four; }}; remote {cache_host} port {cache}; }}
filter origin_validation {{
    if roa_check(four, net, bgp_path.last) = ROA_INVALID then reject;
    bgp_community.add((65001, 1));
    accept;
}}
template bgp each {{ local {router} port {port} as {own_as}; passive; multihop; }}
protocol bgp peer from each {{
    neighbor {peer} as {peer_as};
    ipv4 {{ import filter origin_validation; export none; }};
}}
protocol bgp receiver from each {{
    neighbor {receiver} as {receiver_as};
    ipv4 {{ import none; export all; }};
}}
"""
FRR: Final = """
hostname frr
rpki
 rpki cache {cache_host} {cache} preference 1
 exit
route-map origin_validation deny 10
 match rpki invalid
exit
route-map origin_validation permit 20
 set community 65001:1 additive
exit
router bgp {own_as}
 bgp router-id {router}
 no bgp ebgp-requires-policy
 neighbor {peer} remote-as {peer_as}
 neighbor {peer} passive
 neighbor {peer} disable-connected-check
 neighbor {receiver} remote-as {receiver_as}
 neighbor {receiver} passive
 neighbor {receiver} disable-connected-check
 address-family ipv4 unicast
  neighbor {peer} route-map origin_validation in
 exit-address-family
exit
"""


class Routes:
    """What the peer announces: IPv4 routes of a table, in its order, a few of each attribute set."""

    def __init__(self, setting: Setting) -> None:
        self.folder = setting.folder
        chosen = list(islice((one for one in setting.table if ":" not in one.prefix), setting.sized(COUNT)))
        packed = list(lines.packed_routes(chosen, TOGETHER))
        self.updates = b"".join(
            update(lines.attributes_of(origin, which), NEXT_HOP, some) for origin, which, _, some in packed
        )
        routes = b"".join(pack(VRP(one.prefix, int(one.prefix.partition("/")[2]), one.origin)) for one in chosen)
        validities = set_of(b"".join(ipv4_vrps(setting))).validate_many(routes)
        self.invalid = validities.count(VALIDITIES.index("invalid"))
        self.count = len(chosen) - self.invalid
        """How many of them are announced further."""
        self.about = f"{len(chosen):,} routes in {len(packed):,} UPDATEs, {self.invalid:,} of them invalid"


def ipv4_vrps(setting: Setting) -> list[bytes]:
    """Give the packed VRPs of IPv4."""
    return [one for one in setting.vrps if one[22] == 4]


class Alone(ABC):
    """A router that needs nobody's help."""

    name: ClassVar[str]
    package: ClassVar[str]

    def __init__(self, folder: Path, cache: int) -> None:
        self.folder = folder
        self.port = free_port(ROUTER)
        self.names = {
            "cache_host": HOST, "cache": cache, "router": ROUTER, "port": self.port, "peer": PEER, "receiver": RECEIVER,
            "own_as": OWN_AS, "peer_as": PEER_AS, "receiver_as": RECEIVER_AS,
        }  # fmt: skip
        self.process = Process(self.name, self.prepare(), folder)

    @abstractmethod
    def prepare(self) -> list[str]:
        """Write the configuration; give the command."""

    @abstractmethod
    def vrps(self) -> int:
        """How many VRPs it has."""

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_listening(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def find(self, program: str, *folders: str) -> str:
        return find_program(program, f"as root: apt-get install {self.package}", *folders)

    def said(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def wait_vrps(self, count: int) -> None:
        """Return when all are there."""
        until = time.monotonic() + chain.LIMIT
        while (now := self.vrps()) != count:
            if time.monotonic() > until:
                raise LabError(f"{self.name} has {now} of {count} VRPs\n{self.process.tail()}")
            time.sleep(0.5)


class Bird(Alone):
    """A BIRD 2."""

    name = "BIRD"
    package = "bird2"

    def prepare(self) -> list[str]:
        file = self.folder / "bird.conf"
        file.write_text(BIRD.format(**self.names), encoding="utf-8")
        self._control = str(self.folder / "bird.ctl")
        return [self.find("bird"), "-f", "-c", str(file), "-s", self._control]

    def vrps(self) -> int:
        said = self.said(self.find("birdc"), "-s", self._control, "show", "route", "table", "four", "count")
        found = re.search(r"^(\d+) of ", said, re.MULTILINE)
        return int(found[1]) if found else 0


class Frr(Alone):
    """FRR's bgpd without zebra, with its RPKI module."""

    name = "FRR"
    package = "frr frr-rpki-rtrlib"

    def prepare(self) -> list[str]:
        file, self._sockets = self.folder / "frr.conf", self.folder / "frr.vty"
        file.write_text(FRR.format(**self.names), encoding="utf-8")
        self._sockets.mkdir()
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        argv = [self.find("bgpd", "/usr/lib/frr"), "-n", "-Z", "-S", "-M", "rpki", "-u", user, "-g", group]
        argv += ["-f", str(file), "-i", str(self.folder / "frr.pid"), "--vty_socket", str(self._sockets), "-P", "0"]
        return [*argv, "-l", ROUTER, "-p", str(self.port), "--log", "stdout"]

    def vrps(self) -> int:
        told = (re.search(r"received (\d+) Prefix PDUs", line.text) for line in list(self.process.lines))
        return sum(int(found[1]) for found in told if found)


class GoBGP(Alone):
    """A gobgpd."""

    name = "GoBGP"
    package = "gobgpd"

    def prepare(self) -> list[str]:
        file, self._api = self.folder / "gobgp.json", free_port(ROUTER)
        file.write_text(json.dumps(self._configuration()), encoding="utf-8")
        argv = [self.find("gobgpd"), "-f", str(file), "-t", "json", "-p", "--pprof-disable"]
        return [*argv, "--api-hosts", f"{ROUTER}:{self._api}"]

    def _configuration(self) -> dict[str, Any]:
        tag = {"options": "add", "set-community-method": {"communities-list": ["65001:1"]}}
        statements = [
            {
                "name": "invalid",
                "conditions": {"bgp-conditions": {"rpki-validation-result": "invalid"}},
                "actions": {"route-disposition": "reject-route"},
            },
            {"name": "rest", "actions": {"bgp-actions": {"set-community": tag}, "route-disposition": "accept-route"}},
        ]
        neighbors = [
            {
                "config": {"neighbor-address": address, "peer-as": asn},
                "transport": {"config": {"passive-mode": True, "local-address": ROUTER}},
            }
            for address, asn in ((PEER, PEER_AS), (RECEIVER, RECEIVER_AS))
        ]
        policies = {"import-policy-list": ["validation"], "default-import-policy": "accept-route"}
        return {
            "global": {
                "config": {"as": OWN_AS, "router-id": ROUTER, "port": self.port, "local-address-list": [ROUTER]},
                "apply-policy": {"config": policies},
            },
            "rpki-servers": [{"config": {"address": HOST, "port": self.names["cache"]}}],
            "policy-definitions": [{"name": "validation", "statements": statements}],
            "neighbors": neighbors,
        }

    def vrps(self) -> int:
        said = self.said(self.find("gobgp"), "-u", ROUTER, "-p", str(self._api), "rpki", "server")
        found = re.search(r" (\d+)/(\d+) *$", said, re.MULTILINE)
        return int(found[1]) + int(found[2]) if found else 0


def run_alone(kind: type[Alone], routes: Routes, vrps: int, port: int) -> chain.Took:
    """Give what a router takes from the peer's first UPDATE to the receiver's last route, having all VRPs."""
    with tempfile.TemporaryDirectory(dir=routes.folder) as folder, ExitStack() as stack:
        router = stack.enter_context(kind(Path(folder), port))
        router.wait_vrps(vrps)
        receiver = stack.enter_context(Speaker(RECEIVER, RECEIVER_AS, (ROUTER, router.port)))
        peer = stack.enter_context(Speaker(PEER, PEER_AS, (ROUTER, router.port)))
        if not (receiver.up.wait(chain.LIMIT) and peer.up.wait(chain.LIMIT)):
            raise LabError(f"{router.name}: a session did not come up\n{router.process.tail()}")
        usage = Usage([router.process.pid])
        before, begin = usage.cpu(), time.perf_counter()
        peer.send(routes.updates)
        end = receiver.wait_announced(routes.count, chain.LIMIT)
        return chain.Took(end - begin, (usage.cpu() - before) / routes.count * 1e6, 0)


def run_chain(version: str, routes: Routes, vrps: int, port: int) -> chain.Took:
    """Give the same of an ExaBGP with rtrd as its process."""
    work = chain.Work(routes.folder, 1, 1)
    work.updates, work.count = routes.updates, routes.count
    return chain.run_rtrd(work, version, port, vrps=vrps)


def measure(setting: Setting) -> list[Comparison]:
    print("the same routes through ExaBGP with rtrd, BIRD, FRR and GoBGP, s", flush=True)
    routes, vrps = Routes(setting), ipv4_vrps(setting)
    count = len(set(vrps))
    with ScriptedCache(b"".join(vrps)) as cache:
        runs: dict[str, Callable[[], chain.Took]] = {
            f"ExaBGP {version} with rtrd": partial(run_chain, version, routes, count, cache.port)
            for version in chain.PROGRAMS
        }
        runs |= {kind.name: partial(run_alone, kind, routes, count, cache.port) for kind in (Bird, Frr, GoBGP)}
        rounds, cpu = chain.measured(setting.rounds, runs)
    note = (
        f"{routes.about}; {count:,} VRPs. Invalid ones are left out, the rest is announced with a community. Up to the"
        " receiver's last route; all VRPs were there before."
    )
    whose = "Of the router, and of rtrd with all that it has started."
    return [
        Comparison("From peer to peer, validated", "s", rounds, notes=[note]),
        Comparison("CPU of that", "us a route", cpu, notes=[whose]),
    ]
