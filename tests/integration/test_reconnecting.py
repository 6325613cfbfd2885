"""Caches that go and come back, or never were there: when they are asked again, by themselves and by an operator."""

import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab import programs, rtr_caches
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import Connection, FaultyCache

ONE, TWO = VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64501)
LONG = {"retry": 600, "refresh": 3600, "expire": 7200}
"""So long that no test sees the end of it."""


async def closes(router: Connection) -> None:
    await router.sync()


async def no_data(router: Connection) -> None:
    await router.query()
    await router.send(rtr_caches.error_report(2))
    await router.read()


def rtrd(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return programs.rtrd(*words, "--socket", daemon.socket)


def server(status: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = status["groups"][0]["servers"][0]
    return found


def synced(daemon: Daemon) -> None:
    daemon.wait_status(lambda status: server(status)["error"] is None and status["active_group"] == "group1", "sync")


@pytest.mark.parametrize(("script", "kind"), [(closes, "closed"), (no_data, "no-data")])
def test_one_that_was_reached_is_asked_again_soon(
    lab: Lab, script: Callable[[Connection], Awaitable[None]], kind: str
) -> None:
    cache = lab.start(FaultyCache([ONE]))
    daemon = lab.start(Daemon(lab.folder, [cache], timers=LONG))
    daemon.wait_vrps(1)
    cache.break_with(script)
    daemon.wait_status(lambda status: server(status)["faults"].get(kind, 0) >= 2, f"{kind} again")
    cache.heal()
    synced(daemon)


def test_one_that_closes_after_each_answer_does_not_move_the_set_each_time(lab: Lab) -> None:
    first, second = lab.start(FaultyCache([ONE])), lab.start(FaultyCache([TWO]))
    first.break_with(closes)
    daemon = lab.start(Daemon(lab.folder, [first, second], timers=LONG))
    daemon.wait_status(lambda status: status["active_group"] == "group2", "the second group in use")
    asked = first.connections
    daemon.process.wait_until(lambda: first.connections >= asked + 3, 60, "it is asked all the while")
    moves = [line.text for line in daemon.process.lines if "is in use" in line.text]
    assert len(moves) <= 3, moves
    first.heal()
    synced(daemon)


@pytest.mark.parametrize("engine", ["native", "librtr"])
def test_an_operator_has_caches_asked_now(lab: Lab, engine: str) -> None:
    """One that was never reached waits for `retry`, with either engine."""
    cache = lab.start(FaultyCache([ONE]))
    cache.break_with(closes, listens=False)
    daemon = lab.start(Daemon(lab.folder, [cache], timers=LONG, engine=engine))
    name = f"127.0.0.1:{cache.port}"
    for words in (["reconnect"], ["reconnect", name], ["reconnect", "127.0.0.1"], ["reload"]):
        failed = server(daemon.wait_status(lambda status: server(status)["error"] is not None, "a failure"))
        assert datetime.fromisoformat(failed["next_attempt"]).timestamp() - time.time() > LONG["retry"] / 2
        cache.heal()
        done = rtrd(daemon, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert name in done.stdout
        synced(daemon)
        cache.break_with(closes, listens=False)
        daemon.stop()
        daemon.start()
    cache.heal()
    wrong = rtrd(daemon, "reconnect", name + "1")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert f"did you mean {name}?" in wrong.stderr


def test_one_of_a_group_that_is_not_in_use_is_not_asked(lab: Lab) -> None:
    first, second = lab.start(FaultyCache([ONE])), lab.start(FaultyCache([TWO]))
    daemon = lab.start(Daemon(lab.folder, [first, second], timers=LONG))
    daemon.wait_vrps(1)
    refused = rtrd(daemon, "reconnect", f"127.0.0.1:{second.port}")
    assert refused.returncode == 1
    assert "is not in use" in refused.stderr
    before = first.connections
    assert rtrd(daemon, "reconnect").returncode == 0
    daemon.process.wait_until(lambda: first.connections > before, 30, "none failed, so all in use are asked")
    synced(daemon)
    assert second.connections == 0
