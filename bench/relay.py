"""Measures how soon routers get VRPs from `rtrd cache` and StayRTR, and a relay with 1000 routers."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path

import yaml

from bench.crowd import HOST, NOTIFY, Crowd, apart, reset
from bench.report import Comparison, interleaved
from bench.section import Setting
from bench.servers import DELTA, LIMIT, Server, octets, ready, rtrd_cache, start, stayrtr
from bench.sync import compile_client, run_client
from rtrd.commands import http_client
from rtrd.demo.lab import Process, find_program
from rtrd.demo.ports import free_port

CLIENTS = 1000
"""In a short run a hundredth of them."""


def notified(server: Server, crowd: Crowd) -> float:
    """Wait for the next change of a server and let a router load everything; gives the seconds from its notify."""
    [one] = crowd.sockets.values()
    server.change()
    crowd.answered(NOTIFY)
    begin = time.perf_counter()
    one.setblocking(True)
    one.sendall(reset())
    one.setblocking(False)
    crowd.answered(server.size())
    return time.perf_counter() - begin


def one_change(server: Server, crowd: Crowd) -> float:
    """Do the same with a router that asks for what changed; milliseconds."""
    [one] = crowd.sockets.values()
    session, serial = struct.unpack(">H", crowd.end[2:4])[0], struct.unpack(">I", crowd.end[8:12])[0]
    server.change()
    crowd.answered(NOTIFY)
    begin = time.perf_counter()
    one.sendall(struct.pack(">BBHII", 1, 1, session, 12, serial))
    crowd.answered(DELTA)
    return 1000 * (time.perf_counter() - begin)


def measure(setting: Setting) -> list[Comparison]:
    """Compare; AssertionError when a router was dropped."""
    vrps, folder, note = setting.vrps, setting.folder, f"VRPs {setting.origin}."
    c_client = compile_client(folder)
    ours, theirs = (start(folder, name, vrps, argv) for name, argv in (("cache", rtrd_cache), ("stayrtr", stayrtr)))
    try:
        for server in (ours, theirs):
            ready(server.port)
        print("first sync of a librtr client, s", flush=True)
        first = interleaved(
            min(setting.rounds, 2),  # half a minute each
            {
                "rtrd cache": lambda: run_client(c_client, ours.port, len(vrps)),
                "StayRTR": lambda: run_client(c_client, theirs.port, len(vrps)),
            },
        )
        crowds = {id(server): Crowd(server.port, 1) for server in (ours, theirs)}
        for server in (ours, theirs):
            crowds[id(server)].load(server.size())
        print("from the notify to the whole set, s", flush=True)
        full = interleaved(
            setting.rounds,
            {
                "rtrd cache": lambda: notified(ours, crowds[id(ours)]),
                "StayRTR": lambda: notified(theirs, crowds[id(theirs)]),
            },
        )
        print("from the notify to one changed VRP, ms", flush=True)
        delta = interleaved(
            setting.rounds,
            {
                "rtrd cache": lambda: one_change(ours, crowds[id(ours)]),
                "StayRTR": lambda: one_change(theirs, crowds[id(theirs)]),
            },
        )
    finally:
        ours.process.stop()
        theirs.process.stop()
    count = f"{len(vrps):,}"
    reads = "The router only counts octets."
    return [
        Comparison(
            f"First sync of {count} VRPs by librtr", "s", first, None, None, [f"{note} The time is librtr's own work."]
        ),
        Comparison(f"From the notify to all {count} VRPs", "s", full, "StayRTR", 1.0, [f"{note} {reads}"]),
        Comparison(f"From the notify to one changed VRP of {count}", "ms", delta, None, 10.0, [f"{note} {reads}"]),
        *crowded(setting),
    ]


def memory(pid: int) -> tuple[float, float]:
    """Give MiB of a process: now, and at most so far."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return tuple(int(found) / 1024 for found in re.findall(r"^Vm(?:RSS|HWM):\s+(\d+) kB", text, re.MULTILINE))[::-1]  # type: ignore[return-value]


def crowded(setting: Setting) -> list[Comparison]:
    """Let CLIENTS routers at a relay behind a cache load all at once, and then hear of one change."""
    vrps, folder, clients = setting.vrps, setting.folder, setting.sized(CLIENTS)
    cache = start(folder, "upper", vrps, rtrd_cache)
    config, path = folder / "relay.yaml", folder / "relay.sock"
    port = free_port(HOST)
    group = {"name": "upper", "preference": 1, "servers": [{"host": HOST, "port": cache.port}]}
    server = {"listen": [f"{HOST}:{port}"], "notify-interval": 0}
    config.write_text(yaml.safe_dump({"caches": {"groups": [group]}, "control": str(path), "rtr-server": server}))
    relay = Process("relay", [find_program("rtrd", "make venv"), "run", "-c", str(config)], folder)
    relay.start()
    try:
        relay.wait_until(path.exists, LIMIT, "the relay's socket", tick=0.05)
        relay.wait_until(lambda: served(path) == len(vrps), LIMIT, "the relay to serve", tick=0.1)
        before, _ = memory(relay.pid)
        watcher = Crowd(cache.port, 1)
        watcher.load(cache.size())
        with apart(port, clients, octets(vrps), DELTA) as said:
            loaded = said()["loaded"]
            after, most = memory(relay.pid)
            cache.change()
            watcher.answered(NOTIFY)
            began = time.monotonic()
            last = said()["changed"] - began
    finally:
        relay.stop()
        cache.process.stop()
    about = f"{len(vrps):,} VRPs {setting.origin}; {clients} routers in one process on this host."
    each = 1024 * (after - before) / clients
    return [
        Comparison(
            f"A relay with {clients} routers: a change until the last one has it", "ms", {"rtrd": [1000 * last]}, None,
            1000.0, [about + " From the notify of the cache that feeds the relay."],
        ),
        Comparison(
            f"A relay with {clients} routers: its memory at most, while all load", "MiB",
            {"rtrd": [most], "before they connect": [before], "after": [after]}, None, 400.0,
            [f"{about} Memory of the relay's own process; {each:.0f} KiB for each router that has loaded."],
        ),
        Comparison(f"{clients} routers load the whole set at once", "s", {"rtrd": [loaded]}, None, None, [about]),
    ]  # fmt: skip


def served(path: Path) -> int | None:
    """How many VRPs the relay serves."""
    status = http_client.status(path)
    return None if status is None else status["rtr_server"]["vrps"]
