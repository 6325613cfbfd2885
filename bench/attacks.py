"""Measures the loop, /healthz and memory while a quarter of every attack that a stranger can make goes on at once.

From routers: nested VRPs above many routes, and thousands of path ids of one prefix. At `rtr-server`: more connections
of one address than it may have, TLS handshakes that never end, and routers that ask for everything in a loop.

As a program, `python -m bench.attacks PORT TLS_PORT SILENT HALF_OPEN ASKING`, it attacks `rtr-server` until its stdin
is closed; the other three are counts of connections. It prints how many were made.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import lines
from bench.crowd import HOST, reset
from bench.loop import MOST, OWN, Gap, beside
from bench.pipe import RECEIVER, Router
from bench.report import Comparison
from bench.scripted_cache import ScriptedCache
from bench.section import Setting
from rtrd.commands import http_client
from rtrd.demo.lab import free_port
from rtrlib.vrp import VRP, pack

LEVELS, OF_LEVEL = 17, 256
"""Nested VRPs: a quarter of 1024 at each length from 0 to 16."""
UNDER = 1500
"""Routes that all of them cover."""
PEERS, PATHS = 10, 256
"""Neighbors and path ids of each for one prefix, a quarter of 1024."""
OF_ONE_ADDRESS, HALF_OPEN, ASKING = 1050, 375, 250
"""Connections: a quarter of 4200, 1500 and 1000."""
ATTACKER = "127.0.0.66"
SECONDS = 8.0
PATIENCE = 120.0
HEALTHY_MOST, MEMORY_MOST = 1.0, 400.0
"""Seconds, and MB."""
POLICY = [
    {
        "to": [RECEIVER],
        "valid": {"action": "announce", "tags": ["rfc8097"]},
        "not-found": {"action": "announce", "tags": ["rfc8097"]},
        "invalid": {"action": "withdraw"},
    }
]


def nested() -> bytes:
    """Give packed VRPs, each of which covers 20.0.0.0/16."""
    base = int(ipaddress.IPv4Address("20.0.0.0"))
    networks = [ipaddress.IPv4Network((base >> 32 - n << 32 - n, n)) for n in range(LEVELS)]
    return b"".join(pack(VRP(str(one), one.prefixlen, 100_000 + n)) for one in networks for n in range(OF_LEVEL))


def stream() -> list[bytes]:
    """Give lines that are bad when they come again and again: sessions begin anew, and routes come, change and go."""
    covered = [lines.Route(f"20.0.{n >> 8}.{n & 255}/32", 64500) for n in range(UNDER)]
    found = list(lines.updates(covered, 100))
    for peer in range(PEERS):
        speaker = lines.Speaker(peer=f"127.1.0.{peer + 1}")
        found.append(lines.session(speaker))
        crowded = [f"20.1.0.0/24 {ipaddress.IPv4Address(n)}" for n in range(PATHS)]
        for origin in (64500, 64501):
            found += lines.updates([lines.Route(one, origin) for one in crowded], 64, speaker)
    for peer in range(PEERS):
        speaker = lines.Speaker(peer=f"127.1.0.{peer + 1}")
        found += lines.withdraws(crowded[::2], 64, speaker)
    return [with_path_ids(line) for line in found]


def with_path_ids(line: bytes) -> bytes:
    """Give a line whose prefixes may have a blank and a path id as ExaBGP writes it."""
    for octets in {one.partition(b'"')[0] for one in line.split(b'"nlri": "')[1:]}:
        prefix, blank, path_id = octets.partition(b" ")
        if blank:
            line = line.replace(b'"%b" }' % octets, b'"%b", "path-information": "%b" }' % (prefix, path_id))
    return line


# -- at rtr-server


def connections(port: int, count: int, source: str) -> Iterator[socket.socket]:
    """Give those that are taken."""
    for _ in range(count):
        with contextlib.suppress(OSError):
            one = socket.create_connection((HOST, port), 5, source_address=(source, 0))
            one.setblocking(False)
            yield one


def attack(port: int, tls_port: int, silent_n: int, half_open: int, asking_n: int) -> None:
    """Hold silent connections, and ask in a loop at others, until stdin is closed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    silent = [*connections(port, silent_n, ATTACKER), *connections(tls_port, half_open, "127.0.0.67")]
    asking = select.epoll()
    asking.register(0)
    sockets = {}
    for number in range(asking_n):
        for one in connections(port, 1, f"127.2.0.{number % 250 + 1}"):
            sockets[one.fileno()] = one
            asking.register(one, select.EPOLLIN)
            with contextlib.suppress(OSError):
                one.send(reset() * 200)
    print(len(silent) + len(sockets), flush=True)
    while True:
        for fd, _ in asking.poll():
            if fd == 0:
                return
            try:
                if sockets[fd].recv(1 << 16):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            asking.unregister(fd)
            sockets.pop(fd).close()


# -- what it costs


class Felt(NamedTuple):
    """What others felt of it."""

    gap: Gap
    turn: float
    """The longest turn of its loop, seconds."""
    healthy: float
    """The longest that /healthz took, seconds."""
    memory: float
    """RSS of all processes at most, MB."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    made = folder / "tls.crt", folder / "tls.key"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv = ["openssl", "req", *options, "-subj", "/CN=localhost", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(argv, check=True, capture_output=True)
    return made


def longest_turn(router: Router) -> float:
    """Give the longest turn of its loop so far, as rtrd counts it, seconds."""
    with http_client.ask(router.socket, "/metrics", timeout=PATIENCE) as answer:
        text = b"".join(answer.chunks()).decode()
    found = re.search(r"^rtrd_loop_longest_turn_seconds (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def suffer(folder: Path, vrps: bytes, seconds: float = SECONDS) -> Felt:
    """Let a daemon with these VRPs be attacked for some seconds."""
    port, tls_port = free_port(HOST), free_port(HOST)
    shown, key = certificate(folder)
    tls = {"listen": [f"{HOST}:{tls_port}"], "certificate": str(shown), "key": str(key)}
    settings = {"rtr-server": {"listen": [f"{HOST}:{port}"], "tls": tls}}
    count = (len(vrps) + len(nested())) // 24
    with (
        ScriptedCache(vrps + nested()) as cache,
        Router(folder, [(HOST, cache.port)], POLICY, settings, "attacked") as router,
        contextlib.ExitStack() as stack,
    ):
        router.wait_vrps(count)
        router.feed([lines.session()])
        counts = (OF_ONE_ADDRESS, HALF_OPEN, ASKING)
        argv = [sys.executable, "-m", "bench.attacks", *map(str, (port, tls_port, *counts))]
        healthy, memory = [0.0], [0.0]
        ends = [0.0]

        def event() -> None:
            attacker = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(attacker.kill)
            assert attacker.stdout is not None
            made = int(attacker.stdout.readline())
            assert made >= 0.9 * sum(counts), f"only {made} connections were made"
            ends[0] = time.monotonic() + seconds

        def over() -> bool:
            began = time.monotonic()
            with http_client.ask(router.socket, "/healthz", timeout=PATIENCE) as answer:
                answer.value()
            healthy.append(time.monotonic() - began)
            memory.append(router.usage().memory("Rss") / 1e6)
            return time.monotonic() > ends[0]

        gap = beside(router, stream(), seconds, event, over)
        return Felt(gap, longest_turn(router), max(healthy), max(memory))


def measure(setting: Setting) -> list[Comparison]:
    """Measure; AssertionError when an attack could not be made."""
    print("a quarter of every attack at once", flush=True)
    felt = [
        suffer(setting.folder, b"".join(setting.vrps), 1.0 if setting.short else SECONDS) for _ in range(setting.rounds)
    ]
    about = (
        f"{len(setting.vrps):,} VRPs, and {LEVELS * OF_LEVEL:,} nested ones that cover {UNDER:,} routes; {PEERS}"
        f" neighbors with {PATHS} path ids each for one prefix, whose sessions begin anew all the time;"
        f" {OF_ONE_ADDRESS} connections of one address, {HALF_OPEN} TLS handshakes that don't end, {ASKING} routers"
        " that ask for everything in a loop. Lines are sent as fast as they are read."
    )
    return [
        Comparison(
            "Longest time between two reads of stdin, under attack", "ms",
            {
                "rtrd": [one.gap.wall for one in felt],
                "what its loop computed": [one.gap.cpu for one in felt],
                "without a CPU in the longest": [one.gap.waited for one in felt],
            },
            None, None, [about, OWN, "The attackers take CPUs of this machine from it."],
        ),
        Comparison(
            "Longest turn of the loop, under attack", "ms", {"rtrd": [one.turn * 1e3 for one in felt]},
            None, MOST * 1e3, [about + " As rtrd counts it: what it computed, or less, where that took less time."],
            quantile=1.0,
        ),
        Comparison(
            "/healthz over the control socket, under attack", "s", {"rtrd": [one.healthy for one in felt]},
            None, HEALTHY_MOST, [about + " The slowest of each round."], quantile=1.0,
        ),
        Comparison(
            "Memory under attack", "MB", {"rtrd": [one.memory for one in felt]}, None, MEMORY_MOST,
            [about + " RSS of all processes, at most."], quantile=1.0,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    attack(*map(int, sys.argv[1:]))
