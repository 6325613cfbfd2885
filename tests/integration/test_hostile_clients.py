"""Clients of the API that do harm on purpose, while a router is served: it must not notice."""

import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rtrd.api import connections
from rtrd.commands import http_client
from rtrd.demo.lab import Lab
from tests.lab.daemons import At
from tests.lab.scripted_exabgp import LISTENER, PEER, ScriptedExaBGP
from tests.lab.wait import wait_until

SECONDS = 60
"""Generous: for what takes milliseconds on an idle machine."""
NOTICED = 10.0
"""Seconds of delay that nothing but a loop that stopped explains, even here: ExaBGP's hold timers are 180."""
ROUNDS = 40
MANY = 1000
NOBODY = At("127.0.0.1", 1)


class Router(ScriptedExaBGP):
    """An ExaBGP, and its rtrd that serves the API by TCP too; its one cache does not exist."""

    def __init__(self, folder: Path) -> None:
        policy = [{"from": [PEER], "to": [LISTENER], "unverified": {"action": "announce", "tags": ["large:65000:1:0"]}}]
        super().__init__(folder, [NOBODY], settings={"http": "127.0.0.1:0", "policy": policy})

    def announced(self, prefix: str) -> float:
        """Let the peer announce a route; the seconds until rtrd has said what becomes of it."""
        began, position = time.monotonic(), self.position()
        self.announces(prefix, 64500)
        self.wait_changes(position, ("announce", [prefix]))
        return time.monotonic() - began

    def slowest(self, name: int) -> float:
        return max(self.announced(f"10.{name}.{number}.0/24") for number in range(ROUNDS))

    def get(self, path: str) -> Any:
        """Ask until there is room: what is silent has to give way within a second or two."""

        def ask() -> list[Any]:
            try:
                with http_client.ask(self.socket, path, timeout=SECONDS) as answer:
                    return [answer.value()]
            except (http_client.RefusedError, http_client.NoDaemonError):
                return []

        return wait_until(ask, f"room for {path}", SECONDS)[0]

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)

        def connected() -> bool:
            try:
                connection.connect(str(self.socket))
            except BlockingIOError:  # the queue is full for a moment
                return False
            return True

        wait_until(connected, "rtrd to take a connection", SECONDS)
        return connection


@pytest.fixture
def router(lab: Lab) -> Iterator[Router]:
    router = lab.start(Router(lab.folder))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * MANY, hard), hard))  # ours; rtrd's is what it was
    try:
        yield router
        router.process.send_signal(signal.SIGTERM)
        assert router.process.wait(SECONDS) == 0
        assert "Traceback" not in router.process.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in another thread until the block is over."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_thousand_connections_at_once(router: Router) -> None:
    router.slowest(0)
    with ExitStack() as stack:
        silent = [stack.enter_context(router.connect()) for _ in range(MANY)]
        assert router.slowest(1) < NOTICED
        assert router.get("/status")["routers"][0]["routes"]["unverified"] == 2 * ROUNDS
        # Who found no room was told so.
        answers = [_received(connection) for connection in silent]
        full = [answer for answer in answers if answer]
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in full)
        assert len(full) >= MANY - 2 * connections.MOST
    assert router.get("/version")


def _received(connection: socket.socket) -> bytes:
    """All that comes until rtrd hangs up, which it does with silent ones too."""
    data = b""
    try:
        while more := connection.recv(4096):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_requests_octet_by_octet(router: Router) -> None:
    def trickle(over: threading.Event) -> None:
        request = b"GET /status HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 100_000
        open_now = [router.connect() for _ in range(connections.MOST)]
        for octet in request:
            for connection in list(open_now):
                try:
                    connection.send(bytes([octet]))
                except OSError:  # rtrd has lost its patience
                    connection.close()
                    open_now.remove(connection)
            if over.wait(0.01) or not open_now:
                break
        for connection in open_now:
            connection.close()

    with beside(trickle):
        assert router.slowest(0) < NOTICED
        assert router.get("/version")


def test_answers_that_nobody_reads_and_bodies_without_end(router: Router) -> None:
    router.slowest(0)

    def send(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.settimeout(0.1)
        try:
            connection.sendall(request)
            while not over.is_set():
                connection.send(b"x" * 65536)
        except OSError:
            return

    with ExitStack() as stack:
        for path in ("routes", "json", "metrics", "status") * 20:
            stack.enter_context(router.connect()).sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50)
        for path in ("accept", "whatif", "status", "nothing"):
            connection = stack.enter_context(router.connect())
            request = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode()
            stack.enter_context(beside(lambda over, c=connection, r=request: send(c, r, over)))  # type: ignore[misc]
        assert router.slowest(1) < NOTICED
        assert router.get("/version")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /../../etc/passwd HTTP/1.1",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        b"GET /json/..%2f..%2fetc%2fpasswd HTTP/1.1",
        b"GET //etc/passwd HTTP/1.1",
        b"GET /whatif?vrp=../../etc/passwd HTTP/1.1",
        b"GET /diff?cache=/etc/passwd HTTP/1.1",
        b"GET /api/v1/validity/AS1/..%2f..%2fetc/passwd HTTP/1.1",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(range(64)),
        b"GET /status HTTP/1.1\r\nContent-Length: -1",
        b"GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        b"DELETE /status HTTP/1.1",
        b"PUT /nothing HTTP/1.1",
    ],
)
def test_what_is_no_honest_request_is_refused(router: Router, request_line: bytes) -> None:
    with router.connect() as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = _received(connection)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), answer[:200]
    assert b"root:" not in answer
    assert router.announced("10.0.0.0/24") < NOTICED
