"""Measures a first sync from `rtrd cache` and from StayRTR, beside a reader that only counts, and clients in C."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.crowd import HOST, Crowd
from bench.pipe import Router
from bench.report import Comparison, interleaved
from bench.section import Setting
from bench.servers import LIMIT, Server, ready, rtrd_cache, start, stayrtr
from rtrd.demo.lab import find_program
from rtrlib import RTRManager

SOURCE = Path(__file__).with_name("librtr.c")
BARE = "a reader that only counts octets"
MOST = 1.0
"""Seconds, from a cache that sends as fast as it can."""
MOST_BESIDE = 1.05


def compile_client(folder: Path) -> str:
    """Compile the client that does nothing but librtr's work."""
    client = str(folder / "librtr-client")
    subprocess.run(["cc", "-O2", "-DPROGRAM", "-pthread", "-o", client, str(SOURCE), "-lrtr"], check=True)
    return client


def run_client(client: str, port: int, count: int) -> float:
    """Give the seconds that it says."""
    done = subprocess.run(
        [client, HOST, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT, check=True
    )
    taken, added = done.stdout.split()
    assert int(added) == count, f"the C client got {int(added)} of {count} VRPs"
    return float(taken)


def run_reader(server: Server) -> float:
    """From its connection to the last octet of the answer."""
    begin = time.perf_counter()
    Crowd(server.port, 1).load(server.size())
    return time.perf_counter() - begin


def run_manager(port: int, count: int) -> float:
    """From the start of a manager of rtrlib's to a complete set in force."""
    manager = RTRManager(HOST, port, engine="native")
    begin = time.perf_counter()
    manager.start(timeout=LIMIT)
    taken = time.perf_counter() - begin
    got = sum(1 for _ in manager.ipv4_records()) + sum(1 for _ in manager.ipv6_records())
    manager.stop()
    assert got == count, f"rtrlib got {got} of {count} VRPs"
    return taken


def run_daemon(folder: Path, port: int, count: int, **options: Any) -> float:
    """From the daemon's first step toward its cache to its effective set, by its log; its own start is not counted."""
    group = {"name": "sync", "preference": 1, "servers": [{"host": HOST, "port": port, **options}]}
    router = Router(folder, [], settings={"caches": {"groups": [group]}}, name="sync")
    router.log.unlink(missing_ok=True)
    with router:
        router.wait_vrps(count, LIMIT)
    return sync_time(router.log)


def sync_time(log: Path) -> float:
    """Give the seconds from a daemon's first step toward its cache to its effective set, as its log has them."""
    said = log.read_text(encoding="utf-8").splitlines()
    begin = next(line for line in said if "status=CONNECTING" in line)
    end = next(line for line in said if "VRPs changed" in line)
    moments = [dt.datetime.fromisoformat(line.split()[0]) for line in (begin, end)]
    return (moments[1] - moments[0]).total_seconds()


def run_rtrclient(program: str, port: int) -> float:
    """From its start to its end: it can say nothing earlier, and exports what it has."""
    begin = time.perf_counter()
    command = [program, "-e", "-t", "csv", "-o", "/dev/null", "tcp", HOST, str(port)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT, check=True)
    return time.perf_counter() - begin


def from_server(setting: Setting, server: Server, client: str) -> dict[str, list[float]]:
    """Let each sync with one cache, in turn."""
    folder, port, count = setting.folder, server.port, len(setting.vrps)
    rtrclient = find_program("rtrclient", "as root: apt-get install rtr-tools")
    measures: dict[str, Callable[[], float]] = {
        "rtrd, into the effective set": partial(run_daemon, folder, port, count),
        BARE: partial(run_reader, server),
        "rtrd with `engine: librtr`": partial(run_daemon, folder, port, count, engine="librtr"),
        "rtrlib, engine native": partial(run_manager, port, count),
        "librtr client in C": partial(run_client, client, port, count),
        "rtrclient, with its export": partial(run_rtrclient, rtrclient, port),
    }
    return interleaved(setting.rounds, measures)


def measure(setting: Setting) -> list[Comparison]:
    """Compare; AssertionError when somebody did not get all VRPs."""
    count, folder = len(setting.vrps), setting.folder
    client = compile_client(folder)
    rounds = {}
    for name, argv in (("rtrd cache", rtrd_cache), ("StayRTR", stayrtr)):
        server = start(folder, f"sync-{name.split()[-1]}", setting.vrps, argv)
        try:
            ready(server.port)
            print(f"first sync from {name}, s", flush=True)
            rounds[name] = from_server(setting, server, client)
        finally:
            server.process.stop()
    note = (
        f"VRPs {setting.origin}. Up to a complete set in force, from the cache on this host; with `engine: librtr` that"
        " includes the start of a child process. The client in C only counts in librtr's callbacks. rtrclient prints"
        " everything once it has all of it, and exits."
    )
    fast, slow = rounds.values()
    return [
        Comparison(f"First sync of {count:,} VRPs from `rtrd cache`", "s", fast, None, MOST, [note]),
        Comparison(f"First sync of {count:,} VRPs from StayRTR", "s", slow, BARE, MOST_BESIDE, [note]),
    ]
