"""The demo's chain with what tests vary: the version of ExaBGP, the policy, ADD-PATH, rtrd as a service."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rtrd.demo import chain
from rtrd.demo.caches import VRP, Cache
from rtrd.demo.chain import FEEDER, FEEDER_ASN, LISTENER, POLICY, ROUTER, ROUTER_ASN
from rtrd.demo.lab import Lab, Process
from rtrd.demo.routers import ExaBGP, Neighbor, Received
from tests.lab.daemons import once
from tests.lab.programs import RTRD, asked
from tests.lab.router_children import children
from tests.lab.routers import Feeder, Listener

VRPS = [VRP("198.18.0.0/16", 24, 64500)]
ONE = "announce route 198.18.1.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]"
TWO = "announce route 203.0.113.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]"
VALID = {"198.18.1.0/24": "valid"}
BOTH = {**VALID, "203.0.113.0/24": "not-found"}
"""What ONE is with VRPS, and what ONE and TWO are."""
STATIC = [announced.removeprefix("announce ") for announced in (ONE, TWO)]
"""ONE and TWO in a configuration."""


class Chain(chain.Chain):
    """With `service` rtrd runs by itself, and the router's process is `rtrd attach`."""

    def __init__(
        self,
        lab: Lab,
        groups: Iterable[Iterable[Cache]],
        *,
        exabgp: str | None = None,
        policy: Sequence[Mapping[str, Any]] = POLICY,
        static: Sequence[str] = (),
        add_path: bool = False,
        more_feeders: Sequence[Neighbor] = (),
        environment: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        service: bool = False,
    ) -> None:
        super().__init__(lab, groups)
        self.policy = list(policy)
        self._settings = dict(settings or {})
        self.service = Process("service", [RTRD, "run", "-c", str(self.configuration)], lab.folder)
        self._has_service = service
        self.add_path = add_path
        run = f"run -c {self.configuration} --exabgp"
        self.listener: Listener = Listener(lab.folder, address=LISTENER, asn=ROUTER_ASN)
        self.router = ExaBGP(
            lab.folder,
            name="router",
            address=ROUTER,
            asn=ROUTER_ASN,
            program=exabgp,
            process=f"{RTRD} {f'attach --socket {self.socket}' if service else run}",
            environment=environment,
        )
        self.router.neighbors += more_feeders
        self.feeder: Feeder = Feeder(lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)

    def prepare(self) -> None:
        """Start the service, too."""
        super().prepare()
        if self._has_service:
            self.lab.start(self.service)

    def restart_service(self) -> None:
        """Start the service again after its end."""
        self.service = self.lab.start(Process("service-again", self.service.argv, self.lab.folder))

    def settings(self) -> dict[str, Any]:
        """Return what rtrd.yaml says."""
        return {**super().settings(), **self._settings}

    def on_loopback(self, text: str) -> str:
        """The configuration of an ExaBGP with addresses of documents and `rtrd run`, as the router can have it."""
        for old, new in (
            ("/usr/bin/rtrd run -c /etc/rtrd/rtrd.yaml", f"{RTRD} run -c {self.configuration}"),
            ("192.0.2.254", ROUTER),
            ("neighbor 192.0.2.1 {", f"neighbor {FEEDER} {{ passive true;"),
            ("neighbor 192.0.2.2 {", f"neighbor {LISTENER} {{ connect {self.listener.port};"),
        ):
            assert old in text
            text = text.replace(old, new)
        return text

    def received(self) -> list[Received]:
        """Return what the listener has from the router at this moment."""
        return self.listener.routes(ROUTER)

    def settle(self, tags: Mapping[str, str | None]) -> None:
        """Wait until the listener has exactly these prefixes, each with its tag (RFC 8097)."""
        self.wait_routes(lambda got: {route.prefix: route.validity for route in got} == tags, f"routes tagged {tags}")

    def settle_prefixes(self, *prefixes: str) -> None:
        """Wait until the listener has exactly these prefixes."""
        self.wait_routes(lambda got: {route.prefix for route in got} == set(prefixes), f"only {prefixes}")

    def feed(self, *commands: str) -> None:
        """Give commands to the feeder."""
        for command in commands:
            self.feeder.command(command)

    def wait_counts(self, **counts: int) -> None:
        """Wait until the router has so many routes of these validities."""
        wanted = {name.replace("_", "-"): count for name, count in counts.items()}.items()
        self.wait_status(lambda status: wanted <= status["routers"][0]["routes"].items(), f"{counts}")

    def wait_learned(self, count: int) -> None:
        """Wait until rtrd is ready and has so many routes."""
        self.wait_status(
            lambda status: status["ready"] and sum(sum(r["routes"].values()) for r in status["routers"]) == count,
            f"{count} routes learned",
        )

    def helper(self) -> int:
        """Return the pid of the process that the router started: rtrd, or `rtrd attach`."""
        (pid,) = children(self.router.process.pid)
        return pid

    def heard(self) -> int:
        """A position in what the listener hears."""
        return len(self.listener.monitor.lines)

    def wait_status(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = 20) -> dict[str, Any]:
        """Return rtrd's status once it is as `wanted`."""
        return once(self.router.process, self.socket, wanted, what, seconds)

    def ask(self, *words: str) -> Any:
        """Return what an `rtrd` command prints as JSON, asked of the running daemon."""
        return asked(self.socket, *words)
