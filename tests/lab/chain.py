"""The demo's chain with what tests vary: the version of ExaBGP, the policy, ADD-PATH, rtrd as a service."""

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rtrd.commands import http_client
from rtrd.demo import chain
from rtrd.demo.caches import Cache
from rtrd.demo.chain import FEEDER, FEEDER_ASN, LISTENER, POLICY, ROUTER, ROUTER_ASN
from rtrd.demo.lab import Lab, LabError, Process
from rtrd.demo.routers import ExaBGP, Neighbor, Received
from tests.lab.routers import Feeder, Listener


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
        self.service = Process("service", [self.rtrd, "run", "-c", str(self.configuration)], lab.folder)
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
            process=f"{self.rtrd} {f'attach --socket {self.socket}' if service else run}",
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

    def received(self) -> list[Received]:
        """Return what the listener has from the router at this moment."""
        return self.listener.routes(ROUTER)

    def wait_status(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = 20) -> dict[str, Any]:
        """Return rtrd's status once it is as `wanted`."""

        def look() -> dict[str, Any] | None:
            status = http_client.status(self.socket)
            return status if status is not None and wanted(status) else None

        return self.router.process.wait_until(look, seconds, what, tick=0.05)

    def ask(self, *words: str) -> Any:
        """Return what an `rtrd` command prints as JSON, asked of the running daemon."""
        argv = [self.rtrd, *words, "--json", "--socket", str(self.socket)]
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        if answer.returncode != 0:
            raise LabError(f"{' '.join(argv)}: exit {answer.returncode}: {answer.stderr.strip()}")
        return json.loads(answer.stdout)
