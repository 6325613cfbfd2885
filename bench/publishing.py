"""Many hosts that publish to one NATS server: `python -m bench.publishing` starts one, and says what came of it.

Each host is the publisher of a daemon (rtrd.events.publisher) with an event log of its own; all are in one process,
beside the server. Events happen at random hosts. For a while the server is away. At last `rtrd fleet` reads them all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nats
import structlog

from rtrd.base.clock import Clock
from rtrd.config import Events
from rtrd.config.nats import parse_nats_server
from rtrd.demo.lab import Lab, Listening, find_program
from rtrd.event_log import EventLog
from rtrd.events.publisher import Publisher
from rtrlib.vrp_set import VALIDITIES

EVENT = {
    "neighbor": "192.0.2.1", "prefix": "198.51.100.0/24", "path_id": None, "origin_as": 64511, "was": "valid",
    "validity": "invalid", "aspa_was": None, "aspa": None, "leak_was": False, "leak": False, "decision": "observe",
    "cause": "192.0.2.10:323", "cache": "192.0.2.10:323", "vrp": None,
}  # fmt: skip
TEXT = "198.51.100.0/24 of AS64511 from 192.0.2.1: invalid (was valid), observe: AS64511's VRP disappeared"


class Server(Listening):
    """nats-server with JetStream."""

    def _start(self, port: int) -> None:
        file = self._folder / "nats.conf"
        file.write_text(f"listen: 127.0.0.1:{port}\njetstream {{store_dir: '{self._folder / 'kept'}'}}\n")
        program = find_program("nats-server", "apt-get install nats-server")
        self._run(port, [program, "-c", str(file)])
        self.process.wait_for("Server is ready")

    def memory(self) -> int:
        """Give its MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) >> 10


def status(number: int) -> dict[str, Any]:
    """Give the status of a host with two caches and two routers of four neighbors."""
    caches = [
        {
            "host": f"192.0.2.{cache}", "port": 323, "state": "ESTABLISHED", "error": None, "session_id": 7,
            "serial": 99, "last_update": None, "vrps": 700_000, "aspas": 1,
        }
        for cache in (10, 11)
    ]  # fmt: skip
    routes = dict(zip(VALIDITIES, (600_000, 400_000, number % 3, 0), strict=True))
    return {
        "version": "1", "started": "2026-01-01T00:00:00Z", "ready": True, "active_group": "a", "problems": [],
        "health": {"status": "ok", "summary": "ready"}, "vrps": {"ipv4": 500_000, "ipv6": 200_000},
        "groups": [{"name": "a", "servers": caches}],
        "routers": [
            {"name": name, "attached": True, "neighbors": [{"up": True}] * 4, "routes": routes} for name in ("r1", "r2")
        ],
    }  # fmt: skip


class Host:
    """One host."""

    def __init__(self, number: int, folder: Path) -> None:
        state = folder / f"host{number:04}"
        state.mkdir()
        self.log = EventLog(Clock())
        self.publisher = Publisher(
            state, f"host{number:04}.example", Clock(), listen=self.log.listen, status=self._status
        )
        self._number = number

    async def _status(self) -> dict[str, Any]:
        return status(self._number)

    @property
    def state(self) -> dict[str, Any]:
        return self.publisher.status() or {}


async def make(server: Server, hosts: list[Host]) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    await client.jetstream().add_stream(name="events", subjects=["rtrd.events.>"])
    await client.close()
    for host in hosts:
        await host.publisher.start(Events(nats=parse_nats_server(f"nats://127.0.0.1:{server.port}")))
    await all_of(hosts, "connected", wanted=True)


async def all_of(hosts: list[Host], name: str, *, wanted: object) -> float:
    """Wait until this is so for all hosts; give how long that took."""
    began = time.perf_counter()
    while any(host.state[name] != wanted for host in hosts):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)
    return time.perf_counter() - began


async def happen(hosts: list[Host], rate: float, seconds: float) -> int:
    """Let so many events a second happen, at random hosts."""
    began, made = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(int(now * rate) - made):
            random.choice(hosts).log.add("route", TEXT, router="r1", **EVENT)
            made += 1
        await asyncio.sleep(0.005)
    return made


async def measure(folder: Path, lab: Lab, options: argparse.Namespace) -> dict[str, Any]:
    server = lab.start(Server(folder, "nats", "127.0.0.1"))
    hosts = [Host(number, folder) for number in range(options.hosts)]
    began = time.perf_counter()
    await make(server, hosts)
    found: dict[str, Any] = {"hosts": len(hosts), "seconds until all are connected": time.perf_counter() - began}
    cpu = time.process_time()
    made = await happen(hosts, options.rate, options.seconds)
    found |= {"events a second": options.rate, "waiting at the end": sum(host.state["waiting"] for host in hosts)}
    found["CPU microseconds a message at a host"] = (time.process_time() - cpu) * 1e6 / made
    await asyncio.to_thread(server.stop)
    made += await happen(hosts, options.rate, options.away)
    found["waiting after the absence"] = sum(host.state["waiting"] for host in hosts)
    await asyncio.to_thread(server.start)
    back = await all_of(hosts, "connected", wanted=True)
    found["seconds until all have sent what waited"] = back + await all_of(hosts, "waiting", wanted=0)
    found["lost"] = sum(host.state["lost"] for host in hosts)
    found["MiB of the server"] = server.memory()
    found["MiB of all hosts"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    state = (await client.jetstream().stream_info("events")).state
    await client.close()
    found |= {"messages kept": state.messages, "events made": made, "octets of a message": state.bytes / state.messages}
    began = time.perf_counter()
    url = f"nats://127.0.0.1:{server.port}"
    seen = await asyncio.to_thread(
        subprocess.run,
        [str(Path(sys.executable).parent / "rtrd"), "fleet", "--nats", url, "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    found["seconds of rtrd fleet"] = time.perf_counter() - began
    assert len(json.loads(seen.stdout)["hosts"]) == len(hosts)
    await asyncio.gather(*(host.publisher.close() for host in hosts))
    return found


def main() -> int:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.publishing", description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500, help="events a second of all hosts together")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--away", type=float, default=15, help="seconds for which the server is away")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as folder, Lab(Path(folder)) as lab:
        for name, value in asyncio.run(measure(Path(folder), lab, options)).items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
