"""What systemd hears, at a datagram socket of the test: ready, status, watchdog, reload, end."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rtrd.base import log
from rtrd.base.systemd_notify import Notifier, _watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


async def test_from_the_start_to_the_end(manager: socket.socket) -> None:
    notifier = Notifier(lambda: "5 VRPs of a; 1 routers, 3 routes")
    assert heard(manager) == []
    notifier.ready()
    assert heard(manager) == ["READY=1", "STATUS=5 VRPs of a; 1 routers, 3 routes"]
    notifier.reloading()
    (reloading,) = heard(manager)
    kind, since = reloading.split("\n")
    assert kind == "RELOADING=1"
    assert 0 <= time.monotonic() - int(since.removeprefix("MONOTONIC_USEC=")) / 1e6 < 60
    notifier.reloaded()
    notifier.stopping()
    assert heard(manager) == ["READY=1", "STOPPING=1"]
    notifier.close()


async def test_the_watchdog_is_fed_by_the_loop_alone(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    notifier = Notifier(lambda: "")
    notifier.ready()
    async with asyncio.timeout(30):
        fed = 0
        while fed < 3:
            await asyncio.sleep(0.001)
            fed += heard(manager).count("WATCHDOG=1")
    time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still, as one that hangs does
    assert "WATCHDOG=1" not in heard(manager)
    notifier.close()


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    assert _watchdog({"WATCHDOG_USEC": "3000000"}) == 3
    assert _watchdog({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}) == 3
    assert _watchdog({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}) == 0
    assert _watchdog({}) == 0
    assert _watchdog({"WATCHDOG_USEC": "soon"}) == 0


async def test_systemd_names_an_abstract_socket_with_an_at() -> None:
    name = f"rtrd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.setblocking(False)
        notifier = Notifier(lambda: "", environment={"NOTIFY_SOCKET": f"@{name}"})
        notifier.ready()
        assert heard(manager)[0] == "READY=1"
        notifier.close()


async def test_a_manager_that_is_busy_hears_it_later(manager: socket.socket) -> None:
    notifier = Notifier(lambda: "5 VRPs")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as others, suppress(BlockingIOError):
        while True:
            others.sendto(b"X=1", manager.getsockname())
    notifier.reloading()
    notifier.ready()  # nobody waits meanwhile
    assert set(heard(manager)) == {"X=1"}
    found: list[str] = []
    async with asyncio.timeout(30):
        while len(found) < 2:
            await asyncio.sleep(0.001)
            found += heard(manager)
    assert found == ["READY=1", "STATUS=5 VRPs"]
    notifier.close()


async def test_a_manager_that_is_gone_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log.setup("human")
    notifier = Notifier(lambda: "", environment={"NOTIFY_SOCKET": str(tmp_path / "none")})
    notifier.ready()
    notifier.stopping()
    assert capfd.readouterr().err.count("the service manager can't be told") == 1
    notifier.close()


async def test_the_manager_hears_of_a_daemon_that_has_no_more_descriptors(manager: socket.socket) -> None:
    notifier = Notifier(lambda: "")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        notifier.ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert heard(manager)[0] == "READY=1"
    notifier.close()


async def test_without_a_manager_nothing_is_said() -> None:
    said: list[str] = []
    notifier = Notifier(lambda: "x", said.append, {"WATCHDOG_USEC": "1000"})
    notifier.ready()
    notifier.stopping()
    await asyncio.sleep(0.01)
    assert said == []
    notifier.close()
