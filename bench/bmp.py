"""Measures routers that tell full tables by BMP: processor time and memory of a route, and whether the loop is held."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

from bench import bird
from bench.pipe import Router
from bench.report import Comparison
from bench.scripted_cache import HOST, ScriptedCache
from bench.section import Setting
from rtrd.base.endpoint import Endpoint
from rtrd.bmp.messages import Kind
from rtrd.commands import http_client
from rtrd.demo.lab import LabError, free_port

PEERS = 4
PACKING = 20
LOCAL_AS, PEER_AS = 65000, 64496
MOST_TIME = 1 / 0.3
"""Microseconds: 300,000 routes a second on one core."""
MOST_MEMORY = 64.0
"""Octets of a route and peer."""
SECONDS = 600.0


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


def once(setting: Setting, cache: ScriptedCache, updates: bytes) -> tuple[float, float, float]:
    """Give the microseconds and the octets of a route, and how many turns of the loop took more than 50 ms."""
    station = Endpoint(HOST, free_port(HOST))
    settings = {"bmp": {"listen": [str(station)]}}
    with Router(setting.folder, [(HOST, cache.port)], settings=settings, name="bmp") as router:
        router.wait_vrps(len(setting.vrps))
        router.wait_idle()
        usage = router.usage()
        spent, held, long = usage.cpu(), usage.memory(), _status(router)["loop"]["long"]
        count = PEERS * len(setting.table)
        with socket.create_connection((station.host, station.port)) as one:
            name = b"bench"
            one.sendall(_message(Kind.INITIATION, struct.pack(">HH", 2, len(name)) + name))
            for number in range(1, PEERS + 1):
                for part in stream(updates, number):
                    one.sendall(part)
            _wait(router, count)
            time.sleep(1)
            took = (usage.cpu() - spent) / count * 1e6
            grown = (usage.memory() - held) / count
            return took, grown, _status(router)["loop"]["long"] - long


def measure(setting: Setting) -> list[Comparison]:
    updates = bird.encoded(setting.table, PACKING)
    print(f"a router that tells {PEERS} times {len(setting.table):,} routes by BMP: us and octets a route", flush=True)
    found = []
    with ScriptedCache(b"".join(setting.vrps)) as cache:
        for number in range(setting.rounds):
            found.append(once(setting, cache, updates))
            print(
                f"  round {number + 1}: {found[-1][0]:.2f} us, {found[-1][1]:.1f} octets, {found[-1][2]} long turns",
                flush=True,
            )
    note = (
        f"One router with {PEERS} peers, each with {len(setting.table):,} routes, {PACKING} in an UPDATE, and"
        f" {len(setting.vrps):,} VRPs; all of rtrd's processes."
    )
    times, octets, turns = ([one[i] for one in found] for i in range(3))
    return [
        Comparison("Processor time of a route by BMP", "us", {"rtrd": times}, None, MOST_TIME, [note]),
        Comparison("Memory of a route and peer by BMP", "bytes", {"rtrd": octets}, None, MOST_MEMORY, ["PSS. " + note]),
        Comparison(
            "Turns of the loop above 50 ms while the routes come", "turns", {"rtrd": turns}, None, 0.0, [note], 1.0
        ),
    ]
