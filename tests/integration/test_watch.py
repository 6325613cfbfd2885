"""`rtrd watch` on a real daemon with a real cache: what the cache says shows at once, with the cache's name."""

import json
from collections.abc import Callable
from typing import Any

from rtrd.commands import http_client
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.daemons import Daemon
from tests.lab.programs import RTRD, talk
from tests.lab.stayrtr import StayRTR

FIRST, SECOND = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)


def test_a_vrp_that_appears_and_a_cache_that_dies(lab: Lab) -> None:
    cache = lab.start(StayRTR(lab.folder, [FIRST]))
    daemon = lab.start(Daemon(lab.folder, [cache]))
    daemon.wait_vrps(1)
    with talk([RTRD, "watch", "--json", "--last", "100", "--socket", str(daemon.socket)]) as watch:

        def until(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            event: dict[str, Any]
            while not wanted(event := json.loads(watch.line())):
                pass
            return event

        name = f"{cache.address}:{cache.port}"
        first = until(lambda event: event["kind"] == "vrps")
        assert first["text"] == f"AS64500's VRP 192.0.2.0/24-24 appeared (switch to {name})"
        cache.serve([FIRST, SECOND])
        second = until(lambda event: event["kind"] == "vrps")
        assert second["vrps"] == [{"asn": 64501, "prefix": "198.51.100.0/24", "maxLength": 24, "appeared": True}]
        assert (second["cache"], second["ipv4"]) == (name, 2)
        cache.stop()
        assert until(lambda event: event["kind"] == "cache" and event["error"] is not None)["cache"] == name
        with http_client.ask(daemon.socket, "/metrics") as answer:
            scraped = b"".join(answer.chunks()).decode()
        assert f'rtrd_cache_vrps{{cache="{name}",group="group1"}} 2.0' in scraped
        assert 'rtrd_events_total{kind="vrps"} 2.0' in scraped
        daemon.stop()
        assert watch.wait() in (0, 3)  # it ends with the daemon
