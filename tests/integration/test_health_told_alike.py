"""How the daemon is, said in eight places: each state of health, at the real daemon, whose clock is turned."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab, Process
from rtrd.version import __version__
from tests.lab import turned_rtrd
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import FaultyCache
from tests.lab.programs import RTRD, rtrd
from tests.lab.scripted_exabgp import PEER, UPDATE, AdjRIBOut, PipedProcess

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64502)]
SECONDS = 60


class Stage:
    """A daemon with two caches in one group; systemd, Prometheus and an operator, who ask it."""

    def __init__(self, lab: Lab, manager: socket.socket) -> None:
        self.lab = lab
        self.clock = lab.folder / "clock"
        self.state = lab.folder / "state"
        self.state.mkdir()
        self.caches = [FaultyCache(VRPS), FaultyCache(VRPS)]
        self._manager = manager
        self._systemd = ""

    def start(self, **settings: Any) -> None:
        settings = {"state": str(self.state), "http": "127.0.0.1:0", **settings}
        program = turned_rtrd.program(self.clock)
        self.daemon = self.lab.start(Daemon(self.lab.folder, [self.caches], settings=settings, program=program))
        found = self.daemon.process.wait_for(r"the API is served.*http=\S+")
        self.url = "http://" + re.search(r"http=(\S+)", found.text)[1]  # type: ignore[index]

    def well(self, count: int = len(VRPS), **settings: Any) -> None:
        for cache in self.caches:
            self.lab.start(cache)
        self.start(**settings)
        self.daemon.wait_vrps(count)
        self.daemon.wait_status(
            lambda status: all(one["state"] == "ESTABLISHED" for one in status["groups"][0]["servers"]), "both caches"
        )

    def attach(self) -> PipedProcess:
        """Have a scripted ExaBGP attach, and tell of a session."""
        argv = [RTRD, "attach", "--socket", str(self.daemon.socket)]
        exabgp = self.lab.start(PipedProcess(Process("attach", argv, self.lab.folder), AdjRIBOut().answer))
        self.daemon.wait_status(lambda status: bool(status["routers"]), "the router")
        self.session(exabgp, "up")
        return exabgp

    def session(self, exabgp: PipedProcess, state: str) -> None:
        neighbor = {**UPDATE["neighbor"], "address": {"local": "127.0.0.1", "peer": PEER}, "state": state}
        del neighbor["message"]
        exabgp.say(json.dumps({**UPDATE, "type": "state", "neighbor": {**neighbor, "reason": "it ended"}}) + "\n")
        up = state == "up"
        self.daemon.wait_status(
            lambda status: [one["up"] for one in status["routers"][0]["neighbors"]] == [up], f"it is {state}"
        )

    # -- who asks

    def systemd(self) -> str:
        """What the service manager was last told."""
        with suppress(BlockingIOError):
            while True:
                _, sign, status = self._manager.recv(4096).decode().partition("STATUS=")
                self._systemd = status if sign else self._systemd
        return self._systemd

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def told(self) -> dict[str, Any]:
        """What everybody is told at this moment, each in the words of `health` and `problems` of the status."""
        text = rtrd("status", "--socket", self.daemon.socket).stdout.splitlines()
        check = rtrd("status", "--check", "--json", "--socket", self.daemon.socket)
        (code, healthz), (_, metrics) = self.get("/healthz"), self.get("/metrics")
        samples = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        return {
            "text": text[0],
            "check": (check.returncode, json.loads(check.stdout)),
            "healthz": (code, json.loads(healthz)),
            "metrics": (
                samples["rtrd_healthy"],
                *(samples[f'rtrd_problems{{severity="{one}"}}'] for one in ("critical", "warning")),
            ),
            "systemd": re.sub(r"; \d+ VRPs? of .*", "", self.systemd()),  # the rest is no matter of health
            "log": "\n".join(line.text for line in self.daemon.process.lines),
        }

    def page(self) -> dict[str, Any]:
        """What the page draws."""
        status: dict[str, Any] = json.loads(self.get("/status")[1])
        return status

    def expected(self, status: dict[str, Any], log: str) -> dict[str, Any]:
        """What they should be told, if that is the status."""
        health, problems = status["health"], status["problems"]
        whats = {
            severity: [problem["what"] for problem in problems if problem["severity"] == severity]
            for severity in ("critical", "warning")
        }
        answer = {"status": health["status"], "reasons": whats["critical"], "warnings": whats["warning"]}
        failed = health["status"] == "failed"
        error = {"error": health["summary"]} if failed else {}
        counts = (str(float(len(whats[one]))) for one in ("critical", "warning"))
        of_caches = r"cache \S+ (has never been|is not) in sync: "
        return {
            "text": f"rtrd {__version__}, {health['summary']}",
            "check": (int(bool(whats["critical"])), {**health, "problems": problems}),
            "healthz": (503 if failed else 200, {**error, **answer, "snapshot": False}),
            "metrics": (str(float(not failed)), *counts),
            "systemd": health["summary"],
            "log": log
            if all(one in log or re.match(of_caches, one) for one in (*whats["critical"], *whats["warning"]))
            else whats,
        }

    def alike(self, word: str, *wanted: tuple[str, str]) -> None:
        """Wait until the status is so, with exactly these problems, and everybody is told the same."""

        def look() -> dict[str, Any] | None:
            status, told, after = self.page(), self.told(), self.page()
            found = [(one["severity"], one["what"]) for one in status["problems"]]
            fits = len(found) == len(wanted) and all(
                any(severity == kind and re.search(what, text) for kind, text in found) for severity, what in wanted
            )
            self.last = (status["health"], found, told, expected := self.expected(status, told["log"]))
            same = status["problems"] == after["problems"] and told == expected
            return status if same and fits and status["health"]["status"] == word else None

        try:
            self.daemon.process.wait_until(look, SECONDS, f"{word} with {wanted}", tick=0.2)
        except Exception as error:
            health, found, told, expected = self.last
            apart = {key: (told[key], expected[key]) for key in told if told[key] != expected[key]}
            raise AssertionError(f"{health} with {found}; told otherwise: {apart}") from error


@pytest.fixture
def stage(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(lab.folder / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(lab.folder / "notify"))
        yield Stage(lab, manager)


def one_down(stage: Stage) -> None:
    stage.well()
    stage.caches[0].stop()


def all_down(stage: Stage) -> None:
    one_down(stage)
    stage.caches[1].stop()


def expired(stage: Stage) -> None:
    all_down(stage)
    stage.alike("degraded", *ALL_DOWN)
    turned_rtrd.turn(stage.clock, 601)


def empty(stage: Stage) -> None:
    for cache in stage.caches:
        cache.vrps = []
    stage.well(0)


def never(stage: Stage) -> None:
    for cache in stage.caches:
        stage.lab.start(cache)
        cache.stop()  # it has a port, where nobody listens any more
    stage.start()


def session_down(stage: Stage) -> None:
    stage.well()
    stage.session(stage.attach(), "down")


def exabgp_gone(stage: Stage) -> None:
    stage.well()
    stage.attach().stop()


def held(stage: Stage) -> None:
    stage.well(guard={"max-shrink": "10%", "hold": 600})
    for cache in stage.caches:
        cache.serve(VRPS[:1])


DOWN = ("warning", "^cache .* is not in sync")
ALL_DOWN = [("critical", "^no cache is in sync; the VRPs of group group1 are in force until"), DOWN, DOWN]
STATES: dict[str, tuple[Callable[[Stage], None], str, list[tuple[str, str]]]] = {
    "all caches fine": (Stage.well, "ok", []),
    "one cache down": (one_down, "ok", [DOWN]),
    "all down, VRPs in force": (all_down, "degraded", ALL_DOWN),
    "VRPs expired": (expired, "failed", [("critical", "expire"), ("critical", "no cache is in sync"), DOWN, DOWN]),
    "empty set": (empty, "ok", [("warning", "is in sync, but has no VRPs")] * 2 + [("warning", "no VRP is in force")]),
    "never in sync": (never, "failed", [("critical", "")] * 2 + [("warning", "has never been in sync")] * 2),
    "session down": (session_down, "ok", [("warning", f"session of router exabgp with {PEER} is down")]),
    "ExaBGP gone": (exabgp_gone, "degraded", [("critical", "^ExaBGP exabgp is gone")]),
    "guard holds": (held, "ok", [("warning", "is held until")]),
}


@pytest.mark.parametrize("name", STATES)
def test_everybody_is_told_the_same(stage: Stage, name: str) -> None:
    make, word, problems = STATES[name]
    make(stage)
    stage.alike(word, *problems)
