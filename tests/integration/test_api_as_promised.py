"""docs/openapi.yaml against a daemon that answers: what the document promises holds for requests good and bad."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rtrd.commands import http_client
from rtrlib.vrp import VRP
from tests.lab import ROOT, promised
from tests.lab.loop_thread import LoopThread
from tests.lab.still_daemon import StillDaemon

DOCUMENT = ROOT / "docs" / "openapi.yaml"
ENDLESS = "^/(events|live)$"

schema = schemathesis.openapi.from_path(str(DOCUMENT))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StillDaemon]:
    """A daemon with some VRPs and routes, answering at TCP and at a unix socket."""

    async def start() -> StillDaemon:
        one = StillDaemon(tmp_path_factory.mktemp("openapi"))
        one.daemon.vrp_set.usable = True
        one.engine.table.listen(100)
        one.announce("192.0.2.0/24", "198.51.100.0/24")
        one.vrps(VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501), VRP("2001:db8::/32", 48, 0))
        one.daemon.effective.snapshot_used = True  # somebody answered once
        one.daemon.history.start()
        await one.service.monitor.start()
        await one.serve()
        return one

    with LoopThread() as thread:
        one = thread.run(start())
        yield one
        thread.run(one.__aexit__())


@schema.exclude(path_regex=ENDLESS).parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: Case[Any], served: StillDaemon) -> None:
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{served.port}",
        checks=[
            checks.not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )


def test_events_are_as_the_document_says(served: StillDaemon) -> None:
    kinds = set()
    with http_client.ask(served.socket, "/events?last=400", forever=True) as answer:
        for line in answer.lines():
            event = json.loads(line)
            promised.check("Event", event)
            kinds.add(event["kind"])
            if {"vrps", "route"} <= kinds:
                break
    with pytest.raises(jsonschema_rs.ValidationError):
        promised.check("Event", {"kind": "route"})


def test_what_is_there_is_shown(served: StillDaemon) -> None:
    """The answers above are not as promised for want of anything in them."""
    for path, name, count in (("/routes", "routes", 2), ("/vrps", "roas", 3), ("/json", "roas", 3)):
        with http_client.ask(served.socket, path) as answer:
            assert len(answer.value()[name]) == count
