"""docs/openapi.yaml against a daemon that answers: what the document promises holds for requests good and bad."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import yaml
from aiohttp import web
from hypothesis import HealthCheck, settings
from schemathesis import Case, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rtrd.commands import http_client
from rtrd.config import load
from rtrd.daemon import Daemon
from rtrd.exabgp.decode import attribute_key
from rtrd.main import Service
from rtrd.rib.bgp_events import Update
from rtrlib.vrp import VRP, pack

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
WHOLE = yaml.safe_load(DOCUMENT.read_text())
CONFIG = """
caches: {groups: [{name: main, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}]}
policy: [{valid: {action: announce}, invalid: {action: withdraw}}]
"""
ENDLESS = "^/(events|live)$"

schema = schemathesis.openapi.from_path(str(DOCUMENT))


class Served:
    """A daemon that is connected to nobody, with some VRPs and routes, answering at TCP and at a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "rtrd.sock"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(folder), self.loop).result(30)

    async def _start(self, folder: Path) -> str:
        (folder / "rtrd.yaml").write_text(CONFIG)
        self.daemon = Daemon(load(folder / "rtrd.yaml"))
        self.service = Service(self.daemon, folder / "rtrd.yaml")
        self.daemon.vrp_set.activate([0])
        self.daemon.vrp_set.usable = True
        self.pipe = os.pipe()
        router = self.daemon.routers.add("exabgp", self.pipe[0], os.open(os.devnull, os.O_WRONLY), lambda: None)
        router.engine.table.listen(100)
        attributes = {"origin": "igp", "as-path": [64496, 64500]}
        key = attribute_key(json.dumps(attributes).encode(), "192.0.2.9", 65000, "ipv4 unicast")
        router.engine.update(Update("192.0.2.1", [], [(key, ["192.0.2.0/24", "198.51.100.0/24"])], 0))
        vrps = [VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501), VRP("2001:db8::/32", 48, 0)]
        self.daemon.effective.cause = "192.0.2.10:323"
        self.daemon._vrps_changed(self.daemon.vrp_set.replace(0, b"".join(map(pack, vrps))))
        self.daemon.effective.snapshot_used = True  # somebody answered once
        self.service.monitor.start()
        self.runner = web.AppRunner(self.service.app(), shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        port = self.runner.addresses[0][1]
        await web.UnixSite(self.runner, str(self.socket)).start()
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        async def end() -> None:
            await self.runner.cleanup()
            self.service.monitor.close()
            self.daemon.routers.close()
            os.close(self.pipe[1])

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("openapi"))
    yield one
    one.stop()


@schema.exclude(path_regex=ENDLESS).parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: Case[Any], served: Served) -> None:
    case.call_and_validate(
        base_url=served.url,
        checks=[
            checks.not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )


def valid(value: Any, name: str) -> None:
    whole = {"$ref": f"#/components/schemas/{name}", "components": WHOLE["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)


def test_events_are_as_the_document_says(served: Served) -> None:
    kinds = set()
    with http_client.ask(served.socket, "/events?last=400", forever=True) as answer:
        for line in answer.lines():
            event = json.loads(line)
            valid(event, "Event")
            kinds.add(event["kind"])
            if {"vrps", "route"} <= kinds:
                break
    with pytest.raises(jsonschema_rs.ValidationError):
        valid({"kind": "route"}, "Event")


def test_what_is_there_is_shown(served: Served) -> None:
    """The answers above are not as promised for want of anything in them."""
    for path, name, count in (("/routes", "routes", 2), ("/vrps", "roas", 3), ("/json", "roas", 3)):
        with http_client.ask(served.socket, path) as answer:
            assert len(answer.value()[name]) == count
