"""The API over a real unix socket and real TCP, asked by the CLI's client and by the CLI itself."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from rtrd import cli
from rtrd.api import live
from rtrd.api.app import Handlers, make_app
from rtrd.api.aspa_queries import ASPAQueries
from rtrd.api.changes_api import ChangeHandlers
from rtrd.api.live import Live
from rtrd.api.path_query import PathQuery
from rtrd.api.queries import StateQueries, VRPQueries
from rtrd.api.route_queries import RouteQueries
from rtrd.api.server import APIServer
from rtrd.api.whatif import WhatIfQueries
from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.base.endpoint import Endpoint
from rtrd.base.registry import Problem, Registry
from rtrd.base.shortages import NO_THREAD
from rtrd.base.sockets import ListenError
from rtrd.commands import http_client
from rtrd.event_log import EventLog
from rtrd.health import Health
from rtrd.known_routers import KnownRouters
from rtrd.reload import Reloaded
from rtrd.version import __version__
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.guard import NothingHeldError
from rtrd.vrps.notation import VRPEdit
from rtrd.vrps.router_keys import KeySet
from rtrd.vrps.slurm import Reasons
from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_entries import RouterKey
from tests.lab import programs
from tests.lab.loop_thread import LoopThread
from tests.lab.statuses import AllRouters, NamedCache, status, would_change
from tests.lab.vrp_sets import set_of
from tests.lab.wait import wait_until

STATUS = status(
    {"name": "primary", "status": "ESTABLISHED"},
    {"state": "ESTABLISHED", "version": 1, "session_id": 7, "serial": 3, "last_update": "2026-01-01", "vrps": 2},
    {
        "neighbors": [{"address": "192.0.2.1"}],
        "routes": {"valid": 1, "invalid": 0, "not-found": 1, "unverified": 0},
        "outbox": 0,
        "waits_for": "ExaBGP's answers to earlier commands",
        "waits_seconds": 2.5,
    },
    health={"status": "ok", "summary": "ready, 1 warning"},
    problems=[{"what": "a \x1b[2J file", "since": "2026-01-01T00:00:00Z", "severity": "warning"}],
    vrps={"ipv4": 2, "ipv6": 0},
    slurm=[{"path": "/etc/rtrd/slurm.json", "fault": "slurm.json:1: not JSON", "filters": 2, "assertions": 1}],
    guard={
        "state": "held",
        "held": {
            "cause": ["192.0.2.10:323"],
            "routes": 100,
            "newly_invalid": 90,
            "vrps": 2,
            "vrps_then": 1,
            "judged": "2025-12-31T23:56:00Z",
            "seconds_left": 60,
            "until": "2026-01-01T00:00:00Z",
        },
    },
    snapshot={"used": True, "age": 61, "fault": "no space"},
    rtr_server={"listen": ["127.0.0.1:3323"], "clients": 3, "serial": 7},
)

CHANGED: dict[str, Any] = {
    "routes": 20,
    "newly_invalid": {"unreachable": 1, "covered-by-valid": 0, "covered-by-not-found": 0},
    "changes": [{"now": "valid", "then": "invalid", "routes": 1}],
    "changed": [would_change("exabgp", "192.0.2.0/24", "valid", "invalid", "unreachable")],
    "without_effect": ["+198.51.100.0/24-24 AS64501"],
}

ADDRESS = "expected one as 192.0.2.1 or 2001:db8::1"
EXCLUDED = "expected routeOrigins or routerKeys or aspas, several with commas"

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)]


CACHES = [NamedCache(0, "192.0.2.10"), NamedCache(1, "2001:db8::1")]


class FakeDaemon:
    """A daemon that is as it is set; it stands for each of the parts that handlers ask."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.snapshot_used = False
        self.route_count = 2
        self.fails_after: int | None = None
        self.fault: Exception = RuntimeError("the table broke")
        self.seen: Callable[[], int] = lambda: 0
        self.noted: list[int] = []
        self.vrp_set = set_of(*VRPS)
        self.vrp_set.replace(1, pack(VRP("2001:db8::/32", 32, 64500)))
        self.keys = KeySet()
        self.aspa_set = ASPASet()
        self.event_log = EventLog(Clock())
        self.held = self.enabled = True
        self.asked: list[str] = []
        self.registry = Registry()
        self.registry.metric("rtrd_ready", "1 while ready.", lambda: 1)
        self.problems: list[Problem] = []
        self.registry.problems_of(lambda: self.problems)
        self.registry.status_of(**{name: partial(STATUS.get, name) for name in STATUS})
        self.name = "exabgp"
        self.engine = self.sessions = self
        self.known = KnownRouters(names=["core"])
        self.known.arrived("edge", expected=True)

    async def dump(self) -> dict[str, Any]:
        return {"status": STATUS}

    def handlers(self) -> list[Handlers]:
        fake: Any = self
        caches: Any = SimpleNamespace(
            all=lambda: CACHES, providers=lambda asn: {"cache": (asn + 1,)} if asn == 64496 else {}
        )
        slurm: Any = SimpleNamespace(reasons=Reasons())
        return [
            StateQueries(self.registry, Health(self.registry, lambda: self.why), fake, fake, dump=self.dump),
            VRPQueries(fake, caches, slurm, fake, fake, self.aspa_set, PathQuery(fake, self.aspa_set, fake)),
            ASPAQueries(self.aspa_set, caches),
            RouteQueries(AllRouters([self])),  # type: ignore[arg-type]
            WhatIfQueries(fake),
            Live(self.event_log, self.registry.status),
            ChangeHandlers(fake, caches, fake, self.known, self.event_log),
        ]

    async def ask(self, edits: Sequence[VRPEdit], most: int) -> dict[str, Any]:
        self.asked = [f"{'+' if one.appears else '-'}{one.vrp}" for one in edits]
        return {**CHANGED, "left_out": most}

    async def replacing(self, chunks: AsyncIterator[bytes], most: int) -> dict[str, Any]:
        self.asked = [str(len(b"".join([chunk async for chunk in chunks])))]
        return {**CHANGED, "left_out": most}

    async def reload(self) -> Reloaded:
        return Reloaded("/etc/rtrd/rtrd.yaml", [], [])

    def accept(self, by: str) -> None:
        assert by.endswith(f"(uid {os.getuid()}, pid {os.getpid()})")
        if not self.held:
            raise NothingHeldError("no change is held")
        self.held = False

    reject = accept

    def status(self) -> dict[str, Any]:
        """The guard's."""
        return {"state": "following", "held": None}

    def answer(self) -> dict[str, Any]:
        """The history's."""
        return {"every": 15, "fields": ["time"], "samples": [[1]]}

    def path_reason(self, route: SimpleNamespace) -> None:
        """The engine's."""

    def as_path(self, route: SimpleNamespace) -> str:
        """The engine's."""
        return f"64496 {route.origin}"

    def judged(self, number: int) -> None:
        """The sessions'."""

    def ribs(self) -> dict[int, str]:
        """The router's."""
        return {}

    def routes(self, within: str | None, *, address: str | None = None) -> Iterator[tuple[str, SimpleNamespace]]:
        """The engine's."""
        assert address is None
        for number in range(self.route_count):
            if number == self.fails_after:
                raise self.fault
            prefix = f"10.{number >> 8 & 255}.{number & 255}.0/24"
            if within in (None, prefix):
                if number in (0, self.route_count - 1):
                    self.noted.append(self.seen())
                origin, validity = (64500, "valid") if number else (None, "not-found")
                rest = {
                    "path_id": None,
                    "decision": "announce",
                    "reason": None,
                    "since": 0,
                    "aspa": None,
                    "leak": False,
                    "neighbor": 0,
                    "kept_back": 0,
                }
                yield "192.0.2.1", SimpleNamespace(prefix=prefix, origin=origin, validity=validity, **rest)


@dataclass
class Running:
    """An APIServer on a loop in a thread of its own."""

    daemon: FakeDaemon
    path: Path
    control: APIServer
    loop: asyncio.AbstractEventLoop


@contextmanager
def running(path: Path, http: Endpoint | None = None) -> Iterator[Running]:
    daemon = FakeDaemon()
    control = APIServer(make_app(daemon.handlers()), path, http)
    with LoopThread() as thread:
        try:
            thread.run(control.start())
            yield Running(daemon, path, control, thread.loop)
        finally:
            thread.run(control.close())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "new" / "rtrd.sock") as one:
        yield one


@pytest.fixture
def by_tcp(tmp_path: Path) -> Iterator[Running]:
    """One that answers over TCP too."""
    with running(tmp_path / "rtrd.sock", Endpoint("127.0.0.1", 0)) as one:
        yield one


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def rtrd(served: Running, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command of the CLI at the daemon's socket."""
    return lambda *words: Said(cli.main([*words, "--socket", str(served.path)]), *capsys.readouterr())


def get(served: Running, url: str) -> Any:
    with http_client.ask(served.path, url) as answer:
        return answer.value()


def talk(served: Running, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(served.path))
        connection.sendall(request)
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    return data


def request(served: Running, method: str, url: str) -> tuple[int, Any]:
    answer = talk(served, f"{method} {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def connect(one: Running, request: str) -> socket.socket:
    """Send a request over TCP."""
    assert one.control.http is not None
    connection = socket.create_connection((one.control.http.host, one.control.http.port), timeout=10)
    connection.sendall(f"{request}\r\n\r\n".encode())
    return connection


def test_metrics_in_the_form_that_is_asked_for(served: Running) -> None:
    with http_client.ask(served.path, "/metrics") as answer:
        text = b"".join(answer.chunks())
    assert b"# TYPE rtrd_ready gauge\nrtrd_ready 1.0\n" in text
    assert b"# EOF" not in text
    for accept, last in (("application/openmetrics-text; version=1.0.0", b"# EOF\n"), ("text/html", b"\n")):
        asked = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        assert talk(served, asked.encode()).endswith(last)


def test_status_and_version(served: Running) -> None:
    assert get(served, "/status") == STATUS
    assert get(served, "/version") == {"version": __version__}


def test_health_is_503_with_the_reason(served: Running) -> None:
    well = {"status": "ok", "reasons": [], "warnings": [], "snapshot": False}
    assert get(served, "/healthz") == well
    served.daemon.snapshot_used = True
    assert get(served, "/healthz") == {**well, "snapshot": True}
    served.daemon.problems = [Problem("one", 0, "critical"), Problem("two", 0, "warning")]
    degraded = {"status": "degraded", "reasons": ["one"], "warnings": ["two"], "snapshot": True}
    assert get(served, "/healthz") == degraded
    served.daemon.why = "no VRP set is usable yet"
    why = "not healthy: no VRP set is usable yet; 2 more problems"
    assert request(served, "GET", "/healthz") == (503, {"error": why, **degraded, "status": "failed"})


def test_status_check_tells_monitoring(served: Running, rtrd: Callable[..., Said]) -> None:
    line = "warning: a \\x1b[2J file (since 2026-01-01T00:00:00Z)"
    assert rtrd("status", "--check") == (0, f"rtrd {__version__}, ready, 1 warning\n{line}\n", "")
    worse = {"what": "no cache is in sync", "since": "2026-01-01T00:00:00Z", "severity": "critical"}
    health = {"status": "degraded", "summary": "degraded: no cache is in sync"}
    served.daemon.registry.status_of(problems=lambda: [worse], health=lambda: health)
    assert rtrd("status", "--check").code == 1
    said = rtrd("status", "--check", "--json")
    assert (said.code, json.loads(said.out)) == (1, {**health, "problems": [worse]})
    assert rtrd("status").code == 0


def test_a_router_that_is_gone_for_good_is_forgotten(served: Running, capsys: pytest.CaptureFixture[str]) -> None:
    def forget(name: str) -> tuple[int, str]:
        code = cli.main(["forget", name, "--socket", str(served.path)])
        said = capsys.readouterr()
        return code, said.out + said.err

    assert forget("edge") == (1, "rtrd: edge is attached: end its ExaBGP first\n")
    why = "core is named in `routers` of the configuration: take it out there, and reload"
    assert forget("core") == (1, f"rtrd: {why}\n")
    served.daemon.known.left("edge")
    code, said = forget("edge")
    assert (code, said.splitlines()[-1]) == (0, "edge is forgotten")
    assert forget("edge") == (1, "rtrd: no router called 'edge' was ever attached\n")
    assert request(served, "POST", "/forget")[0] == 400


def test_validity_in_both_spellings_of_routinator(served: Running) -> None:
    long = get(served, "/api/v1/validity/AS64500/192.0.2.0/24")
    assert long["validated_route"]["validity"]["state"] == "valid"
    assert get(served, "/validity?asn=64500&prefix=192.0.2.0%2F24") == long


def test_a_vrp_file_has_the_router_keys(served: Running) -> None:
    served.daemon.keys.effective = frozenset(RouterKey(asn, bytes(20), b"\0\0\0") for asn in (64500, 64501))
    found = get(served, "/json")
    assert len(found["roas"]) == 2
    assert [(key["asn"], key["pubkey"]) for key in found["bgpsec_keys"]] == [(64500, "AAAA"), (64501, "AAAA")]
    with http_client.ask(served.path, "/json") as answer:
        assert sorted(one["prefix"] for one in answer.items()) == sorted(vrp.prefix for vrp in VRPS)
    assert set(get(served, "/json?prefix=198.51.100.0/24")) == {"roas"}


def test_validity_and_vrp_files_before_a_set_is_usable_are_503(served: Running) -> None:
    served.daemon.vrp_set.usable = False
    why = "no VRP set is usable yet: no cache has answered"
    files = ("/json", "/json?prefix=192.0.2.0/24", "/json?exclude=routeOrigins")
    for path in ("/api/v1/validity/AS1/192.0.2.0/24", *files):
        assert request(served, "GET", path) == (503, {"error": why})


def test_a_part_of_the_vrp_file_as_routinator_gives_it(served: Running) -> None:
    first, second = ({"asn": vrp.asn, "prefix": vrp.prefix, "maxLength": vrp.max_length} for vrp in VRPS)

    def roas(query: str) -> Any:
        return sorted(get(served, f"/json?{query}")["roas"], key=lambda vrp: str(vrp["prefix"]))

    assert roas(f"select-asn={first['asn']}") == roas(f"filter-asn=AS{first['asn']}") == [first]
    assert roas(f"select-asn={first['asn']}&select-asn={second['asn']}") == [first, second]
    assert roas(f"select-prefix={first['prefix']}&select-asn={second['asn']}") == [first, second]
    assert roas("select-prefix=198.51.100.128/25") == [second]
    assert roas("select-prefix=198.51.0.0/16") == roas("select-asn=1") == []
    assert roas("select-prefix=198.51.0.0/16&include=more-specifics") == [second]
    assert roas("select-prefix=0.0.0.0/0&select-prefix=::/0&include=more-specifics") == [first, second]
    served.daemon.keys.effective = frozenset(RouterKey(asn, bytes(20), b"\0\0\0") for asn in (64500, 1))
    assert [key["asn"] for key in get(served, "/json?select-asn=1")["bgpsec_keys"]] == [1]
    assert set(get(served, "/json?exclude=routeOrigins,aspas")) == {"bgpsec_keys"}
    assert set(get(served, "/json?exclude=routerKeys,aspas")) == {"roas"}
    assert get(served, "/json?exclude=routerKeys&exclude=routeOrigins,aspas") == {}


def test_a_vrp_file_has_the_aspas(served: Running) -> None:
    assert get(served, "/json")["aspas"] == []
    served.daemon.aspa_set.effective = aspas.union_of(aspas.numbers([(64496, (64497, 64498)), (64499, (0,))]))
    both = [{"customer_asid": 64496, "providers": [64497, 64498]}, {"customer_asid": 64499, "providers": [0]}]
    found = get(served, "/json")
    assert (found["aspas"], len(found["roas"])) == (both, 2)
    assert get(served, "/json?exclude=routeOrigins") == {"aspas": both}
    assert get(served, "/json?exclude=routeOrigins&select-asn=64499")["aspas"] == both[1:]
    for query in ("prefix=198.51.100.0/24", "select-prefix=198.51.100.0/24", "exclude=aspas"):
        assert "aspas" not in get(served, f"/json?{query}")


def test_the_providers_of_an_as_and_whose_provider_it_is(served: Running, capsys: pytest.CaptureFixture[str]) -> None:
    many = [(customer, (64497, 4200000000)) for customer in range(1, 201)]
    lists = [*many, (64496, (64497, 64498)), (64499, (0,)), (4200000000, (64496,))]
    served.daemon.aspa_set.effective = aspas.union_of(aspas.numbers(lists))
    assert len(get(served, "/aspas")["aspas"]) == len(lists)
    found = get(served, "/aspas?asn=AS64496")
    assert found == {
        "customers": [4200000000],
        "asn": 64496,
        "providers": [64497, 64498],
        "caches": [{"cache": "cache", "providers": [64497]}],
        "filtered": False,
        "asserted": None,
    }
    assert get(served, "/aspas?asn=64497")["customers"] == [*range(1, 201), 64496]
    assert get(served, "/aspas?asn=5000") == {**found, "asn": 5000, "customers": [], "providers": None, "caches": []}
    assert cli.main(["aspas", "--socket", str(served.path)]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "AS64496      AS64497, AS64498",
        "AS64499      none (AS0)",
        "AS4200000000 AS64496",
    ]
    assert cli.main(["aspas", "AS64496", "--socket", str(served.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "AS64496: providers AS64497, AS64498",
        "  cache cache: AS64497",
        "AS64496 is a provider of AS4200000000",
    ]
    assert cli.main(["aspas", "5000", "--socket", str(served.path)]) == 0
    assert capsys.readouterr().out == "AS5000 has no ASPA in force\nno ASPA names AS5000 as a provider\n"


def test_vrps_have_the_form_of_a_vrp_file(served: Running) -> None:
    first, second = ({"asn": vrp.asn, "prefix": vrp.prefix, "maxLength": vrp.max_length} for vrp in VRPS)
    assert sorted(get(served, "/json")["roas"], key=lambda vrp: str(vrp["prefix"])) == [first, second]
    assert get(served, "/json?prefix=198.51.100.0/24") == {"roas": [second]}
    found = {"roas": [{**second, "sources": ["192.0.2.10:323"]}]}
    assert get(served, "/vrps?prefix=198.51.0.0/16") == found
    assert get(served, "/vrps?prefix=198.51.0.0/16&covering=yes") == {"roas": []}
    assert get(served, "/vrps?prefix=198.51.100.128/25&covering=yes") == found
    assert get(served, "/vrps?prefix=203.0.113.0/24") == {"roas": []}


def test_routes_by_validity_and_prefix(served: Running) -> None:
    assert len(get(served, "/routes")["routes"]) == 2
    assert [route["prefix"] for route in get(served, "/routes?validity=valid")["routes"]] == ["10.0.1.0/24"]
    assert [route["prefix"] for route in get(served, "/routes?prefix=10.0.0.0/24")["routes"]] == ["10.0.0.0/24"]


def test_the_first_routes_with_the_number_of_the_others(served: Running) -> None:
    served.daemon.route_count = 500
    answer = get(served, "/routes?validity=valid&rows=2")
    assert [route["prefix"] for route in answer["routes"]] == ["10.0.1.0/24", "10.0.2.0/24"]
    assert answer["more"] == 497
    assert get(served, "/routes?validity=not-found&rows=2")["more"] == 0


@pytest.mark.parametrize(
    ("method", "url", "status", "error"),
    [
        ("GET", "/nothing", 404, "nothing is at /nothing"),
        ("GET", "/statsu", 404, "nothing is at /statsu; did you mean /status?"),
        ("GET", "/routes/", 404, "nothing is at /routes/; did you mean /routes?"),
        ("POST", "/status", 405, "/status only answers GET"),
        ("GET", "/accept", 405, "/accept only answers POST"),
    ],
)
def test_an_error_is_json_with_a_sentence(served: Running, method: str, url: str, status: int, error: str) -> None:
    assert request(served, method, url) == (status, {"error": error})


def test_a_wrong_method_is_told_the_right_ones(served: Running) -> None:
    answer = talk(served, b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert b"\r\nallow: get, head\r\n" in answer.lower()


def test_routes_by_neighbor_origin_and_cover(served: Running) -> None:
    def found(query: str) -> list[str]:
        return [route["prefix"] for route in get(served, f"/routes?{query}")["routes"]]

    assert found("neighbor=192.0.2.1") == ["10.0.0.0/24", "10.0.1.0/24"]
    assert found("neighbor=192.0.2.2") == []
    assert found("origin=AS64500") == found("origin=64500") == found("covered=yes") == ["10.0.1.0/24"]
    assert found("origin=none") == found("covered=no") == ["10.0.0.0/24"]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("/routes?validity=good", "validity: expected one of valid, not-found, invalid, unverified, found 'good'"),
        (
            "/routes?aspa=unkown",
            "aspa: expected one of none, valid, invalid, unknown, found 'unkown'; did you mean 'unknown'?",
        ),
        ("/routes?leak=yse", "leak: expected one of yes, no, found 'yse'; did you mean 'yes'?"),
        ("/routes?prefix=10.0.0.0/8&prefix=::/0", "prefix: given more than once"),
        ("/validity?asn=1&prefix=::/0&asn=2", "asn: given more than once"),
        ("/events?lsat=5", "'lsat' is not a parameter of /events: expected last; did you mean 'last'?"),
        ("/status?json", "'json' is not a parameter of /status: there are none"),
        ("/json?exclude=routerkeys", f"exclude: {EXCLUDED}, found 'routerkeys'; did you mean 'routerKeys'?"),
        ("/routes?prefix=x", "'x' is not a prefix: expected ADDRESS/LENGTH"),
        ("/vrps?prefix=10.0.0.0/33", "'10.0.0.0/33' is not a prefix: expected a length of 0 to 32"),
        ("/vrps?prefix=2001:db8::/129", "'2001:db8::/129' is not a prefix: expected a length of 0 to 128"),
        ("/vrps?prefix=10.1.0.0/255.255.0.0", "'10.1.0.0/255.255.0.0' is not a prefix: expected 10.1.0.0/16"),
        ("/vrps?prefix=10.1.0.0/255.0.255.0", "'10.1.0.0/255.0.255.0' is not a prefix: expected ADDRESS/LENGTH"),
        ("/routes?origin=AS1.10", "'AS1.10' is not an AS number: expected 65546, without a dot"),
        ("/routes?origin=1.65536", "'1.65536' is not an AS number: expected 0 to 4294967295, with or without AS"),
        ("/vrps?prefix=10.0.0.1/8", "'10.0.0.1/8' is not a prefix: it has host bits set, expected 10.0.0.0/8"),
        ("/validity?asn=1", "expected /validity?asn=ASN&prefix=PREFIX"),
        (
            "/validity?asn=1&prefix=10.0.0.0/8&path=1",
            "path and local-role go together, and neighbor-as and as-set with them",
        ),
        ("/validity?asn=1&prefix=10.0.0.0/8&path=2&local-role=peer", "the path ends with AS2, but the origin is AS1"),
        ("/api/v1/validity/ASx/10.0.0.0/8", "'ASx' is not an AS number: expected 0 to 4294967295, with or without AS"),
        ("/routes?covered=1", "covered: expected one of yes, no, found '1'"),
        ("/routes?neighbor=x", "'x' is not an IP address: expected one as 192.0.2.1 or 2001:db8::1"),
        ("/routes?origin=x", "'x' is not an AS number: expected 0 to 4294967295, with or without AS"),
        ("/routes?address=fe80::1%25eth0", f"'fe80::1%eth0' is an IP address with a zone: {ADDRESS}"),
        ("/routes?prefix=fe80::%251/64", "'fe80::%1/64' is not a prefix: expected ADDRESS/LENGTH"),
        ("/validity?asn=1&prefix=fe80::%251/64", "'fe80::%1/64' is not a prefix: expected ADDRESS/LENGTH"),
        ("/vrps?prefix=fe80::1%25eth0", "'fe80::1%eth0' is not a prefix: expected ADDRESS/LENGTH"),
        ("/whatif?vrp=%2Bfe80::%251/64@1", "'fe80::%1/64' is not a prefix: expected ADDRESS/LENGTH"),
        ("/vrps?prefix=" + "1" * 9000, f"'{'1' * 60}...' is not a prefix: expected ADDRESS/LENGTH"),
        ("/routes?rows=0", "rows: expected 1 to 1000, found '0'"),
        ("/routes?rows=1e9", "rows: expected 1 to 1000, found '1e9'"),
        ("/vrps?covering=yes", "covering: expected a prefix too"),
        ("/aspas?asn=x", "'x' is not an AS number: expected 0 to 4294967295, with or without AS"),
        ("/json?select-asn=x", "'x' is not an AS number: expected 0 to 4294967295, with or without AS"),
        ("/json?select-prefix=10.0.0.1/8", "'10.0.0.1/8' is not a prefix: it has host bits set, expected 10.0.0.0/8"),
        ("/json?exclude=roas", f"exclude: {EXCLUDED}, found 'roas'"),
        ("/json?" + "&".join(["select-asn=1"] * 101), "select-prefix, select-asn: expected at most 100 of them"),
        ("/events?last=x", "last: expected 0 to 99999, found 'x'"),
        ("/events?last=100000", "last: expected 0 to 99999, found '100000'"),
        ("/whatif?vrp=%2B192.0.2.0/24@1&rows=10001", "rows: expected 0 to 10000, found '10001'"),
    ],
)
def test_queries_that_make_no_sense(served: Running, url: str, what: str) -> None:
    assert request(served, "GET", url) == (400, {"error": what})


@pytest.mark.parametrize(
    "url",
    ["/json?nonsense=1", "/vrps?asn=1", "/routes?prefix=::/0&x=1", "/diff?a", "/status?x", "/events?prefix=::/0",
     "/live?x", "/trend?hours=1"],
)  # fmt: skip
def test_a_parameter_that_would_be_ignored_is_refused(served: Running, url: str) -> None:
    code, answer = request(served, "GET", url)
    assert (code, "is not a parameter of /" in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "/reload?dry-run=yes"), ("POST", "/reconnect?caches=a"), ("POST", "/whatif?row=1"),
     ("POST", "/accept?x"), ("POST", "/forget?router=a&all=yes")],
)  # fmt: skip
def test_a_misspelled_parameter_changes_nothing(served: Running, method: str, url: str) -> None:
    code, answer = request(served, method, url)
    assert (code, "is not a parameter of /" in answer["error"]) == (400, True)


@pytest.mark.parametrize("url", ["/vrps?prefix=::/0&prefix=0.0.0.0/0", "/validity?asn=1&asn=2&prefix=192.0.2.0/24"])
def test_one_of_two_parameters_of_a_name_would_be_ignored(served: Running, url: str) -> None:
    code, answer = request(served, "GET", url)
    assert (code, answer["error"].partition(": ")[2]) == (400, "given more than once")


@pytest.mark.parametrize("url", ["/json", "/vrps", "/routes", "/aspas", "/events", "/live", "/status"])
def test_head_has_no_body_that_would_be_the_next_answer(served: Running, url: str) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(served.path))
        client.settimeout(10)
        client.sendall(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n" % url.encode())
        with client.makefile("rb") as answers:
            for _ in range(2):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                while answers.readline() != b"\r\n":
                    pass


def test_a_neighbor_may_be_one_of_a_link(served: Running) -> None:
    assert get(served, "/routes?neighbor=fe80::1%25eth0") == {"routes": []}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"GET /\xff\xfe HTTP/1.1", ": Invalid char in url path"),
        (b"GET /routes?rows=\xc2\xb2 HTTP/1.1", ": Invalid char in url query"),
        (b"GET / HTTP/9.9", ": Bad status line"),
        (b"GET /status HTTP/1.1\r\nX\xff: 1", ": Invalid header token"),
        (b"GET /status HTTP/1.1\r\nHost: x\r\nExpect: \x80", ""),
    ],
)
def test_what_is_no_http_is_answered_in_json_and_logged_without_it(
    served: Running, capfd: pytest.CaptureFixture[str], line: bytes, what: str
) -> None:
    log.setup("human")
    try:
        head, _, body = talk(served, line + b"\r\n\r\n").partition(b"\r\n\r\n")
        for _ in range(3):
            talk(served, line + b"\r\n\r\n")
    finally:
        log.setup("human", "critical")
    assert b"Content-Type: application/json" in head
    assert json.loads(body)["error"].startswith(f"this is not an HTTP request{what}")
    said = capfd.readouterr().err
    assert said.count("a client sent something other than HTTP") == 1
    assert said.count("\n") == 1


def test_a_host_that_cannot_be_decoded_is_not_found(served: Running) -> None:
    assert request(served, "GET", "http://xn--/")[0] == 404


def test_events_come_as_they_happen_until_the_client_hangs_up(served: Running) -> None:
    event_log = served.daemon.event_log
    event_log.add("cache", "before")
    with http_client.ask(served.path, "/events?last=1", forever=True) as answer:
        lines = answer.lines()
        assert json.loads(next(lines))["text"] == "before"
        served.loop.call_soon_threadsafe(event_log.add, "cache", "now\x1b[31m")
        event = json.loads(next(lines))
        assert (event["kind"], event["text"]) == ("cache", "now\\x1b[31m")
        assert event_log.listening
    wait_until(lambda: not event_log.listening, "what another thread brings about")


def test_watching_ends_with_its_reader_though_nothing_happens(served: Running) -> None:
    served.daemon.event_log.add("cache", "before")
    with programs.talk([programs.RTRD, "watch", "--last", "1", "--socket", str(served.path)]) as watching:
        assert watching.line().endswith("before")
        watching.hear_no_more()
        assert watching.wait() == 128 + signal.SIGPIPE


def test_events_for_a_browser(served: Running) -> None:
    served.daemon.event_log.add("group", "first")
    with http_client.ask(served.path, "/live?last=1", forever=True) as answer:
        lines = answer.lines()
        assert next(lines) == b"retry: 3000"
        assert next(lines) == b"event: status"
        assert json.loads(next(lines).removeprefix(b"data: ")) == STATUS
        assert json.loads(next(lines).removeprefix(b"data: "))["text"] == "first"


def test_who_does_not_read_events_holds_up_nobody_and_is_told_what_was_lost(served: Running) -> None:
    event_log = served.daemon.event_log
    count = 20_000

    def happen() -> None:
        for number in range(count):
            event_log.add("route", f"{number} " + "x" * 500)

    with http_client.ask(served.path, "/events", forever=True) as answer:
        wait_until(lambda: event_log.listening, "what another thread brings about")
        served.loop.call_soon_threadsafe(happen)
        wait_until(lambda: event_log.counts.get("route") == count, "what another thread brings about")
        assert get(served, "/version") == {"version": __version__}
        told = lost = 0
        for line in answer.lines():
            event = json.loads(line)
            if event["kind"] == "lost":
                lost += event["count"]
            else:
                told += 1
                if event["text"].startswith(f"{count - 1} "):
                    break
        assert lost > 0
        assert told + lost == count == told + event_log.lost


@pytest.mark.parametrize(("query", "come"), [("", 60_000), ("?validity=invalid", 0), ("?rows=10", 10)])
def test_many_routes_come_whole_while_the_loop_turns(served: Running, query: str, come: int) -> None:
    served.daemon.route_count = 60_000
    turns = 0
    stop = threading.Event()
    served.daemon.seen = lambda: turns

    async def turn() -> None:
        nonlocal turns
        while not stop.is_set():
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.run_coroutine_threadsafe(turn(), served.loop)
    with http_client.ask(served.path, f"/routes{query}") as answer:
        count = len(answer.value()["routes"])
    stop.set()
    turning.result(10)
    assert count == come
    first, last = served.daemon.noted
    assert last - first > 5


def test_an_answer_that_breaks_off_is_noticed(served: Running) -> None:
    served.daemon.route_count, served.daemon.fails_after = 60_000, 50_000
    with pytest.raises(http_client.NoDaemonError, match="went away in the middle"):
        get(served, "/routes")
    assert get(served, "/version") == {"version": __version__}


def test_a_failure_before_the_first_item_is_a_500(served: Running) -> None:
    served.daemon.fails_after = 0
    assert request(served, "GET", "/routes") == (500, {"error": "rtrd failed to answer; its log says why"})


def test_what_is_short_is_a_503_with_the_sentence(served: Running) -> None:
    served.daemon.fails_after, served.daemon.fault = 0, RuntimeError("can't start new thread")
    assert request(served, "GET", "/routes") == (503, {"error": NO_THREAD})


def test_the_socket_is_for_owner_and_group_only_and_goes_with_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.sock"
    mask = os.umask(0)
    try:
        with running(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(mask)
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(path) as one:
        assert get(one, "/version") == {"version": __version__}


def test_a_daemon_that_answers_is_left_alone(served: Running) -> None:
    with pytest.raises(ListenError, match="another rtrd answers at"), running(served.path):
        pass
    assert get(served, "/version") == {"version": __version__}


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="is not a socket"), running(path):
        pass
    assert path.read_text() == "precious"


def test_the_successors_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.sock"
    with ExitStack() as first:
        first.enter_context(running(path))
        path.unlink()
        with running(path) as second:
            first.close()
            assert get(second, "/version") == {"version": __version__}


def test_tcp_too_when_it_is_configured(by_tcp: Running, tmp_path: Path) -> None:
    with connect(by_tcp, "GET /version HTTP/1.0") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.0 200")
    http = by_tcp.control.http
    with pytest.raises(ListenError, match=f"http: cannot listen on {http}"), running(tmp_path / "2.sock", http):
        pass
    assert not (tmp_path / "2.sock").exists()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("GET /version HTTP/1.1\r\nHost: {}", 200),
        ("GET /version HTTP/1.0", 200),
        ("GET /version HTTP/1.1", 400),
        ("GET /version HTTP/1.1\r\nHost: localhost\r\nHost: x.example", 400),
        ("GET http://x.example/version HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost/version HTTP/1.1\r\nHost: x.example", 421),
        ("GET http://localhost:1/version HTTP/1.1\r\nHost: localhost", 200),
        *(
            (f"GET /version HTTP/1.1\r\nHost: {host}", code)
            for host, code in (
                ("LOCALHOST.", 200), ("localhost:80", 200), ("[::1]:9323", 200), ("[2001:DB8::1]", 200),
                ("192.0.2.1", 200), (socket.gethostname(), 200),
                ("x.example", 421), ("X.example:9323", 421), ("localhost.x.example", 421),
                ("", 400), ("a@localhost", 400), ("[::1", 400), ("localhost:80:80", 400), ("[::1].x", 400),
            )
        ),
    ],
)  # fmt: skip
def test_over_tcp_a_host_is_wanted_that_is_ours(by_tcp: Running, request_: str, code: int) -> None:
    assert by_tcp.control.http is not None
    with connect(by_tcp, request_.format(by_tcp.control.http) + "\r\nConnection: close") as connection:
        assert int(connection.makefile("rb").readline().split()[1]) == code


def test_over_tcp_nothing_is_decided(by_tcp: Running) -> None:
    for path in ("/accept", "/reject", "/status", "/nothing"):
        with connect(by_tcp, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0") as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 403")
    assert by_tcp.daemon.held


def test_who_listens_over_tcp_keeps_nobody_at_the_socket_out(by_tcp: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_OVER_TCP", 1)

    def listen() -> socket.socket:
        return connect(by_tcp, "GET /live HTTP/1.1\r\nHost: localhost")

    with listen() as first, listen() as second:
        assert {each.recv(4096)[:12] for each in (first, second)} == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        with http_client.ask(by_tcp.path, "/live", forever=True) as answer:
            assert next(answer.lines()).startswith(b"retry")

    def free() -> bool:
        with listen() as again:
            return again.recv(4096).startswith(b"HTTP/1.1 200")

    wait_until(free, "room")


@pytest.mark.parametrize("command", ["accept", "reject"])
def test_a_held_change_is_decided_once(rtrd: Callable[..., Said], command: str) -> None:
    assert rtrd(command).out.startswith("the held change")
    assert rtrd(command) == (1, "", "rtrd: no change is held\n")


def test_what_would_change_is_asked_with_both_signs(served: Running, rtrd: Callable[..., Said]) -> None:
    said = rtrd("whatif", "-192.0.2.0/24@64500", "+2001:db8::/32-48 => AS1", "-fd00::/8@2", "--rows", "7")
    assert said.code == 0
    assert served.daemon.asked == ["-192.0.2.0/24-24 AS64500", "+2001:db8::/32-48 AS1", "-fd00::/8-8 AS2"]
    assert [" ".join(line.split()) for line in said.out.splitlines()] == [
        "20 routes looked at; newly invalid: 1",
        "1 unreachable, 0 covered by a valid route, 0 covered by a not-found route",
        "valid -> invalid: 1",
        "without effect: +198.51.100.0/24-24 AS64501",
        "NEIGHBOR PREFIX PATH-ID ORIGIN NOW THEN",
        "192.0.2.1 192.0.2.0/24 - AS64500 valid invalid unreachable",
        "and 7 more",
    ]


def test_a_thousand_vrps_fit_into_a_question(served: Running, rtrd: Callable[..., Said]) -> None:
    edits = [f"-2001:db8:{i:x}::/48-128@{4294967295 - i}" for i in range(1000)]
    assert rtrd("whatif", *edits).code == 0
    assert len(served.daemon.asked) == 1000
    long = rtrd("reconnect", "%" * 100_000)
    assert long == (2, "", "rtrd: the arguments are too long: 300017 octets of request, at most 120000\n")


def test_a_vrp_file_is_sent_packed_however_large(served: Running, rtrd: Callable[..., Said], tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    roas = [{"asn": 64500, "prefix": f"10.{i >> 8}.{i & 255}.0/24", "maxLength": 24} for i in range(10_000)]
    file.write_text(json.dumps({"roas": roas}))
    assert rtrd("whatif", str(file)).code == 0
    assert served.daemon.asked == [str(24 * 10_000)], "many times what other requests may bring"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["192.0.2.0/24@1"], 1, "192.0.2.0/24@1: No such file or directory; a VRP is given with + or - before it"),
        (["+192.0.2.0/24"], 2, "is not a VRP: expected PREFIX-MAXLENGTH@ASN"),
        (["vrps.json", "+192.0.2.0/24@1"], 2, "expected one FILE, or VRPs and ASPAs each with + or -"),
        (["vrps.json", "--aspa", "1:2"], 2, "expected one FILE, or VRPs and ASPAs each with + or -"),
        ([], 2, "expected a FILE, or VRPs and ASPAs each with + or -"),
        (["+64496"], 2, "'+64496' names no providers: expected +64496:PROVIDER,PROVIDER"),
    ],
)
def test_what_cannot_be_asked(rtrd: Callable[..., Said], words: list[str], code: int, why: str) -> None:
    said = rtrd("whatif", *words)
    assert said.code == code
    assert why in said.err


def test_the_caches_compared(rtrd: Callable[..., Said]) -> None:
    said = rtrd("diff", "192.0.2.10:323", "2001:db8::1")
    assert said.code == 0
    *rows, last = said.out.splitlines()
    assert sorted(" ".join(row.split()) for row in rows) == [
        "192.0.2.0/24-24 => AS64500 in 192.0.2.10:323; not in [2001:db8::1]:323",
        "198.51.100.0/24-24 => AS64501 in 192.0.2.10:323; not in [2001:db8::1]:323",
        "2001:db8::/32-32 => AS64500 in [2001:db8::1]:323; not in 192.0.2.10:323",
    ]
    assert last == "3 VRPs differ"
    assert rtrd("diff", "192.0.2.10") == (2, "", "rtrd diff: expected two caches, or none for all\n")


def test_the_cli_prints_for_people(rtrd: Callable[..., Said]) -> None:
    def said(*words: str) -> list[str]:
        done = rtrd(*words)
        assert done.code == 0
        return done.out.splitlines()

    assert said("status") == [
        f"rtrd {__version__}, ready, 1 warning",
        "warning: a \\x1b[2J file (since 2026-01-01T00:00:00Z)",
        "VRPs: 2 IPv4, 0 IPv6",
        "snapshot: in use, 61 s old",
        "A CHANGE OF THE VRPS IS HELD until 2026-01-01T00:00:00Z (60 s): rtrd accept, rtrd reject",
        "  by 192.0.2.10:323: 2 VRPs would become 1",
        "  90 of 100 routes would become invalid",
        "  judged by the routes of 2025-12-31T23:56:00Z",
        "group primary (preference 1, active): ESTABLISHED",
        "  tcp [2001:db8::10]:323: ESTABLISHED, version 1, serial 3, VRPs 2, last update 2026-01-01",
        "SLURM /etc/rtrd/slurm.json: 2 filters, 1 assertion",
        "  the file as it is now is not in force: slurm.json:1: not JSON",
        "RTR server: 127.0.0.1:3323; 3 routers, serial 7",
        "router exabgp (ExaBGP 5.0.15)",
        "  1 neighbor; routes: 1 valid, 1 not-found, 0 invalid, 0 unverified; 0 commands are waiting",
        "  waiting for: ExaBGP's answers to earlier commands (for 2.5 s)",
    ]
    assert [line.split() for line in said("vrps", "192.0.2.0/24")] == [
        ["192.0.2.0/24", "max", "24", "AS64500", "192.0.2.10:323"]
    ]
    assert [line.split() for line in said("routes", "--validity", "not-found")[1:]] == [
        ["192.0.2.1", "10.0.0.0/24", "-", "none", "not-found", "announce"]
    ]
    verdict, vrp = said("validate", "192.0.2.0/24", "64501")
    assert verdict.startswith("192.0.2.0/24 AS64501: invalid (as): VRPs cover the prefix, but none that")
    assert vrp == "  other AS   192.0.2.0/24 max 24 AS64500"


@pytest.mark.parametrize(
    "words", [["status"], ["vrps"], ["routes"], ["validate", "192.0.2.0/24", "1"], ["accept"], ["diff"]]
)
def test_the_cli_prints_json(served: Running, words: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main([*words, "--json", "--socket", str(served.path)]) == 0
    assert json.loads(capfdbinary.readouterr().out)


def test_what_the_daemon_refuses_ends_with_1(served: Running, rtrd: Callable[..., Said]) -> None:
    served.daemon.vrp_set.usable = False
    why = "rtrd: no VRP set is usable yet: no cache has answered\n"
    assert rtrd("validate", "192.0.2.0/24", "1") == (1, "", why)


def test_rtrd_socket(served: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RTRD_SOCKET", str(served.path))
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.startswith("rtrd ")


def test_nobody_at_the_socket_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rtrd.sock"

    def said() -> str:
        assert cli.main(["status", "--socket", str(path)]) == 3
        return capsys.readouterr().err.removeprefix(f"rtrd: no daemon answers at {path}: ")

    assert said() == "there is no such socket: is rtrd running, with this as its `control`?\n"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    assert said() == "is rtrd running?\n"
    path.unlink()
    path.touch()
    assert said() == "it is not a socket\n"
    path = tmp_path / (300 * "a")
    assert said() == "File name too long\n"


@pytest.mark.parametrize("words", [["status"], ["reload"], ["whatif", "+192.0.2.0/24@1"], ["history", "192.0.2.0/24"]])
def test_a_daemon_that_hangs_is_waited_for_as_long_by_each_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by one whose answer may take a minute: those were silent for all of it."""
    monkeypatch.setattr(http_client, "TIMEOUT", 0.1)
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(str(path))
        hangs.listen()
        assert cli.main([*words, "--socket", str(path)]) == 3
    assert capsys.readouterr().err.endswith("something listens there, but did not answer within 0 s\n")


def test_something_else_at_the_socket_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 not rtrd\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert cli.main(["status", "--socket", str(path)]) == 3
        thread.join(10)
    assert capsys.readouterr().err == f"rtrd: no daemon answers at {path}: something other than rtrd listens there\n"
