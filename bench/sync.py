"""Measures a first sync from StayRTR, beside clients in C."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.pipe import Router
from bench.report import Comparison, interleaved
from bench.section import Setting
from rtrd.demo.lab import Process, find_program, free_port
from rtrlib import RTRManager

HOST = "127.0.0.1"
LIMIT = 120
SOURCE = Path(__file__).with_name("librtr.c")


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


def run_manager(port: int, count: int, *, isolated: bool) -> float:
    """From the start to a complete set in force, the child process included."""
    manager = RTRManager(HOST, port, isolated=isolated)
    begin = time.perf_counter()
    manager.start(timeout=LIMIT)
    taken = time.perf_counter() - begin
    got = sum(1 for _ in manager.ipv4_records()) + sum(1 for _ in manager.ipv6_records())
    manager.stop()
    assert got == count, f"rtrlib got {got} of {count} VRPs"
    return taken


def run_daemon(folder: Path, port: int, count: int) -> float:
    """From the daemon's first step toward its cache to its effective set, by its log; its own start is not counted."""
    router = Router(folder, [(HOST, port)], name="sync")
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


def measure(setting: Setting) -> list[Comparison]:
    """Compare; AssertionError when somebody did not get all VRPs."""
    file, count, folder = setting.vrp_file, len(setting.vrps), setting.folder
    port = free_port(HOST)
    options = ["-checktime=false", "-metrics.addr", f"{HOST}:0", "-loglevel", "warning"]
    program = find_program("stayrtr", "as root: apt-get install stayrtr")
    server = Process("stayrtr", [program, *options, "-bind", f"{HOST}:{port}", "-cache", str(file)], folder)
    rtrclient = find_program("rtrclient", "as root: apt-get install rtr-tools")
    client = compile_client(folder)
    server.start()
    try:
        server.wait_listening(port, LIMIT)
        run_client(client, port, count)  # it listens before it has read its file
        print("first sync, s", flush=True)
        measures: dict[str, Callable[[], float]] = {
            "rtrd, into the effective set": lambda: run_daemon(folder, port, count),
            "rtrlib, isolated": lambda: run_manager(port, count, isolated=True),
            "rtrlib, threads": lambda: run_manager(port, count, isolated=False),
            "librtr client in C": lambda: run_client(client, port, count),
            "rtrclient, with its export": lambda: run_rtrclient(rtrclient, port),
        }
        found = interleaved(setting.rounds, measures)
    finally:
        server.stop()
    note = (
        f"VRPs {setting.origin}. Up to a complete set in force, from StayRTR on this host; ours includes the start of "
        "its child process. The client in C only counts in librtr's callbacks. rtrclient prints everything once it has "
        "all of it, and exits."
    )
    return [Comparison(f"First sync of {count:,} VRPs", "s", found, "librtr client in C", 1.1, [note])]
