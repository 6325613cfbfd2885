"""Real BGP routers on loopback addresses: ExaBGP and GoBGP."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import LabError, Listening, Process, find_program
from rtrd.demo.ports import free_port

SESSION_SECONDS = 30.0
SEGMENT = {1: "set", 2: "sequence", 3: "confederation sequence", 4: "confederation set"}
GOBGP = "as root: apt-get install gobgpd"
STATISTICS = 15
"""Seconds between two Statistics Reports; GoBGP takes no fewer."""
EXABGP_4 = "as root: apt-get install exabgp"
EXABGP_5 = f"{EXABGP_4}; or, in a clone of the repository: make venv"

VALIDITY_OF_TAG = {"0": "valid", "1": "not-found", "2": "invalid"}
"""RFC 8097, section 2: type 0x43, subtype 0, and the validity in the last octet."""


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """A BGP peer: its address and AS, and the port where it listens (None: it connects to us)."""

    address: str
    asn: int
    port: int | None = None
    add_path: str | None = None
    """`send`, `receive` or `send/receive`, as seen from the router that has this neighbor."""
    api: str | None = None
    """What ExaBGP's process is told of it, if not what it is told of all; empty: it has no such section."""
    adj_rib_in: bool = True
    """Whether ExaBGP keeps what it learns from it."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A route as GoBGP decoded it from the wire."""

    neighbor: str
    prefix: str
    next_hop: str
    as_path: tuple[tuple[str, tuple[int, ...]], ...]
    """Segments: (`sequence` | `set`, ASNs)."""
    origin: int
    med: int | None
    local_preference: int | None
    communities: frozenset[tuple[int, int]]
    large_communities: frozenset[tuple[int, int, int]]
    extended_communities: tuple[tuple[int, int, str], ...]
    """Type, subtype, and the value as GoBGP writes it."""

    @property
    def validity(self) -> str | None:
        """What the RFC 8097 tags say, with commas where a route wrongly carries several; or None."""
        tags = [value for kind, subtype, value in self.extended_communities if (kind, subtype) == (0x43, 0)]
        return ",".join(VALIDITY_OF_TAG.get(tag, tag) for tag in tags) or None


class ExaBGP(Listening):
    """An ExaBGP of either version, perhaps with rtrd as its process. It uses one loopback address."""

    signals = 2  # 5.0 forgets one that comes while it handles another (reactor/interrupt.py)

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        address: str,
        asn: int,
        program: str | None = None,
        process: str | None = None,
        static: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, name, address)
        self.asn = asn
        self.neighbors: list[Neighbor] = []
        self.api = "neighbor-changes; receive { packets; update; open; } send { packets; open; }"
        """What its process is told of each neighbor."""
        self._program = program or find_program("exabgp", EXABGP_5)
        self._helper = process
        self._static = list(static)
        self._environment = dict(environment or {})

    @property
    def file(self) -> Path:
        """The configuration."""
        return self._folder / f"{self.name}.conf"

    def _start(self, port: int) -> None:
        self.file.write_text(self.configuration())
        environment = {
            "exabgp.tcp.bind": self.address,
            "exabgp.tcp.port": str(port),
            "exabgp.api.cli": "false",
            "exabgp.api.ack": "true" if self._helper else "false",
            "exabgp.daemon.drop": "false",
            # Else it becomes another user after its start, and a process that it starts again can't read ours.
            "exabgp.daemon.user": pwd.getpwuid(os.getuid()).pw_name,
            "exabgp.log.level": "INFO",
            **self._environment,
        }
        self._run(port, [self._program, str(self.file)], environment)

    def configuration(self) -> str:
        """Return the configuration in the grammar that 4.2 and 5.0 share."""
        static = "".join(f"        {route};\n" for route in self._static)
        text = ""
        if self._helper:
            text = f"process helper {{\n    run {self._helper};\n    encoder json;\n}}\n"
        for neighbor in self.neighbors:
            told = self.api if neighbor.api is None else neighbor.api
            api = f"    api {{ processes [ helper ]; {told} }}\n" if self._helper and told else ""
            session = f"connect {neighbor.port};" if neighbor.port else "passive true;"
            add_path = f"add-path {neighbor.add_path};" if neighbor.add_path else ""
            adj_rib_in = "" if neighbor.adj_rib_in else "    adj-rib-in false;\n"
            text += (
                f"neighbor {neighbor.address} {{\n"
                f"    router-id {self.address};\n"
                f"    local-address {self.address};\n"
                f"    local-as {self.asn};\n"
                f"    peer-as {neighbor.asn};\n"
                f"    {session}\n"
                f"{adj_rib_in}"
                f"    capability {{ route-refresh enable; {add_path} }}\n"
                "    family { ipv4 unicast; ipv6 unicast; }\n"
                f"{api}"
                f"    static {{\n{static}    }}\n"
                "}\n"
            )
        return text


def _received(path: dict[str, Any]) -> Received:
    attributes = {attribute["type"]: attribute for attribute in path["attrs"]}

    def get(kind: int, key: str, default: Any = None) -> Any:
        return attributes.get(kind, {}).get(key, default)

    return Received(
        neighbor=path["neighbor-ip"],
        prefix=path["nlri"]["prefix"],
        next_hop=get(3, "nexthop") or get(14, "nexthop", ""),
        as_path=tuple((SEGMENT[part["segment_type"]], tuple(part["asns"])) for part in get(2, "as_paths", ())),
        origin=get(1, "value"),
        med=get(4, "metric"),
        local_preference=get(5, "value"),
        communities=frozenset((value >> 16, value & 0xFFFF) for value in get(8, "communities", ())),
        large_communities=frozenset(
            (value["ASN"], value["LocalData1"], value["LocalData2"]) for value in get(32, "value", ())
        ),
        extended_communities=tuple(
            (value["type"], value["subtype"], str(value["value"])) for value in get(16, "value", ())
        ),
    )


class GoBGP(Listening):
    """gobgpd as a peer that listens and decodes what it receives."""

    def __init__(self, folder: Path, *, name: str = "gobgp", address: str = "127.0.0.3", asn: int = 65000) -> None:
        super().__init__(folder, name, address)
        self.asn = asn
        self.api_port = 0
        self.neighbors: list[Neighbor] = []
        self.station: Endpoint | None = None
        """Where it tells its routes by BMP, as its neighbors announce them."""
        self.monitor = Process(f"{name}-monitor", (), folder)
        self._daemon = find_program("gobgpd", GOBGP)
        self._client = find_program("gobgp", GOBGP)

    def stop(self) -> None:
        """End the daemon and its monitor."""
        self.monitor.stop()
        super().stop()

    def routes(self, neighbor: str) -> list[Received]:
        """Return what arrived from a neighbor and was not withdrawn (its Adj-RIB-In), IPv4 then IPv6.

        Nothing while the session is down.
        """
        received = []
        for family in ("ipv4", "ipv6"):
            table = self._ask("neighbor", neighbor, "adj-in", "-a", family)
            for paths in table.values():
                received += [_received(path) for path in paths]
        return received

    def wait_established(self, neighbor: str, since: int = 0) -> None:
        """Return when the session with a neighbor is up."""
        self.process.wait_for(rf"Peer Up.*Key={neighbor}\b", SESSION_SECONDS, since)

    def changes(self, since: int) -> list[tuple[float, str, bool]]:
        """Return what arrived: when (`time.monotonic()`), which prefix, whether withdrawn.

        `since` counts the lines of the monitor.
        """
        return [
            (line.time, path["nlri"]["prefix"], path.get("withdrawal", False))
            for line in self.monitor.lines[since:]
            for path in json.loads(line.text)
        ]

    def wait_changes(
        self, prefixes: Collection[str], *, withdrawn: bool, since: int, seconds: float = 20
    ) -> dict[str, float]:
        """Return when (`time.monotonic()`) each of the prefixes was first announced, or withdrawn."""

        def look() -> dict[str, float]:
            moments: dict[str, float] = {}
            for moment, prefix, gone in self.changes(since):
                if prefix in prefixes and gone == withdrawn:
                    moments.setdefault(prefix, moment)
            return moments if len(moments) == len(prefixes) else {}

        what = "withdraws" if withdrawn else "announcements"
        return self.monitor.wait_until(look, seconds, f"{what} of {', '.join(sorted(prefixes))}")

    def _start(self, port: int) -> None:
        api_port = free_port(self.address)
        configuration = self._folder / f"{self.name}.json"
        configuration.write_text(json.dumps(self._configuration(port), indent=1))
        argv = [self._daemon, "-f", str(configuration), "-t", "json", "-p", "--pprof-disable"]
        self._run(port, [*argv, "--api-hosts", f"{self.address}:{api_port}"])
        self.process.wait_listening(api_port)
        self.api_port = api_port
        argv = [self._client, "-u", self.address, "-p", str(api_port), "-j", "monitor", "adj-in"]
        self.monitor = Process(f"{self.name}-monitor", argv, self._folder)
        self.monitor.start()

    def _configuration(self, port: int) -> dict[str, Any]:
        families = [
            {
                "config": {"afi-safi-name": family},
                "add-paths": {"config": {"receive": any(n.add_path for n in self.neighbors)}},
            }
            for family in ("ipv4-unicast", "ipv6-unicast")
        ]
        neighbors = [
            {
                "config": {"neighbor-address": neighbor.address, "peer-as": neighbor.asn},
                "transport": {"config": {"passive-mode": True, "local-address": self.address}},
                "afi-safis": families,
            }
            for neighbor in self.neighbors
        ]
        config = {
            "as": self.asn, "router-id": self.address, "port": port, "local-address-list": [self.address],
        }  # fmt: skip
        found: dict[str, Any] = {"global": {"config": config}, "neighbors": neighbors}
        if self.station is not None:
            told = {"address": self.station.host, "port": self.station.port, "route-monitoring-policy": "pre-policy"}
            # GoBGP notices by writing alone that its station is gone.
            found["bmp-servers"] = [{"config": {**told, "statistics-timeout": STATISTICS}}]
        return found

    def _ask(self, *words: str) -> Any:
        argv = [self._client, "-u", self.address, "-p", str(self.api_port), "-j", *words]
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        if "session is not established" in answer.stdout:
            return {}
        if answer.returncode != 0:
            raise LabError(f"{' '.join(argv)}: {(answer.stderr or answer.stdout).strip()}")
        return json.loads(answer.stdout)
