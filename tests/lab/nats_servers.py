"""A real nats-server on a loopback port, and who subscribes to it."""

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.msg import Msg

from rtrd.demo.lab import Listening, find_program
from tests.lab.wait import SECONDS, wait_until


class NATS(Listening):
    """nats-server; with `jetstream` it keeps streams, also over a restart. `more`: lines of its configuration."""

    def __init__(self, folder: Path, name: str = "nats", *, jetstream: bool = False, more: str = "") -> None:
        super().__init__(folder, name, "127.0.0.1")
        self._jetstream = jetstream
        self._more = more

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def _start(self, port: int) -> None:
        file = self._folder / f"{self.name}.conf"
        store = f"jetstream {{store_dir: '{self._folder / self.name}'}}\n" if self._jetstream else ""
        file.write_text(f"listen: 127.0.0.1:{port}\n{store}{self._more}\n")
        program = find_program("nats-server", "apt-get install nats-server")
        # A sanitizer's library is for our own programs.
        self._run(port, [program, "-c", str(file)], {"LD_PRELOAD": ""})
        self.process.wait_for("Server is ready")

    def freeze(self) -> None:
        """Let it answer nothing, with all connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        super().stop()


class Subscriber:
    """Somebody with a plain NATS connection: gets what is published while it is there."""

    def __init__(self, port: int, subject: str = ">", *, user: tuple[str, str] | None = None) -> None:
        """`user`: name and password."""
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._socket = socket.create_connection(("127.0.0.1", port))
        who = {} if user is None else {"user": user[0], "pass": user[1]}
        hello = json.dumps({"verbose": False, "pedantic": False, **who})
        self._socket.sendall(f"CONNECT {hello}\r\nSUB {subject} 1\r\nPING\r\n".encode())
        self._there = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        assert self._there.wait(SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as file:
            for line in file:
                if line.startswith(b"MSG "):
                    words = line.split()
                    payload = file.read(int(words[-1]) + 2)
                    if not words[1].startswith((b"$", b"_INBOX")):
                        self.events.append((words[1].decode(), json.loads(payload)))
                elif line.startswith(b"PONG"):
                    self._there.set()
                elif line.startswith(b"PING"):
                    self._socket.sendall(b"PONG\r\n")

    def kinds(self) -> list[str]:
        """Of the events so far, without summaries."""
        return [event["kind"] for _, event in self.events if event["kind"] != "summary"]

    def texts(self) -> list[str]:
        """The same."""
        return [event["text"] for _, event in self.events if event["kind"] != "summary"]

    def wait(self, wanted: Callable[[dict[str, Any]], Any], what: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Return the first event that is as wanted."""
        return (
            wait_until(
                lambda: next((event for _, event in self.events if wanted(event)), None),
                f"{what}: {self.texts()}",
                seconds,
            )
            or {}
        )


async def make_stream(url: str, *subjects: str, **options: Any) -> None:
    """Have JetStream keep subjects, in the stream `events`."""
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="events", subjects=list(subjects), **options)
    await client.close()


async def kept(url: str) -> list[dict[str, Any]]:
    """Give what the stream has: events, without summaries."""
    client = await nats.connect(url)
    stream = client.jetstream()
    count = (await stream.stream_info("events")).state.messages
    found: list[dict[str, Any]] = []
    subscription = await stream.subscribe("", stream="events", ordered_consumer=True)
    for _ in range(count):
        message: Msg = await subscription.next_msg(timeout=SECONDS)
        event = json.loads(message.data)
        assert event["id"] == (message.headers or {})["Nats-Msg-Id"]
        found.append(event)
    await client.close()
    return [event for event in found if event["kind"] != "summary"]


def stream_of(url: str) -> list[dict[str, Any]]:
    """The same, where no loop runs."""
    return asyncio.run(kept(url))
