"""The whole chain, running: caches, rtrd, a router, and BGP speakers on both sides of it.

Caches serve VRPs to rtrd by RTR; rtrd is the process of an ExaBGP, the router under test; a feeder (ExaBGP)
announces routes to the router, a listener (GoBGP) decodes what the router announces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import yaml

from rtrd.demo.caches import Cache
from rtrd.demo.lab import Lab, LabError, find_program
from rtrd.demo.routers import ExaBGP, GoBGP, Neighbor, Received

ROUTER, FEEDER, LISTENER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
ROUTER_ASN, FEEDER_ASN = 65000, 64496

POLICY: Sequence[Mapping[str, Any]] = (
    {
        "from": [FEEDER],
        "to": [LISTENER],
        "valid": {"action": "announce", "tags": ["rfc8097"]},
        "not-found": {"action": "announce", "tags": ["rfc8097"]},
        "invalid": {"action": "withdraw"},
        "unverified": {"action": "hold"},
        "as-set": "by-validity",
    },
)


class Chain:
    """One router under test and what is around it. `groups`: caches by falling preference."""

    add_path = False
    """Several paths of a prefix may go from the feeder to the listener (RFC 7911)."""

    def __init__(self, lab: Lab, groups: Iterable[Iterable[Cache]], static: Sequence[str] = ()) -> None:
        self.lab = lab
        self.groups = [list(group) for group in groups]
        self.rtrd = find_program("rtrd", "make venv")
        self.configuration = lab.folder / "rtrd.yaml"
        self.socket = lab.folder / "rtrd.sock"
        self.policy = list(POLICY)
        self.listener = GoBGP(lab.folder, address=LISTENER, asn=ROUTER_ASN)
        run = f"{self.rtrd} run -c {self.configuration} --exabgp"
        self.router = ExaBGP(lab.folder, name="router", address=ROUTER, asn=ROUTER_ASN, process=run)
        self.feeder = ExaBGP(lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)

    def prepare(self) -> None:
        """Start the caches that are not; write the configuration."""
        for group in self.groups:
            for cache in group:
                if not cache.port:
                    self.lab.start(cache)
        self.write_settings()

    def start(self) -> None:
        """Start every part, the feeder last, and return when the listener's session is up."""
        self.prepare()
        sends, receives = ("send", "receive") if self.add_path else (None, None)
        self.listener.neighbors = [Neighbor(address=ROUTER, asn=ROUTER_ASN, add_path=receives)]
        self.lab.start(self.listener)
        self.router.neighbors += [
            Neighbor(address=FEEDER, asn=FEEDER_ASN, add_path=receives),
            Neighbor(address=LISTENER, asn=ROUTER_ASN, port=self.listener.port, add_path=sends),
        ]
        self.lab.start(self.router)
        self.feeder.neighbors = [Neighbor(address=ROUTER, asn=ROUTER_ASN, port=self.router.port, add_path=sends)]
        self.lab.start(self.feeder)
        self.listener.wait_established(ROUTER)

    def write_settings(self) -> None:
        """Write rtrd.yaml."""
        self.configuration.write_text(yaml.safe_dump(self.settings(), sort_keys=False))

    def settings(self) -> dict[str, Any]:
        """Return what rtrd.yaml says."""
        groups = [
            {
                "name": f"group{preference}",
                "preference": preference,
                "servers": [{"host": cache.address, "port": cache.port} for cache in group],
            }
            for preference, group in enumerate(self.groups, start=1)
        ]
        return {
            "caches": {"refresh": 60, "retry": 1, "expire": 600, "groups": groups},
            "control": str(self.socket),
            "policy": [dict(rule) for rule in self.policy],
        }

    def wait_routes(self, wanted: Callable[[list[Received]], bool], what: str, seconds: float = 20) -> list[Received]:
        """Return what the listener received once it is as `wanted`; LabError says `what` was missing."""

        def look() -> list[list[Received]]:
            routes = self.listener.routes(ROUTER)
            if wanted(routes):
                return [routes]
            if not self.router.process.running:
                raise LabError("the router ended")
            return []

        try:
            return self.listener.monitor.wait_until(look, seconds, what)[0]
        except LabError as error:
            raise LabError(
                f"{error}\nThe router's log ends with:\n{self.router.process.tail(20)}\n"
                f"All logs are in {self.lab.folder}."
            ) from error
