"""Measures routers that tell full tables by BMP: processor time and memory of a route, and whether the loop is held."""

from __future__ import annotations

import json
import os
import socket
import statistics
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench import bird, generate
from bench.change import deciding
from bench.pipe import Router, Usage
from bench.report import Comparison
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting
from rtrd.base.endpoint import Endpoint
from rtrd.bmp.messages import Kind
from rtrd.commands import http_client
from rtrd.demo.lab import LabError, Process, find_program, session_members
from rtrd.demo.ports import free_port

PEERS = 4
PACKING = 20
LOCAL_AS, PEER_AS = 65000, 64496
MOST_TIME = 1 / 0.3
"""Microseconds: 300,000 routes a second on one core."""
MOST_MEMORY = 64.0
"""Octets of a route and peer."""
SECONDS = 600.0
MOST_EVENT = 20.0
"""Milliseconds from a changed VRP to its events, for the 99th percentile."""
TRIALS = 300
"""Changed VRPs of a round."""
QUIET = 0.3
"""Seconds between two of them."""


def _message(kind: Kind, body: bytes) -> bytes:
    return struct.pack(">BIB", 3, 6 + len(body), kind) + body


def _peer(number: int) -> bytes:
    return bytes(10) + bytes(12) + bytes([192, 0, 2, number]) + struct.pack(">IIII", PEER_AS, number, 0, 0)


def _open(asn: int) -> bytes:
    capability = struct.pack(">BBBBI", 2, 6, 65, 4, asn)
    body = struct.pack(">BHHIB", 4, asn, 90, 1, len(capability)) + capability
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), 1) + body


def stream(updates: bytes, number: int) -> Iterator[bytes]:
    """Give what a router says of a peer that announces these UPDATEs."""
    header = _peer(number)
    local = bytes(12) + bytes([192, 0, 2, 254]) + struct.pack(">HH", 179, 40000)
    yield _message(Kind.PEER_UP, header + local + _open(LOCAL_AS) + _open(PEER_AS))
    at, parts = 0, []
    while at < len(updates):
        size = int.from_bytes(updates[at + 16 : at + 18])
        if updates[at + 18] == 2:
            parts.append(_message(Kind.ROUTE_MONITORING, header + updates[at : at + size]))
        at += size
        if len(parts) == 1000:
            yield b"".join(parts)
            parts.clear()
    yield b"".join(parts)


def _status(router: Router) -> dict[str, Any]:
    found = http_client.status(router.socket)
    if found is None:
        raise LabError("rtrd does not answer")
    return found


def _wait(router: Router, count: int) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if sum(sum(one["routes"].values()) for one in _status(router)["routers"]) >= count:
            return
        time.sleep(0.5)
    raise LabError(f"not {count} routes in {SECONDS:g} s: {json.dumps(_status(router)['bmp'])}")


def tell(station: Endpoint, updates: bytes) -> socket.socket:
    """Have a router tell a station the routes of all its peers."""
    one = socket.create_connection((station.host, station.port))
    name = b"bench"
    one.sendall(_message(Kind.INITIATION, struct.pack(">HHB", 1, 1, 120) + struct.pack(">HH", 2, len(name)) + name))
    for number in range(1, PEERS + 1):
        for part in stream(updates, number):
            one.sendall(part)
    return one


def by_pmbmpd(setting: Setting, updates: bytes) -> tuple[float, float]:
    """Have pmbmpd take the same; give the microseconds and the octets of a route. It judges none."""
    station = Endpoint(HOST, free_port(HOST))
    file = setting.folder / "pmbmpd.conf"
    file.write_text(
        f"bmp_daemon_ip: {station.host}\nbmp_daemon_port: {station.port}\n"
        f"bmp_dump_file: {setting.folder}/pmbmpd.json\nbmp_dump_refresh_time: 86400\n"  # else it keeps no routes
    )
    argv = [find_program("pmbmpd", "as root: apt-get install pmacct"), "-f", str(file)]
    process = Process("pmbmpd", argv, setting.folder)
    process.start()
    try:
        process.wait_for("waiting for BMP data")
        usage = Usage(session_members(process.pid))
        spent, held = usage.cpu(), usage.memory()
        with tell(station, updates):
            before = -1.0
            while (now := usage.cpu()) - before > 0.01:  # it says nowhere how many routes it has
                before = now
                time.sleep(1)
        count = PEERS * len(setting.table)
        return (now - spent) / count * 1e6, (usage.memory() - held) / count
    finally:
        process.stop()


class Listening:
    """One who reads `/events`, as `rtrd watch` does."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._socket.sendall(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass

    def routes(self, prefix: str, count: int) -> float:
        """Wait for so many changes of a prefix; give when the last one was read (`time.perf_counter()`)."""
        while count:
            count -= json.loads(self._file.readline()).get("prefix") == prefix
        return time.perf_counter()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Trial(NamedTuple):
    """From the cache's notify of one VRP to the last event of the routes that it decides, milliseconds."""

    took: float
    waited: float
    """Of these: the thread of rtrd or of this process that waited longest for a CPU."""


def to_the_event(cache: ScriptedCache, router: Router, vrps: list[bytes], trials: int) -> list[Trial]:
    """Have single VRPs go and come again."""
    found = []
    listening = Listening(router.socket)
    usage = Usage([*router.usage().pids, os.getpid()])
    for number in range(trials):
        vrp = vrps[number // 2]
        address, length, _, _ = generate.text_of(vrp)
        before = usage.waited()
        began = cache.notify(b"", vrp) if number % 2 == 0 else cache.notify(vrp)
        took = listening.routes(f"{address}/{length}", PEERS) - began
        waited = max((usage.waited() - before).values(), default=0)
        found.append(Trial(took * 1e3, min(took * 1e3, waited / 1e6)))
        time.sleep(QUIET)
    listening.close()
    return found


class Found(NamedTuple):
    """Of one round."""

    time: float
    """Microseconds of a route."""
    memory: float
    """Octets of a route."""
    long: float
    """Turns of the loop that took more than 50 ms."""
    events: list[Trial]


def once(setting: Setting, cache: ScriptedCache, updates: bytes, vrps: list[bytes]) -> Found:
    """Have a router tell its routes; then change single VRPs."""
    station = Endpoint(HOST, free_port(HOST))
    settings = {"bmp": {"listen": [str(station)]}}
    with Router(setting.folder, [(HOST, cache.port)], settings=settings, name="bmp") as router:
        router.wait_vrps(len(setting.vrps))
        router.wait_idle()
        usage = router.usage()
        spent, held, long = usage.cpu(), usage.memory(), _status(router)["loop"]["long"]
        count = PEERS * len(setting.table)
        with tell(station, updates):
            _wait(router, count)
            time.sleep(1)
            took = (usage.cpu() - spent) / count * 1e6
            grown = (usage.memory() - held) / count
            long = _status(router)["loop"]["long"] - long
            return Found(took, grown, long, to_the_event(cache, router, vrps, setting.sized(TRIALS)))


def measure(setting: Setting) -> list[Comparison]:
    updates = bird.encoded(setting.table, PACKING)
    print(f"a router that tells {PEERS} times {len(setting.table):,} routes by BMP: us and octets a route", flush=True)
    vrps = deciding(setting)
    found, theirs = [], []
    with ScriptedCache(b"".join(setting.vrps)) as cache:
        for number in range(setting.rounds):
            found.append(one := once(setting, cache, updates, vrps))
            print(
                f"  round {number + 1}: {one.time:.2f} us, {one.memory:.1f} octets, {one.long} long turns,"
                f" {statistics.median(each.took for each in one.events):.1f} ms to an event",
                flush=True,
            )
            theirs.append(by_pmbmpd(setting, updates))
            print(f"    pmbmpd: {theirs[-1][0]:.2f} us, {theirs[-1][1]:.1f} octets", flush=True)
    note = (
        f"One router with {PEERS} peers, each with {len(setting.table):,} routes, {PACKING} in an UPDATE, and"
        f" {len(setting.vrps):,} VRPs; all of rtrd's processes."
    )
    events = [each for one in found for each in one.events]
    taken = {"rtrd": [each.took - each.waited for each in events], "with the load": [each.took for each in events]}
    percentile = sorted(taken["with the load"])[len(events) * 99 // 100]
    told = (
        f"{note} From the cache's Serial Notify of one VRP that comes or goes, to the last of {PEERS} events at who"
        f" reads `/events`, in {len(events)} trials. With the load: as it was measured, {percentile:.3g} ms at 99%. The"
        " first row, which the target is for, is that without the time for which the thread of rtrd or the bench that"
        " waited longest was ready while others were on the CPUs; this may take away too much, as where it gives 0."
    )
    times = {"rtrd": [one.time for one in found], "pmbmpd": [one[0] for one in theirs]}
    memory = {"rtrd": [one.memory for one in found], "pmbmpd": [one[1] for one in theirs]}
    beside = f"{note} pmbmpd of pmacct takes the same stream and keeps the routes for its dumps; it judges none."
    return [
        Comparison("Processor time of a route by BMP", "us", times, None, MOST_TIME, [beside]),
        Comparison("Memory of a route and peer by BMP", "bytes", memory, None, MOST_MEMORY, ["PSS. " + beside]),
        Comparison(
            "Turns of the loop above 50 ms while the routes come", "turns", {"rtrd": [one.long for one in found]}, None,
            0.0, [note], 1.0,
        ),
        Comparison("A changed VRP to the events of its routes", "ms", taken, None, MOST_EVENT, [told], 0.99),
    ]  # fmt: skip
